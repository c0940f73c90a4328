/**
 * Goes the main path through the dashboard of a real daemon, whose one model is quiet and then drifts:
 * log in, live update, drill down to the cause, acknowledge, silence, approve, narrow, dark, axe.
 *
 *     node tools/real.mjs URL KEY
 *
 * Prints `quiet` once the page shows a model that does not drift: then the drift may come. Prints `done` at
 * the end; anything else on the way is a complaint, and the exit code 1.
 */

import { strict as assert } from "node:assert";
import { launch, open, spill, spilling, violations } from "./browser.mjs";

const [url, key] = process.argv.slice(2);
/** Until a drift has gone through broker, model, judge and store, on a busy machine. */
const DRIFT = 90_000;
const PHONE = { width: 360, height: 740 };
const WIDE = { width: 1280, height: 900 };
const RULE = { type: "rule", values: ["color-contrast", "target-size"] };

const complaints = [];
const browser = await launch();
// Who has not logged in is refused; the page asks for the key then.
const page = await open(browser, complaints, { viewport: WIDE, colorScheme: "light", expected: /401 \(Unauthorized\)/ });
const settled = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

async function walk() {
  await page.goto(`${url}/`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "The model does not drift." }).waitFor();
  assert.equal(await page.evaluate(() => document.cookie), "", "no script can read the session");
  await page.getByRole("link", { name: "support" }).click();
  await page.getByText("Live: changes appear by themselves.").waitFor();
  await page.locator(".movers").first().waitFor();
  assert.equal(await page.locator(".alert.firing").count(), 0);
  console.log("quiet");

  // Nobody reloads the page.
  const cause = page.locator(".alert.firing").getByRole("link").first();
  await cause.waitFor({ timeout: DRIFT });
  await cause.click();
  await page.getByRole("heading", { level: 1, name: /^The (input|encoder) drifted/ }).waitFor();
  const evidence = page.getByRole("region", { name: "Evidence by strength, table" });
  await evidence.locator("tr.group").first().waitFor();

  await page.getByRole("button", { name: "Acknowledge" }).click();
  await page.getByLabel(/^Comment others/).fill("looking at it");
  await page.getByRole("button", { name: "Acknowledge this alert" }).click();
  await page.locator(".said").getByText("Acknowledged by ada").waitFor();

  await page.getByRole("button", { name: "Silence", exact: true }).click();
  await page.getByLabel("1 day").check();
  const form = page.locator(".silence-form");
  await form.getByLabel("Why").fill("campaign until tomorrow");
  await form.getByRole("button", { name: "Silence" }).click();
  await page.locator(".said").getByText("Silenced by ada").waitFor();

  const decision = page.getByLabel(/^Comment/).last();
  await decision.fill("data is ready");
  await page.getByRole("button", { name: "Approve" }).click();
  await page.locator(".course").getByText("retraining requested by ada").waitFor();

  const address = new URL(page.url()).hash;
  for (const hash of ["#/", "#/models/support", "#/models/support/performance", "#/models/support/map", "#/models/support/settings", "#/alerts", address, "#/silences", "#/pipeline"]) {
    await page.goto(`${url}/${hash}`);
    await page.locator("h1").first().waitFor();
    await page.waitForLoadState("load");
    await page.waitForTimeout(300);
    await settled();
    complaints.push(...(await violations(page)).map((found) => `${hash}: ${found}`));
    await page.emulateMedia({ colorScheme: "dark" });
    complaints.push(...(await violations(page, RULE)).map((found) => `${hash}, dark: ${found}`));
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(PHONE);
    await settled();
    const wider = await spill(page);
    if (wider !== 0) complaints.push(`${hash}: ${wider} pixels wider than a phone: ${(await spilling(page)).join("; ")}`);
    await page.setViewportSize(WIDE);
  }
}

try {
  await walk();
} catch (error) {
  complaints.push(`${error.message}\n${error.stack}\nthe page:\n${await page.locator("body").innerText().catch(() => "is gone")}`);
}
await browser.close();
for (const complaint of complaints) console.error(complaint);
console.log(complaints.length === 0 ? "done" : `${complaints.length} complaints`);
process.exitCode = complaints.length === 0 ? 0 : 1;
