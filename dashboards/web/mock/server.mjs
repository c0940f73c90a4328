/**
 * A stand-in for driftd while the dashboard is developed: answers its API with generated data and
 * serves `dist/` under the same content security policy.
 *
 *     node mock/server.mjs [--port 4010] [--empty] [--window-seconds 300]
 */

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeWorld } from "./world.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "4010" },
    empty: { type: "boolean", default: false },
    "window-seconds": { type: "string", default: "300" },
  },
});

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const world = makeWorld({ empty: options.empty, windowSeconds: Number(options["window-seconds"]) });

createServer(async (request, response) => {
  const url = new URL(request.url ?? "/", "http://mock");
  if (url.pathname.startsWith("/api/")) answerApi(url, response);
  else await answerFile(url.pathname, response);
}).listen(Number(options.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${options.port}/`));

function answerApi(url, response) {
  const parts = url.pathname.replace("/api/v1/", "").split("/").map(decodeURIComponent);
  const query = url.searchParams;
  const [first, name, third, start, fifth] = parts;
  const found = (() => {
    world.advance();
    if (first === "status") return world.status();
    if (first === "alerts") return paged(world.alerts(query.get("model")), query);
    if (first === "deliveries") return paged(world.deliveries(query.get("model")), query);
    if (first === "retraining-requests") return paged(world.requests(query.get("model")), query);
    if (first !== "models") return null;
    if (name === undefined) return paged(world.models(), query);
    const model = world.model(name);
    if (model === null) return null;
    if (third === undefined) return model.describe();
    if (third === "windows" && start === undefined) return paged(model.windows(), query);
    if (third === "windows" && fifth === "statistics") {
      const rows = model.statistics(start);
      return rows && paged(rows, query);
    }
    if (third === "statistics") return paged(model.history(query.get("scope"), query.get("task"), query.get("signal")), query);
    return null;
  })();
  if (found !== null) return send(response, 200, "application/json", JSON.stringify(found));
  const problem = { type: "about:blank", title: "Not Found", status: 404, detail: `nothing at ${url.pathname}` };
  return send(response, 404, "application/problem+json", JSON.stringify(problem));
}

function paged(rows, query) {
  const from = Number(query.get("cursor") ?? 0);
  const limit = Math.min(Number(query.get("limit") ?? 100), 500);
  const to = from + limit;
  return { data: rows.slice(from, to), next_cursor: to < rows.length ? String(to) : null };
}

async function answerFile(path, response) {
  const file = extname(path) === "" ? "index.html" : normalize(path).replace(/^(\.\.[/\\])+/, "");
  try {
    send(response, 200, TYPES[extname(file)] ?? "application/octet-stream", await readFile(join(DIST, file)));
  } catch {
    send(response, 404, "text/plain", "not found: run `npm run build` first\n");
  }
}

function send(response, status, type, body) {
  response.writeHead(status, {
    "content-type": type,
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
  response.end(body);
}
