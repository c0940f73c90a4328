/** Dark or light: as the system says, unless the reader chose. */

import { useEffect, useState } from "preact/hooks";
import type { Theme } from "./data/scale";

export type Choice = "system" | Theme;

const STORED = "driftd.theme";
const CHANGED = "themechange";
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

export function chosen(): Choice {
  try {
    const stored = localStorage.getItem(STORED);
    return stored === "light" || stored === "dark" ? stored : "system";
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
    return (document.documentElement.dataset["theme"] as Theme | undefined) ?? "system";
  }
}

export function choose(choice: Choice): void {
  try {
    if (choice === "system") localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, choice);
  } catch {
    // See above.
  }
  apply(choice);
  dispatchEvent(new Event(CHANGED));
}

export function apply(choice: Choice): void {
  if (choice === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = choice;
}

/** The theme in effect, for what is drawn and not styled. */
export function useTheme(): Theme {
  const [theme, setTheme] = useState(inEffect);
  useEffect(() => {
    const update = (): void => setTheme(inEffect());
    addEventListener(CHANGED, update);
    prefersDark.addEventListener("change", update);
    return () => {
      removeEventListener(CHANGED, update);
      prefersDark.removeEventListener("change", update);
    };
  }, []);
  return theme;
}

function inEffect(): Theme {
  const choice = chosen();
  if (choice !== "system") return choice;
  return prefersDark.matches ? "dark" : "light";
}

const resolved = new Map<string, string>();

/** A custom property as a colour that a canvas takes: it may be given by light-dark(). */
export function resolveColour(property: string): string {
  const key = `${inEffect()} ${property}`;
  const known = resolved.get(key);
  if (known !== undefined) return known;
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  resolved.set(key, colour);
  return colour;
}
