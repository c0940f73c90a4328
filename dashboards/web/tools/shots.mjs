/**
 * Takes pictures of the dashboard in a real browser and fails on any console error or violation of
 * the content security policy. The server must be running.
 *
 *     CHROMIUM=/usr/bin/chromium node tools/shots.mjs OUT_FOLDER [URL]
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, open, spill } from "./browser.mjs";

const [out = "shots/look", url = "http://127.0.0.1:4010"] = process.argv.slice(2);
mkdirSync(out, { recursive: true });

const browser = await launch();
const complaints = [];

const SIZES = [
  ["wide", 1440, 900],
  ["tablet", 820, 1100],
  ["phone", 360, 740],
];
for (const colorScheme of ["dark", "light"]) {
  for (const [size, width, height] of SIZES) {
    const page = await open(browser, complaints, { colorScheme, viewport: { width, height }, deviceScaleFactor: size === "phone" ? 2 : 1 });
    for (const [name, hash] of [
      ["fleet", "#/"],
      ["drift", "#/models/support"],
      ["many", "#/models/claims-triage"],
      ["performance", "#/models/support/performance"],
      ["map", "#/models/product-reviews/map"],
      ["settings", "#/models/support/settings"],
      ["alerts", "#/alerts"],
      ["silences", "#/silences"],
      ["pipeline", "#/pipeline"],
    ]) {
      await page.goto(`${url}/${hash}`);
      await page.waitForSelector(name === "fleet" ? ".fleet" : name === "drift" || name === "many" ? ".movers" : "main h1");
      await page.waitForTimeout(700);
      const wide = await spill(page);
      if (wide > 0) complaints.push(`${name} ${size}: ${wide} px wider than the screen`);
      await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`), fullPage: true });
    }
    await page.context().close();
  }
}

await browser.close();
for (const complaint of complaints) console.error(complaint);
console.log(complaints.length === 0 ? "no console error, no violation, nothing too wide" : `${complaints.length} complaints`);
process.exitCode = complaints.length === 0 ? 0 : 1;
