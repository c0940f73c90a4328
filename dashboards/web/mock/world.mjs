/** Models, their windows and what followed from them: the same at every start, but for the clock. */

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
  { name: "support", version: "1", tasks: SUPPORT_TASKS, windows: 412, records: 250, drift: { at: "head.intent", from: 352 } },
  { name: "claims-triage", version: "2026.11", tasks: many(["coverage", "severity", "fraud", "line_of_business", "language", "injury", "vehicle", "region", "channel", "escalate", "document_type", "duplicate"]), windows: 560, records: 1800 },
  { name: "product-reviews", version: "7.2", tasks: many(["sentiment", "aspect", "spam"]), windows: 500, records: 640, drift: { at: "input", from: 490, size: 0.62 } },
  { name: "contracts", version: "3", tasks: many(["clause", "party", "risk", "jurisdiction"]), windows: 300, records: 90, drift: { at: "encoder", from: 120, to: 150 } },
  { name: "chat-router", version: "0.4", tasks: many(["queue", "priority"]), windows: 0, records: 0 },
  { name: "night-batch", version: "1.1", tasks: many(["category", "urgent"]), windows: 40, records: 3, starved: true },
];

export function makeWorld({ empty, windowSeconds }) {
  const models = empty ? [] : MODELS.map((spec) => makeModel(spec, windowSeconds));
  const of = (name, pick) => models.filter((m) => name === null || m.name === name).flatMap(pick);
  return {
    advance: () => models.forEach((m) => m.advance()),
    models: () => models.map((m) => m.row()),
    model: (name) => models.find((m) => m.name === name) ?? null,
    alerts: (name) => of(name, (m) => m.alerts()),
    deliveries: (name) => of(name, (m) => m.deliveries()),
    requests: (name) => of(name, (m) => m.requests()),
    status: () => ({
      version: "0.1.0",
      roles: ["collect", "judge", "serve", "deliver"],
      store: { kind: "postgres", ok: true },
      inference: { provider: "CPUExecutionProvider", device: "cpu" },
      partitions: empty
        ? []
        : [0, 1, 2, 3].map((partition) => ({
            topic: "nlp.predictions",
            partition,
            next_offset: 1_204_331 + partition * 2_817,
            watermark: partition === 3 ? null : time(Date.now() / 1000 - 20 - partition * 7),
          })),
    }),
  };
}

function makeModel(spec, windowSeconds) {
  const threshold = Math.round((30 * DAY) / windowSeconds);
  const signals = signalsOf(spec.tasks);
  const places = unique(signals.map(placeOf));
  const origin = Math.floor(Date.now() / 1000 / windowSeconds) * windowSeconds - spec.windows * windowSeconds;
  const guarantee = { status: spec.name === "product-reviews" ? "provisional" : "valid", reason: spec.name === "product-reviews" ? "the reference holds 18 windows and 24 are asked for" : "the reference is exchangeable and large enough" };
  const windows = [];
  const alerts = [];
  const evidence = new Map(signals.map((s) => [keyOf(s), 0]));
  let quiet = 0;

  const advance = () => {
    const closed = spec.windows === 0 ? 0 : Math.floor((Date.now() / 1000 - origin) / windowSeconds);
    while (windows.length < closed) judge(windows.length);
  };

  const judge = (index) => {
    const random = generator(hash(`${spec.name} ${index}`));
    const start = origin + index * windowSeconds;
    const records = Math.max(0, Math.round(spec.records * (0.8 + 0.4 * random()) * (spec.starved ? 1 : 0.75 + 0.25 * Math.sin(start / 13_750))));
    const sufficient = !spec.starved;
    const statistics = signals.map((signal) => statistic(spec, signal, index, records, sufficient, evidence, random));
    const scopes = places.map((place) => ({ ...place, evidence: sufficient ? mean(statistics.filter((s) => s.scope === place.scope && s.task === place.task).map((s) => s.evidence)) : null }));
    const total = sufficient ? mean(scopes.map((s) => s.evidence)) * 1.4 : null;
    const verdict = !sufficient ? "insufficient_data" : total >= threshold ? "drift" : total >= threshold / 10 ? "warning" : "ok";
    const window = { index, start: time(start), end: time(start + windowSeconds), records, evidence: total, threshold, verdict, revision: index % 97 === 5 ? 1 : 0, guarantee, scopes };
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
    };
    quiet = window.verdict === "ok" ? quiet + 1 : 0;
    if (window.verdict === "insufficient_data") return;
    if (!open && window.verdict !== "ok") {
      const alert = { id: `${spec.name}-${alerts.length + 1}`, model: spec.name, state: "inactive", cause: { kind: "undetermined", task: null, tasks_affected: [], summary: "evidence is rising and no part has been named yet" }, opened_at: window.end, opened_window: window.index, resolved_at: null, evidence: window.evidence, threshold, guarantee, transitions: [] };
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
    const summaries = {
      input: `the input changed; it reaches ${affected.map((t) => `\`${t}\``).join(", ")}`,
      encoder: `what the encoder sees changed while the input's measured facts did not; it reaches ${affected.map((t) => `\`${t}\``).join(", ")}`,
      head: `head \`${place.task}\` answers differently while input and encoder are quiet`,
    };
    alert.cause = { kind: place.scope, task: place.task, tasks_affected: affected, summary: summaries[place.scope] };
    alert.evidence = window.evidence;
    move(alert, "firing", "evidence reached the threshold");
  };

  const fired = () => alerts.filter((a) => a.transitions.some((t) => t.to === "firing"));
  const firedAt = (alert) => alert.transitions.find((t) => t.to === "firing").at;
  const state = () => {
    const open = alerts.find((a) => a.state === "firing");
    return open ? "drift" : (windows.at(-1)?.window.verdict ?? "insufficient_data");
  };
  const worst = () => {
    const place = windows.length === 0 ? null : strongest(windows.at(-1).window.scopes);
    return place && { scope: place.scope, task: place.task };
  };

  advance();
  return {
    name: spec.name,
    advance,
    row: () => {
      const last = windows.at(-1)?.window;
      return { name: spec.name, version: spec.version, state: state(), worst: worst(), evidence: last?.evidence ?? null, threshold, last_window_end: last?.end ?? null, records: windows.reduce((sum, w) => sum + w.window.records, 0), guarantee };
    },
    describe: () => ({
      name: spec.name,
      version: spec.version,
      manifest: { encoder: { dimension: 96 }, tasks: spec.tasks.map((t) => ({ name: t.name, kind: t.kind, classes: t.classes.length })) },
      reference: { id: hash(spec.name).toString(16).padStart(8, "0"), created_at: time(origin - 3 * DAY), records: 12_000, windows: 48, guarantee },
      inference: { provider: "CPUExecutionProvider", device: "cpu" },
      budget: "1/30d",
      threshold,
      state: state(),
      worst: worst(),
    }),
    windows: () => windows.map((w) => w.window).toReversed(),
    statistics: (start) => windows.find((w) => Date.parse(w.window.start) === Date.parse(start))?.statistics ?? null,
    history: (scope, task, signal) =>
      windows
        .map(({ window, statistics }) => ({ row: statistics.find((s) => s.scope === scope && s.task === task && s.signal === signal), window }))
        .filter(({ row }) => row !== undefined)
        .map(({ row, window }) => ({ ...row, window_start: window.start, window_end: window.end }))
        .toReversed(),
    alerts: () => alerts.toReversed(),
    deliveries: () =>
      fired()
        .flatMap((alert) => [
          { id: `${alert.id}-f`, endpoint: "pager", event: "drift.alarm.firing", state: "delivered", attempts: 1, created_at: firedAt(alert), delivered_at: firedAt(alert), last_error: null },
          { id: `${alert.id}-r`, endpoint: "training-pipeline", event: "retraining.requested", state: "failed", attempts: 8, created_at: firedAt(alert), delivered_at: null, last_error: "503 Service Unavailable" },
          ...(alert.resolved_at ? [{ id: `${alert.id}-d`, endpoint: "pager", event: "drift.alarm.resolved", state: "delivered", attempts: 2, created_at: alert.resolved_at, delivered_at: alert.resolved_at, last_error: null }] : []),
        ])
        .toReversed(),
    requests: () =>
      fired()
        .map((alert) => ({ id: `${alert.id}-q`, model: spec.name, state: "proposed", tasks: alert.cause.tasks_affected, protected_tasks: spec.tasks.map((t) => t.name).filter((t) => !alert.cause.tasks_affected.includes(t)), reason: alert.cause.summary, created_at: firedAt(alert) }))
        .toReversed(),
  };
}

function signalsOf(tasks) {
  const head = (task) => [
    { scope: "head", task: task.name, signal: task.kind === "regression" ? "predicted_value" : "predicted_class", cells: task.kind === "regression" ? bins(8) : task.classes },
    ...(task.kind === "regression" ? [] : [{ scope: "head", task: task.name, signal: "confidence", cells: bins(8) }]),
  ];
  return [
    { scope: "input", task: null, signal: "token_count", cells: [0, 8, 14, 20, 27, 36].map((n, i, all) => `${n}–${all[i + 1] ?? 48} tokens`) },
    { scope: "input", task: null, signal: "unknown_rate", cells: ["no unknown token", "≤ 5 % unknown", "≤ 10 % unknown", "> 10 % unknown"] },
    { scope: "encoder", task: null, signal: "encoder_mean", cells: null },
    { scope: "encoder", task: null, signal: "encoder_leaf_16", cells: Array.from({ length: 16 }, (_, i) => `leaf ${i + 1}`) },
    { scope: "encoder", task: null, signal: "encoder_leaf_64", cells: Array.from({ length: 64 }, (_, i) => `leaf ${i + 1}`) },
    ...tasks.flatMap(head),
  ];
}

/** One signal in one window: its e-value multiplies the evidence, as in a Shiryaev–Roberts detector. */
function statistic(spec, signal, index, records, sufficient, evidence, random) {
  const key = keyOf(signal);
  const at = placeKey(signal);
  const drift = spec.drift;
  const drifting = drift !== undefined && index >= drift.from && index < (drift.to ?? Infinity) && (at === drift.at || (drift.at !== "input" ? false : at === "encoder"));
  const strength = drifting ? (drift.size ?? 0.55) * (signal.signal === "confidence" ? 0.4 : at === drift.at ? 1 : 0.5) : 0;
  const spread = 0.34;
  const eValue = Math.exp(-(spread ** 2) / 2 + spread * normal(random) + strength);
  if (sufficient) evidence.set(key, (1 + evidence.get(key)) * eValue);
  const df = signal.cells === null ? 12 : signal.cells.length - 1;
  const chi = Math.max(0.1, df + Math.sqrt(2 * df) * (normal(random) + 3.2 * strength));
  const z = (chi - df) / Math.sqrt(2 * df);
  const ln = Math.min(-1e-3, -0.7 - Math.max(0, z) * 0.9 - Math.max(0, z) ** 2 / 2.4 + (z < 0 ? 0.5 : 0));
  const units = signal.task === "entities" ? records * 17 : records;
  return {
    scope: signal.scope,
    task: signal.task,
    signal: signal.signal,
    statistic: sufficient ? chi : null,
    degrees_of_freedom: sufficient ? df : null,
    p_value: sufficient ? Math.exp(ln) : null,
    ln_p_value: sufficient ? ln : null,
    e_value: sufficient ? eValue : null,
    evidence: sufficient ? evidence.get(key) : null,
    n: units,
    effect: signal.cells === null ? { mahalanobis: 0.06 + 0.05 * random() + strength * 0.4 } : effectOf(0.004 + 0.008 * random() + strength * 0.18),
    movers: signal.cells === null || units === 0 ? [] : movers(signal, strength, units, random),
    sufficient,
  };
}

function movers(signal, strength, n, random) {
  const weights = generator(hash(signal.signal + (signal.task ?? "")));
  const reference = normalize(signal.cells.map(() => 0.3 + weights()));
  const current = normalize(reference.map((share, i) => share * Math.exp((i === 0 ? 1.1 : i === 3 ? -0.9 : 0) * strength + normal(random) * 0.09)));
  return signal.cells
    .map((cell, i) => ({ cell, reference_share: reference[i], current_share: current[i], reference_count: Math.round(reference[i] * 12_000), current_count: Math.round(current[i] * n) }))
    .sort((a, b) => Math.abs(b.current_share - b.reference_share) / Math.sqrt(b.reference_share) - Math.abs(a.current_share - a.reference_share) / Math.sqrt(a.reference_share))
    .slice(0, 5);
}

const effectOf = (psi) => ({ psi, jensen_shannon: psi / 5.5, hellinger: Math.sqrt(psi / 8) });
const bins = (n) => Array.from({ length: n }, (_, i) => `${(i / n).toFixed(2)}–${((i + 1) / n).toFixed(2)}`);
const placeOf = ({ scope, task }) => ({ scope, task });
const placeKey = ({ scope, task }) => (task === null ? scope : `${scope}.${task}`);
const keyOf = (s) => `${placeKey(s)}.${s.signal}`;
const unique = (places) => [...new Map(places.map((p) => [placeKey(p), p])).values()];
const strongest = (scopes) => scopes.reduce((best, s) => ((s.evidence ?? -1) > (best?.evidence ?? -1) ? s : best), null);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const normalize = (values) => values.map((v) => v / values.reduce((a, b) => a + b, 0));
const time = (seconds) => new Date(seconds * 1000).toISOString();

function hash(text) {
  let h = 2_166_136_261;
  for (const c of text) h = Math.imul(h ^ c.codePointAt(0), 16_777_619);
  return h >>> 0;
}

/** Uniform numbers from a seed. */
function generator(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const normal = (random) => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
