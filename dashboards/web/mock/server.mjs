/**
 * A stand-in for driftd while the dashboard is developed and tested: answers its API with generated
 * data and serves `dist/` under the same content security policy.
 *
 *     node mock/server.mjs [--port 4010] [--empty] [--auth] [--old] [--window-seconds 300] [--now TIME]
 *
 * `--auth` asks for one of the keys of `access.mjs`; `--old` answers 404 to what older versions lack.
 */

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeAccess } from "./access.mjs";
import { Refusal } from "./desk.mjs";
import { makeSettings } from "./settings.mjs";
import { makeWorld } from "./world.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const NEEDS = { acknowledge: "operator", redeliver: "operator", approve: "retraining:approve", reject: "retraining:approve", close: "retraining:approve", silences: "operator" };

/** Starts on a free port unless one is named; `tick` moves a frozen clock and closes windows. */
export async function startMock({ port = 0, empty = false, auth = false, old = false, windowSeconds = 300, now = null } = {}) {
  let frozen = now === null ? null : Date.parse(now);
  const clock = () => frozen ?? Date.now();
  const listeners = new Set();
  const announce = (event) => listeners.forEach((r) => r.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`));
  const world = makeWorld({ empty, windowSeconds, clock, announce });
  const access = makeAccess(auth);
  const settings = makeSettings(clock);
  const context = { world, settings, access, listeners, old };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://mock");
    const answer = url.pathname.startsWith("/api/") ? answerApi(context, url, request, response) : answerFile(url.pathname, response);
    answer.catch((error) => problem(response, 500, String(error?.stack ?? error)));
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  // Windows close by themselves, as they do while driftd runs, whoever looks.
  const timer = frozen === null ? setInterval(() => world.advance(), 1000) : null;
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    world,
    settings,
    tick: (seconds) => {
      frozen = clock() + seconds * 1000;
      world.advance();
    },
    stop: () => {
      clearInterval(timer);
      listeners.forEach((r) => r.end());
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

async function answerApi({ world, settings, access, listeners, old }, url, request, response) {
  const parts = url.pathname.replace("/api/v1/", "").split("/").map(decodeURIComponent);
  const query = url.searchParams;
  const writes = request.method !== "GET";
  const body = writes ? await bodyOf(request) : {};
  if (parts[0] === "session" && !old) return answerSession(access, request, response, body);
  const session = access.session(request);
  if (session === null) return problem(response, 401, "say who you are: `authorization: Bearer …`, or a session's cookie");
  if (writes && request.headers["x-csrf-token"] !== session.csrf_token) return problem(response, 403, "the header `x-csrf-token` is missing or not the session's");
  const need = writes ? NEEDS[parts[2] ?? parts[0]] : parts[2] === "examples" ? "samples:read" : undefined;
  if (need !== undefined && !has(session, need)) return problem(response, 403, `this needs ${need}`);
  if (parts[0] === "events" && !old) return listen(listeners, request, response);
  world.advance();
  try {
    const found = (writes ? write(world.desk, request.method, parts, body, session.name) : read(world, settings, parts, query, old)) ?? null;
    if (found === null) return problem(response, 404, `nothing at ${url.pathname}`);
    return send(response, 200, "application/json", JSON.stringify(found));
  } catch (error) {
    if (error instanceof Refusal) return problem(response, error.status, error.message);
    throw error;
  }
}

function read(world, settings, [first, name, third, start, fifth], query, old) {
  const { desk } = world;
  if (first === "status") return world.status();
  if (first === "ledger") return world.ledger();
  if (first === "settings" && !old) return settings.answer();
  if (first === "alerts" && name === undefined) return paged(desk.alerts(query.get("model")), query);
  if (first === "deliveries" && name === undefined) return paged(desk.deliveries(query.get("model"), query.get("state")), query);
  if (first === "retraining-requests" && name === undefined) return paged(desk.requests(query.get("model")), query);
  if (first === "models" && name === undefined) return paged(world.models(), query);
  if (first === "models") {
    const model = world.model(name);
    if (model === null) return null;
    if (third === undefined) return model.describe();
    if (third === "windows" && start === undefined) return paged(model.windows(), query);
    if (third === "windows" && fifth === "statistics") {
      const rows = model.statistics(start);
      return rows && paged(rows, query);
    }
    const signal = [query.get("scope"), query.get("task"), query.get("segment") ?? "", query.get("signal")];
    if (third === "statistics") return paged(model.history(...signal), query);
    if (old) return null;
    if (third === "distributions") return model.distribution(...signal, query.get("start"));
    if (third === "map") return model.map(query.get("start"));
    if (third === "performance") return paged(model.performance(), query);
    if (third === "shadow") return model.shadow();
  }
  if (old) return null;
  if (first === "alerts" && third === "examples") return desk.examples(name);
  if (first === "alerts") return desk.alert(name);
  if (first === "deliveries") return desk.delivery(name);
  if (first === "retraining-requests") return desk.request(name);
  if (first === "silences" && name === undefined) return paged(desk.silences(), query);
  return null;
}

function write(desk, method, [first, id, action], body, caller) {
  if (first === "silences") return method === "DELETE" ? desk.expire(id) : desk.silence(body, caller);
  if (method !== "POST") return null;
  if (first === "alerts" && action === "acknowledge") return desk.acknowledge(id, body, caller);
  if (first === "deliveries" && action === "redeliver") return desk.redeliver(id);
  if (first === "retraining-requests" && action === "approve") return desk.decide(id, "requested", body, caller);
  if (first === "retraining-requests" && action === "reject") return desk.decide(id, "rejected", body, caller);
  if (first === "retraining-requests" && action === "close") return desk.close(id, body, caller);
  return null;
}

function answerSession(access, request, response, body) {
  if (request.method === "POST") {
    const opened = access.open(body.api_key);
    if (opened === null) return problem(response, 401, "no such API key, or it has expired");
    return send(response, 200, "application/json", JSON.stringify(opened.session), { "set-cookie": opened.cookie });
  }
  if (request.method === "DELETE") {
    access.close(request);
    return send(response, 204, "application/json", "");
  }
  const session = access.session(request);
  return session === null ? problem(response, 401, "no session") : send(response, 200, "application/json", JSON.stringify(session));
}

/** Roles contain each other; a scope is granted by name. */
function has(session, need) {
  const order = ["viewer", "operator", "admin"];
  return need.includes(":") ? session.scopes.includes(need) : session.roles.some((r) => order.indexOf(r) >= order.indexOf(need));
}

function listen(listeners, request, response) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", "content-security-policy": POLICY });
  response.write(": hello\n\n");
  listeners.add(response);
  request.on("close", () => listeners.delete(response));
}

function paged(all, query) {
  const cursor = query.get("cursor") ?? "0";
  // As the server's: what began before so many microseconds.
  const before = /^before-(\d+)$/.exec(cursor)?.[1];
  const rows = before === undefined ? all : all.filter((row) => Date.parse(row.start) * 1000 < Number(before));
  const from = before === undefined ? Number(cursor) : 0;
  const limit = Math.min(Number(query.get("limit") ?? 100), 500);
  const to = from + limit;
  return { data: rows.slice(from, to), next_cursor: to < rows.length ? String(to) : null };
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : JSON.parse(text);
}

async function answerFile(path, response) {
  const file = extname(path) === "" ? "index.html" : normalize(path).replace(/^(\.\.[/\\])+/, "");
  const found = await readFile(join(DIST, file)).catch(() => null);
  if (found === null) send(response, 404, "text/plain", "not found: run `npm run build` first\n");
  else send(response, 200, TYPES[extname(file)] ?? "application/octet-stream", found);
}

const problem = (response, status, detail) =>
  send(response, status, "application/problem+json", JSON.stringify({ type: "about:blank", title: TITLES[status] ?? "Error", status, detail }));

const TITLES = { 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 422: "Unprocessable Content", 500: "Internal Server Error" };

function send(response, status, type, body, headers = {}) {
  response.writeHead(status, {
    "content-type": type,
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    ...headers,
  });
  response.end(body);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "4010" },
      empty: { type: "boolean", default: false },
      auth: { type: "boolean", default: false },
      old: { type: "boolean", default: false },
      "window-seconds": { type: "string", default: "300" },
      now: { type: "string" },
    },
  });
  const mock = await startMock({ ...values, port: Number(values.port), windowSeconds: Number(values["window-seconds"]), now: values.now ?? null });
  console.log(`${mock.url}/`);
}
