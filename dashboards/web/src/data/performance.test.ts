import { describe, expect, it } from "vitest";
import type { LabelPerformance, PerformancePoint, TaskPerformance } from "../api/types";
import { byLoss, calibration, harmLevel, isMuted, labelSummary, labelWords, latestRealised, notices, performanceVerdict, span } from "./performance";

const point = (estimate: number | null, realised: number | null, changes: Partial<PerformancePoint> = {}): PerformancePoint => ({
  start: "2026-11-23T00:00:00Z", end: "2026-11-23T01:00:00Z", n: 100,
  estimate, estimate_low: null, estimate_high: null, realised, realised_low: null, realised_high: null,
  labelled: realised === null ? 0 : 40, muted: false, ...changes,
});
const task = (points: PerformancePoint[], changes: Partial<TaskPerformance> = {}): TaskPerformance => ({
  task: "intent", metric: "accuracy", points, harm: null, label_coverage: 0.31, label_delay: 10_800, labels: [], labelling: null, ...changes,
});

describe("notices of a task", () => {
  const signal = (usual: number, latest: number | null, changed: boolean) => ({ usual, latest, evidence_ratio: 0.2, changed_since: changed ? "2026-11-23T00:00:00Z" : null });
  it("say what is not as usual, and nothing where all is", () => {
    const labelling = (changed: boolean) => ({ stage: "judged" as const, horizon_secs: 3_600, coverage: signal(0.3, 0.1, changed), delay: signal(7_200, null, changed) });
    expect(notices(task([], { labelling: labelling(false) }))).toEqual([]);
    expect(notices(task([]))).toEqual([]);
    const told = notices(task([], { labelling: labelling(true) }));
    expect(told).toHaveLength(2);
    expect(told[0]).toContain("10.0 % of the predictions get one, usually 30.0 %");
  });
});

describe("labels of a multi-label head", () => {
  const figures = (f1: number | null) => ({ support: 10, given: 10, precision: null, recall: null, f1: f1 === null ? null : { value: f1, low: 0, high: 1 } });
  const label = (name: string, reference: number | null, estimated: number | null, realised: number | null): LabelPerformance => ({
    label: name, reference: figures(reference), estimated: estimated === null ? null : figures(estimated), realised: realised === null ? null : figures(realised),
  });

  it("come in the order of what they lost, by labels where these came", () => {
    const labels = [label("kept", 0.9, 0.2, 0.9), label("lost", 0.9, 0.9, 0.1), label("unknown", null, 0.1, 0.1), label("estimated", 0.9, 0.5, null)];
    expect(byLoss(labels).map((l) => l.label)).toEqual(["lost", "estimated", "kept", "unknown"]);
  });
});

describe("performance", () => {
  it("is told by the newest labels, which come later than estimates", () => {
    const points = [point(0.9, 0.91), point(0.9, 0.7), point(0.88, null)];
    expect(latestRealised(points)).toBe(points[1]);
    const full = points.map((p) => ({ ...p, realised: 0.8, labelled: 40 }));
    const coming = { ...full[0]!, realised: 0.9, labelled: 12 };
    expect(latestRealised([...full, coming]), "while most labels are on their way").toBe(full.at(-1));
    expect(performanceVerdict(task(points))).toBe("Accuracy of intent is 70.0 % by its labels, −20.0 points from the estimate.");
  });

  it("says when the estimate does not count", () => {
    const muted = task([point(0.9, 0.7, { muted: true })]);
    expect(isMuted(muted)).toBe(true);
    expect(performanceVerdict(muted)).toContain("muted");
  });

  it("says what it does not know", () => {
    expect(performanceVerdict(task([]))).toBe("Nothing is known of intent's accuracy yet.");
    expect(performanceVerdict(task([point(0.9, null)]))).toContain("no label has said so");
    expect(labelWords(task([], { label_coverage: 0 }))).toBe("no labels arrive");
    expect(labelWords(task([]))).toBe("31.0 % of records get a label, 3 h later");
  });

  it("calibrates on points that have both", () => expect(calibration([point(0.9, 0.8), point(0.9, null), point(null, 0.8)])).toHaveLength(1));

  it("knows harm and leaves the rest open", () => {
    const level = (verdict: string, evidence_ratio: number | null = null) => harmLevel({ verdict, evidence_ratio });
    expect([level("harm"), level("no_harm"), level("insufficient_labels"), harmLevel(null)]).toEqual(["harm", "none", "unsure", "unsure"]);
    expect([level("another word", 1.2), level("another word", 0.2)]).toEqual(["harm", "unsure"]);
  });

  it("sums labels up by the slowest task that has any", () => {
    expect(labelSummary([task([], { label_coverage: 0 })])).toBeNull();
    expect(labelSummary([task([]), task([], { label_coverage: 0.5, label_delay: 60 })])).toEqual({ delay: 10_800, coverage: 0.5 });
  });

  it("spans what is known", () => {
    expect(span([null])).toEqual([0, 1]);
    expect(span([0.5, 0.995])).toEqual([0.48, 1]);
  });
});
