/** Holds back messages of alerts like this one until a time. */

import { useId, useState } from "preact/hooks";
import * as api from "../../api/client";
import type { Alert, NewSilence } from "../../api/types";
import { moment } from "../../data/format";
import { causeName } from "../../data/verdict";
import { CommentForm, useAction } from "../../parts/action";

const HOUR = 3_600_000;
const LENGTHS: [string, number][] = [
  ["1 hour", HOUR],
  ["4 hours", 4 * HOUR],
  ["1 day", 24 * HOUR],
  ["1 week", 7 * 24 * HOUR],
];

export function SilenceForm({ alert, onDone }: { alert: Alert; onDone: () => void }) {
  const id = useId();
  const action = useAction();
  const [length, setLength] = useState(4 * HOUR);
  // Of a cause that is not known yet nothing narrower than the model can be said.
  const narrow = alert.cause.kind !== "undetermined";
  const [wide, setWide] = useState(!narrow);
  const ends = new Date(Date.now() + length);
  const send = (comment: string): void => {
    const body: NewSilence = { model: alert.model, comment, starts_at: new Date().toISOString(), ends_at: ends.toISOString() };
    if (!wide) {
      body.cause = alert.cause.kind;
      if (alert.cause.task !== null) body.task = alert.cause.task;
      if (alert.cause.segment) body.segment = alert.cause.segment;
    }
    void action.run(() => api.silence(body)).then((ok) => ok && onDone());
  };
  return (
    <div class="silence-form">
      {narrow && (
        <fieldset class="choices">
          <legend>Hold back messages of</legend>
          <label>
            <input type="radio" name={`${id}-what`} checked={!wide} onChange={() => setWide(false)} /> {causeName(alert)} of {alert.model}
          </label>
          <label>
            <input type="radio" name={`${id}-what`} checked={wide} onChange={() => setWide(true)} /> everything of {alert.model}
          </label>
        </fieldset>
      )}
      <fieldset class="choices">
        <legend>
          For <span class="muted">until {moment(ends, new Date())}</span>
        </legend>
        {LENGTHS.map(([name, ms]) => (
          <label key={name}>
            <input type="radio" name={`${id}-length`} checked={length === ms} onChange={() => setLength(ms)} /> {name}
          </label>
        ))}
      </fieldset>
      <CommentForm label="Why" required action={action} onSubmit={send}>
        {() => (
          <button class="primary" disabled={action.busy}>
            Silence
          </button>
        )}
      </CommentForm>
    </div>
  );
}
