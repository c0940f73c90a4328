import { describe, expect, it } from "vitest";
import type { Cause, Delivery, Silence } from "../api/types";
import { byLabels, deliveriesOf, explain, isAbout, meaning, silenced, standing, timeline, windowStart } from "./incident";
import { alert, statistic, window } from "./samples";

const cause = (changes: Partial<Cause>): Cause => ({ kind: "head", task: "intent", segment: null, tasks_affected: ["intent"], summary: "", ...changes });
const named = (changes: Partial<Cause>) => alert("firing", window(0), window(2), { cause: cause(changes) });
const at = (scope: "input" | "encoder" | "head" | "link" | "skew", task: string | null, evidence: number | null, segment: string | null = null) =>
  statistic(`${segment ?? ""}${scope}${task ?? ""}`, evidence, { scope, task, segment });
const names = (rows: { signal: string }[]) => rows.map((r) => r.signal);

describe("what an alert explains", () => {
  const rows = [
    at("input", null, 5_000),
    at("encoder", null, 9_000),
    at("head", "intent", 20_000),
    at("head", "mood", 2_000),
    at("head", "topics", 10),
    at("link", "intent", 4_000),
    at("skew", "intent", 3),
    at("input", null, 7_000, "channel=mail"),
  ];

  it("of an input's drift is what the encoder and the named heads saw, in all records and in segments", () => {
    const found = explain(named({ kind: "input", task: null, tasks_affected: ["intent"] }), rows, 8_640);
    expect(names(found.cause)).toEqual(["input"]);
    expect(names(found.follows)).toEqual(["headintent", "encoder", "channel=mailinput", "linkintent"]);
    expect(names(found.open)).toEqual(["headmood"]);
    expect(found.quiet).toBe(2);
  });

  it("of a head's drift is its links, and never the encoder in front of it", () => {
    const found = explain(named({}), rows, 8_640);
    expect(names(found.cause)).toEqual(["headintent"]);
    expect(names(found.follows)).toEqual(["linkintent"]);
    expect(names(found.open)).toEqual(["encoder", "channel=mailinput", "input", "headmood"]);
  });

  it("of another mix of classes is what it does to texts and encoder", () => {
    const found = explain(named({ kind: "prior_shift" }), rows, 8_640);
    expect(names(found.cause)).toEqual(["headintent"]);
    expect(names(found.follows)).toContain("encoder");
  });

  it("is what the alert says itself, where it does", () => {
    const witness = (s: (typeof rows)[number], explained: boolean) => ({ scope: s.scope, task: s.task, segment: s.segment ?? null, signal: s.signal, explained });
    const said = { ...named({}), witnesses: [witness(at("head", "mood", 0), false), witness(at("encoder", null, 0), true)] };
    const found = explain(said, rows, 8_640);
    expect(names(found.cause)).toEqual(["headmood"]);
    expect(names(found.follows)).toEqual(["encoder"]);
    expect(names(found.open)).toEqual(["headintent", "channel=mailinput", "input", "linkintent"]);
  });

  it("has the evidence that it had when it was said", () => {
    const said = { ...named({}), witnesses: [{ scope: "head" as const, task: "topics", signal: "headtopics", explained: false, ln_evidence: Math.log(50_000) }] };
    expect(explain(said, rows, 8_640).cause.map((s) => Math.round(s.evidence ?? 0))).toEqual([50_000]);
  });

  it("is what labels prove, which are no statistic", () => {
    const labels = { scope: "head" as const, task: "mood", signal: "labels", explained: false, ln_evidence: 2 };
    expect(byLabels({ ...named({}), witnesses: [labels] })).toEqual({ task: "mood", evidence: Math.exp(2) });
    expect(byLabels(named({}))).toBeNull();
  });

  it("is nothing while no part is named", () => {
    const found = explain(named({ kind: "undetermined", task: null }), rows, 8_640);
    expect([found.cause.length, found.follows.length, found.open.length, found.quiet]).toEqual([0, 0, 6, 2]);
  });

  it("counts what could not be tested as quiet", () => {
    const found = explain(named({ kind: "input", task: null }), [statistic("mood", 9_999, { task: "mood", sufficient: false })], 8_640);
    expect(found.quiet).toBe(1);
  });

  it("has words for every kind", () => {
    for (const kind of ["input", "encoder", "head", "prior_shift", "concept", "link", "skew", "segment", "undetermined"] as const) {
      const { means, helps } = meaning(cause({ kind }));
      expect(means).toMatch(/^[A-Z].*\.$/);
      expect(helps).toMatch(/^[A-Z].*\.$/);
    }
  });
});

const silence = (changes: Partial<Silence> = {}): Silence => ({
  silence_id: "s", model: null, task: null, cause: null, segment: null, severity: null, comment: "c", created_by: "ada",
  starts_at: "2026-11-23T00:00:00Z", ends_at: "2026-11-23T04:00:00Z", ...changes,
});

describe("silences", () => {
  it("are about an alert if all they name fits", () => {
    const one = named({ kind: "input", task: null, tasks_affected: ["intent", "mood"] });
    expect(isAbout(silence(), one)).toBe(true);
    expect(isAbout(silence({ model: "support", task: "mood", cause: "input" }), one)).toBe(true);
    expect(isAbout(silence({ model: "other" }), one)).toBe(false);
    expect(isAbout(silence({ task: "topics" }), one)).toBe(false);
    expect(isAbout(silence({ cause: "head" }), one)).toBe(false);
    expect(isAbout(silence({ segment: "channel=mail" }), one)).toBe(false);
  });

  it("end at their end", () => {
    const time = (hours: number) => Date.UTC(2026, 10, 23, hours);
    expect(standing(silence(), time(-1))).toBe("upcoming");
    expect(standing(silence(), time(0))).toBe("active");
    expect(standing(silence(), time(4))).toBe("over");
  });

  it("say what they hold back", () => {
    expect(silenced(silence())).toBe("everything of all models");
    expect(silenced(silence({ model: "support", cause: "prior_shift", task: "intent" }))).toBe("prior shift drift, task intent of support");
  });
});

const delivery = (id: string, changes: Partial<Delivery> = {}): Delivery => ({
  id, endpoint: "pager", event: "drift.alarm.firing", state: "delivered", attempts: 1, created_at: window(2).end, delivered_at: window(2).end, last_error: null, ...changes,
});

describe("an alert's page", () => {
  const firing = alert("firing", window(0), window(2));

  it("shows the messages that name it, or those of its time", () => {
    const rows = [delivery("a", { alert: firing.id }), delivery("b", { alert: "another" })];
    expect(deliveriesOf(firing, rows, 0)).toEqual({ rows: [rows[0]], exact: true });
    const unnamed = [delivery("c"), delivery("d", { created_at: window(0).start })];
    expect(deliveriesOf(firing, unnamed, Date.parse(window(9).end))).toEqual({ rows: [unnamed[0]], exact: false });
  });

  it("tells what happened in its order", () => {
    const acknowledged = { ...firing, acknowledgement: { at: window(3).end, by: "ada", comment: "on it" } };
    const told = timeline(acknowledged, [], [delivery("a"), delivery("b", { state: "failed", last_error: "503", delivered_at: null })], [silence({ starts_at: window(4).end })]);
    expect(told.map((t) => t.kind)).toEqual(["pending", "firing", "message", "failure", "person", "person"]);
    expect(told[4]).toMatchObject({ what: "acknowledged by ada", detail: "“on it”" });
  });

  it("looks at the window in which it fired or last grew, or else at the one that opened it", () => {
    expect(windowStart(firing, 300)).toBe(window(2).start);
    const grown = { at: window(5).end, from: "firing", to: "firing", reason: "the cause grew" } as const;
    const over = { at: window(9).end, from: "firing", to: "resolved", reason: "quiet" } as const;
    expect(windowStart({ ...firing, transitions: [...firing.transitions, grown, over] }, 300)).toBe(window(5).start);
    expect(windowStart(alert("pending", window(0), null, { opened_window: window(0).start }), 300)).toBe(window(0).start);
    expect(windowStart(alert("pending", window(0), null), 300)).toBeNull();
  });
});
