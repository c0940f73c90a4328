/** The encoder's map: where the density lies, and where it moved. */

import type { EncoderMap } from "../api/types";

/** The least density of a cell such that the cells at least as dense hold this share of all. */
export function levelHolding(density: number[], share: number): number {
  const total = density.reduce((sum, d) => sum + d, 0);
  let held = 0;
  for (const d of [...density].sort((a, b) => b - a)) {
    held += d;
    if (d <= 0 || held >= share * total * (1 - 1e-9)) return d;
  }
  return 0;
}

/**
 * Edges of the cells that are at least as dense as a level, as segments between grid points
 * `[x1, y1, x2, y2]` in cells from the lower left.
 */
export function outline(density: number[], columns: number, level: number): [number, number, number, number][] {
  const rows = columns === 0 ? 0 : density.length / columns;
  const inside = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < columns && y < rows && (density[y * columns + x] ?? 0) >= level && level > 0;
  const edges: [number, number, number, number][] = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (!inside(x, y)) continue;
      if (!inside(x - 1, y)) edges.push([x, y, x, y + 1]);
      if (!inside(x + 1, y)) edges.push([x + 1, y, x + 1, y + 1]);
      if (!inside(x, y - 1)) edges.push([x, y, x + 1, y]);
      if (!inside(x, y + 1)) edges.push([x, y + 1, x + 1, y + 1]);
    }
  }
  return edges;
}

/** Half the sum of differences: the share of records that lie elsewhere than the reference's. */
export function displaced(map: EncoderMap): number {
  const [reference, current] = [map.reference.density, map.current.density];
  const whole = (density: number[]): number => density.reduce((sum, d) => sum + d, 0) || 1;
  const [a, b] = [whole(reference), whole(current)];
  return reference.reduce((sum, d, i) => sum + Math.abs(d / a - (current[i] ?? 0) / b), 0) / 2;
}

/**
 * The share that lies elsewhere by chance alone, where records come as the reference's did: half the sum of the mean
 * absolute deviations of Poisson counts (Crow, 1958), as many as the two samples are worth together.
 */
export function displacedByChance(map: EncoderMap): number {
  const n = 1 / (1 / Math.max(1, map.current.count) + 1 / Math.max(1, map.reference.count));
  const whole = map.reference.density.reduce((sum, d) => sum + d, 0) || 1;
  const deviation = (mean: number): number => {
    let term = Math.exp(-mean);
    // exp(−λ) λ^⌊λ⌋ / ⌊λ⌋!, of large means by Stirling's formula.
    if (mean > 50) term = 1 / Math.sqrt(2 * Math.PI * mean);
    else for (let k = 1; k <= Math.floor(mean); k++) term *= mean / k;
    return 2 * mean * term;
  };
  return map.reference.density.reduce((sum, d) => sum + deviation((d / whole) * n), 0) / (2 * n);
}

/** Middle of the density along both coordinates; null without any. */
export function centre(map: EncoderMap, density: number[]): [number, number] | null {
  const [x, y] = map.axes;
  const total = density.reduce((sum, d) => sum + d, 0);
  if (x === undefined || y === undefined || total <= 0) return null;
  const middle = (axis: typeof x, bin: number): number => axis.low + ((bin + 0.5) / axis.bins) * (axis.high - axis.low);
  const sum = density.reduce<[number, number]>(
    ([a, b], d, i) => [a + d * middle(x, i % x.bins), b + d * middle(y, Math.floor(i / x.bins))],
    [0, 0],
  );
  return [sum[0] / total, sum[1] / total];
}

export interface MapCell {
  column: number;
  row: number;
  reference: number;
  current: number;
}

/** The cells that gained or lost most. */
export function movedCells(map: EncoderMap, most: number): MapCell[] {
  const columns = map.axes[0]?.bins ?? 1;
  return map.reference.density
    .map((reference, i) => ({ column: i % columns, row: Math.floor(i / columns), reference, current: map.current.density[i] ?? 0 }))
    .filter((c) => c.reference > 0 || c.current > 0)
    .sort((a, b) => Math.abs(b.current - b.reference) - Math.abs(a.current - a.reference))
    .slice(0, most);
}
