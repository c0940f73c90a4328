/** What people do to the server: a button that waits for its answer, and forms with a comment. */

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";

export interface Action {
  busy: boolean;
  /** What went wrong last, in the server's words. */
  error: string | null;
  /** Runs one write at a time; true if it succeeded. */
  run: (write: () => Promise<unknown>) => Promise<boolean>;
}

export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const run = async (write: () => Promise<unknown>): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setError(null);
    try {
      await write();
      return true;
    } catch (thrown) {
      setError(thrown instanceof Error && thrown.name !== "TypeError" ? thrown.message : "driftd is not reachable");
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run };
}

/** Said aloud when it appears. */
export const ActionError = ({ error }: { error: string | null }) =>
  error === null ? null : (
    <p class="action-error" role="alert">
      {capital(error)}
    </p>
  );

/** A field for a comment, and the buttons that send it. */
export function CommentForm(props: {
  label: string;
  hint?: string;
  required?: boolean;
  action: Action;
  children: (comment: string) => ComponentChildren;
  onSubmit: (comment: string) => void;
}) {
  const id = useId();
  const [comment, setComment] = useState("");
  return (
    <form
      class="action-form"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSubmit(comment.trim());
      }}
    >
      <label for={id}>
        {props.label} {props.hint !== undefined && <span class="muted">{props.hint}</span>}
      </label>
      <input id={id} type="text" maxLength={500} required={props.required ?? false} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
      <div class="action-buttons">{props.children(comment.trim())}</div>
      <ActionError error={props.action.error} />
    </form>
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
