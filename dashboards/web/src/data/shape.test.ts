import { describe, expect, it } from "vitest";
import { alert, statistic, window } from "./samples";
import { alertOrder, alertWindow, byEvidence, continues, firingAt, firstToShow, heat, mergeWindows, nearestWindow, partInAlert, placeLabel } from "./shape";

describe("heat", () => {
  const windows = [
    window(0, { scopes: [{ scope: "head", task: "mood", evidence: 3 }, { scope: "input", task: null, evidence: 1 }] }),
    window(1, { scopes: [{ scope: "link", task: "intent", evidence: 7 }, { scope: "head", task: "retired", evidence: 2 }] }),
  ];
  const tasks = [
    { name: "intent", kind: "multiclass", classes: 8 },
    { name: "mood", kind: "binary", classes: 2 },
  ] as const;
  const found = heat(windows, [...tasks]);

  it("has input and encoder on top, tasks in order with their links, and what the manifest no longer knows last", () => {
    expect(found.places.map(placeLabel)).toEqual(["input", "encoder", "intent", "intent · link", "mood", "retired"]);
  });

  it("leaves out what was not measured", () => {
    expect(found.evidence).toEqual([[1, null], [null, null], [null, null], [null, 7], [3, null], [null, 2]]);
  });
});

describe("windows", () => {
  it("are merged in order, newer answers win, and only so many are kept", () => {
    const known = [window(0), window(1), window(2)];
    const merged = mergeWindows(known, [window(3), window(2, { revision: 1 })], 3);
    expect(merged.map((w) => [w.index, w.revision])).toEqual([[1, 0], [2, 1], [3, 0]]);
  });

  it("only continue when they overlap", () => {
    expect(continues([window(0), window(1)], [window(2), window(1)])).toBe(true);
    expect(continues([window(0)], [window(2)])).toBe(false);
    expect(continues([], [])).toBe(false);
  });

  it("are found by time, across gaps", () => {
    const windows = [window(0), window(1), window(10)];
    const at = (index: number): number => Date.parse(window(index).start);
    expect([at(0), at(1) + 1000, at(3), at(8), at(99)].map((ms) => nearestWindow(windows, ms))).toEqual([0, 1, 1, 2, 2]);
    expect(nearestWindow([], 0)).toBeNull();
  });
});

it("sorts statistics by evidence, those without enough records last", () => {
  const rows = [statistic("a", 2), statistic("b", 99, { sufficient: false }), statistic("c", 50), statistic("d", null)];
  expect(byEvidence(rows).map((s) => s.signal)).toEqual(["c", "a", "b", "d"]);
});

describe("alerts", () => {
  const windows = [0, 1, 2, 3].map((i) => window(i));
  const [w0, w1, w2, w3] = windows as [typeof windows[0] & {}, typeof windows[0] & {}, typeof windows[0] & {}, typeof windows[0] & {}];
  const over = alert("resolved", w0, w1, { resolved_at: w2.end });
  const firing = alert("firing", w1, w2);
  const pending = alert("pending", w3, null);

  it("come with what is firing first", () => {
    expect(alertOrder([over, pending, firing]).map((a) => a.state)).toEqual(["firing", "pending", "resolved"]);
  });

  it("lead to the window that made them fire", () => {
    expect(alertWindow(firing, windows)).toBe(w2);
    expect(alertWindow(pending, windows)).toBe(w3);
    expect(firstToShow(windows, [over, firing])).toBe(w2);
    expect(firstToShow(windows, [over])).toBe(w3);
    expect(firstToShow([], [])).toBeNull();
  });

  it("fire from their window until they resolve", () => {
    expect([w0, w1, w2].map((w) => firingAt([over], w.end)?.id)).toEqual([undefined, over.id, undefined]);
  });

  it("name parts as cause or as reached", () => {
    const input = alert("firing", w0, w0, { cause: { kind: "input", task: null, tasks_affected: ["intent"], summary: "" } });
    expect(partInAlert(input, { scope: "input", task: null })).toBe("cause");
    expect(partInAlert(input, { scope: "head", task: "intent" })).toBe("reached");
    expect(partInAlert(input, { scope: "head", task: "mood" })).toBeNull();
    expect(partInAlert(firing, { scope: "head", task: "intent" })).toBe("cause");
  });
});
