import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../api/poll";
import { clockSeconds, duration } from "../data/format";

/** A quiet line while the server does not answer: since when, what is shown, and what happens next. */
export function ConnectionNote(props: { failure: Failure | null; stale: boolean; retry: () => void }) {
  const { failure } = props;
  const [, tick] = useState(0);
  useEffect(() => {
    if (failure === null) return;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [failure === null]);

  if (failure === null) return null;
  const wait = (failure.retryAt - Date.now()) / 1000;
  const since = clockSeconds(new Date(failure.since));
  return (
    <div class="note" role="status">
      <span>
        {failure.answer === null
          ? `driftd is not reachable since ${since}.`
          : `driftd answers with an error since ${since}: ${failure.answer.message}.`}
        {props.stale && " What you see is what was known before."}
      </span>
      <span class="note-wait" aria-hidden="true">
        {wait > 0.5 ? `Next try in ${duration(wait)}` : "Trying …"}
      </span>
      <button class="quiet" onClick={props.retry}>
        Try now
      </button>
    </div>
  );
}
