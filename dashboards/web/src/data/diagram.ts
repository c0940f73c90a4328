/** Where the parts of a model stand in its diagram: input, encoder, then one head for each task. */

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Diagram {
  width: number;
  height: number;
  input: Box;
  encoder: Box;
  heads: Box[];
  /** Paths from input to encoder, then from the encoder to each head. */
  links: string[];
}

const BOX_HEIGHT = 44;
const GAP = 8;
/** Below this width the parts stand below each other. */
const WIDE = 460;
/** More heads than this stand in two columns where there is room. */
const ONE_COLUMN = 7;

export function layOut(width: number, heads: number): Diagram {
  return width >= WIDE ? sideBySide(width, heads) : below(width, heads);
}

function sideBySide(width: number, heads: number): Diagram {
  const columns = heads > ONE_COLUMN ? 2 : 1;
  const reach = columns === 2 ? 28 : Math.max(32, Math.min(72, width * 0.08));
  const trunk = Math.min(columns === 2 ? 100 : 148, (width - 2 * reach) * 0.27);
  const rows = Math.ceil(heads / columns);
  const height = Math.max(rows, 1) * (BOX_HEIGHT + GAP) - GAP;
  const middle = height / 2;
  const input = { x: 0, y: middle - BOX_HEIGHT / 2, width: trunk, height: BOX_HEIGHT };
  const encoder = { ...input, x: trunk + reach };
  const left = encoder.x + trunk + reach;
  const room = (width - left - GAP * (columns - 1)) / columns;
  const boxes = Array.from({ length: heads }, (_, i) => ({
    x: left + Math.floor(i / rows) * (room + GAP),
    y: (i % rows) * (BOX_HEIGHT + GAP),
    width: room,
    height: BOX_HEIGHT,
  }));
  const from = encoder.x + trunk;
  const links = boxes.map((box) => {
    // Links to the second column run in the gap above the first column's box.
    const target = box.y + BOX_HEIGHT / 2;
    if (box.x === left) return `M${from} ${middle} C${from + reach / 2} ${middle} ${left - reach / 2} ${target} ${left} ${target}`;
    const lane = box.y + BOX_HEIGHT + GAP / 2;
    return `M${from} ${middle} C${from + reach / 2} ${middle} ${left - reach / 2} ${lane} ${left} ${lane} H${box.x - GAP} Q${box.x - GAP / 2} ${lane} ${box.x - GAP / 2} ${lane - 6} V${target + 6} Q${box.x - GAP / 2} ${target} ${box.x} ${target}`;
  });
  // The lanes of the last row run below it.
  const extra = columns === 2 ? GAP : 0;
  return { width, height: height + extra, input, encoder, heads: boxes, links: [`M${trunk} ${middle} H${encoder.x}`, ...links] };
}

function below(width: number, heads: number): Diagram {
  const step = BOX_HEIGHT + GAP + 6;
  const input = { x: 0, y: 0, width, height: BOX_HEIGHT };
  const encoder = { ...input, y: step };
  const indent = 22;
  const boxes = Array.from({ length: heads }, (_, i) => ({
    x: indent,
    y: 2 * step + i * (BOX_HEIGHT + GAP),
    width: width - indent,
    height: BOX_HEIGHT,
  }));
  const foot = encoder.y + BOX_HEIGHT;
  const links = boxes.map((box) => {
    const target = box.y + BOX_HEIGHT / 2;
    return `M10 ${foot} V${target - 8} Q10 ${target} 18 ${target} H${indent}`;
  });
  const height = 2 * step + Math.max(heads, 0) * (BOX_HEIGHT + GAP) - GAP;
  return { width, height, input, encoder, heads: boxes, links: [`M${width / 2} ${BOX_HEIGHT} V${encoder.y}`, ...links] };
}
