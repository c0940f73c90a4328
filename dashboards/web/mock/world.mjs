/** Models, their windows and what followed from them: the same at every start, but for the clock. */

import { cellsOf, keyOf, placeKey, placeOf, signalsOf, statisticOf } from "./signals.mjs";
import { makeDesk } from "./desk.mjs";
import { ledgerOf } from "./ledger.mjs";
import { mapOf } from "./map.mjs";
import { performanceOf } from "./performance.mjs";
import { shadowOf } from "./shadow.mjs";
import { generator, hash, mean, time } from "./random.mjs";

const DAY = 86_400;

const SUPPORT_TASKS = [
  { name: "intent", kind: "multiclass", classes: ["refund", "order_status", "cancel", "login", "fault", "product_info", "address_change", "invoice"] },
  { name: "mood", kind: "binary", classes: ["calm", "angry"] },
  { name: "topics", kind: "multilabel", classes: ["billing", "delivery", "account", "technical", "product"] },
  { name: "entities", kind: "token_labels", classes: ["O", "B-PRODUCT", "I-PRODUCT", "B-PLACE", "I-PLACE", "B-ORDER", "I-ORDER", "B-DATE", "I-DATE"] },
  { name: "urgency", kind: "regression", classes: [] },
];

const many = (names) => names.map((name, i) => ({ name, kind: i % 3 === 0 ? "binary" : "multiclass", classes: Array.from({ length: i % 3 === 0 ? 2 : 4 + (i % 5) }, (_, c) => `class_${c}`) }));

const MODELS = [
  { name: "support", version: "1", tasks: SUPPORT_TASKS, windows: 412, records: 250, drift: { at: "head.intent", from: 352 }, served: true, segments: ["channel=mail"], labels: 0.31, shadow: { version: "2", sample: 0.1, loses: "intent" } },
  { name: "claims-triage", version: "2026.11", tasks: many(["coverage", "severity", "fraud", "line_of_business", "language", "injury", "vehicle", "region", "channel", "escalate", "document_type", "duplicate"]), windows: 560, records: 1800, labels: 0.05 },
  { name: "product-reviews", version: "7.2", tasks: many(["sentiment", "aspect", "spam"]), windows: 500, records: 640, drift: { at: "input", from: 490, size: 0.62 } },
  { name: "contracts", version: "3", lacks: 292, tasks: many(["clause", "party", "risk", "jurisdiction"]), windows: 300, records: 90, drift: { at: "encoder", from: 120, to: 150 } },
  { name: "chat-router", version: "0.4", tasks: many(["queue", "priority"]), windows: 0, records: 0 },
  { name: "night-batch", version: "1.1", tasks: many(["category", "urgent"]), windows: 40, records: 3, starved: true },
];

/** `clock` gives milliseconds; `announce` hears of what changed, as `/events` tells it. */
export function makeWorld({ empty = false, windowSeconds = 300, clock = Date.now, announce = () => {} } = {}) {
  const models = empty ? [] : MODELS.map((spec) => makeModel(spec, windowSeconds, clock, announce));
  const desk = makeDesk(models, clock, announce);
  return {
    advance: () => models.forEach((m) => m.advance()),
    models: () => models.map((m) => m.row()),
    model: (name) => models.find((m) => m.name === name) ?? null,
    desk,
    ledger: () => ledgerOf(empty, clock()),
    status: () => ({
      version: "0.1.0",
      roles: ["collect", "judge", "serve", "deliver"],
      store: { kind: "postgres", ok: true },
      inference: { provider: "CPUExecutionProvider", device: "cpu" },
      partitions: ledgerOf(empty, clock()).partitions,
    }),
  };
}

function makeModel(spec, windowSeconds, clock, announce) {
  const threshold = Math.round((30 * DAY) / windowSeconds);
  const signals = signalsOf(spec);
  const places = unique(signals.map(placeOf));
  const origin = Math.floor(clock() / 1000 / windowSeconds) * windowSeconds - spec.windows * windowSeconds;
  const guarantee = { status: spec.name === "product-reviews" ? "provisional" : "valid", reason: spec.name === "product-reviews" ? "the reference holds 18 windows and 24 are asked for" : "the reference is exchangeable and large enough" };
  const reference = { id: `ref_${hash(spec.name).toString(16).padStart(8, "0")}`, kind: "fixed", created_at: time(origin - 3 * DAY), records: 12_000, windows: 48, guarantee };
  const windows = [];
  const alerts = [];
  const evidence = new Map(signals.map((s) => [keyOf(s), 0]));
  let quiet = 0;

  const advance = () => {
    const closed = spec.windows === 0 ? 0 : Math.floor((clock() / 1000 - origin) / windowSeconds);
    const before = windows.length;
    while (windows.length < closed) judge(windows.length);
    if (before > 0 && windows.length > before) announce({ type: "window", model: spec.name });
  };

  const judge = (index) => {
    const random = generator(hash(`${spec.name} ${index}`));
    const start = origin + index * windowSeconds;
    const records = Math.max(0, Math.round(spec.records * (0.8 + 0.4 * random()) * (spec.starved ? 1 : 0.875 + 0.125 * Math.sin(index / 46))));
    const sufficient = !spec.starved;
    const statistics = signals.map((signal) => statisticOf(spec, signal, index, records, sufficient, evidence, random));
    const scopes = places.map((place) => ({ ...place, evidence: sufficient ? mean(statistics.filter((s) => placeKey(s) === placeKey(place)).map((s) => s.evidence)) : null }));
    const parts = scopes.filter((s) => ["input", "encoder", "head"].includes(s.scope));
    const total = sufficient ? mean(parts.map((s) => s.evidence)) * 1.4 : null;
    const verdict = !sufficient ? "insufficient_data" : total >= threshold ? "drift" : total >= threshold / 10 ? "warning" : "ok";
    const late = index % 97 === 5 ? 3 + (index % 7) : 0;
    const window = { index, start: time(start), end: time(start + windowSeconds), records, evidence: total, threshold, verdict, revision: late > 0 ? 1 : 0, late_records: late, incomplete: index % 211 === 17, guarantee, scopes, harmless_skew: spec.served && index % 5 === 0 ? ["embedding"] : [], other_versions: spec.served && index % 31 === 3 ? { records: 41, versions: [{ version: "canary", records: 41 }] } : { records: 0, versions: [] }, not_judged: lacksOf(spec, index, time(origin + (spec.lacks ?? 0) * windowSeconds)) };
    windows.push({ window, statistics });
    follow(window);
    // An alarm restarts the detectors.
    if (verdict === "drift") for (const key of evidence.keys()) evidence.set(key, 0);
  };

  const follow = (window) => {
    const open = alerts.find((a) => a.state === "firing" || a.state === "pending");
    const move = (alert, to, reason) => {
      alert.transitions.push({ at: window.end, from: alert.transitions.at(-1)?.to ?? "inactive", to, reason });
      alert.state = to;
      announce({ type: "alert", model: spec.name });
    };
    quiet = window.verdict === "ok" ? quiet + 1 : 0;
    if (window.verdict === "insufficient_data") return;
    if (!open && window.verdict !== "ok") {
      const alert = { id: `${spec.name}-${alerts.length + 1}`, model: spec.name, state: "inactive", severity: "info", cause: { kind: "undetermined", task: null, segment: null, part: null, versions: [], tasks_affected: [], summary: "evidence is rising and no part has been named yet" }, opened_at: window.end, opened_window: window.start, resolved_at: null, evidence: window.evidence, threshold, guarantee, witnesses: [], transitions: [] };
      alerts.push(alert);
      move(alert, "pending", "evidence passed a tenth of the threshold");
      if (window.verdict === "drift") fire(alert, window, move);
    } else if (open?.state === "pending" && window.verdict === "drift") fire(open, window, move);
    else if (open?.state === "pending" && window.verdict === "ok") move(open, "inactive", "evidence fell below a tenth of the threshold");
    else if (open?.state === "firing" && quiet >= 12) {
      move(open, "resolved", "12 windows in a row were quiet");
      open.resolved_at = window.end;
    }
  };

  const fire = (alert, window, move) => {
    const place = strongest(window.scopes);
    const affected = place.scope === "head" ? [place.task] : spec.tasks.slice(0, 2).map((t) => t.name);
    const reached = affected.map((t) => `\`${t}\``).join(", ");
    const summaries = {
      input: `the input changed; it reaches ${reached}`,
      encoder: `what the encoder sees changed while the input's measured facts did not; it reaches ${reached}`,
      head: `head \`${place.task}\` answers differently, and input and encoder do not account for it`,
    };
    alert.severity = ["head", "skew"].includes(place.scope) ? "critical" : "warning";
    alert.cause = { kind: place.scope, task: place.task, segment: null, part: null, versions: [], tasks_affected: affected, summary: summaries[place.scope] };
    alert.evidence = window.evidence;
    alert.witnesses = witnessesOf(place, affected, windows.at(-1).statistics, threshold);
    move(alert, "firing", "evidence reached the threshold");
  };

  const state = () => {
    const open = alerts.find((a) => a.state === "firing");
    return open ? "drift" : (windows.at(-1)?.window.verdict ?? "insufficient_data");
  };
  const worst = () => (windows.length === 0 || spec.starved ? null : strongest(windows.at(-1).window.scopes));
  const row = () => {
    const last = windows.at(-1)?.window;
    return { name: spec.name, version: spec.version, state: state(), worst: worst(), evidence: last?.evidence ?? null, threshold, last_window_end: last?.end ?? null, records: windows.reduce((sum, w) => sum + w.window.records, 0), guarantee, not_judged: last?.not_judged ?? [], window_secs: windowSeconds };
  };
  const at = (start) => windows.find((w) => Date.parse(w.window.start) === Date.parse(start)) ?? null;

  advance();
  return {
    name: spec.name,
    version: spec.version,
    tasks: spec.tasks.map((t) => t.name),
    alerts,
    advance,
    row,
    describe: () => ({
      ...row(),
      manifest: { encoder: { dimension: 96 }, tasks: spec.tasks.map((t) => ({ name: t.name, kind: t.kind, classes: t.classes.length })) },
      reference,
      inference: { provider: "CPUExecutionProvider", device: "cpu" },
      budget: "1/30d",
      examples: true,
      shadow: spec.shadow !== undefined,
    }),
    windows: () => windows.map((w) => w.window).toReversed(),
    statistics: (start) => {
      const found = at(start);
      return found && found.statistics.map((s) => dated(s, found.window));
    },
    history: (scope, task, segment, signal) =>
      windows
        .flatMap(({ window, statistics }) => statistics.filter((s) => s.scope === scope && s.task === task && (s.segment ?? "") === segment && s.signal === signal).map((s) => dated(s, window)))
        .toReversed(),
    distribution: (scope, task, segment, name, start) => {
      const found = start === null ? windows.at(-1) : at(start);
      const signal = signals.find((s) => s.scope === scope && s.task === task && (s.segment ?? "") === segment && s.signal === name);
      if (!found || signal === undefined || signal.cells === null) return null;
      const { start: from, end } = found.window;
      const cells = cellsOf(spec, signal, found.window.index, found.window.records);
      return { start: from, end, reference: reference.id, n: cells.reduce((sum, c) => sum + c.current_count, 0), cells };
    },
    map: (start) => {
      const found = start === null ? windows.at(-1) : at(start);
      return found ? mapOf(spec, found.window) : null;
    },
    performance: () => performanceOf(spec, windows.map((w) => w.window), windowSeconds),
    shadow: () => shadowOf(spec, reference, windows.map((w) => w.window)),
  };
}

/** Embeddings that are not logged any more, from some window on. */
const lacksOf = (spec, index, since) =>
  index <= (spec.lacks ?? Infinity) ? [] : [{ scope: "encoder", task: null, lacks: "embeddings", silent: true, since, said: "no record has an embedding, nor a text to make one of: `encoder_leaf`, `encoder_mean` of the encoder could not be judged, nor what heads answer to an embedding" }];

/** The signals of the cause that moved, and those of parts after it. */
function witnessesOf(cause, affected, statistics, threshold) {
  const own = (s) => placeKey(s) === placeKey({ segment: null, ...cause });
  const after = (s) => s.segment === null && (s.scope === "link" ? affected.includes(s.task) : cause.scope !== "head" && (s.scope === "encoder" || affected.includes(s.task)));
  return statistics
    .filter((s) => s.evidence >= threshold / 100 && (own(s) || (s.evidence >= threshold / 10 && after(s))))
    .toSorted((a, b) => b.evidence - a.evidence)
    .map((s) => ({ scope: s.scope, task: s.task, segment: s.segment, signal: s.signal, ln_evidence: Math.log(s.evidence), explained: !own(s) }));
}

const dated = (statistic, window) => ({ window_start: window.start, window_end: window.end, ...statistic });
const unique = (places) => [...new Map(places.map((p) => [`${p.segment}|${p.scope}|${p.task}`, p])).values()];
const strongest = (scopes) => scopes.filter((s) => s.scope !== "segment").reduce((best, s) => ((s.evidence ?? -1) > (best?.evidence ?? -1) ? s : best), null);
