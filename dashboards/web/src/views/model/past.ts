/** Windows of an address that are older than the newest ones. */

import { useEffect, useState } from "preact/hooks";
import * as api from "../../api/client";
import type { Window } from "../../api/types";
import { mergeWindows } from "../../data/shape";

/** Windows read around the one of the address. */
const AROUND = 200;

/** Oldest first, around the window that begins at `start`; null where that is none, or among `newest`. */
export function usePast(name: string, start: string | null, newest: Window[]): Window[] | null {
  const [past, setPast] = useState<Window[]>([]);
  const ms = Date.parse(start ?? "");
  const oldest = newest[0];
  const isOlder = oldest !== undefined && ms < Date.parse(oldest.start);
  const isRead = past.some((w) => Date.parse(w.start) === ms);
  const length = oldest === undefined ? 0 : Date.parse(oldest.end) - Date.parse(oldest.start);
  useEffect(() => {
    if (!isOlder || isRead) return;
    const abort = new AbortController();
    const until = ms + (AROUND / 2) * length;
    const found = api.windowsBefore(name, until, AROUND, abort.signal);
    found.then((windows) => setPast(mergeWindows([], windows, AROUND)), () => {});
    return () => abort.abort();
  }, [name, ms, isOlder, isRead, length]);
  return isOlder && isRead ? past : null;
}
