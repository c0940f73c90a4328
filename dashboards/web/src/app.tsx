/** The frame of every view: the bar on top, and which view an address names. */

import { useEffect, useRef } from "preact/hooks";
import { Mark } from "./parts/icons";
import { ThemeButton } from "./parts/theme_button";
import { useRoute } from "./router";
import { Fleet } from "./views/fleet";
import { ModelView } from "./views/model/index";

export function App() {
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const place = route.view === "model" ? `model ${route.name}` : "fleet";
  const first = useRef(true);

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
        {route.view === "model" && (
          <nav class="crumbs" aria-label="Breadcrumb">
            <a href="#/">Models</a>
            <span aria-hidden="true">/</span>
            <span class="crumb" aria-current="page">
              {route.name}
            </span>
          </nav>
        )}
        <span class="spring" />
        <ThemeButton />
      </header>
      <main ref={main} tabIndex={-1}>
        {route.view === "fleet" ? <Fleet /> : <ModelView key={route.name} route={route} />}
      </main>
      <footer class="foot">Times are in your time zone ({zone()}).</footer>
    </>
  );
}

const zone = (): string =>
  new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts().find((p) => p.type === "timeZoneName")?.value ?? "as set";
