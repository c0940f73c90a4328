/** The settings of the answering process: what is in force, what waits for a restart, what was refused. */

import * as api from "../api/client";
import { usePoll } from "../api/poll";
import { plural } from "../data/format";
import { refusalLines, settingRows } from "../data/settings";
import { Empty, Panel } from "../parts/panel";
import { Time } from "../parts/time";

export function SettingsPanel() {
  const { data, failure } = usePoll("settings", async (signal) => ({ told: await api.settings(signal) }));
  const told = data?.told ?? null;
  return (
    <Panel title="Settings in force" aside={told?.read_at != null && <span class="muted">read <Time at={told.read_at} /></span>}>
      {told === null ? (
        <Empty>{data !== null ? "This driftd does not tell its settings." : failure === null ? "Reading the settings …" : "The settings could not be read."}</Empty>
      ) : (
        <>
          {told.refused != null && (
            <div class="refused" role="alert">
              <p class="bad">
                ✕ The file was changed (<Time at={told.refused.at} />) and is not valid: nothing of it was taken up.
              </p>
              <ul class="rows">
                {refusalLines(told.refused.why).map((line) => (
                  <li key={line}>{line}</li>
                ))}
              </ul>
            </div>
          )}
          {told.waiting_for_restart.length === 0 ? (
            told.refused == null && <p class="muted">The same as in the file; nothing waits for a restart.</p>
          ) : (
            <div class="waiting">
              <p class="warn">▲ {plural(told.waiting_for_restart.length, "changed setting")} of the file {told.waiting_for_restart.length === 1 ? "waits" : "wait"} for a restart:</p>
              <ul class="rows">
                {told.waiting_for_restart.map((name) => (
                  <li key={name}>
                    <code>{name}</code>
                  </li>
                ))}
              </ul>
            </div>
          )}
          <details>
            <summary>All settings</summary>
            <div class="scroll" tabIndex={0} role="region" aria-label="Settings, table">
              <table class="plain">
                <thead>
                  <tr>
                    <th scope="col">Setting</th>
                    <th scope="col">Value</th>
                  </tr>
                </thead>
                <tbody>
                  {settingRows(told.settings).map((row) => (
                    <tr key={row.name}>
                      <th scope="row">
                        <code>{row.name}</code>
                      </th>
                      <td>{row.value}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </details>
        </>
      )}
    </Panel>
  );
}
