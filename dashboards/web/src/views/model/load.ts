/** Everything the model's page shows, read together so that it fits together. */

import * as api from "../../api/client";
import type { Alert, Delivery, Model, RetrainingRequest, Window } from "../../api/types";
import { continues, mergeWindows } from "../../data/shape";

/** Windows kept; the API gives as many at once. */
const MOST = 500;
/** Between full answers only so many of the newest are asked for. */
const NEWEST = 20;
/** Late records may revise any window, so all are read again this often. */
const FULL_EVERY_MS = 60_000;

export interface Loaded {
  model: Model;
  /** Oldest first. */
  windows: Window[];
  /** When all windows were read last. */
  fullAt: number;
  alerts: Alert[];
  deliveries: Delivery[];
  retraining: RetrainingRequest[];
}

export async function loadModel(name: string, signal: AbortSignal, previous: Loaded | null): Promise<Loaded> {
  const [model, history, alerts, deliveries, retraining] = await Promise.all([
    api.model(name, signal),
    loadWindows(name, signal, previous),
    api.alerts(name, 50, signal),
    api.deliveries(name, 50, signal),
    api.retrainingRequests(name, 50, signal),
  ]);
  return { model, ...history, alerts, deliveries, retraining };
}

async function loadWindows(
  name: string,
  signal: AbortSignal,
  previous: Loaded | null,
): Promise<Pick<Loaded, "windows" | "fullAt">> {
  if (previous !== null && Date.now() - previous.fullAt < FULL_EVERY_MS) {
    const newest = await api.windows(name, NEWEST, signal);
    if (continues(previous.windows, newest)) {
      // The same array if nothing is new: charts then have nothing to draw.
      const known = new Map(previous.windows.map((w) => [w.start, w.revision]));
      if (newest.every((w) => known.get(w.start) === w.revision)) return { windows: previous.windows, fullAt: previous.fullAt };
      return { windows: mergeWindows(previous.windows, newest, MOST), fullAt: previous.fullAt };
    }
  }
  return { windows: mergeWindows([], await api.windows(name, MOST, signal), MOST), fullAt: Date.now() };
}
