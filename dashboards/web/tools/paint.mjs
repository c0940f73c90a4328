/**
 * How long the fleet page takes in a browser that has never seen it: first contentful paint, and until each model's
 * row is there. One line for each of a few visits, then the medians; fails if a first paint takes a second.
 *
 *     node tools/paint.mjs URL [MODELS]
 */

import { launch, open } from "./browser.mjs";

const [url, models = "1"] = process.argv.slice(2);
const VISITS = 7;
const AIM = 1_000;

const complaints = [];
const browser = await launch();
const seen = [];
for (let visit = 0; visit < VISITS; visit += 1) {
  const page = await open(browser, complaints, { viewport: { width: 1280, height: 900 } });
  await page.goto(`${url}/?live=off#/`);
  await page.waitForFunction((rows) => document.querySelectorAll(".fleet tbody tr").length >= rows, Number(models));
  seen.push(
    await page.evaluate(() => ({
      paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
      rows: performance.now(),
    })),
  );
  await page.context().close();
}
await browser.close();
for (const { paint, rows } of seen) console.log(`first paint ${paint.toFixed(0)} ms, all rows ${rows.toFixed(0)} ms`);
const median = (of) => seen.map(of).sort((a, b) => a - b)[Math.floor(VISITS / 2)];
const paint = median((s) => s.paint);
console.log(`median: first paint ${paint.toFixed(0)} ms, all ${models} rows ${median((s) => s.rows).toFixed(0)} ms`);
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length === 0 && paint < AIM ? 0 : 1;
