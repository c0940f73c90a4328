import { describe, expect, it } from "vitest";
import { ago, decade, duration, enumerate, interval, moment, NONE, ofThreshold, percent, points, probability, quantity } from "./format";

describe("quantity", () => {
  it("keeps three digits where they say something", () => {
    expect([0.0343, 0.5, 1, 12.345, 123.4, 999.7, 8640, 123_456].map(quantity)).toEqual([
      "0.034", "0.5", "1", "12.3", "123", "1,000", "8,640", "123,456",
    ]);
  });

  it("writes what is far from one as powers of ten", () => {
    expect([1.234e9, 1e6, 4.2e-7, -2.5e12].map(quantity)).toEqual(["1.2 × 10⁹", "1 × 10⁶", "4.2 × 10⁻⁷", "−2.5 × 10¹²"]);
  });

  it("says when there is no number", () => {
    expect([null, undefined, Number.NaN].map((n) => quantity(n))).toEqual([NONE, NONE, NONE]);
    expect([0, Infinity].map(quantity)).toEqual(["0", "∞"]);
  });
});

describe("probability", () => {
  it("falls back on the logarithm where the number is too small for a float", () => {
    expect(probability(0, -1000)).toBe("5.1 × 10⁻⁴³⁵");
    expect(probability(0, -Math.LN10 * 400)).toMatch(/^(1 × 10⁻⁴⁰⁰|10 × )/);
    expect(probability(0.034, Math.log(0.034))).toBe("0.034");
    expect(probability(null, null)).toBe(NONE);
  });
});

describe("shares", () => {
  it("come as percentages and changes as points", () => {
    expect([0, 0.0001, 0.1234, 1].map(percent)).toEqual(["0.0 %", "< 0.1 %", "12.3 %", "100.0 %"]);
    expect([0.1, -0.031, 0.00001].map(points)).toEqual(["+10.0", "−3.1", "± 0.0"]);
  });

  it("of the threshold are percentages below it and multiples above", () => {
    expect(ofThreshold(86.4, 8640)).toBe("1 %");
    expect(ofThreshold(12_960, 8640)).toBe("1.5 ×");
    expect(ofThreshold(0.0001, 8640)).toBe("< 0.01 %");
    expect(ofThreshold(null, 8640)).toBe(NONE);
  });
});

describe("times", () => {
  const now = new Date(2026, 10, 23, 14, 30);

  it("name the day only when it is another", () => {
    expect(moment(new Date(2026, 10, 23, 9, 5), now)).toBe("09:05");
    expect(moment(new Date(2026, 10, 22, 9, 5), now)).toBe("22 Nov, 09:05");
    expect(moment(new Date(2025, 10, 22, 9, 5), now)).toBe("22 Nov 2025, 09:05");
  });

  it("join to intervals, also up to midnight", () => {
    expect(interval(new Date(2026, 10, 23, 12, 0), new Date(2026, 10, 23, 12, 5), now)).toBe("12:00–12:05");
    expect(interval(new Date(2026, 10, 22, 23, 55), new Date(2026, 10, 23, 0, 0), now)).toBe("22 Nov, 23:55–00:00");
    expect(interval(new Date(2026, 10, 23, 12, 0, 2), new Date(2026, 10, 23, 12, 0, 4), now)).toBe("12:00:02–12:00:04");
  });

  it("have lengths in two units", () => {
    expect([0, 42, 300, 7500, 90_000, 86_700].map(duration)).toEqual(["0 s", "42 s", "5 min", "2 h 5 min", "1 d 1 h", "1 d"]);
    expect(ago(new Date(now.getTime() - 125_000), now)).toBe("2 min ago");
    expect(ago(now, now)).toBe("just now");
  });
});

it("labels decades", () => {
  expect([0.01, 1, 10_000, 1e5, 1e12].map(decade)).toEqual(["0.01", "1", "10,000", "10⁵", "10¹²"]);
});

it("enumerates", () => {
  expect([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(enumerate)).toEqual(["", "a", "a and b", "a, b and c"]);
});
