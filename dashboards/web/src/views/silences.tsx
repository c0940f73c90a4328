/** Which alerts nobody is told of, until when and why. */

import { useEffect } from "preact/hooks";
import * as api from "../api/client";
import { usePoll } from "../api/poll";
import { useMay } from "../api/session";
import type { Silence } from "../api/types";
import { duration, plural } from "../data/format";
import { silenced, type Standing, standing } from "../data/incident";
import { ActionError, useAction } from "../parts/action";
import { ConnectionNote } from "../parts/connection";
import { Empty } from "../parts/panel";
import { Time } from "../parts/time";

const ORDER: Standing[] = ["active", "upcoming", "over"];
const WORDS: Record<Standing, string> = { active: "in force", upcoming: "not yet", over: "over" };

export function Silences() {
  const { data, failure, refresh } = usePoll("silences", async (signal) => ({ rows: await api.silences(signal) }));
  useEffect(() => {
    document.title = "Silences · driftd";
  }, []);
  const rows = data?.rows ?? [];
  const now = Date.now();
  const active = rows.filter((s) => standing(s, now) === "active").length;
  const sorted = [...rows].sort(
    (a, b) => ORDER.indexOf(standing(a, now)) - ORDER.indexOf(standing(b, now)) || Date.parse(b.ends_at) - Date.parse(a.ends_at),
  );
  return (
    <>
      <ConnectionNote failure={failure} stale={data !== null} retry={refresh} />
      {data === null ? (
        failure === null && <p class="loading">Reading the silences …</p>
      ) : (
        <>
          <div class="headline">
            <h1>{active === 0 ? "Nothing is silenced." : `${plural(active, "silence")} in force.`}</h1>
          </div>
          <p class="muted lead">
            A silence holds back messages of alerts that fit it. Alerts still fire and are kept. Make one on the page of an{" "}
            <a href="#/alerts">alert</a>.
          </p>
          {data.rows === null ? (
            <Empty>This driftd knows no silences.</Empty>
          ) : (
            sorted.length > 0 && <SilenceTable rows={sorted} now={now} onChange={refresh} />
          )}
        </>
      )}
    </>
  );
}

function SilenceTable({ rows, now, onChange }: { rows: Silence[]; now: number; onChange: () => void }) {
  return (
    <div class="panel">
      <div class="scroll" tabIndex={0} role="region" aria-label="Silences, table">
        <table class="plain silences">
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">Holds back</th>
              <th scope="col">Why</th>
              <th scope="col">By</th>
              <th scope="col">Ends</th>
              <th scope="col">
                <span class="hidden">End it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((s) => (
              <Row key={s.silence_id} silence={s} now={now} onChange={onChange} />
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function Row({ silence, now, onChange }: { silence: Silence; now: number; onChange: () => void }) {
  const state = standing(silence, now);
  const mayEnd = useMay("operator") && state !== "over";
  const { busy, error, run } = useAction();
  return (
    <tr class={state === "over" ? "over" : ""}>
      <td>{WORDS[state]}</td>
      <th scope="row">{silenced(silence)}</th>
      <td class="prose">{silence.comment}</td>
      <td>{silence.created_by}</td>
      <td>
        <Time at={silence.ends_at} />
        {state === "active" && <span class="muted"> in {duration((Date.parse(silence.ends_at) - now) / 1000)}</span>}
      </td>
      <td class="number">
        {mayEnd && (
          <button class="quiet small" disabled={busy} onClick={() => void run(() => api.expireSilence(silence.silence_id)).then(onChange)}>
            End now<span class="hidden">: {silenced(silence)}</span>
          </button>
        )}
        <ActionError error={error} />
      </td>
    </tr>
  );
}
