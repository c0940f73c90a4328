import { describe, expect, it } from "vitest";
import type { EncoderMap } from "../api/types";
import { centre, displaced, displacedByChance, levelHolding, movedCells, outline } from "./map";

const map = (reference: number[], current: number[]): EncoderMap => ({
  start: "", end: "", axes: [{ name: "1", low: 0, high: 2, bins: 2 }, { name: "2", low: 0, high: 2, bins: 2 }],
  reference: { count: 100, density: reference }, current: { count: 10, density: current },
});

describe("the encoder's map", () => {
  it("finds the level above which a share lies", () => {
    expect(levelHolding([0.1, 0.2, 0.7], 0.5)).toBe(0.7);
    expect(levelHolding([0.1, 0.2, 0.7], 0.9)).toBe(0.2);
    expect(levelHolding([0, 0], 0.5)).toBe(0);
  });

  it("outlines a cell by its four edges and never what lies between two", () => {
    expect(outline([1, 0, 0, 0], 2, 0.5)).toHaveLength(4);
    expect(outline([1, 1, 0, 0], 2, 0.5)).toHaveLength(6);
    expect(outline([0, 0, 0, 0], 2, 0)).toHaveLength(0);
  });

  it("says how much lies elsewhere", () => {
    expect(displaced(map([0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0]))).toBe(0);
    expect(displaced(map([1, 0, 0, 0], [0, 0, 0, 1]))).toBe(1);
    expect(displaced(map([50, 50, 0, 0], [0.5, 0, 0.5, 0]))).toBe(0.5);
  });

  it("says how much of that is chance", () => {
    const even = (n: number): EncoderMap => {
      const made = map([0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25]);
      return { ...made, reference: { ...made.reference, count: 1e12 }, current: { ...made.current, count: n } };
    };
    // A Poisson count of mean 1 deviates by 2/e, one of mean 1,000 by √(2 · 1,000 / π), of 1,000.
    expect(displacedByChance(even(4))).toBeCloseTo(1 / Math.E, 4);
    expect(displacedByChance(even(4_000))).toBeCloseTo(Math.sqrt(2_000 / Math.PI) / 2_000, 5);
    // As many records in the reference as in the window: half as much is known.
    const both = { ...even(4_000), reference: { count: 4_000, density: [1, 1, 1, 1] } };
    expect(displacedByChance(both)).toBeCloseTo(Math.sqrt(1_000 / Math.PI) / 1_000, 5);
  });

  it("finds its middle, unless nothing is there", () => {
    const one = map([1, 0, 0, 0], [0, 0, 0, 0]);
    expect(centre(one, one.reference.density)).toEqual([0.5, 0.5]);
    expect(centre(one, one.current.density)).toBeNull();
  });

  it("lists what moved most first", () => {
    expect(movedCells(map([0.6, 0.4, 0, 0], [0.1, 0.5, 0.4, 0]), 2)).toEqual([
      { column: 0, row: 0, reference: 0.6, current: 0.1 },
      { column: 0, row: 1, reference: 0, current: 0.4 },
    ]);
  });
});
