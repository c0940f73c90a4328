/**
 * Asks when the server says that something changed; every five seconds while it does not say so, and
 * more slowly while it fails. Nothing is asked while the page is not seen.
 */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./client";
import { type Change, isLive, subscribe } from "./live";

const EVERY_MS = 5_000;
/** While the server tells of changes this is only for what it may have missed to tell. */
const EVERY_LIVE_MS = 60_000;
/** Changes come in bunches: one question answers those of this long. */
const BUNCH_MS = 400;
const SLOWEST_MS = 60_000;
/** A request that takes longer has failed. */
const PATIENCE_MS = 15_000;

/** Why the latest answer is not fresh. */
export interface Failure {
  since: number;
  retryAt: number;
  /** What the server said; null if it could not be reached at all. */
  answer: ApiError | null;
}

export interface Polled<T> {
  data: T | null;
  failure: Failure | null;
  /** When `data` arrived. */
  at: number | null;
  refresh: () => void;
}

/** The wait after this many failures in a row. */
export const delayAfter = (failures: number, live = false): number =>
  failures === 0 && live ? EVERY_LIVE_MS : Math.min(EVERY_MS * 2 ** failures, SLOWEST_MS);

/**
 * Polls `load`; `previous` is what it returned last, for loads that only fetch what is new. Without
 * `repeat` it stops at the first answer, for what changes only with the key; with `model` it is deaf to
 * changes of others.
 */
export function usePoll<T>(
  key: string,
  load: (signal: AbortSignal, previous: T | null) => Promise<T>,
  { repeat = true, model = null }: { repeat?: boolean; model?: string | null } = {},
): Polled<T> {
  const [result, setResult] = useState<{ key: string; data: T | null; failure: Failure | null; at: number | null }>({
    key,
    data: null,
    failure: null,
    at: null,
  });
  const latestLoad = useRef(load);
  latestLoad.current = load;
  const askNow = useRef<() => void>(() => {});

  useEffect(() => {
    let previous: T | null = null;
    let at: number | null = null;
    let failures = 0;
    let since = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running: AbortController | null = null;
    let over = false;
    // A change during a question may not be in its answer.
    let missed = false;
    let bunched = false;

    const ask = async (): Promise<void> => {
      clearTimeout(timer);
      bunched = false;
      if (running !== null || over || document.hidden) return;
      if (!repeat && at !== null) return;
      const request = new AbortController();
      running = request;
      const impatience = setTimeout(() => request.abort(), PATIENCE_MS);
      try {
        previous = await latestLoad.current(request.signal, previous);
        at = Date.now();
        failures = 0;
        if (!over) setResult({ key, data: previous, failure: null, at });
      } catch (error) {
        if (failures === 0) since = Date.now();
        failures += 1;
        const answer = error instanceof ApiError ? error : null;
        const failure = { since, retryAt: Date.now() + delayAfter(failures), answer };
        if (!over) setResult({ key, data: previous, failure, at });
      } finally {
        clearTimeout(impatience);
        running = null;
        if (!over && (repeat || failures > 0)) timer = setTimeout(() => void ask(), delayAfter(failures, isLive()));
        if (!over && missed) hear();
      }
    };

    const hear = (change?: Change): void => {
      const other = change?.model != null && model !== null && change.model !== model;
      if (!repeat || other) return;
      missed = running !== null;
      // The first of a bunch sets the time: those after it must not put it off for ever.
      if (missed || bunched) return;
      bunched = true;
      clearTimeout(timer);
      timer = setTimeout(() => void ask(), BUNCH_MS);
    };
    const deaf = subscribe(hear);

    askNow.current = () => {
      if (running !== null) missed = true;
      else void ask();
    };
    const seen = (): void => {
      if (!document.hidden) void ask();
    };
    document.addEventListener("visibilitychange", seen);
    addEventListener("online", seen);
    void ask();
    return () => {
      over = true;
      deaf();
      clearTimeout(timer);
      running?.abort();
      document.removeEventListener("visibilitychange", seen);
      removeEventListener("online", seen);
    };
  }, [key, repeat, model]);

  const refresh = useCallback(() => askNow.current(), []);
  // What belongs to another key is not shown even for the one frame before the effect runs.
  if (result.key !== key) return { data: null, failure: null, at: null, refresh };
  return { data: result.data, failure: result.failure, at: result.at, refresh };
}
