import { describe, expect, it } from "vitest";
import type { Ledger, Partition } from "../api/types";
import { behind, byTopic, isSlow, ledgerVerdict, noticesOf } from "./ledger";

const NOW = Date.UTC(2026, 10, 23, 12);
const partition = (topic: string, number: number, changes: Partial<Partition> = {}): Required<Partition> => ({
  topic, partition: number, generation: 0, first_offset: 100, next_offset: 160, watermark: new Date(NOW - 20_000).toISOString(), idle_at: null,
  folded: 50, set_aside: 5, dead_lettered: 2, gaps: 3, adds_up: true, ...changes,
});
const ledger = (partitions: Required<Partition>[], changes: Partial<Ledger> = {}): Ledger => ({
  adds_up: true, partitions, closed: [], losses: [], windows: { folded: 0, judged: 0, open: 0, expired: 0 }, ...changes,
});

describe("ledger", () => {
  it("sums partitions by topic and takes the slowest", () => {
    const slow = new Date(NOW - 3_600_000).toISOString();
    const rows = byTopic([partition("b", 0), partition("a", 0), partition("b", 1, { watermark: slow, adds_up: false })], NOW);
    expect(rows.map((r) => r.topic)).toEqual(["a", "b"]);
    expect(rows[1]).toMatchObject({ passed: 120, folded: 100, setAside: 10, deadLettered: 4, gaps: 6, addsUp: false, behind: 3_600 });
  });

  it("does not call an idle partition slow", () => {
    expect(behind(partition("a", 0, { idle_at: "2026-11-23T11:59:00Z" }), NOW)).toBeNull();
    expect(behind(partition("a", 0, { watermark: null }), NOW)).toBeNull();
    expect(behind(partition("a", 0), NOW)).toBe(20);
    expect([null, 60, 3_600].map(isSlow)).toEqual([false, false, true]);
  });

  it("says whether all is accounted for", () => {
    const says = (l: Ledger): string => ledgerVerdict(l, byTopic(l.partitions, NOW));
    expect(says(ledger([]))).toBe("Nothing is read yet.");
    expect(says(ledger([partition("a", 0)]))).toBe("All 60 offsets are accounted for.");
    expect(says(ledger([partition("a", 0, { adds_up: false })], { adds_up: false }))).toBe("The ledger does not add up in a.");
    expect(says(ledger([partition("a", 0)], { adds_up: false }))).toContain("not all in windows");
    const loss = { topic: "a", partition: 0, from_offset: 1, to_offset: 2, reason: "retention", found_at: "" };
    expect(says(ledger([partition("a", 0, { watermark: "2026-11-23T10:00:00Z" })], { losses: [loss] }))).toBe("All 60 offsets are accounted for. a is behind. 1 gap was found.");
  });

  it("counts the windows of each notice, and servers that know none have none", () => {
    expect(noticesOf([{ harmless_skew: ["embedding"] }, { harmless_skew: ["intent", "embedding"] }, { harmless_skew: [] }, {}])).toEqual([
      { part: "embedding", count: 2 },
      { part: "intent", count: 1 },
    ]);
  });
});
