/** A candidate in shadow, in words. */

import type { CandidateVerdict, Shadow, ShadowTask } from "../api/types";
import { count, enumerate, percent, plural, points } from "./format";

export const VERDICT_WORDS: Record<CandidateVerdict, string> = {
  pass: "may take over",
  undecided: "not decided yet",
  fail: "must not take over",
};

/** What was asked of a task. */
export const asked = ({ role }: ShadowTask): string =>
  "protected" in role ? `lose at most ${percent(role.protected.margin)}` : `gain more than ${percent(role.drifted.min_delta)}`;

/** One sentence on the whole. */
export function shadowVerdict({ report }: Shadow): string {
  const name = `Version ${report.candidate.version}`;
  const compared = `${plural(report.rows, "record")} answered by both, ${count(report.labelled_rows)} labelled`;
  const failed = report.tasks.filter((t) => t.verdict === "fail").map((t) => t.task);
  if (report.verdict === "fail") return `${name} must not take over: ${failed.length > 0 ? enumerate(failed) : "it"} falls short (${compared}).`;
  if (report.verdict === "pass") return `${name} may take over (${compared}).`;
  const needed = report.labels_needed ?? null;
  const more = needed === null || needed === 0 ? "" : `; about ${count(needed)} labels more would settle it`;
  return `It is not decided whether ${name.toLowerCase()} may take over (${compared}${more}).`;
}

/** The candidate's score less the current one's in points, with its bounds. */
export function difference(task: ShadowTask): string {
  if (task.difference == null) return "no labels yet";
  const bounds = task.low == null || task.high == null ? "" : ` (${points(task.low)} to ${points(task.high)})`;
  return `${points(task.difference)}${bounds}`;
}
