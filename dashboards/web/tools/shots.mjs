/**
 * Takes pictures of the dashboard in a real browser and fails on any console error or violation of
 * the content security policy. The server must be running.
 *
 *     CHROMIUM=/usr/bin/chromium node tools/shots.mjs OUT_FOLDER [URL]
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [out = "shots", url = "http://127.0.0.1:4010"] = process.argv.slice(2);
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
const complaints = [];

const SIZES = [
  ["wide", 1440, 900],
  ["tablet", 820, 1100],
  ["phone", 360, 740],
];
for (const colorScheme of ["dark", "light"]) {
  for (const [size, width, height] of SIZES) {
    const page = await open({ colorScheme, viewport: { width, height }, deviceScaleFactor: size === "phone" ? 2 : 1 });
    for (const [name, hash] of [
      ["fleet", "#/"],
      ["drift", "#/models/support"],
      ["many", "#/models/claims-triage"],
    ]) {
      await page.goto(`${url}/${hash}`);
      await page.waitForSelector(name === "fleet" ? ".fleet" : ".movers");
      await page.waitForTimeout(500);
      const spill = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (spill > 0) complaints.push(`${name} ${size}: ${spill} px wider than the screen`);
      await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`), fullPage: true });
    }
    await page.context().close();
  }
}

await browser.close();
for (const complaint of complaints) console.error(complaint);
console.log(complaints.length === 0 ? "no console error, no violation, nothing too wide" : `${complaints.length} complaints`);
process.exitCode = complaints.length === 0 ? 0 : 1;

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", (m) => (m.type() === "error" || m.type() === "warning") && complaints.push(`console: ${m.text()}`));
  page.on("pageerror", (error) => complaints.push(`error: ${error.stack}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) =>
      console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`),
    );
  });
  return page;
}
