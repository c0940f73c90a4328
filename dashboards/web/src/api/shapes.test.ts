import { describe, expect, it } from "vitest";
import { alert as alertSample, window } from "../data/samples";
import { alertOf, deliveryOf, performanceOf, requestOf } from "./shapes";

describe("answers", () => {
  it("tell an acknowledgement by itself or beside the alert", () => {
    const plain = alertSample("firing", window(0), window(1));
    expect(alertOf(plain).acknowledgement).toBeNull();
    const flat = { ...plain, acknowledged_at: "2026-11-23T01:00:00Z", acknowledged_by: "ada" };
    expect(alertOf(flat).acknowledgement).toEqual({ at: "2026-11-23T01:00:00Z", by: "ada", comment: null });
  });

  it("list attempts under either name, in order", () => {
    const tries = [{ attempt: 2, at: "2026-11-23T01:00:05Z", status: 202, took_ms: 300, outcome: "delivered" }, { attempt: 1, at: "2026-11-23T01:00:00Z", status: null, took_secs: 15, outcome: "timed out" }];
    const found = deliveryOf({ id: "d", attempts: tries });
    expect(found.attempts).toBe(2);
    expect(found.history.map((h) => [h.attempt, h.took_secs])).toEqual([[1, 15], [2, 0.3]]);
    expect(deliveryOf({ id: "d", attempts: 3 })).toMatchObject({ attempts: 3, history: [] });
  });

  it("name who moved a request and why", () => {
    expect(requestOf({ id: "r", moves: [{ at: "t", from: null, to: "proposed", who: "driftd", why: "drift" }] }).history).toEqual([
      { at: "t", from: null, to: "proposed", by: "driftd", comment: "drift" },
    ]);
  });

  it("bring points forward in time", () => {
    const points = [{ start: "2026-11-23T02:00:00Z" }, { start: "2026-11-23T01:00:00Z" }];
    expect(performanceOf({ data: [{ task: "a", points }] })[0]?.points[0]?.start).toBe("2026-11-23T01:00:00Z");
    expect(performanceOf([{ task: "a", points }])).toHaveLength(1);
  });
});
