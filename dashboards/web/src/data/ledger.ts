/** What became of every record, by topic and in words. */

import type { Ledger, Partition, Window } from "../api/types";
import { count, enumerate, plural } from "./format";

export interface TopicRow {
  topic: string;
  partitions: Required<Partition>[];
  passed: number;
  folded: number;
  setAside: number;
  deadLettered: number;
  gaps: number;
  addsUp: boolean;
  /** Seconds between now and the slowest partition that has something to read; null where none has read yet. */
  behind: number | null;
}

/** A partition that is further behind than this is said so. */
const SLOW_SECS = 15 * 60;

/** Seconds between now and the event time that a partition has reached; null if it is idle or has read nothing. */
export function behind(partition: Partition, now: number): number | null {
  if (partition.watermark === null || partition.idle_at != null) return null;
  return Math.max(0, (now - Date.parse(partition.watermark)) / 1000);
}

export function byTopic(partitions: Required<Partition>[], now: number): TopicRow[] {
  const topics = [...new Set(partitions.map((p) => p.topic))].sort();
  return topics.map((topic) => {
    const own = partitions.filter((p) => p.topic === topic);
    const sum = (of: (p: Required<Partition>) => number): number => own.reduce((total, p) => total + of(p), 0);
    const lags = own.map((p) => behind(p, now)).filter((lag) => lag !== null);
    return {
      topic,
      partitions: own,
      passed: sum((p) => p.next_offset - p.first_offset),
      folded: sum((p) => p.folded),
      setAside: sum((p) => p.set_aside),
      deadLettered: sum((p) => p.dead_lettered),
      gaps: sum((p) => p.gaps),
      addsUp: own.every((p) => p.adds_up),
      behind: lags.length === 0 ? null : Math.max(...lags),
    };
  });
}

export const isSlow = (seconds: number | null): boolean => seconds !== null && seconds > SLOW_SECS;

/** One sentence on the whole ledger. */
export function ledgerVerdict(ledger: Ledger, topics: TopicRow[]): string {
  if (topics.length === 0) return "Nothing is read yet.";
  if (!ledger.adds_up) {
    const wrong = topics.filter((t) => !t.addsUp).map((t) => t.topic);
    return `The ledger does not add up${wrong.length === 0 ? ": folded records are not all in windows" : ` in ${enumerate(wrong)}`}.`;
  }
  const passed = topics.reduce((total, t) => total + t.passed, 0);
  const slow = topics.filter((t) => isSlow(t.behind)).map((t) => t.topic);
  const lost = ledger.losses.length === 0 ? "" : ` ${plural(ledger.losses.length, "gap")} ${ledger.losses.length === 1 ? "was" : "were"} found.`;
  return `All ${count(passed)} offsets are accounted for.${slow.length === 0 ? "" : ` ${enumerate(slow)} ${slow.length === 1 ? "is" : "are"} behind.`}${lost}`;
}

/** Parts whose numbers differ from the exported model's while its answers are the same, in how many windows; most first. */
export function noticesOf(windows: Pick<Window, "harmless_skew">[]): { part: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const part of windows.flatMap((w) => w.harmless_skew ?? [])) counts.set(part, (counts.get(part) ?? 0) + 1);
  return [...counts].map(([part, count]) => ({ part, count })).sort((a, b) => b.count - a.count || a.part.localeCompare(b.part));
}
