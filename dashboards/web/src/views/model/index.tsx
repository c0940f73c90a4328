/** One model: what happened, where in it, when, and what driftd did about it. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { usePoll } from "../../api/poll";
import type { Place } from "../../api/types";
import { firstToShow, heat, placeKey, samePlace } from "../../data/shape";
import { ConnectionNote } from "../../parts/connection";
import { Empty } from "../../parts/panel";
import { modelHref, replaceRoute, type Route } from "../../router";
import { Alerts, Deliveries, Retraining } from "./alerts";
import { Header } from "./header";
import { type Loaded, loadModel } from "./load";
import { Timeline } from "./timeline";
import { WindowDetail } from "./window";

export function ModelView({ route }: { route: Extract<Route, { view: "model" }> }) {
  const { data, failure, refresh } = usePoll<Loaded>(route.name, (signal, previous) => loadModel(route.name, signal, previous));
  const state = data?.model.state;
  useEffect(() => {
    document.title = `${state === "drift" ? "◆ " : ""}${route.name} · driftd`;
  }, [route.name, state]);

  if (data === null) {
    if (failure?.answer?.status === 404) return <Unknown name={route.name} />;
    if (failure !== null) return <ConnectionNote failure={failure} stale={false} retry={refresh} />;
    return <p class="loading">Reading {route.name} …</p>;
  }
  return (
    <>
      <ConnectionNote failure={failure} stale retry={refresh} />
      <Content route={route} {...data} />
    </>
  );
}

function Content(props: { route: Extract<Route, { view: "model" }> } & Loaded) {
  const { route, model, windows, alerts } = props;
  const tasks = model.manifest.tasks;
  const [place, setPlace] = useState<Place | null>(null);
  const chosen = windows.find((w) => w.start === route.window) ?? null;
  const shown = chosen ?? firstToShow(windows, alerts);
  const map = useMemo(() => heat(windows, tasks), [windows, tasks.map((t) => t.name).join("\n")]);

  const select = (start: string, at: Place | null = null): void => {
    if (at !== null) setPlace(at);
    const signal = at === null || (route.signal !== null && belongs(route.signal, at)) ? route.signal : null;
    replaceRoute(modelHref(route.name, { window: start, signal }));
  };
  const selectSignal = (signal: string, at: Place): void => {
    setPlace(at);
    replaceRoute(modelHref(route.name, { window: route.window, signal }));
  };
  const selectPlace = (at: Place): void => {
    setPlace(place !== null && samePlace(place, at) ? null : at);
    replaceRoute(modelHref(route.name, { window: route.window }));
  };

  return (
    <>
      <Header
        model={model}
        windows={windows}
        alerts={alerts}
        chosen={chosen}
        place={place}
        onPlace={selectPlace}
        onNow={() => replaceRoute(modelHref(route.name, { signal: route.signal }))}
      />
      {windows.length > 0 && (
        <Timeline heat={map} alerts={alerts} shown={shown} place={place} onSelect={select} />
      )}
      {shown !== null && (
        <WindowDetail
          name={route.name}
          windows={windows}
          window={shown}
          place={place}
          signal={route.signal}
          onWindow={select}
          onSignal={selectSignal}
        />
      )}
      <div class="columns">
        <Alerts alerts={alerts} windows={windows} onSelect={select} />
        <div class="stack">
          <Retraining requests={props.retraining} />
          <Deliveries deliveries={props.deliveries} />
        </div>
      </div>
    </>
  );
}

/** Whether a signal's key, `head.intent.confidence`, is of this place. */
const belongs = (signal: string, place: Place): boolean => signal.startsWith(`${placeKey(place)}.`);

const Unknown = ({ name }: { name: string }) => (
  <>
    <h1>No model {name}</h1>
    <Empty>
      driftd does not know a model of this name. It may have been renamed or removed from the configuration. See{" "}
      <a href="#/">all models</a>.
    </Empty>
  </>
);
