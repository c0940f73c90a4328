/** The signals of a model, and one signal in one window. */

import { generator, hash, normal, normalize } from "./random.mjs";

const TOKENS = ["refund", "order", "##ing", "please", "card", "late", "parcel", "app", "password", "invoice", "cancel", "thanks"];

export function signalsOf(spec) {
  const { tasks } = spec;
  const head = (task) => [
    { scope: "head", task: task.name, signal: task.kind === "regression" ? "predicted_value" : "predicted_class", cells: task.kind === "regression" ? bins(8) : task.classes },
    ...(task.kind === "regression" ? [] : [{ scope: "head", task: task.name, signal: "confidence", cells: bins(8) }]),
  ];
  const classed = tasks.filter((t) => t.kind === "binary" || t.kind === "multiclass");
  const link = (a, b) => ({ scope: "link", task: a.name, signal: `answers_with_${b.name}`, cells: a.classes.slice(0, 4).flatMap((x) => b.classes.slice(0, 3).map((y) => `${x} with ${y}`)) });
  return [
    { scope: "input", task: null, signal: "token_count", cells: [0, 8, 14, 20, 27, 36].map((n, i, all) => `${n}–${all[i + 1] ?? 48} tokens`) },
    { scope: "input", task: null, signal: "unknown_rate", cells: ["no unknown token", "≤ 5 % unknown", "≤ 10 % unknown", "> 10 % unknown"] },
    { scope: "input", task: null, signal: "token_distribution", cells: [...TOKENS, "all other tokens"] },
    { scope: "encoder", task: null, signal: "encoder_mean", cells: null },
    { scope: "encoder", task: null, signal: "encoder_leaf_16", cells: Array.from({ length: 16 }, (_, i) => `leaf ${i + 1}`) },
    { scope: "encoder", task: null, signal: "encoder_leaf_64", cells: Array.from({ length: 64 }, (_, i) => `leaf ${i + 1}`) },
    ...tasks.flatMap(head),
    ...classed.slice(1, 3).map((b, i) => link(classed[i], b)),
    ...(spec.served ? classed.map((t) => ({ scope: "skew", task: t.name, signal: "served_answer", cells: ["the model's answer", "another answer"] })) : []),
    ...(spec.segments ?? []).map((segment) => ({ scope: "input", task: null, segment, signal: "token_count", cells: [0, 8, 14, 20, 27, 36].map((n, i, all) => `${n}–${all[i + 1] ?? 48} tokens`) })),
  ].map((s) => ({ segment: null, ...s }));
}

/** One signal in one window: its e-value multiplies the evidence, as in a Shiryaev–Roberts detector. */
export function statisticOf(spec, signal, index, records, sufficient, evidence, random) {
  const key = keyOf(signal);
  const strength = strengthAt(spec, signal, index);
  const spread = signal.scope === "skew" || signal.scope === "link" ? 0.12 : 0.24;
  // Few pairs and no skew: what is not drifting there stays well below a warning.
  const calm = spread < 0.2 && strength === 0 ? 0.06 : 0;
  const eValue = Math.exp(-(spread ** 2) / 2 - calm + spread * normal(random) + strength);
  if (sufficient) evidence.set(key, (1 + evidence.get(key)) * eValue);
  const df = signal.cells === null ? 12 : signal.cells.length - 1;
  const chi = Math.max(0.1, df + Math.sqrt(2 * df) * (normal(random) + 3.2 * strength));
  const z = (chi - df) / Math.sqrt(2 * df);
  const ln = Math.min(-1e-3, -0.7 - Math.max(0, z) * 0.9 - Math.max(0, z) ** 2 / 2.4 + (z < 0 ? 0.5 : 0));
  const units = unitsOf(signal, records);
  return {
    scope: signal.scope,
    task: signal.task,
    segment: signal.segment,
    signal: signal.signal,
    statistic: sufficient ? chi : null,
    degrees_of_freedom: sufficient ? df : null,
    p_value: sufficient ? Math.exp(ln) : null,
    ln_p_value: sufficient ? ln : null,
    e_value: sufficient ? eValue : null,
    evidence: sufficient ? evidence.get(key) : null,
    n: units,
    effect: signal.cells === null ? { mahalanobis: 0.06 + 0.05 * random() + strength * 0.4 } : effectOf(0.004 + 0.008 * random() + strength * 0.18),
    movers: units === 0 ? [] : moved(cellsOf(spec, signal, index, records)).slice(0, 5),
    sufficient,
    guarantee: "valid",
  };
}

/** Every cell of a signal in one window, in the signal's own order. */
export function cellsOf(spec, signal, index, records) {
  if (signal.cells === null) return [];
  const n = unitsOf(signal, records);
  const random = generator(hash(`${spec.name} ${index} ${keyOf(signal)}`));
  const weights = generator(hash(signal.signal + (signal.task ?? "")));
  const strength = strengthAt(spec, signal, index);
  const reference = normalize(signal.cells.map((_, i) => (signal.scope === "skew" ? [200, 1][i] : 0.3 + weights())));
  const noise = signal.scope === "skew" ? 0.01 : 0.09;
  const current = normalize(reference.map((share, i) => share * Math.exp((i === 0 ? 1.1 : i === 3 ? -0.9 : 0) * strength + normal(random) * noise)));
  return signal.cells.map((cell, i) => {
    const [low, high] = wilson(current[i], n);
    return { cell, reference_share: reference[i], current_share: current[i], low, high, reference_count: Math.round(reference[i] * 12_000), current_count: Math.round(current[i] * n) };
  });
}

const moved = (cells) => {
  const size = (c) => Math.abs(c.current_share - c.reference_share) / Math.sqrt(c.reference_share);
  return cells.toSorted((a, b) => size(b) - size(a)).map(({ low, high, ...cell }) => ({ ...cell, current_interval: [low, high] }));
};

/** How strongly a signal drifts in a window: its own part in full, what follows from it half as much. */
function strengthAt(spec, signal, index) {
  const drift = spec.drift;
  if (drift === undefined || signal.segment !== null || index < drift.from || index >= (drift.to ?? Infinity)) return 0;
  const at = placeKey(signal);
  if (signal.scope === "link" && `head.${signal.task}` === drift.at) return 0.34;
  if (at !== drift.at && !(drift.at === "input" && at === "encoder")) return 0;
  return (drift.size ?? 0.55) * (signal.signal === "confidence" ? 0.4 : at === drift.at ? 1 : 0.5);
}

function wilson(share, n) {
  if (n === 0) return [0, 1];
  const z = 1.96;
  const middle = (share + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

const unitsOf = (signal, records) =>
  Math.round(records * (signal.task === "entities" && signal.scope === "head" ? 17 : signal.signal === "token_distribution" ? 19 : signal.segment === null ? 1 : 0.3));
const effectOf = (psi) => ({ psi, jensen_shannon: psi / 5.5, hellinger: Math.sqrt(psi / 8) });
const bins = (n) => Array.from({ length: n }, (_, i) => `${(i / n).toFixed(2)}–${((i + 1) / n).toFixed(2)}`);
/** What evidence is summed up by: a segment is a place of its own. */
export const placeOf = ({ scope, task, segment }) => (segment === null ? { scope, task, segment } : { scope: "segment", task: null, segment });
export const placeKey = ({ scope, task, segment }) => (segment !== null ? `segment.${segment}` : task === null ? scope : `${scope}.${task}`);
export const keyOf = (s) => `${s.segment ?? ""}|${s.scope}|${s.task ?? ""}|${s.signal}`;
