/** What happened to the alert and what people did about it, in order. */

import { timeline } from "../../data/incident";
import { Marked, Panel } from "../../parts/panel";
import { Time } from "../../parts/time";
import type { Incident } from "./load";

export function Course({ incident }: { incident: Incident }) {
  const happenings = timeline(incident.alert, incident.requests, incident.deliveries, incident.silences ?? []);
  return (
    <Panel title="Timeline" class="course">
      <ol class="transitions">
        {happenings.map((h) => (
          <li key={`${h.at} ${h.what} ${h.detail}`} class={h.kind}>
            <Time at={h.at} />
            <span>
              {h.what}
              <span class="muted">
                {" "}
                <Marked text={h.detail} />
              </span>
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
