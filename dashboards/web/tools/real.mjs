/**
 * Goes the main path through the dashboard of a real daemon, whose one model is quiet and then drifts:
 * log in, live update, drill down to the cause, redacted texts, acknowledge, silence, approve, narrow, dark, axe.
 * Then somebody else, who may read but no texts, opens the same alert.
 *
 *     node tools/real.mjs URL KEY READERS_KEY
 *
 * Texts that end in `[email] [number]` are redacted as the caller expects.
 * Prints `quiet` once the page shows a model that does not drift: then the drift may come. Prints `done` at
 * the end; anything else on the way is a complaint, and the exit code 1.
 */

import { strict as assert } from "node:assert";
import { launch, open, spill, spilling, violations } from "./browser.mjs";

const [url, key, readersKey] = process.argv.slice(2);
/** Until a drift has gone through broker, model, judge and store, on a busy machine. */
const DRIFT = 90_000;
const PHONE = { width: 360, height: 740 };
const WIDE = { width: 1280, height: 900 };
const RULE = { type: "rule", values: ["color-contrast", "target-size"] };

const complaints = [];
const browser = await launch();
// Who has not logged in is refused; the page asks for the key then.
const person = () => open(browser, complaints, { viewport: WIDE, colorScheme: "light", expected: /401 \(Unauthorized\)/ });
const page = await person();
const settled = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

async function logIn(page, key, hash = "") {
  await page.goto(`${url}/${hash}`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Requests for texts that a page sends from now on. */
function readings(page) {
  const sent = [];
  page.on("request", (request) => new URL(request.url()).pathname.endsWith("/examples") && sent.push(request.url()));
  return sent;
}

async function walk() {
  await logIn(page, key);
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

  await texts();
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
  await withoutTheScope(address);
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

/** No text is on the page, or was asked for, before the click. */
async function texts() {
  const panel = page.locator(".examples");
  const show = panel.getByRole("button", { name: "Show redacted texts" });
  await show.waitFor();
  assert.equal(await panel.locator("blockquote").count(), 0);
  assert.doesNotMatch(await page.locator("body").innerText(), /\[email\]/, "a text before the click");
  const sent = readings(page);
  await show.click();
  await panel.locator("blockquote").first().waitFor();
  const found = await panel.locator("blockquote").allInnerTexts();
  assert.ok(found.every((text) => text.endsWith(" [email] [number]")), `redacted: ${found.join("; ")}`);
  assert.equal(await panel.locator("li").count(), found.length);
  assert.ok((await panel.locator("li > p").allInnerTexts()).every((why) => /\d\s% instead of /.test(why)), "each says why");
  assert.equal(sent.length, 1, `one reading for one click: ${sent.join(", ")}`);
  complaints.push(...(await violations(page)).map((found) => `with texts: ${found}`));
}

/** Whose key lacks the scope is told so, and nothing is asked for that would be refused. */
async function withoutTheScope(address) {
  const reader = await person();
  const sent = readings(reader);
  await logIn(reader, readersKey, address);
  const panel = reader.locator(".examples");
  await panel.getByText("Reading them needs the scope samples:read").waitFor();
  assert.equal(await panel.getByRole("button").count(), 0);
  assert.doesNotMatch(await reader.locator("body").innerText(), /\[email\]/, "a text for who may read none");
  assert.deepEqual(sent, []);
  await reader.context().close();
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
