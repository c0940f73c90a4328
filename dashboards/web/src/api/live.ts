/** Hears from the server that something changed, so that the page need not ask all the time. */

import { useEffect, useState } from "preact/hooks";
import { BASE } from "./client";

export interface Change {
  type: "window" | "alert" | "request" | "delivery";
  model: string | null;
}

const TYPES = ["window", "alert", "request", "delivery"] as const;
/** A server without events is asked for them again after so long. */
const AGAIN_MS = 60_000;

/** `/?live=off#/` only polls: for proxies that hold back streams, and for tools that wait until nothing is loading. */
const OFF = typeof location !== "undefined" && new URLSearchParams(location.search).get("live") === "off";

type Listener = (change: Change) => void;

const listeners = new Set<Listener>();
const watching = new Set<(live: boolean) => void>();
let source: EventSource | null = null;
let again: ReturnType<typeof setTimeout> | undefined;
let live = false;
let wanted = false;
let opened = false;

export const isLive = (): boolean => live;

/** Listens while the page is seen: a browser opens only a few connections to one server for all its tabs. */
export function listen(): () => void {
  wanted = true;
  const turn = (): void => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    wanted = false;
    document.removeEventListener("visibilitychange", turn);
    close();
  };
}

/** Calls `listener` at each change; returns how to stop it. */
export function subscribe(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function useLive(): boolean {
  const [state, setState] = useState(live);
  useEffect(() => {
    watching.add(setState);
    setState(live);
    return () => void watching.delete(setState);
  }, []);
  return state;
}

/** An event's data as a change; null for what this page does not know. */
export function parseChange(data: string): Change | null {
  try {
    const { type, model } = JSON.parse(data) as Partial<Change>;
    const known = TYPES.find((t) => t === type);
    return known === undefined ? null : { type: known, model: typeof model === "string" ? model : null };
  } catch {
    return null;
  }
}

function open(): void {
  if (source !== null || !wanted || OFF || typeof EventSource === "undefined") return;
  clearTimeout(again);
  const made = new EventSource(`${BASE}/events`);
  source = made;
  made.onopen = () => set(true);
  made.onerror = () => {
    set(false);
    // A browser tries again by itself after a broken connection, and never after an answer without events.
    if (made.readyState !== EventSource.CLOSED) return;
    close();
    again = setTimeout(open, AGAIN_MS);
  };
  const hear = (event: MessageEvent<string>): void => {
    const change = parseChange(event.data);
    if (change !== null) listeners.forEach((listener) => listener(change));
  };
  made.onmessage = hear;
  for (const type of TYPES) made.addEventListener(type, hear as (event: Event) => void);
}

function close(): void {
  clearTimeout(again);
  source?.close();
  source = null;
  set(false);
}

function set(now: boolean): void {
  if (live === now) return;
  live = now;
  watching.forEach((watch) => watch(now));
  // What happened while nobody listened was not heard.
  if (!now || opened) listeners.forEach((listener) => listener({ type: "window", model: null }));
  opened = true;
}
