/** One model: what happened, where in it, when, and what driftd did about it. */

import { useEffect, useMemo } from "preact/hooks";
import { usePoll } from "../../api/poll";
import type { Place, Window } from "../../api/types";
import { LinkingProvider } from "../../charts/link";
import { belongs } from "../../data/cells";
import { firstToShow, heat, placeKey, samePlace } from "../../data/shape";
import { ConnectionNote } from "../../parts/connection";
import { Empty } from "../../parts/panel";
import { StateBadge } from "../../parts/state";
import { modelHref, type ModelRoute, replaceRoute, type Selection, type Tab, TABS } from "../../router";
import { Alerts, Deliveries, Retraining } from "./alerts";
import { Header } from "./header";
import { type Loaded, loadModel } from "./load";
import { MapView } from "./map";
import { usePast } from "./past";
import { Performance } from "./performance";
import { Settings } from "./settings";
import { Candidate } from "./shadow";
import { bandOf, Timeline } from "./timeline";
import { WindowDetail } from "./window";

export function ModelView({ route }: { route: ModelRoute }) {
  const { data, failure, refresh } = usePoll<Loaded>(route.name, (signal, previous) => loadModel(route.name, signal, previous), { model: route.name });
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

const TITLES: Record<Tab, string> = { overview: "Overview", performance: "Performance", map: "Encoder's map", settings: "Settings" };

function Content(props: { route: ModelRoute } & Loaded) {
  const { route, model, alerts } = props;
  const past = usePast(route.name, route.window, props.windows);
  const windows = past ?? props.windows;
  const chosen = windows.find((w) => Date.parse(w.start) === Date.parse(route.window ?? "")) ?? null;
  const shown = chosen ?? firstToShow(windows, alerts);
  const selection: Selection = { ...route, window: shown?.start ?? null };
  const linking = { at: route.at, href: (chart: string) => modelHref(route.name, { ...selection, at: chart }, route.tab) };
  const go = (changes: Selection): void => replaceRoute(modelHref(route.name, { ...route, at: null, ...changes }, route.tab));
  return (
    <LinkingProvider value={linking}>
      <div class="model-top">
        <div class="model-name">
          <h1>{model.name}</h1>
          <span class="version">version {model.version}</span>
          <StateBadge state={model.state} lacks={model.not_judged ?? []} large />
        </div>
        <nav class="segments tabs" aria-label={`Pages of ${model.name}`}>
          {TABS.map((tab) => (
            <a key={tab} href={modelHref(route.name, { window: route.window }, tab)} aria-current={tab === route.tab ? "page" : undefined}>
              {TITLES[tab]}
            </a>
          ))}
        </nav>
      </div>
      {past !== null && (
        <p class="caution" role="status">
          These are the windows around the one of this address, not the newest. <a href={modelHref(route.name, { ...selection, window: null }, route.tab)}>Show the newest</a>
        </p>
      )}
      {route.window !== null && chosen === null && windows.length > 0 && (
        <p class="caution" role="status">
          The window of this address is not kept, or is being read; what you see is another one.
        </p>
      )}
      {route.tab === "overview" && <Overview {...props} past={past} chosen={chosen} shown={shown} go={go} />}
      {route.tab === "performance" && (
        <>
          <Performance name={route.name} task={route.task} />
          {model.shadow === true && <Candidate name={route.name} />}
        </>
      )}
      {route.tab === "map" && <MapView name={route.name} windows={windows} window={shown} onWindow={(start) => go({ window: start })} />}
      {route.tab === "settings" && <Settings model={model} windows={windows} />}
    </LinkingProvider>
  );
}

function Overview(props: { route: ModelRoute; past: Window[] | null; chosen: Window | null; shown: Window | null; go: (changes: Selection) => void } & Loaded) {
  const { route, model, alerts, chosen, shown, go } = props;
  const windows = props.past ?? props.windows;
  const tasks = model.manifest.tasks;
  const map = useMemo(() => heat(windows, tasks), [windows, tasks.map((t) => t.name).join("\n")]);
  const bands = useMemo(() => alerts.map(bandOf), [alerts]);
  const place = map.places.find((p) => placeKey(p) === route.part) ?? null;

  const select = (start: string, at: Place | null = null): void => {
    const kept = at === null || (route.signal !== null && belongs(route.signal, at));
    go({ window: start, part: at === null ? route.part : placeKey(at), signal: kept ? route.signal : null });
  };
  const selectPlace = (at: Place): void => {
    const again = place !== null && samePlace(place, at);
    go({ part: again ? null : placeKey(at), signal: null });
  };

  return (
    <>
      <Header
        model={model}
        windows={props.windows}
        alerts={alerts}
        chosen={chosen}
        place={place}
        onPlace={selectPlace}
        onNow={() => go({ window: null })}
        onWindow={select}
      />
      {windows.length > 0 && (
        <Timeline
          heat={map}
          alerts={alerts}
          shown={shown}
          place={place}
          range={route.range === null ? null : Number(route.range)}
          onSelect={select}
          onRange={(n) => go({ range: String(n) })}
        />
      )}
      {shown !== null && (
        <WindowDetail
          name={route.name}
          windows={windows}
          window={shown}
          place={place}
          signal={route.signal}
          bands={bands}
          onWindow={select}
          onSignal={(signal, at) => go({ signal, part: placeKey(at) })}
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

const Unknown = ({ name }: { name: string }) => (
  <>
    <h1>No model {name}</h1>
    <Empty>
      driftd does not know a model of this name. It may have been renamed or removed from the configuration. See{" "}
      <a href="#/">all models</a>.
    </Empty>
  </>
);
