import { describe, expect, it } from "vitest";
import { fromMovers, isClear, movedGroups, ordered, wilson } from "./cells";
import { statistic } from "./samples";

const mover = (cell: string, reference_share: number, current_share: number) => ({ cell, reference_share, current_share, reference_count: 100, current_count: 25 });

describe("intervals", () => {
  // Worked out from Wilson's formula with z = 1.959964.
  it.each([
    [5, 50, 0.0434752, 0.2136022],
    [0, 20, 0, 0.1611252],
    [200, 200, 0.9811546, 1],
  ])("of %i in %i are Wilson's", (count, n, low, high) => {
    const [a, b] = wilson(count / n, n);
    expect(a).toBeCloseTo(low, 5);
    expect(b).toBeCloseTo(high, 5);
  });

  it("of nothing say nothing", () => expect(wilson(Number.NaN, 0)).toEqual([0, 1]));
});

describe("cells", () => {
  it("from movers take the server's interval, or make one", () => {
    const [given, made] = fromMovers(statistic("s", 1, { n: 250, movers: [{ ...mover("a", 0.1, 0.2), current_interval: [0.1, 0.3] }, mover("b", 0.1, 0.2)] }));
    expect([given?.low, given?.high]).toEqual([0.1, 0.3]);
    expect(made?.low).toBeCloseTo(0.155, 3);
  });

  it("are clear when the reference lies outside of the interval", () => {
    const cell = { ...mover("a", 0.1, 0.2), low: 0.15, high: 0.25 };
    expect(isClear(cell)).toBe(true);
    expect(isClear({ ...cell, reference_share: 0.16 })).toBe(false);
    expect(isClear({ ...cell, low: null, high: null })).toBe(false);
  });

  it("stand in their own order or by how far they moved", () => {
    const cells = fromMovers(statistic("s", 1, { n: 250, movers: [mover("a", 0.5, 0.52), mover("b", 0.01, 0.05)] }));
    expect(ordered(cells, "own").map((c) => c.cell)).toEqual(["a", "b"]);
    expect(ordered(cells, "moved").map((c) => c.cell)).toEqual(["b", "a"]);
  });

  it("are grouped as tokens, classes and pairs, without what chance explains", () => {
    const moved = [mover("refund", 0.1, 0.3)];
    const drifts = 9_000;
    const rows = [
      statistic("token_distribution", drifts, { scope: "input", task: null, n: 2_000, movers: [...moved, mover("the", 0.5, 0.5)] }),
      statistic("predicted_class", drifts, { n: 250, movers: moved }),
      statistic("confidence", drifts, { n: 250, movers: moved }),
      statistic("answers_with_mood", drifts, { scope: "link", n: 250, movers: moved }),
      statistic("predicted_class", drifts, { segment: "channel=mail", n: 250, movers: moved }),
    ];
    const { tokens, classes, pairs } = movedGroups(rows, 8_640, 8);
    expect([tokens.length, classes.length, pairs.length]).toEqual([1, 1, 1]);
    expect(tokens[0]).toMatchObject({ cell: "refund", signal: "token_distribution" });
    const word = statistic("word_distribution", drifts, { scope: "input", task: null, n: 2_000, movers: moved });
    expect(movedGroups([word], 8_640, 8).tokens.map((c) => c.cell)).toEqual(["refund"]);
  });

  it("are of signals that moved: of hundreds of cells some always seem to", () => {
    const told = (evidence: number, p: number) =>
      movedGroups([statistic("predicted_class", evidence, { p_value: p, movers: [mover("refund", 0.1, 0.3)] })], 8_640, 8).classes.length;
    expect([told(1, 0.3), told(1, 0.0001), told(5_000, 0.3)]).toEqual([0, 1, 1]);
  });
});
