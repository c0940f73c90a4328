/** The frame of every view: the bar on top, which view an address names, and who is asked for a key first. */

import { useEffect, useRef } from "preact/hooks";
import { listen, useLive } from "./api/live";
import { begin, logOut, useAccess } from "./api/session";
import { useAction } from "./parts/action";
import { Mark } from "./parts/icons";
import { ThemeButton } from "./parts/theme_button";
import { type Route, useRoute } from "./router";
import { AlertView } from "./views/alert/index";
import { AlertList } from "./views/alerts";
import { Fleet } from "./views/fleet";
import { Login } from "./views/login";
import { ModelView } from "./views/model/index";
import { Pipeline } from "./views/pipeline";
import { Silences } from "./views/silences";

const PAGES: { title: string; href: string; views: Route["view"][] }[] = [
  { title: "Models", href: "#/", views: ["fleet", "model"] },
  { title: "Alerts", href: "#/alerts", views: ["alerts", "alert"] },
  { title: "Silences", href: "#/silences", views: ["silences"] },
  { title: "Pipeline", href: "#/pipeline", views: ["pipeline"] },
];

export function App() {
  const route = useRoute();
  const access = useAccess();
  const main = useRef<HTMLElement>(null);
  const place = placeOf(route);
  const first = useRef(true);
  useEffect(() => void begin(), []);
  useEffect(() => (access.state === "in" ? listen() : undefined), [access.state]);

  // A change of view starts at its top, for eyes and for screen readers.
  useEffect(() => {
    if (!first.current) {
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [place]);

  return (
    <>
      <button class="skip" onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <header class="bar">
        <a class="brand" href="#/" aria-label="driftd, all models">
          <Mark />
          <span>driftd</span>
        </a>
        {access.state === "in" && (
          <nav class="pages" aria-label="Pages">
            {PAGES.map((page) => (
              <a key={page.href} href={page.href} aria-current={page.views.includes(route.view) ? "page" : undefined}>
                {page.title}
              </a>
            ))}
          </nav>
        )}
        <span class="spring" />
        {access.state === "in" && <Caller name={access.session.name} />}
        <ThemeButton />
      </header>
      <main ref={main} tabIndex={-1}>
        {access.state === "unknown" && <p class="loading">Asking driftd …</p>}
        {access.state === "out" && <Login />}
        {access.state === "in" && <View route={route} />}
      </main>
      <footer class="foot">
        <span>Times are in your time zone ({zone()}).</span>
        {access.state === "in" && <Freshness />}
      </footer>
    </>
  );
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case "fleet":
      return <Fleet />;
    case "model":
      return <ModelView key={route.name} route={route} />;
    case "alerts":
      return <AlertList which={route} />;
    case "alert":
      return <AlertView key={route.id} id={route.id} />;
    case "silences":
      return <Silences />;
    case "pipeline":
      return <Pipeline />;
  }
}

/** Selections within a view are no change of view. */
function placeOf(route: Route): string {
  if (route.view === "model") return `model ${route.name} ${route.tab}`;
  return route.view === "alert" ? `alert ${route.id}` : route.view;
}

/** Who is logged in, and the way out. Nobody is where nobody was asked for a key. */
function Caller({ name }: { name: string }) {
  const { busy, run } = useAction();
  if (name === "" || name === "local" || name === "anonymous") return null;
  return (
    <span class="caller">
      <span class="caller-name">{name}</span>
      <button class="quiet" disabled={busy} onClick={() => void run(logOut)}>
        Log out
      </button>
    </span>
  );
}

function Freshness() {
  const live = useLive();
  return <span>{live ? "Live: changes appear by themselves." : "Looking every 5 seconds."}</span>;
}

const zone = (): string =>
  new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts().find((p) => p.type === "timeZoneName")?.value ?? "as set";
