/** The encoder's density on two principal coordinates, as `/models/{name}/map` tells it. */

import { generator, hash, normal, normalize } from "./random.mjs";

const BINS = 24;
const REACH = 4;

export function mapOf(spec, window) {
  const drift = spec.drift;
  const moved = drift !== undefined && drift.at !== "head.intent" && window.index >= drift.from && window.index < (drift.to ?? Infinity);
  const random = generator(hash(`${spec.name} map ${window.index}`));
  return {
    start: window.start,
    end: window.end,
    axes: ["principal coordinate 1", "principal coordinate 2"].map((name) => ({ name, low: -REACH, high: REACH, bins: BINS })),
    reference: { count: 12_000, density: normalize(grid((x, y) => density(x, y, 0))) },
    current: { count: window.records, density: sampled(window.records, moved ? 1.1 : 0, random) },
  };
}

/** Row by row from the lowest second coordinate. */
const grid = (value) => Array.from({ length: BINS * BINS }, (_, i) => value(middle(i % BINS), middle(Math.floor(i / BINS))));
const middle = (bin) => -REACH + ((bin + 0.5) / BINS) * 2 * REACH;
const CLUSTERS = [[-1.6, 0.9, 0.6], [1.2, 1.3, 0.7], [0.3, -1.5, 0.8]];
const bump = (x, y, [a, b, s]) => Math.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s ** 2));
const density = (x, y, shift) => CLUSTERS.reduce((sum, [a, b, s], i) => sum + bump(x, y, [a + (i === 1 ? shift : 0), b, s]), 0);

function sampled(records, shift, random) {
  const counts = new Array(BINS * BINS).fill(0);
  const bin = (v) => Math.min(BINS - 1, Math.max(0, Math.floor(((v + REACH) / (2 * REACH)) * BINS)));
  for (let i = 0; i < records; i++) {
    const [a, b, s] = CLUSTERS[Math.floor(random() * 3)];
    const x = a + (a > 1 ? shift : 0) + s * normal(random);
    counts[bin(b + s * normal(random)) * BINS + bin(x)] += 1;
  }
  return records === 0 ? counts : normalize(counts);
}
