/** Numbers and times as people read them. */

export const NONE = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const count = (value: number): string => grouped.format(value);

/** Any magnitude in at most seven characters or so: `0.034`, `12.3`, `8,640`, `1.2 × 10⁹`. */
export function quantity(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 999_999.5 || size < 0.001) return scientific(value);
  if (size >= 999.5) return grouped.format(value).replace("-", "−");
  return String(Number(value.toPrecision(size >= 100 ? 3 : size >= 1 ? 3 : 2))).replace("-", "−");
}

/** A probability; where the number itself underflows, its logarithm still tells its size. */
export function probability(value: number | null, ln: number | null): string {
  if (ln !== null && Number.isFinite(ln) && (value === null || value < 1e-300)) return power(ln / Math.LN10);
  return quantity(value);
}

/** A share as a percentage with one decimal. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return NONE;
  return share !== 0 && Math.abs(share) < 0.0005 ? "< 0.1 %" : `${(share * 100).toFixed(1)} %`;
}

/** A change of share, in percentage points and with its sign. */
export function points(change: number): string {
  const rounded = (Math.abs(change) * 100).toFixed(1);
  if (rounded === "0.0") return "± 0.0";
  return `${change < 0 ? "−" : "+"}${rounded}`;
}

/** How evidence stands to its threshold: `0.6 %`, `42 %`, `1.4 ×`. */
export function ofThreshold(evidence: number | null, threshold: number): string {
  if (evidence === null || !(threshold > 0)) return NONE;
  const ratio = evidence / threshold;
  if (ratio >= 1) return `${quantity(Number(ratio.toPrecision(2)))} ×`;
  if (ratio < 0.0001) return "< 0.01 %";
  return `${quantity(Number((ratio * 100).toPrecision(2)))} %`;
}

/** A power of ten as an axis writes it: `0.1`, `1`, `100`, `10⁶`. */
export function decade(value: number): string {
  const exponent = Math.round(Math.log10(value));
  if (exponent >= 5 || exponent <= -4) return `10${superscript(exponent)}`;
  return exponent >= 0 ? grouped.format(10 ** exponent) : String(10 ** exponent);
}

function scientific(value: number): string {
  const [mantissa = "", exponent = "0"] = value.toExponential(1).split("e");
  return `${mantissa.replace("-", "−").replace(/\.0$/, "")} × 10${superscript(Number(exponent))}`;
}

function power(log10: number): string {
  const exponent = Math.floor(log10);
  return scientificParts(10 ** (log10 - exponent), exponent);
}

function scientificParts(mantissa: number, exponent: number): string {
  const rounded = Number(mantissa.toPrecision(2));
  return rounded >= 10
    ? `1 × 10${superscript(exponent + 1)}`
    : `${String(rounded)} × 10${superscript(exponent)}`;
}

const superscript = (n: number): string =>
  String(n).replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)] ?? c));

// Day before month and 24 hours everywhere, in the reader's time zone.
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const secondsFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const yearFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export const clock = (at: Date): string => clockFormat.format(at);
export const clockSeconds = (at: Date): string => secondsFormat.format(at);

export const day = (at: Date, now: Date): string =>
  (at.getFullYear() === now.getFullYear() ? dayFormat : yearFormat).format(at);

/** The time alone today, the day with it otherwise. */
export function moment(at: Date, now: Date): string {
  return sameDay(at, now) ? clock(at) : `${day(at, now)}, ${clock(at)}`;
}

/** `12:00–12:05`, with the day unless it is today. */
export function interval(start: Date, end: Date, now: Date): string {
  // Windows of seconds would all look alike without them.
  const hands = end.getTime() - start.getTime() < 60_000 ? clockSeconds : clock;
  const at = (time: Date): string => (sameDay(time, now) ? hands(time) : `${day(time, now)}, ${hands(time)}`);
  // A window that ends at midnight still belongs to the day it started on.
  const close = sameDay(start, new Date(end.getTime() - 1)) ? hands(end) : at(end);
  return `${at(start)}–${close}`;
}

const UNITS: [string, number][] = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

/** A length of time in its two largest units: `2 h 5 min`. */
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  if (rest === 0) return "0 s";
  const parts: string[] = [];
  for (const [unit, length] of UNITS) {
    const whole = Math.floor(rest / length);
    rest -= whole * length;
    if (whole > 0) parts.push(`${whole} ${unit}`);
    if (parts.length === 2 || (parts.length === 1 && whole === 0)) break;
  }
  return parts.join(" ");
}

/** How long ago: `just now`, `12 min ago`, `3 d ago`. */
export function ago(at: Date, now: Date): string {
  const seconds = (now.getTime() - at.getTime()) / 1000;
  if (seconds < 5) return "just now";
  const [unit, length] = UNITS.find(([, unitLength]) => seconds >= unitLength) ?? ["s", 1];
  return `${Math.floor(seconds / length)} ${unit} ago`;
}

/** `predicted_class` as words. */
export const words = (identifier: string): string => identifier.replaceAll("_", " ");

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** `a`, `a and b`, `a, b and c`. */
export function enumerate(items: string[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items[items.length - 1] ?? ""}`;
}

const sameDay = (a: Date, b: Date): boolean => a.toDateString() === b.toDateString();
