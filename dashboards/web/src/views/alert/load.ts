/** Everything an alert's page shows, read together so that it fits together. */

import * as api from "../../api/client";
import type { Alert, DatedStatistic, Delivery, Model, RequestDetail, Silence, TaskPerformance } from "../../api/types";
import { deliveriesOf, isAbout, windowStart } from "../../data/incident";

export interface Incident {
  alert: Alert;
  /** Null where the model is no longer watched. */
  model: Model | null;
  /** Of the window in which it fired or last grew, or opened; empty where it is no longer kept. */
  statistics: DatedStatistic[];
  /** Start of that window. */
  start: string | null;
  requests: RequestDetail[];
  deliveries: Delivery[];
  /** Whether the deliveries name this alert; else they are those of its time. */
  exact: boolean;
  /** Silences that are about it, those that are over included; null where the server knows none. */
  silences: Silence[] | null;
  performance: TaskPerformance[] | null;
}

/** Null if there is no such alert. */
export async function loadIncident(id: string, signal: AbortSignal): Promise<Incident | null> {
  const alert = await api.alert(id, signal);
  if (alert === null) return null;
  const [model, requests, deliveries, silences, performance] = await Promise.all([
    missingAs(null, api.model(alert.model, signal)),
    api.retrainingRequests(alert.model, 50, signal),
    api.deliveries(alert.model, 200, signal),
    api.silences(signal),
    api.performance(alert.model, signal),
  ]);
  const start = windowStart(alert, model?.window_secs ?? null);
  const statistics = start === null ? [] : await missingAs([], api.windowStatistics(alert.model, start, signal));
  const own = requests.filter((r) => r.alert === alert.id);
  const details = await Promise.all(own.map((r) => api.retrainingRequest(r.id, signal)));
  const { rows, exact } = deliveriesOf(alert, deliveries, Date.now());
  return {
    alert,
    model,
    statistics,
    start,
    requests: own.map((r, i) => details[i] ?? { ...r, history: [] }),
    deliveries: rows,
    exact,
    silences: silences?.filter((s) => isAbout(s, alert)) ?? null,
    performance,
  };
}

async function missingAs<T>(instead: T, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 404) return instead;
    throw error;
  }
}
