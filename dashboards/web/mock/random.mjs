/** Numbers that are the same at every start. */

export function hash(text) {
  let h = 2_166_136_261;
  for (const c of text) h = Math.imul(h ^ c.codePointAt(0), 16_777_619);
  return h >>> 0;
}

/** Uniform numbers from a seed. */
export function generator(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const normal = (random) => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
export const normalize = (values) => {
  const whole = values.reduce((a, b) => a + b, 0);
  return values.map((v) => v / whole);
};
/** Seconds since the epoch as the API writes times. */
export const time = (seconds) => new Date(seconds * 1000).toISOString();
