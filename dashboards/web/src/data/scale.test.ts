import { describe, expect, it } from "vitest";
import { barPosition, decadesAround, heatColour, levelOf, logRatio, THRESHOLD_AT } from "./scale";

/** Lightness as people see it (CIE L*), of `rgb(r g b)`. */
function lightness(colour: string): number {
  const [r = 0, g = 0, b = 0] = (colour.match(/\d+/g) ?? []).map((c) => {
    const share = Number(c) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 116 * Math.cbrt(0.2126 * r + 0.7152 * g + 0.0722 * b) - 16;
}

const RATIOS = [-9, -5, -4, -3, -2, -1.5, -1.01, -1, -0.5, -0.01, 0, 1, 3, 5, 8, 40];

describe("heat colours", () => {
  it("only get lighter in the dark theme and darker in the light one", () => {
    for (const [theme, sign] of [["dark", 1], ["light", -1]] as const) {
      const found = RATIOS.map((ratio) => sign * lightness(heatColour(ratio, theme)));
      expect(found).toEqual(found.toSorted((a, b) => a - b));
    }
  });

  it("step where the verdict changes", () => {
    for (const theme of ["dark", "light"] as const) {
      expect(heatColour(-0.001, theme)).not.toBe(heatColour(0, theme));
      expect(heatColour(-1.001, theme)).not.toBe(heatColour(-1, theme));
    }
  });

  it("stay at the ends of the scale", () => {
    expect(heatColour(-Infinity, "dark")).toBe(heatColour(-5, "dark"));
    expect(heatColour(Infinity, "dark")).toBe(heatColour(8, "dark"));
  });
});

it("reads evidence against its threshold", () => {
  expect(logRatio(864, 8640)).toBeCloseTo(-1);
  expect(logRatio(0, 8640)).toBe(-Infinity);
  expect(logRatio(null, 8640)).toBeNull();
  expect([-1.01, -1, -0.2, 0, 3].map(levelOf)).toEqual(["calm", "warning", "warning", "drift", "drift"]);
});

it("places evidence on a bar", () => {
  expect(barPosition(null, 8640)).toBe(0);
  expect(barPosition(0.2, 8640)).toBe(0);
  expect(barPosition(8640, 8640)).toBeCloseTo(THRESHOLD_AT);
  expect(barPosition(1e300, 8640)).toBe(1);
});

it("spans whole decades around evidence and threshold", () => {
  expect(decadesAround([3, 55, null], 8640)).toEqual([1, 100_000]);
  expect(decadesAround([0.05, 2e6], 8640)).toEqual([0.01, 1e7]);
  expect(decadesAround([1e-9], 100)).toEqual([0.01, 1000]);
});
