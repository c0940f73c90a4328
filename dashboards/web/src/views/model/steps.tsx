import type { Window } from "../../api/types";

/** Goes from a window to those beside it. */
export function WindowSteps({ windows, window, onWindow }: { windows: Window[]; window: Window; onWindow: (start: string) => void }) {
  const index = windows.findIndex((w) => w.start === window.start);
  const step = (by: number): void => {
    const to = windows[index + by];
    if (to !== undefined) onWindow(to.start);
  };
  return (
    <div class="segments" role="group" aria-label="Step through windows">
      <button disabled={index <= 0} onClick={() => step(-1)}>
        ← Earlier
      </button>
      <button disabled={index < 0 || index >= windows.length - 1} onClick={() => step(1)}>
        Later →
      </button>
      <button disabled={index === windows.length - 1} onClick={() => onWindow(windows.at(-1)?.start ?? "")}>
        Latest
      </button>
    </div>
  );
}
