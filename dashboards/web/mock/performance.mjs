/** Estimated and realised accuracy per task, as `/models/{name}/performance` tells it. */

import { generator, hash, normal } from "./random.mjs";

/** Windows merged into one point. */
const MERGED = 12;

export function performanceOf(spec, windows, windowSeconds) {
  return spec.tasks.map((task) => {
    const random = generator(hash(`${spec.name} ${task.name} performance`));
    const delay = 3 * 3_600;
    const drift = spec.drift !== undefined && (spec.drift.at === "input" || spec.drift.at === "encoder" || spec.drift.at === `head.${task.name}`) ? spec.drift : undefined;
    const own = 0.86 + 0.08 * random();
    const points = [];
    for (let i = 0; i + MERGED <= windows.length; i += MERGED) {
      const group = windows.slice(i, i + MERGED);
      const n = group.reduce((sum, w) => sum + w.records, 0);
      const drifting = drift !== undefined && i >= drift.from && i < (drift.to ?? Infinity);
      const estimate = own - (drifting ? 0.05 : 0) + 0.006 * normal(random);
      const accuracy = own - (drifting ? 0.17 : 0) + 0.008 * normal(random);
      const age = (windows.length - i - MERGED) * windowSeconds;
      const coverage = (spec.labels ?? 0) * Math.min(1, age / delay);
      const labelled = Math.round(n * coverage);
      const half = 1.96 * Math.sqrt((accuracy * (1 - accuracy)) / Math.max(1, labelled));
      points.push({
        start: group[0].start,
        end: group.at(-1).end,
        n,
        estimate: n === 0 ? null : estimate,
        estimate_low: n === 0 ? null : estimate - 0.02,
        estimate_high: n === 0 ? null : Math.min(1, estimate + 0.02),
        estimate_macro_f1: n === 0 ? null : estimate - 0.03,
        realised: labelled < 20 ? null : accuracy,
        realised_low: labelled < 20 ? null : accuracy - half,
        realised_high: labelled < 20 ? null : Math.min(1, accuracy + half),
        realised_macro_f1: labelled < 20 ? null : accuracy - 0.03,
        estimate_of_labelled: labelled === 0 ? null : estimate,
        labelled,
        muted: drifting && labelled >= 20 && accuracy + half < estimate - 0.02,
      });
    }
    const realised = points.some((p) => p.realised !== null);
    const harmed = drift !== undefined && drift.to === undefined && realised;
    return {
      task: task.name,
      metric: task.kind === "regression" ? "closeness" : task.kind === "multilabel" ? "label_accuracy" : "accuracy",
      reference: own,
      tolerated: own - 0.04,
      points: points.toReversed(),
      sample: 1,
      muted: points.at(-1)?.muted ?? false,
      harm: { labels: points.reduce((sum, p) => sum + p.labelled, 0), evidence_ratio: harmed ? 6.4 : realised ? 0.03 : null, verdict: harmed ? "harm" : realised ? "no_harm" : "insufficient_labels" },
      labelling: null,
      labels: ["multilabel", "multiclass", "binary"].includes(task.kind) ? byLabel(task, own, points) : [],
      label_coverage: spec.labels ?? 0,
      label_delay: spec.labels === undefined ? null : delay,
    };
  });
}

/** Each label by itself: the rarer, the wider its interval. */
function byLabel(task, own, points) {
  const labelled = points.reduce((sum, p) => sum + p.labelled, 0);
  return task.classes.map((label, i) => {
    const figures = (n, loss) => {
      const support = Math.round(n / (i + 2));
      const share = Math.max(0, own - 0.02 * i - loss);
      const half = 1.96 * Math.sqrt((share * (1 - share)) / Math.max(1, support));
      const figure = support === 0 ? null : { value: share, low: Math.max(0, share - half), high: Math.min(1, share + half) };
      return { support, given: support, precision: figure, recall: figure, f1: figure };
    };
    return { label, reference: figures(4_000, 0), estimated: figures(points.reduce((sum, p) => sum + p.n, 0), 0.01), realised: labelled === 0 ? null : figures(labelled, 0.02) };
  });
}
