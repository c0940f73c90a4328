/** Estimated against realised accuracy, in words. */

import type { LabelPerformance, PerformancePoint, TaskPerformance } from "../api/types";
import { duration, percent, points as pointsOf, words } from "./format";

/**
 * The newest point that has labels, or null. Of one that has less than half as many as another does more are on
 * their way, and those that come first need not be like the others.
 */
export function latestRealised(points: PerformancePoint[]): PerformancePoint | null {
  const most = Math.max(0, ...points.map((p) => p.labelled));
  return points.findLast((p) => p.realised !== null && p.labelled >= most / 2) ?? null;
}

/** The newest point that has an estimate which counts, or null. */
export const latestEstimate = (points: PerformancePoint[]): PerformancePoint | null =>
  points.findLast((p) => p.estimate !== null) ?? null;

/** Whether the newest estimate is muted: labels have contradicted it. */
export const isMuted = (task: TaskPerformance): boolean => latestEstimate(task.points)?.muted ?? false;

export type Harm = "harm" | "none" | "unsure";

const VERDICTS: Record<string, Harm> = { harm: "harm", harmed: "harm", drift: "harm", no_harm: "none", none: "none", ok: "none" };

/** What is known of a task's harm; by its evidence where the verdict's word is a new one. */
export function harmLevel(harm: TaskPerformance["harm"]): Harm {
  const known = VERDICTS[harm?.verdict ?? ""];
  if (known !== undefined) return known;
  return harm?.evidence_ratio != null && harm.evidence_ratio >= 1 ? "harm" : "unsure";
}

export const HARM_WORDS: Record<Harm, string> = {
  harm: "harm shown by labels",
  none: "no harm shown",
  unsure: "too few labels to say",
};

/** One sentence on a task. */
export function performanceVerdict(task: TaskPerformance): string {
  const realised = latestRealised(task.points);
  const estimate = latestEstimate(task.points);
  const metric = words(task.metric);
  if (realised === null || realised.realised === null) {
    if (estimate === null || estimate.estimate === null) return `Nothing is known of ${task.task}'s ${metric} yet.`;
    return `${capital(metric)} of ${task.task} is estimated at ${percent(estimate.estimate)}; no label has said so.`;
  }
  const found = `${capital(metric)} of ${task.task} is ${percent(realised.realised)} by its labels`;
  if (realised.estimate === null) return `${found}.`;
  const gap = realised.realised - realised.estimate;
  const compared = Math.abs(gap) < 0.005 ? "as estimated" : `${pointsOf(gap)} points from the estimate`;
  return `${found}, ${compared}.${isMuted(task) ? " The estimate is muted: labels contradict it." : ""}`;
}

/** How many records get a label and when, in words. */
export function labelWords(task: TaskPerformance): string {
  if (!task.label_coverage) return "no labels arrive";
  const after = task.label_delay === null ? "" : `, ${duration(task.label_delay)} later`;
  return `${percent(task.label_coverage)} of records get a label${after}`;
}

/** How late and for how many records labels come, over all tasks of a model; null where none come. */
export function labelSummary(tasks: TaskPerformance[]): { delay: number | null; coverage: number } | null {
  const labelled = tasks.filter((t) => (t.label_coverage ?? 0) > 0);
  if (labelled.length === 0) return null;
  const delays = labelled.map((t) => t.label_delay).filter((d) => d !== null);
  return { delay: delays.length === 0 ? null : Math.max(...delays), coverage: Math.max(...labelled.map((t) => t.label_coverage ?? 0)) };
}

/** Estimated against realised accuracy of each point that has both: how well the estimate is calibrated. */
export const calibration = (points: PerformancePoint[]): { estimate: number; realised: number; point: PerformancePoint }[] =>
  points.flatMap((point) => (point.estimate === null || point.realised === null ? [] : [{ estimate: point.estimate, realised: point.realised, point }]));

/** Lowest and highest of all numbers, with some room; a plain default where there are none. */
export function span(values: (number | null)[], room = 0.02): [number, number] {
  const known = values.filter((v): v is number => v !== null && Number.isFinite(v));
  if (known.length === 0) return [0, 1];
  return [Math.max(0, Math.min(...known) - room), Math.min(1, Math.max(...known) + room)];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Labels of a multi-label head, or classes, those whose F1 lost most against the reference first: by labels where these came, else as estimated. */
export function byLoss(labels: LabelPerformance[]): LabelPerformance[] {
  const lost = (l: LabelPerformance): number => {
    const now = l.realised?.f1 ?? l.estimated?.f1;
    return now == null || l.reference.f1 === null ? 0 : l.reference.f1.value - now.value;
  };
  return [...labels].sort((a, b) => lost(b) - lost(a));
}

/** What is to be noticed of a task beside its alerts, one sentence each. */
export function notices(task: TaskPerformance): string[] {
  const { labelling } = task;
  const found: string[] = [];
  const [coverage, delay] = [labelling?.coverage, labelling?.delay];
  if (coverage?.changed_since != null) {
    found.push(`Labels do not come as usual: ${share(coverage.latest)} of the predictions get one, usually ${share(coverage.usual)}.`);
  }
  if (delay?.changed_since != null) {
    found.push(`Labels do not come when they usually do: half of them ${delay.latest === null ? "" : `within ${duration(delay.latest)}, `}usually within ${duration(delay.usual)}.`);
  }
  return found;
}

const share = (value: number | null): string => (value === null ? "–" : percent(value));
