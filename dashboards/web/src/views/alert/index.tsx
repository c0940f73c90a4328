/** An incident: what drifted and why that is said, what it did to which tasks, who was told, what to do. */

import { useEffect } from "preact/hooks";
import { usePoll } from "../../api/poll";
import { causeName } from "../../data/verdict";
import { ConnectionNote } from "../../parts/connection";
import { Empty } from "../../parts/panel";
import { modelHref } from "../../router";
import { Affected } from "./affected";
import { Evidence } from "./evidence";
import { Head } from "./head";
import { Examples } from "./examples";
import { type Incident, loadIncident } from "./load";
import { Retraining } from "./request";
import { Told } from "./told";
import { Course } from "./course";

export function AlertView({ id }: { id: string }) {
  const { data, failure, refresh } = usePoll(`alert ${id}`, async (signal) => ({ incident: await loadIncident(id, signal) }));
  const incident = data?.incident ?? null;
  const title = incident === null ? "Alert" : `${incident.alert.state === "firing" ? "◆ " : ""}${causeName(incident.alert)} · ${incident.alert.model}`;
  useEffect(() => {
    document.title = `${title} · driftd`;
  }, [title]);

  if (data === null) {
    return failure !== null ? <ConnectionNote failure={failure} stale={false} retry={refresh} /> : <p class="loading">Reading the alert …</p>;
  }
  if (incident === null) return <Unknown id={id} />;
  return (
    <>
      <ConnectionNote failure={failure} stale retry={refresh} />
      <Content incident={incident} onChange={refresh} />
    </>
  );
}

function Content({ incident, onChange }: { incident: Incident; onChange: () => void }) {
  return (
    <>
      <Head incident={incident} onChange={onChange} />
      <div class="incident">
        <div class="stack">
          <Evidence incident={incident} />
          <Examples key={incident.alert.id} incident={incident} />
          <Affected incident={incident} />
        </div>
        <div class="stack">
          <Retraining incident={incident} onChange={onChange} />
          <Course incident={incident} />
          <Told incident={incident} onChange={onChange} />
        </div>
      </div>
      <p class="muted small-text">
        Alert {incident.alert.id} of <a href={modelHref(incident.alert.model)}>{incident.alert.model}</a>
      </p>
    </>
  );
}

const Unknown = ({ id }: { id: string }) => (
  <>
    <h1>No alert {id}</h1>
    <Empty>
      driftd knows no alert of this name. It may have been removed with its time. See <a href="#/alerts">all alerts</a>.
    </Empty>
  </>
);
