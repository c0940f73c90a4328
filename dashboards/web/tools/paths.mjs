/**
 * Goes the main paths through the dashboard in a real browser, against the stand-in: open, drill down
 * to the cause, decide, silence, live update, keys and roles, dark, narrow, without a mouse, axe, pictures.
 *
 *     CHROMIUM=/usr/bin/chromium node tools/paths.mjs [--update] [WORDS OF A PATH'S NAME]
 */

import { existsSync } from "node:fs";
import { strict as assert } from "node:assert";
import { startMock } from "../mock/server.mjs";
import { launch, open, spill, violations } from "./browser.mjs";
import { compare } from "./pictures.mjs";

const NOW = "2026-11-24T19:07:00Z";
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };
const update = process.argv.includes("--update");
const only = process.argv.slice(2).filter((a) => !a.startsWith("--")).join(" ");

/** Every page, and what is there once it has been read. */
const PAGES = {
  fleet: ["#/", ".fleet"],
  model: ["#/models/support", ".movers"],
  many: ["#/models/claims-triage", ".movers"],
  performance: ["#/models/support/performance", ".calibration svg"],
  map: ["#/models/product-reviews/map", ".density canvas"],
  settings: ["#/models/support/settings", ".pairs"],
  alerts: ["#/alerts", ".alert-row"],
  alert: ["#/alerts/support-3", ".incident .steps"],
  silences: ["#/silences", ".silences"],
  pipeline: ["#/pipeline", ".ledger"],
};

const paths = [];
const path = (name, options, walk) => paths.push({ name, options: walk ? options : {}, walk: walk ?? options });

path("opens on the fleet and leads to a model without a mouse", async ({ page, visit }) => {
  await visit("fleet");
  await page.getByRole("heading", { level: 1, name: "1 of 6 models drifts." }).waitFor();
  assert.equal(await page.locator(".fleet tbody tr").count(), 6);
  assert.equal(await page.title(), "◆ 1 drifting · driftd");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to content");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "support");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "support" }).waitFor();
  await page.locator(".movers").first().waitFor();
  // The heatmap is moved through by arrows, and Enter selects what is under them.
  const heatmap = page.getByRole("application", { name: /^Evidence of \d+ parts/ });
  await heatmap.focus();
  for (const key of ["End", "ArrowLeft", "ArrowDown", "Enter"]) await page.keyboard.press(key);
  await page.waitForURL(/window=2026-11-24T18%3A55.*part=encoder/);
  await page.getByRole("heading", { level: 2, name: "Window 18:55–19:00" }).waitFor();
  // A part of the diagram shows its own signals; the diagram goes through time as well.
  await page.getByRole("button", { name: /^head mood · .* · evidence \d/ }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/part=head.mood/);
  await page.getByRole("region", { name: /^Signal .* of head mood$/ }).waitFor();
  const slider = page.getByRole("slider", { name: "Window that the diagram shows" });
  await slider.focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByRole("heading", { level: 2, name: "Window 18:50–18:55" }).waitFor();
});

path("drills down from the fleet to the cause and its cells", async ({ page, visit }) => {
  await visit("fleet");
  await page.getByRole("link", { name: "support" }).click();
  await page.locator(".alert.firing").getByRole("link", { name: "head intent" }).click();
  await page.getByRole("heading", { level: 1, name: "Head intent drifted" }).waitFor();
  await page.getByText("What is asked does not account for it: intent answers the same kind of text otherwise.").waitFor();
  const evidence = page.getByRole("region", { name: "Evidence by strength, table" });
  const groups = await evidence.locator("tr.group").allInnerTexts();
  assert.match(groups[0], /^The alert rests on and so names head intent/);
  assert.match(groups[1], /^Explained by it/);
  const numbers = (await evidence.locator("tbody").first().locator(".cell-strong").allInnerTexts()).map((t) => Number(t.replace(/[^\d.]/g, "")));
  assert.ok(numbers.length > 1 && numbers.every((n, i) => i === 0 || n <= numbers[i - 1]), `the strongest first: ${numbers}`);
  await page.locator(".tasks tr", { hasText: "intent" }).getByText("harm shown by labels").waitFor();
  await page.getByText("8 attempts, written").click();
  await page.locator(".told tbody tr").nth(7).waitFor();
  assert.equal(await page.locator(".told tbody tr").count(), 8);

  await evidence.getByRole("link", { name: "predicted class" }).click();
  const signal = page.getByRole("region", { name: "Signal predicted class of head intent" });
  const moved = signal.locator(".mover").first();
  await moved.getByText("refund").waitFor();
  assert.match(await moved.innerText(), /\+\d+\.\d/);
  await signal.locator(".mover-interval").first().waitFor({ state: "attached" });
  // The address alone shows the same again, as a table too.
  const address = await signal.getByRole("link", { name: "Link to Reference against current" }).getAttribute("href");
  await page.goto("about:blank");
  await visit("model", address);
  assert.match(await page.locator(".signal .mover").first().innerText(), /refund/);
  assert.equal(await page.locator(".statistics tr.on th").innerText(), "predicted class");
  await page.getByRole("button", { name: /^Show as table.*Reference against current/ }).click();
  const table = page.getByRole("region", { name: "Reference against current, table" });
  assert.match(await table.locator("tr", { hasText: "refund" }).innerText(), /\d+\.\d % to \d+\.\d %/);
});

path("shows a window that is older than the newest ones", async ({ page, visit }) => {
  await visit("model", "#/models/claims-triage?window=2026-11-22T22%3A30%3A00.000Z");
  await page.getByText("These are the windows around the one of this address").waitFor();
  await page.getByRole("heading", { level: 2, name: /Window .*22:30–22:35/ }).waitFor();
  await page.getByRole("link", { name: "Show the newest" }).click();
  await page.getByText("These are the windows around").waitFor({ state: "detached" });
  await page.getByRole("heading", { level: 2, name: "Window 19:00–19:05" }).waitFor();
  await visit("model", "#/models/claims-triage?window=2026-01-01T00%3A00%3A00.000Z");
  await page.getByText("The window of this address is not kept").waitFor();
});

path("lists only the alerts that somebody looks for, and says so in the address", async ({ page, visit }) => {
  await visit("alerts", "#/alerts?state=any");
  const rows = page.locator(".alert-row");
  const all = await rows.count();
  await page.getByLabel("Cause").selectOption("head");
  await page.waitForURL(/state=any&cause=head/);
  const heads = await rows.count();
  assert.ok(heads > 0 && heads < all, `${heads} of ${all}`);
  assert.ok((await rows.allInnerTexts()).every((text) => /head .* of /.test(text)));
  await page.getByText(`${heads} of ${all} alerts`).waitFor();
  // The address alone shows the same again.
  await visit("alerts", "#/alerts?state=any&cause=head&severity=critical");
  assert.ok((await rows.allInnerTexts()).every((text) => /· critical/.test(text)));
  await page.getByRole("link", { name: "show all" }).click();
  await page.waitForURL(/#\/alerts\?state=any$/);
  assert.equal(await rows.count(), all);
  await visit("alerts", "#/alerts?model=nobody", ".empty");
  await page.getByText("None of these.").waitFor();
});

path("says when no window has ended for long", { now: "2026-11-24T21:05:00Z" }, async ({ page, visit }) => {
  await visit("fleet");
  assert.match(await page.locator(".fleet tbody tr", { hasText: "support" }).innerText(), /▲ /);
  await visit("model");
  await page.getByText(/^No window has ended for 2 h: no records come, or driftd is behind\./).waitFor();
  await page.getByRole("link", { name: "behind" }).click();
  await page.locator(".ledger").waitFor();
});

path("approves one retraining request and rejects another", async ({ page, visit }) => {
  await visit("alert");
  await page.getByLabel(/^Comment/).fill("data is ready");
  await page.keyboard.press("Enter");
  await page.getByText("proposed: waits for a person").waitFor();
  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByText("requested: no hook starts it").waitFor();
  assert.equal(await page.locator(".steps [aria-current=step]").innerText(), "requested");
  await page.locator(".course").getByText("“data is ready”").waitFor();
  assert.equal(await page.getByRole("button", { name: "Approve" }).count(), 0);
  // No hook starts it: people train, and say so.
  await page.getByText("Say how it ended").click();
  await page.getByLabel(/^Comment/).fill("version 14 is out");
  await page.getByRole("button", { name: "Succeeded" }).click();
  await page.locator(".course").getByText("“version 14 is out”").waitFor();
  assert.equal(await page.locator(".steps [aria-current=step]").innerText(), "succeeded");
  assert.equal(await page.getByText("Say how it ended").count(), 0);

  await visit("alert", "#/alerts/support-2");
  await page.getByRole("button", { name: "Reject" }).click();
  await page.locator(".steps").getByText("rejected").waitFor();
  await page.locator(".course").getByText("retraining rejected by local").waitFor();
});

path("acknowledges, silences, and ends the silence", async ({ page, visit }) => {
  await visit("alert");
  await page.getByRole("button", { name: "Acknowledge" }).click();
  await page.getByLabel(/^Comment others/).fill("looking at it");
  await page.getByRole("button", { name: "Acknowledge this alert" }).click();
  await page.locator(".said").getByText("Acknowledged by local").waitFor();
  await page.locator(".course").getByText("“looking at it”").waitFor();
  assert.equal(await page.getByRole("button", { name: "Acknowledge" }).count(), 0);

  await page.getByRole("button", { name: "Silence", exact: true }).click();
  await page.getByLabel("1 day").check();
  const form = page.locator(".silence-form");
  await form.getByLabel("Why").fill("campaign until tomorrow");
  await form.getByRole("button", { name: "Silence" }).click();
  await page.locator(".said").getByText("Silenced by local until 25 Nov, 19:07").waitFor();

  await page.getByRole("link", { name: "Silences", exact: true }).click();
  const row = page.locator(".silences tr", { hasText: "campaign until tomorrow" });
  await row.getByRole("rowheader", { name: "head drift, task intent of support" }).waitFor();
  await page.getByRole("heading", { level: 1, name: "2 silences in force." }).waitFor();
  await row.getByRole("button", { name: /^End now/ }).click();
  await row.getByText("over").waitFor();
  await page.getByRole("heading", { level: 1, name: "1 silence in force." }).waitFor();
});

path("sends a failed message again", async ({ page, visit }) => {
  await visit("alert");
  await page.getByRole("button", { name: /^Send again/ }).click();
  await page.getByText("9 attempts, delivered").waitFor();
  assert.equal(await page.getByRole("button", { name: /^Send again/ }).count(), 0);
});

path("tells what of the settings waits for a restart, and what was refused", async ({ page, visit, mock }) => {
  await visit("pipeline");
  const settings = page.locator("section, article", { has: page.getByRole("heading", { name: "Settings in force" }) }).last();
  await settings.getByText("nothing waits for a restart").waitFor();
  await settings.getByText("All settings").click();
  const table = settings.getByRole("region", { name: "Settings, table" });
  assert.equal(await table.getByRole("row", { name: "models[0].budget 1/30d" }).count(), 1);
  assert.equal(await table.getByRole("row", { name: "store.url postgres://db:5432" }).count(), 1);

  mock.settings.change(["kafka", "models[support.yaml].window.length"]);
  await visit("pipeline");
  await settings.getByText("2 changed settings of the file wait for a restart").waitFor();
  await settings.getByText("models[support.yaml].window.length").waitFor();
  assert.deepEqual(await violations(page), []);

  mock.settings.change(["kafka"], "1 problem in `driftd.yaml`\n  driftd.yaml:7: models.0.budget: found `often`");
  await visit("pipeline");
  await page.getByRole("alert").getByText("is not valid: nothing of it was taken up").waitFor();
  await page.getByRole("alert").getByText("models.0.budget: found `often`").waitFor();
  assert.deepEqual(await violations(page), []);
});

// A mean has no cells to be shown.
path("says what is not judged where it would be green", { expected: /404 \(Not Found\)/ }, async ({ page, visit }) => {
  await visit("fleet");
  const row = page.locator(".fleet tbody tr", { hasText: "contracts" });
  assert.match(await row.innerText(), /Not all judged\s+encoder not judged since \d\d:\d\d/);
  await row.getByRole("link", { name: "contracts" }).click();
  await page.getByText(/^Encoder not judged since \d\d:\d\d: no record has an embedding/).waitFor();
  await page.getByText("No drift in what can be judged").waitFor();
  assert.match(await page.locator(".node", { hasText: "encoder" }).first().getAttribute("class"), /unknown/);
  assert.match(await page.locator(".node", { hasText: "clause" }).first().getAttribute("class"), /calm/);
});

path("tells of numbers that differ while answers stand", async ({ page, visit }) => {
  await visit("pipeline");
  const windows = page.getByRole("region", { name: "Windows by model, table" });
  const row = windows.getByRole("row", { name: /^support / });
  assert.match(await row.innerText(), /embedding in \d+ windows/);
  assert.match(await windows.getByRole("row", { name: /^claims-triage / }).innerText(), /none$/);
});

path("shows what changes while it is looked at, without asking", async ({ page, visit, mock }) => {
  await visit("model");
  await page.getByText("Live: changes appear by themselves.").waitFor();
  // What changed between the first answer and the first event is asked for once, and nothing after it.
  const asked = [];
  page.on("request", (r) => asked.push(r.url()));
  await page.waitForTimeout(11_000);
  assert.ok(asked.filter((url) => url.endsWith("/models/support")).length <= 1, `asked although nothing changed: ${asked}`);
  mock.tick(300);
  await page.locator(".facts").getByText("19:05–19:10").waitFor();
});

path("asks every few seconds where the server tells nothing", { mock: { old: true }, expected: /404 \(Not Found\)|MIME type/ }, async ({ page, visit, mock }) => {
  await visit("model");
  await page.getByText("Looking every 5 seconds.").waitFor();
  // What this server lacks is left out: cells are those that moved, an alert is looked for in the list.
  await page.getByText("cells that moved most, share of all").waitFor();
  mock.tick(300);
  await page.locator(".facts").getByText("19:05–19:10").waitFor();
  await visit("alert", "#/alerts/support-3", "h1");
  await page.getByRole("heading", { level: 1, name: "Head intent drifted" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Silence", exact: true }).count(), 0);
  await visit("model", "#/models/support/map", "main .empty");
  await visit("model", "#/models/support/performance", "main .empty");
  await visit("silences", "#/silences", "main .empty");
});

path("says so when the server is gone, and comes back", { expected: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY|ERR_CONNECTION_RESET|502/ }, async ({ page, visit }) => {
  await visit("fleet");
  await page.route("**/api/**", (route) => route.abort("connectionrefused"));
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.getByRole("status").getByText("driftd is not reachable").waitFor();
  await page.locator(".fleet").waitFor();
  await page.unroute("**/api/**");
  await page.getByRole("button", { name: "Try now" }).click();
  await page.getByRole("status").waitFor({ state: "detached" });
});

path("asks for a key and offers what its roles allow", { mock: { auth: true }, expected: /401 \(Unauthorized\)|403 \(Forbidden\)/ }, async ({ page, visit, picture }) => {
  const logIn = async (key) => {
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Log in" }).click();
  };
  await visit("alert", "#/alerts/support-3", ".login");
  await picture("login");
  assert.deepEqual(await violations(page), []);
  await logIn("drk_wrong");
  await page.getByRole("alert").getByText("No such API key").waitFor();
  await logIn("drk_viewer");
  await page.locator(".incident .steps").waitFor();
  for (const name of ["Acknowledge", "Silence", "Approve", "Reject"]) {
    assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0, `a viewer may not ${name}`);
  }
  assert.equal(await page.evaluate(() => document.cookie), "", "no script can read the cookie");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("API key").waitFor();
  await logIn("drk_operator");
  await page.getByRole("button", { name: "Acknowledge" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Approve" }).count(), 0, "an operator may not approve");
  await page.getByText("Deciding needs the scope retraining:approve.").waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await logIn("drk_approver");
  await page.getByRole("button", { name: "Approve" }).click();
  await page.locator(".course").getByText("retraining requested by ada").waitFor();
  // A session that ends elsewhere leads back to the key.
  await page.context().clearCookies();
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.getByLabel("API key").waitFor();
});

path("is dark or light as the system or the reader says", async ({ page, visit }) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await visit("fleet");
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await ground();
  assert.notEqual(dark, light);
  const theme = page.getByRole("button", { name: /^Theme/ });
  await theme.click();
  assert.equal(await ground(), light, "light, whatever the system says");
  await page.reload();
  await page.locator(".fleet").waitFor();
  assert.equal(await ground(), light, "the choice is kept");
  await theme.click();
  assert.equal(await ground(), dark);
});

path("fits a phone of 360 px", { viewport: PHONE, hasTouch: true, isMobile: true }, async ({ page, visit, picture }) => {
  for (const name of Object.keys(PAGES)) {
    await visit(name);
    assert.equal(await spill(page), 0, `${name} is wider than the screen`);
  }
  await visit("alert");
  await page.getByRole("button", { name: "Silence", exact: true }).tap();
  assert.equal(await spill(page), 0, "the form is wider than the screen");
  await visit("alert");
  await picture("alert-phone");
  await visit("model");
  await picture("model-phone");
});

path("has nothing that axe finds", async ({ page, visit }) => {
  const found = [];
  for (const name of Object.keys(PAGES)) {
    await visit(name);
    found.push(...(await violations(page)).map((v) => `${name}: ${v}`));
  }
  await visit("alert");
  await page.getByRole("button", { name: "Silence", exact: true }).click();
  found.push(...(await violations(page)).map((v) => `silencing: ${v}`));
  await visit("model");
  const tables = page.getByRole("button", { name: /^Show as table/ });
  while ((await tables.count()) > 0) await tables.first().click();
  found.push(...(await violations(page)).map((v) => `tables: ${v}`));
  assert.deepEqual(found, []);
});

path("has contrast enough in the dark too", { colorScheme: "dark" }, async ({ page, visit }) => {
  const found = [];
  for (const name of Object.keys(PAGES)) {
    await visit(name);
    found.push(...(await violations(page, { type: "rule", values: ["color-contrast", "target-size"] })).map((v) => `${name}: ${v}`));
  }
  assert.deepEqual(found, []);
});

path("looks as it did in light", { viewport: { width: 1280, height: 1400 } }, async ({ visit, picture }) => {
  for (const name of ["fleet", "alert", "performance", "pipeline"]) {
    await visit(name);
    await picture(`${name}-light`);
  }
});

path("looks as it did in dark", { viewport: { width: 1280, height: 1400 }, colorScheme: "dark" }, async ({ visit, picture }) => {
  for (const name of ["model", "alert", "map"]) {
    await visit(name);
    await picture(`${name}-dark`);
  }
});

const focused = (page) => page.evaluate(() => document.activeElement?.textContent?.trim());

if (!existsSync(new URL("../dist/index.html", import.meta.url))) {
  console.error("paths: there is no dist/: run `npm run build` first");
  process.exit(2);
}
const browser = await launch();
const began = Date.now();
let failed = 0;

async function go({ name, options, walk }) {
  const { mock: asked, ...pageOptions } = options;
  const complaints = [];
  const from = Date.now();
  const mock = await startMock({ now: NOW, ...asked });
  const page = await open(browser, complaints, { viewport: WIDE, colorScheme: "light", now: NOW, ...pageOptions });
  const visit = async (page_, hash = PAGES[page_][0], ready = PAGES[page_][1]) => {
    await page.goto("about:blank");
    await page.goto(`${mock.url}/${hash}`);
    await page.locator(ready).first().waitFor();
    // One frame more: charts are drawn when their width is known.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  };
  const picture = async (kept) => {
    await page.waitForTimeout(250);
    const wrong = await compare(page, kept, { update });
    if (wrong !== null) complaints.push(wrong);
  };
  try {
    await walk({ page, mock, visit, picture });
  } catch (error) {
    complaints.push(`${error.message}\n${error.stack?.split("\n").find((line) => line.includes("paths.mjs")) ?? ""}`);
  }
  await page.context().close();
  await mock.stop();
  failed += complaints.length > 0 ? 1 : 0;
  console.log(`${complaints.length === 0 ? "ok  " : "FAIL"} ${name} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
  for (const complaint of complaints) console.log(`     ${complaint.replaceAll("\n", "\n     ")}`);
}

// The longest first; a few at once, as most of a path is waiting.
const queue = paths.filter((p) => p.name.includes(only)).sort((a, b) => Number(/axe|phone|contrast/.test(b.name)) - Number(/axe|phone|contrast/.test(a.name)));
const AT_ONCE = 3;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await go(next);
  }),
);
await browser.close();
console.log(`${failed === 0 ? "all paths are fine" : `${failed} paths failed`} (${((Date.now() - began) / 1000).toFixed(0)} s)`);
process.exitCode = failed === 0 ? 0 : 1;
