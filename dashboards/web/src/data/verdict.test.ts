import { describe, expect, it } from "vitest";
import { clock } from "./format";
import { alert, model, window } from "./samples";
import { meaning } from "./incident";
import { budgetWords, causeName, fleetVerdict, otherVersionsNote, silentFor, verdict, windowSeconds } from "./verdict";

const now = new Date(window(20).end);
const at = (index: number): string => clock(new Date(window(index).end));

describe("silence", () => {
  it("is told when windows should long have come", () => {
    const after = (secs: number): Date => new Date(now.getTime() + secs * 1000);
    expect(silentFor(window(20).end, 300, after(1_200))).toBeNull();
    expect(silentFor(window(20).end, 300, after(1_201))).toBe(1_201);
    expect(silentFor(window(20).end, 5, after(299))).toBeNull();
    expect(silentFor(null, 300, now)).toBeNull();
  });
});

describe("other versions", () => {
  it("are named with their share", () => {
    const others = { records: 50, versions: [{ version: "13", records: 48 }, { version: "14", records: 2 }] };
    expect(otherVersionsNote(window(1, { records: 150, other_versions: others }))).toBe(
      "25.0 % of the records name another version and are not judged: 13 (48) and 14 (2).",
    );
    expect(otherVersionsNote(window(1))).toBeNull();
    expect(otherVersionsNote(null)).toBeNull();
  });
});

describe("verdict", () => {
  it("names where, since when, and that it goes on", () => {
    const windows = [window(1), window(2, { evidence: 9000 })];
    const firing = alert("firing", window(1), window(2));
    expect(verdict(model({ state: "drift" }), windows, [firing], now)).toBe(
      `Head intent drifted: first seen ${at(1)}, still firing.`,
    );
  });

  it("explains low evidence under a firing alert", () => {
    const firing = alert("firing", window(1), window(2));
    expect(verdict(model({ state: "drift" }), [window(3)], [firing], now)).toContain("counted anew");
  });

  it("says what a cause reached", () => {
    const cause = { kind: "input", task: null, tasks_affected: ["intent", "mood"], summary: "" } as const;
    const firing = alert("firing", window(1), window(2), { cause: { ...cause, tasks_affected: [...cause.tasks_affected] } });
    expect(verdict(model(), [], [firing], now)).toContain("The input drifted and reached intent and mood:");
  });

  it("names the version that serves, and does not speak of evidence", () => {
    const versions = [{ version: "13", records: 950 }, { version: "14", records: 2 }];
    const cause = { kind: "skew", part: "version", task: null, versions, tasks_affected: [], summary: "" } as const;
    const firing = alert("firing", window(1), window(2), { cause: { ...cause, versions, tasks_affected: [] } });
    const said = verdict(model(), [window(3)], [firing], now);
    expect(said).toContain("Production serves version 13: first seen");
    expect(said).not.toContain("counted anew");
    expect(causeName(firing)).toBe("another version");
    expect(meaning(firing.cause).helps).toContain("roll production back");
  });

  it("is calm when nothing happens, and remembers what did", () => {
    const windows = [window(0), window(9)];
    expect(verdict(model(), windows, [], now)).toBe("No drift: evidence is 10, 0.12 % of the threshold.");
    const over = alert("resolved", window(1), window(2), { resolved_at: window(5).end });
    expect(verdict(model(), windows, [over], now)).toContain(`Head intent drifted earlier, from ${at(1)} to ${at(5)}.`);
  });

  it("says how near an alarm is", () => {
    const rising = window(3, { evidence: 4320, scopes: [{ scope: "encoder", task: null, evidence: 9 }] });
    expect(verdict(model({ state: "warning" }), [rising], [], now)).toBe(
      "Evidence is rising, most at encoder: 4,320 is 50 % of the threshold, no alarm yet.",
    );
  });

  it("says what is awaited while nothing can be judged", () => {
    expect(verdict(model({ reference: null }), [], [], now)).toContain("no reference yet");
    const before = new Date(now.getTime() - 60_000);
    expect(verdict(model(), [], [], before)).toBe(
      `No window has closed yet: windows are 5 min long, and the first can close at ${at(20)}.`,
    );
  });
});

it("finds the length of a window", () => {
  expect(windowSeconds(model(), [])).toBe(300);
  expect(windowSeconds(model(), [window(0)])).toBe(300);
  expect(windowSeconds(model({ budget: "2/1d", threshold: 144 }), [])).toBe(300);
  expect(windowSeconds(model({ threshold: 8641 }), [])).toBeNull();
  expect(windowSeconds(model({ budget: "rarely" }), [])).toBeNull();
});

it("says the budget in words", () => {
  expect(["1/30d", "1/w", "3/1d"].map(budgetWords)).toEqual([
    "one false alarm in 30 days",
    "one false alarm in 1 week",
    "3 false alarms in 1 day",
  ]);
});

it("sums up the fleet", () => {
  const row = (state: "ok" | "warning" | "drift" | "insufficient_data") => ({
    name: state,
    version: "1",
    state,
    worst: null,
    evidence: null,
    threshold: 8640,
    last_window_end: null,
    records: 0,
    guarantee: { status: "valid" as const, reason: "" },
  });
  expect(fleetVerdict([row("ok"), row("drift")])).toBe("1 of 2 models drifts.");
  expect(fleetVerdict([row("ok"), row("warning")])).toBe("No model drifts; in one evidence is rising.");
  expect(fleetVerdict([row("ok"), row("ok")])).toBe("No model drifts.");
  expect(fleetVerdict([row("insufficient_data")])).toBe("No model can be judged yet.");
  expect(fleetVerdict([row("drift")])).toBe("The model drifts.");
});
