import { describe, expect, it } from "vitest";
import type { Shadow, ShadowTask } from "../api/types";
import { asked, difference, shadowVerdict } from "./shadow";

const task = (changes: Partial<ShadowTask>): ShadowTask => ({
  task: "intent", metric: "accuracy", role: { protected: { margin: 0.01 } }, verdict: "undecided", labelled: 0, reasons: [], ...changes,
});
const shadow = (changes: Partial<Shadow["report"]>): Shadow => ({
  begun_at: "2026-11-23T00:00:00Z", updated_at: "2026-11-23T01:00:00Z",
  report: {
    verdict: "undecided", baseline: { version: "1", ms_per_text: 1 }, candidate: { version: "2", ms_per_text: 1 },
    rows: 1_240, labelled_rows: 31, tasks: [], ...changes,
  },
});

describe("shadow", () => {
  it("says what is missing while nothing is decided", () => {
    expect(shadowVerdict(shadow({ labels_needed: 660 }))).toBe(
      "It is not decided whether version 2 may take over (1,240 records answered by both, 31 labelled; about 660 labels more would settle it).",
    );
    expect(shadowVerdict(shadow({}))).not.toContain("more would");
  });

  it("names the tasks that fail", () => {
    const tasks = [task({ verdict: "fail" }), task({ task: "mood", verdict: "pass" })];
    expect(shadowVerdict(shadow({ verdict: "fail", tasks }))).toContain("must not take over: intent falls short");
    expect(shadowVerdict(shadow({ verdict: "fail" }))).toContain("it falls short");
    expect(shadowVerdict(shadow({ verdict: "pass" }))).toContain("Version 2 may take over");
  });

  it("tells a difference with its bounds, and what was asked", () => {
    expect(difference(task({}))).toBe("no labels yet");
    expect(difference(task({ difference: -0.02, low: -0.05, high: 0.01 }))).toBe("−2.0 (−5.0 to +1.0)");
    expect(asked(task({}))).toBe("lose at most 1.0 %");
    expect(asked(task({ role: { drifted: { min_delta: 0.005 } } }))).toBe("gain more than 0.5 %");
  });
});
