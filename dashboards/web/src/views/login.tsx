/** Asks for an API key; the browser then holds a cookie that no script can read. */

import { useEffect, useId, useState } from "preact/hooks";
import { logIn } from "../api/session";
import { ActionError, useAction } from "../parts/action";

export function Login() {
  const id = useId();
  const [key, setKey] = useState("");
  const { busy, error, run } = useAction();
  useEffect(() => {
    document.title = "Log in · driftd";
  }, []);
  return (
    <section class="panel login" aria-labelledby={`${id}-title`}>
      <h1 id={`${id}-title`}>Log in</h1>
      <p class="muted">
        This driftd asks who reads it. Whoever runs it makes a key with <code>driftd keys</code>.
      </p>
      <form
        class="action-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run(() => logIn(key.trim()));
        }}
      >
        <label for={id}>API key</label>
        <input
          id={id}
          type="password"
          required
          autocomplete="current-password"
          spellcheck={false}
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <div class="action-buttons">
          <button class="primary" disabled={busy}>
            Log in
          </button>
        </div>
        <ActionError error={error} />
      </form>
    </section>
  );
}
