/**
 * Answers brought into the one shape that the page shows: servers of neighbouring versions name some
 * things otherwise, and lists come in either direction.
 */

import type { Acknowledgement, Alert, Attempt, Delivery, DeliveryDetail, EncoderMap, RequestChange, RequestDetail, RetrainingRequest, TaskPerformance } from "./types";

type Loose = Record<string, unknown>;

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
const rows = (value: unknown): Loose[] => (Array.isArray(value) ? (value as Loose[]) : []);
const sorted = <T extends { at: string }>(list: T[]): T[] => list.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));

export function alertOf(answer: Alert): Alert {
  const flat = answer as unknown as Loose;
  return { ...answer, resolved_at: answer.resolved_at ?? null, acknowledgement: answer.acknowledgement ?? acknowledgementOf(flat) };
}

function acknowledgementOf(flat: Loose): Acknowledgement | null {
  const at = text(flat["acknowledged_at"]);
  if (at === null) return null;
  return { at, by: text(flat["acknowledged_by"]) ?? "somebody", comment: text(flat["acknowledged_comment"]) ?? text(flat["comment"]) };
}

/** A delivery with its attempts, under whichever name they come. */
export function deliveryOf(answer: unknown): DeliveryDetail {
  const flat = answer as Loose;
  const own = (flat["delivery"] ?? flat) as Delivery & Loose;
  const list = [flat["history"], flat["attempts"], flat["tries"], flat["attempt_list"]].find(Array.isArray);
  const history: Attempt[] = rows(list).map((a, i) => ({
    attempt: number(a["attempt"]) ?? i + 1,
    at: text(a["at"]) ?? "",
    status: number(a["status"]),
    took_secs: number(a["took_secs"]) ?? (number(a["took_ms"]) ?? 0) / 1000,
    outcome: text(a["outcome"]) ?? "",
    detail: text(a["detail"]),
  }));
  return { ...own, attempts: number(own.attempts) ?? history.length, history: sorted(history) };
}

export function requestOf(answer: unknown): RequestDetail {
  const flat = answer as RetrainingRequest & Loose;
  const history: RequestChange[] = rows(flat["moves"] ?? flat["history"]).map((m) => ({
    at: text(m["at"]) ?? "",
    from: text(m["from"]) as RequestChange["from"],
    to: text(m["to"]) as RequestChange["to"],
    by: text(m["who"]) ?? text(m["by"]),
    comment: text(m["why"]) ?? text(m["comment"]),
  }));
  return { ...flat, history: sorted(history) };
}

export const mapOf = (answer: unknown): EncoderMap => answer as EncoderMap;

/** A list, or the list itself; points come in either direction and are shown forward in time. */
export function performanceOf(answer: unknown): TaskPerformance[] {
  const list = Array.isArray(answer) ? answer : ((answer as Loose)["data"] ?? (answer as Loose)["tasks"]);
  return (rows(list) as unknown as TaskPerformance[]).map((row) => ({
    ...row,
    labels: row.labels ?? [],
    labelling: row.labelling ?? null,
    points: [...row.points].sort((a, b) => Date.parse(a.start) - Date.parse(b.start)),
  }));
}
