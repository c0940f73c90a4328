import { describe, expect, it } from "vitest";
import type { EncoderMap } from "../api/types";
import { centre, displaced, levelHolding, movedCells, outline } from "./map";

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
