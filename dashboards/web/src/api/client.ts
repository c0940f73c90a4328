/** Reads the API of the server the page came from. */

import type {
  Alert,
  DatedStatistic,
  Delivery,
  Model,
  ModelRow,
  Page,
  Place,
  Problem,
  RetrainingRequest,
  Statistic,
  Status,
  Window,
} from "./types";

const BASE = "/api/v1";
/** Longest list that is read page by page. */
const MOST = 1000;

/** The server answered, and it was an error. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
  }
}

export const models = (signal: AbortSignal): Promise<ModelRow[]> => list("/models", {}, signal);

export const model = (name: string, signal: AbortSignal): Promise<Model> => read(`/models/${part(name)}`, {}, signal);

/** The newest windows, newest first. */
export const windows = (name: string, limit: number, signal: AbortSignal): Promise<Window[]> =>
  page(`/models/${part(name)}/windows`, { limit: String(limit) }, signal);

export const windowStatistics = (name: string, start: string, signal: AbortSignal): Promise<Statistic[]> =>
  list(`/models/${part(name)}/windows/${part(start)}/statistics`, {}, signal);

/** One signal over time, newest first. */
export const signalHistory = (
  name: string,
  place: Place,
  signalName: string,
  limit: number,
  signal: AbortSignal,
): Promise<DatedStatistic[]> => {
  const segment = place.segment ?? "";
  const query: Record<string, string> = { scope: place.scope, signal: signalName, segment, limit: String(limit) };
  if (place.task !== null) query["task"] = place.task;
  return page(`/models/${part(name)}/statistics`, query, signal);
};

export const alerts = (name: string, signal: AbortSignal): Promise<Alert[]> =>
  page("/alerts", { model: name, limit: "50" }, signal);

export const deliveries = (name: string, signal: AbortSignal): Promise<Delivery[]> =>
  page("/deliveries", { model: name, limit: "50" }, signal);

export const retrainingRequests = (name: string, signal: AbortSignal): Promise<RetrainingRequest[]> =>
  page("/retraining-requests", { model: name, limit: "50" }, signal);

export const status = (signal: AbortSignal): Promise<Status> => read("/status", {}, signal);

const part = encodeURIComponent;

/** Every page of a list, up to a bound. */
async function list<T>(path: string, query: Record<string, string>, signal: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const next: Page<T> = await read(path, cursor === null ? query : { ...query, cursor }, signal);
    found.push(...next.data);
    cursor = next.next_cursor;
  } while (cursor !== null && found.length < MOST);
  return found;
}

/** The first page of a list. */
async function page<T>(path: string, query: Record<string, string>, signal: AbortSignal): Promise<T[]> {
  return (await read<Page<T>>(path, query, signal)).data;
}

async function read<T>(path: string, query: Record<string, string>, signal: AbortSignal): Promise<T> {
  const search = new URLSearchParams(query).toString();
  const response = await fetch(`${BASE}${path}${search === "" ? "" : `?${search}`}`, {
    headers: { accept: "application/json" },
    signal,
  });
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return (await response.json()) as T;
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return { title: response.statusText, status: response.status };
  }
}
