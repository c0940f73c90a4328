/** Texts that show best what is new, for those who may read texts. They are read only when somebody asks: it is written down. */

import { useState } from "preact/hooks";
import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import { useMay } from "../../api/session";
import type { Example, Reason } from "../../api/types";
import { percent, words } from "../../data/format";
import { placeLabel } from "../../data/shape";
import { Empty, Panel } from "../../parts/panel";
import { Time } from "../../parts/time";
import type { Incident } from "./load";

export function Examples({ incident: { alert, model } }: { incident: Incident }) {
  const may = useMay("samples:read");
  const [asked, setAsked] = useState(false);
  if (model?.examples === undefined) return null;
  return (
    <Panel title="Examples" class="examples">
      {!model.examples ? (
        <Empty>
          No texts are kept of this model. With <code>examples</code> in its configuration, a few redacted ones are kept of each alert.
        </Empty>
      ) : !may ? (
        <Empty>
          A few redacted texts may be kept of this alert. Reading them needs the scope <code>samples:read</code>, which no role contains.
        </Empty>
      ) : asked ? (
        <Read id={alert.id} />
      ) : (
        <p>
          <button class="quiet" onClick={() => setAsked(true)}>
            Show redacted texts
          </button>{" "}
          <span class="muted small-text">That you read them is noted in the audit.</span>
        </p>
      )}
    </Panel>
  );
}

function Read({ id }: { id: string }) {
  const { data, failure } = usePoll(`examples ${id}`, async (signal) => ({ found: await api.examples(id, signal) }), { repeat: false });
  if (data === null) return <p class="muted small-text">{failure === null ? "Reading the texts …" : `The texts could not be read: ${failure.answer?.message ?? "driftd does not answer"}`}</p>;
  const rows = data.found?.data ?? [];
  if (rows.length === 0) {
    return <Empty>None are kept of this alert: its time is over, it fired before texts were kept, or nothing that is counted tells its records apart.</Empty>;
  }
  return (
    <>
      <ul class="examples-list">
        {rows.map((example, i) => (
          <Row key={i} example={example} />
        ))}
      </ul>
      <p class="muted small-text">
        From the window of <Time at={rows[0]!.window_start} />, the most telling first, kept until <Time at={rows[0]!.kept_until} />. Redacted by pattern: names and
        other words are left.
      </p>
    </>
  );
}

const Row = ({ example }: { example: Example }) => (
  <li>
    <blockquote dir="auto">{example.text}</blockquote>
    {example.pair !== null && <blockquote dir="auto">{example.pair}</blockquote>}
    <p class="muted small-text">
      {example.reasons.map((reason, i) => (
        <span key={i}>
          {i > 0 && "; "}
          {because(reason)}
        </span>
      ))}
    </p>
  </li>
);

/** Such as `intent · predicted class: refund, 31 % instead of 4 %`. */
function because(reason: Reason): string {
  return `${placeLabel(reason)} · ${words(reason.signal)}: ${reason.cell}, ${percent(reason.current_share)} instead of ${percent(reason.reference_share)}`;
}
