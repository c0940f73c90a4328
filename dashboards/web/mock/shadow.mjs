/** A candidate in shadow, as `/models/{name}/shadow` tells it; null for models without one. */

import { generator, hash } from "./random.mjs";

export function shadowOf(spec, reference, windows) {
  if (spec.shadow === undefined) return null;
  const rows = Math.round(windows.reduce((sum, w) => sum + w.records, 0) * spec.shadow.sample);
  const tasks = spec.tasks.map((task) => taskOf(spec, task, rows));
  const verdict = ["fail", "undecided", "pass"].find((v) => tasks.some((t) => t.verdict === v)) ?? "undecided";
  const side = (version) => ({ name: spec.name, version, source: "model.onnx", bytes: 91_000_000, ms_per_text: 2.9 });
  return {
    model: spec.name,
    reference_id: reference.id,
    candidate_id: hash(`${spec.name} candidate`).toString(16).padStart(12, "0"),
    begun_at: windows[0].start,
    updated_at: windows.at(-1).end,
    report: {
      schema: "shadow/v1",
      verdict,
      baseline: side(spec.version),
      candidate: side(spec.shadow.version),
      rows,
      labelled_rows: Math.max(...tasks.map((t) => t.labelled)),
      error: 0.05,
      labels_needed: Math.max(0, ...tasks.map((t) => t.labels_needed ?? 0)),
      backward_transfer: null,
      cost: { latency: 1, size: 1, most_latency: null, most_size: null, verdict: "pass" },
      tasks,
    },
  };
}

function taskOf(spec, task, rows) {
  const random = generator(hash(`${spec.name} ${task.name} shadow`));
  const labelled = Math.round(rows * (spec.labels ?? 0) * (0.6 + 0.4 * random()));
  const now = 0.86 + 0.08 * random();
  const loses = task.name === spec.shadow.loses;
  const gain = loses ? -0.06 : 0.004 * (random() - 0.3);
  const half = 1.5 * Math.sqrt(0.06 / Math.max(1, labelled));
  const verdict = loses ? "fail" : half < 0.01 + gain ? "pass" : "undecided";
  return {
    task: task.name,
    metric: task.kind === "regression" ? "closeness" : "accuracy",
    role: { protected: { margin: 0.01 } },
    verdict,
    labelled,
    incomparable: 0,
    baseline: labelled === 0 ? null : now,
    candidate: labelled === 0 ? null : now + gain,
    difference: labelled === 0 ? null : gain,
    low: labelled === 0 ? null : gain - half,
    high: labelled === 0 ? null : gain + half,
    better_ln_p: null,
    answers: { compared: rows, differ: loses ? 0.11 : 0.02 * random(), baseline_confidence: 0.91, candidate_confidence: 0.92, hellinger: 0.01, jensen_shannon: 0.001, movers: [] },
    flips: null,
    labels_needed: verdict === "undecided" ? 690 : null,
    reasons: [],
  };
}
