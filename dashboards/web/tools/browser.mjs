/** A real browser for the tools: pages that complain about everything that is wrong on them. */

import axe from "axe-core";
import { chromium } from "playwright-core";

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--font-render-hinting=none"],
  });

/**
 * A page in a context of its own. Console errors, uncaught errors and violations of the content
 * security policy become complaints, but for messages that `expected` matches.
 */
export async function open(browser, complaints, { now, expected, ...options } = {}) {
  const context = await browser.newContext({ timezoneId: "UTC", locale: "en-GB", reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  if (now !== undefined) await page.clock.setFixedTime(new Date(now));
  page.on("console", (m) => {
    if (["error", "warning"].includes(m.type()) && !expected?.test(m.text())) complaints.push(`console: ${m.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`error: ${error.stack}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) =>
      console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`),
    );
  });
  return page;
}

/** How many pixels the page is wider than its window. */
export const spill = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

/** What reaches beyond the window's edge and is not cut or scrolled by something around it: innermost elements. */
export const spilling = (page) =>
  page.evaluate(() => {
    const held = (e) => {
      for (let around = e.parentElement; around !== null; around = around.parentElement)
        if (getComputedStyle(around).overflowX !== "visible" && around !== document.body && around !== document.documentElement) return true;
      return false;
    };
    const wide = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 && !held(e));
    const inner = wide.filter((e) => !wide.some((other) => other !== e && e.contains(other)));
    return inner.map((e) => `${e.tagName.toLowerCase()}.${e.className}: ${e.textContent.slice(0, 60)}`);
  });

/** What axe finds against WCAG 2.2 AA and good practice, one line for each place. */
export async function violations(page, rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]) {
  await page.evaluate(axe.source);
  const found = await page.evaluate((runOnly) => globalThis.axe.run(document, { runOnly, resultTypes: ["violations"] }), rules);
  return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary?.replaceAll(/\s+/g, " ").slice(0, 220)}`));
}
