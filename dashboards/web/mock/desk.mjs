/** What people do: acknowledge, silence, send again, approve. Kept until the mock ends. */

import { time } from "./random.mjs";

export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function makeDesk(models, clock, announce) {
  const now = () => time(clock() / 1000);
  const acknowledged = new Map();
  const decisions = new Map();
  const resent = new Map();
  const silences = models.length === 0 ? [] : firstSilences(clock());
  let made = silences.length;

  const of = (name, pick) => models.filter((m) => name === null || m.name === name).flatMap(pick);
  const newest = (rows, key) => rows.toSorted((a, b) => Date.parse(b[key]) - Date.parse(a[key]));
  const alert = (a) => ({ ...a, acknowledgement: acknowledged.get(a.id) ?? null });
  const alerts = (name) => newest(of(name, (m) => m.alerts.map(alert)), "opened_at");

  const firedAt = (a) => a.transitions.find((t) => t.to === "firing")?.at ?? null;
  const fired = (m) => m.alerts.filter((a) => firedAt(a) !== null);

  const deliveries = (name) =>
    newest(
      of(name, (m) =>
        fired(m).flatMap((a) => [
          delivery(a, "f", "pager", "drift.alarm.firing", [[202, 0.2, "delivered"]], firedAt(a)),
          delivery(a, "r", "training-pipeline", "retraining.requested", Array.from({ length: 8 }, () => [503, 0.4, "503 Service Unavailable"]), firedAt(a)),
          ...(a.resolved_at ? [delivery(a, "d", "pager", "drift.alarm.resolved", [[null, 15, "timed out after 15 s"], [202, 0.3, "delivered"]], a.resolved_at)] : []),
        ]),
      ),
      "created_at",
    );

  const delivery = (a, suffix, endpoint, event, tries, at) => {
    const id = `${a.id}-${suffix}`;
    const again = resent.get(id);
    const history = [
      ...tries.map(([status, took, outcome], i) => ({ attempt: i + 1, at: time(Date.parse(at) / 1000 + 5 * (3 ** i - 1)), status, took_secs: took, outcome })),
      ...(again === undefined ? [] : [{ attempt: tries.length + 1, at: again, status: 202, took_secs: 0.3, outcome: "delivered" }]),
    ];
    const last = history.at(-1);
    const delivered = last.outcome === "delivered";
    return { id, alert: a.id, model: a.model, endpoint, event, state: delivered ? "delivered" : "failed", attempts: history.length, created_at: at, delivered_at: delivered ? last.at : null, last_error: delivered ? null : last.outcome, history };
  };

  const request = (m, a) => {
    const id = `${a.id}-q`;
    const decided = decisions.get(id) ?? [];
    const moves = [{ at: firedAt(a), from: null, to: "proposed", who: "driftd", why: "the alert fired and its cause is known" }, ...decided];
    return { id, model: m.name, state: decided.at(-1)?.to ?? "proposed", alert: a.id, tasks: a.cause.tasks_affected, protected_tasks: m.tasks.filter((t) => !a.cause.tasks_affected.includes(t)), reason: a.cause.summary, created_at: firedAt(a), expires_at: time(clock() / 1000 + 3 * 86_400), version: m.version, kind: "drift", mode: "manual", hook: null, run_url: null, new_model_version: null, body: {}, metrics: {}, moves, attempts: [], callbacks: [], gates: [] };
  };
  const requests = (name) => newest(of(name, (m) => fired(m).map((a) => request(m, a))), "created_at");

  const found = (rows, id, what) => {
    const row = rows.find((r) => r.id === id);
    if (row === undefined) throw new Refusal(404, `no ${what} ${id}`);
    return row;
  };
  const brief = ({ history, moves, body, metrics, callbacks, gates, ...row }) => row;

  const move = (row, to, why, who) =>
    decisions.set(row.id, [...(decisions.get(row.id) ?? []), { at: now(), from: row.state, to, who, why }]);

  return {
    alerts,
    alert: (id) => found(alerts(null), id, "alert"),
    examples: (id) => {
      const { model, opened_window, cause } = found(alerts(null), id, "alert");
      const task = cause.tasks_affected[0] ?? null;
      const reasons = [
        { scope: "encoder", task: null, segment: null, signal: "encoder_leaf_16", cell: "leaf 7", reference_share: 0.061, current_share: 0.214 },
        ...(task === null ? [] : [{ scope: "head", task, segment: null, signal: "predicted_class", cell: "refund", reference_share: 0.12, current_share: 0.27 }]),
      ];
      const texts = ["my parcel from [number] went to the wrong locker, mail me at [email]", "the locker does not open, see [url]", "locker code [token] is refused"];
      const example = (text) => ({ text, pair: null, window_start: time(Date.parse(opened_window) / 1000), kept_until: time(clock() / 1000 + 7 * 86_400), reasons });
      return { alert_id: id, model, enabled: true, data: texts.map(example) };
    },
    acknowledge: (id, { comment = "" }, caller) => {
      const row = found(alerts(null), id, "alert");
      acknowledged.set(id, { at: now(), by: caller, comment });
      announce({ type: "alert", model: row.model });
      return found(alerts(null), id, "alert");
    },
    deliveries: (name, state) => deliveries(name).filter((d) => state === null || d.state === state).map(brief),
    delivery: (id) => found(deliveries(null), id, "delivery"),
    redeliver: (id) => {
      const row = found(deliveries(null), id, "delivery");
      resent.set(id, now());
      announce({ type: "delivery", model: row.model });
      return found(deliveries(null), id, "delivery");
    },
    requests: (name) => requests(name).map(brief),
    request: (id) => found(requests(null), id, "retraining request"),
    decide: (id, to, { comment = "" }, caller) => {
      const row = found(requests(null), id, "retraining request");
      if (row.state !== "proposed") throw new Refusal(409, `the request is ${row.state}, and only a proposed one can be decided`);
      move(row, to, comment, caller);
      announce({ type: "request", model: row.model });
      return found(requests(null), id, "retraining request");
    },
    close: (id, { state, comment = "" }, caller) => {
      const row = found(requests(null), id, "retraining request");
      if (!["requested", "accepted", "running"].includes(row.state)) throw new Refusal(409, `the request is \`${row.state}\`: it cannot become \`${state}\``);
      move(row, state, comment, caller);
      announce({ type: "request", model: row.model });
      return found(requests(null), id, "retraining request");
    },
    silences: () => silences.toReversed(),
    silence: (body, caller) => {
      if (!body.comment) throw new Refusal(422, "a silence needs a comment");
      if (!(Date.parse(body.ends_at) > clock())) throw new Refusal(422, "a silence must end in the future");
      made += 1;
      const row = { silence_id: `sil_${made}`, model: null, task: null, cause: null, segment: null, severity: null, starts_at: now(), ...body, created_by: caller };
      silences.push(row);
      announce({ type: "alert", model: row.model });
      return row;
    },
    expire: (id) => {
      const index = silences.findIndex((s) => s.silence_id === id);
      if (index < 0) throw new Refusal(404, `no silence ${id}`);
      const [row] = silences.splice(index, 1);
      const ended = { ...row, ends_at: now() };
      silences.splice(index, 0, ended);
      return ended;
    },
  };
}

const firstSilences = (now) => [
  { silence_id: "sil_1", model: "contracts", task: null, cause: "encoder", segment: null, severity: null, comment: "known batch of scanned contracts", created_by: "mina", starts_at: time(now / 1000 - 90_000), ends_at: time(now / 1000 - 3_600) },
  { silence_id: "sil_2", model: "night-batch", task: null, cause: null, segment: null, severity: null, comment: "moved to another cluster this week", created_by: "joao", starts_at: time(now / 1000 - 7_200), ends_at: time(now / 1000 + 2 * 86_400) },
];
