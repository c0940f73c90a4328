import { describe, expect, it } from "vitest";
import { type Box, layOut } from "./diagram";
import { timeTicks, valueTicks } from "./ticks";

describe("diagram", () => {
  const overlap = (a: Box, b: Box): boolean =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

  it("keeps its boxes apart and inside, at any width", () => {
    for (const width of [240, 320, 459, 460, 700, 1400]) {
      for (const heads of [0, 1, 5, 8, 13, 30]) {
        const { input, encoder, heads: boxes, height, links } = layOut(width, heads);
        const all = [input, encoder, ...boxes];
        expect(links).toHaveLength(heads + 1);
        all.forEach((box, i) => {
          expect(box.width).toBeGreaterThan(60);
          expect(box.x + box.width).toBeLessThanOrEqual(width + 0.01);
          expect(box.y + box.height).toBeLessThanOrEqual(height + 0.01);
          expect(all.slice(i + 1).some((other) => overlap(box, other))).toBe(false);
        });
      }
    }
  });
});

it("ticks at round times that leave room for labels", () => {
  const from = Date.UTC(2026, 10, 23, 1, 7) / 1000;
  const ticks = timeTicks(from, from + 12 * 3600, 800);
  expect(ticks.length).toBeGreaterThan(4);
  expect(ticks.length).toBeLessThan(12);
  expect(new Set(ticks.map((t) => new Date(t * 1000).getMinutes()))).toEqual(new Set([0]));
  expect(timeTicks(from, from, 800).length).toBeLessThanOrEqual(1);
});

it("ticks at round values between its limits", () => {
  expect(valueTicks(0.6, 0.9, 5).map((v) => v.toFixed(2))).toEqual(["0.60", "0.70", "0.80", "0.90"]);
  expect(valueTicks(0, 262, 3)).toEqual([0, 100, 200]);
  expect(valueTicks(0, 0.35, 2).map((v) => v.toFixed(1))).toEqual(["0.0", "0.2"]);
  expect(valueTicks(5, 5, 4)).toEqual([5]);
});
