/** Reads and writes the API of the server the page came from. */

import { alertOf, deliveryOf, mapOf, performanceOf, requestOf } from "./shapes";
import type {
  Alert,
  Cell,
  DatedStatistic,
  Delivery,
  DeliveryDetail,
  EncoderMap,
  Examples,
  Ledger,
  Model,
  ModelRow,
  NewSilence,
  Page,
  Place,
  Problem,
  RequestDetail,
  RetrainingRequest,
  RunEnd,
  Session,
  Settings,
  Shadow,
  Silence,
  Statistic,
  Status,
  TaskPerformance,
  Window,
} from "./types";

export const BASE = "/api/v1";
/** Longest list that is read page by page. */
const MOST = 1000;
/** A write that takes longer has failed. */
const PATIENCE_MS = 20_000;

/** The server answered, and it was an error. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
  }
}

/** What the session gives to writes; set by `session.ts`, which also hears of a session's end. */
export const caller = { csrf: null as string | null, unauthorized: (): void => {} };

export const models = (signal: AbortSignal): Promise<ModelRow[]> => list("/models", {}, signal);

export const model = (name: string, signal: AbortSignal): Promise<Model> => read(`/models/${part(name)}`, {}, signal);

/** The newest windows, newest first. */
export const windows = (name: string, limit: number, signal: AbortSignal): Promise<Window[]> =>
  page(`/models/${part(name)}/windows`, { limit: String(limit) }, signal);

/** Those that began before a time, newest first. */
export const windowsBefore = (name: string, ms: number, limit: number, signal: AbortSignal): Promise<Window[]> =>
  page(`/models/${part(name)}/windows`, { limit: String(limit), cursor: `before-${ms * 1000}` }, signal);

export const windowStatistics = (name: string, start: string, signal: AbortSignal): Promise<DatedStatistic[]> =>
  list(`/models/${part(name)}/windows/${part(start)}/statistics`, {}, signal);

/** One signal over time, newest first. */
export const signalHistory = (
  name: string,
  place: Place,
  signalName: string,
  limit: number,
  signal: AbortSignal,
): Promise<DatedStatistic[]> =>
  page(`/models/${part(name)}/statistics`, { ...signalQuery(place, signalName), limit: String(limit) }, signal);

/** All cells of a signal in a window; null where the server keeps only what moved most. */
export const distribution = async (
  name: string,
  statistic: Statistic,
  start: string,
  signal: AbortSignal,
): Promise<Cell[] | null> => {
  const query = { ...signalQuery(statistic, statistic.signal), start };
  const found = await unlessMissing(read<{ cells: Cell[] }>(`/models/${part(name)}/distributions`, query, signal));
  return found?.cells ?? null;
};

export const encoderMap = async (name: string, start: string, signal: AbortSignal): Promise<EncoderMap | null> => {
  const found = await unlessMissing(read<unknown>(`/models/${part(name)}/map`, { start }, signal));
  return found === null ? null : mapOf(found);
};

export const performance = async (name: string, signal: AbortSignal): Promise<TaskPerformance[] | null> => {
  const found = await unlessMissing(read<unknown>(`/models/${part(name)}/performance`, {}, signal));
  return found === null ? null : performanceOf(found);
};

/** The candidate that stands beside a model, or stood there last; null for none. */
export const shadow = (name: string, signal: AbortSignal): Promise<Shadow | null> => unlessMissing(read(`/models/${part(name)}/shadow`, {}, signal));

export const alerts = async (name: string | null, limit: number, signal: AbortSignal): Promise<Alert[]> =>
  (await page<Alert>("/alerts", { ...ofModel(name), limit: String(limit) }, signal)).map(alertOf);

/** One alert; looked for in the list where the server has no address for it. */
export const alert = async (id: string, signal: AbortSignal): Promise<Alert | null> => {
  const found = await unlessMissing(read<Alert>(`/alerts/${part(id)}`, {}, signal));
  if (found !== null) return alertOf(found);
  const listed = (await list<Alert>("/alerts", { limit: "500" }, signal)).find((a) => a.id === id);
  return listed === undefined ? null : alertOf(listed);
};

/** Redacted texts of an alert: that they are read is written down. */
export const examples = (id: string, signal: AbortSignal): Promise<Examples | null> =>
  unlessMissing(read(`/alerts/${part(id)}/examples`, {}, signal));

export const deliveries = (name: string | null, limit: number, signal: AbortSignal): Promise<Delivery[]> =>
  page("/deliveries", { ...ofModel(name), limit: String(limit) }, signal);

export const delivery = async (id: string, signal: AbortSignal): Promise<DeliveryDetail | null> => {
  const found = await unlessMissing(read<unknown>(`/deliveries/${part(id)}`, {}, signal));
  return found === null ? null : deliveryOf(found);
};

export const retrainingRequests = (name: string | null, limit: number, signal: AbortSignal): Promise<RetrainingRequest[]> =>
  page("/retraining-requests", { ...ofModel(name), limit: String(limit) }, signal);

export const retrainingRequest = async (id: string, signal: AbortSignal): Promise<RequestDetail | null> => {
  const found = await unlessMissing(read<unknown>(`/retraining-requests/${part(id)}`, {}, signal));
  return found === null ? null : requestOf(found);
};

/** Null where the server knows no silences. */
export const silences = (signal: AbortSignal): Promise<Silence[] | null> => unlessMissing(list("/silences", {}, signal));

export const status = (signal: AbortSignal): Promise<Status> => read("/status", {}, signal);

/** Null where the server knows none. */
export const settings = (signal: AbortSignal): Promise<Settings | null> => unlessMissing(read("/settings", {}, signal));

export const ledger = (signal: AbortSignal): Promise<Ledger> => read("/ledger", {}, signal);

export const session = (signal: AbortSignal): Promise<Session | null> => unlessMissing(read("/session", {}, signal));

export const logIn = (apiKey: string): Promise<Session> => write("POST", "/session", { api_key: apiKey });

export const logOut = (): Promise<unknown> => write("DELETE", "/session");

export const acknowledge = (id: string, comment: string): Promise<unknown> =>
  write("POST", `/alerts/${part(id)}/acknowledge`, { comment });

export const silence = (body: NewSilence): Promise<Silence> => write("POST", "/silences", body);

export const expireSilence = (id: string): Promise<unknown> => write("DELETE", `/silences/${part(id)}`);

export const redeliver = (id: string): Promise<unknown> => write("POST", `/deliveries/${part(id)}/redeliver`, {});

export const decide = (id: string, decision: "approve" | "reject", comment: string): Promise<unknown> =>
  write("POST", `/retraining-requests/${part(id)}/${decision}`, { comment });

/** Says how a run has ended that cannot say so itself. */
export const closeRequest = (id: string, state: RunEnd, comment: string): Promise<unknown> =>
  write("POST", `/retraining-requests/${part(id)}/close`, { state, comment });

const part = encodeURIComponent;

const ofModel = (name: string | null): Record<string, string> => (name === null ? {} : { model: name });

function signalQuery(place: Place, signal: string): Record<string, string> {
  const query: Record<string, string> = { scope: place.scope, signal, segment: place.segment ?? "" };
  if (place.task !== null) query["task"] = place.task;
  return query;
}

/** What older servers lack is null and not an error. */
async function unlessMissing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Every page of a list, up to a bound. */
async function list<T>(path: string, query: Record<string, string>, signal: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const next: Page<T> = await read(path, cursor === null ? query : { ...query, cursor }, signal);
    found.push(...next.data);
    cursor = next.next_cursor ?? null;
  } while (cursor !== null && found.length < MOST);
  return found;
}

/** The first page of a list. */
async function page<T>(path: string, query: Record<string, string>, signal: AbortSignal): Promise<T[]> {
  return (await read<Page<T>>(path, query, signal)).data;
}

async function read<T>(path: string, query: Record<string, string>, signal: AbortSignal): Promise<T> {
  const search = new URLSearchParams(query).toString();
  return ask(`${path}${search === "" ? "" : `?${search}`}`, { headers: { accept: "application/json" }, signal });
}

async function write<T>(method: "POST" | "DELETE", path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json", "idempotency-key": uniqueKey() };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (caller.csrf !== null) headers["x-csrf-token"] = caller.csrf;
  const payload = body === undefined ? {} : { body: JSON.stringify(body) };
  return ask(path, { method, headers, ...payload, signal: AbortSignal.timeout(PATIENCE_MS) });
}

async function ask<T>(path: string, request: RequestInit): Promise<T> {
  const response = await fetch(`${BASE}${path}`, request);
  if (response.ok) return (response.status === 204 ? null : await response.json()) as T;
  // A key that is refused is no end of a session.
  if (response.status === 401 && !(path === "/session" && request.method === "POST")) caller.unauthorized();
  throw new ApiError(response.status, await problemOf(response));
}

/** One key for each click: `randomUUID` is only there on pages over HTTPS. */
const uniqueKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function problemOf(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return { title: response.statusText, status: response.status };
  }
}
