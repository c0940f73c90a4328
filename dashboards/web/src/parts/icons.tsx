/** Small drawings; a state is told apart by shape before colour. */

import type { State } from "../api/types";

export const Mark = () => (
  <svg class="mark" viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
    <path d="M2 17h5c4 0 3.5-9 8-9h1" class="mark-line" />
    <path d="M18.5 3.5 23 8l-4.5 4.5L14 8z" class="mark-point" />
  </svg>
);

export function StateIcon({ state, size = 14 }: { state: State; size?: number }) {
  return (
    <svg class={`icon state-${state}`} viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      {SHAPES[state]}
    </svg>
  );
}

const SHAPES = {
  ok: (
    <>
      <circle cx="8" cy="8" r="6.25" class="stroke" />
      <path d="m5.2 8.2 2 2 3.7-4.2" class="stroke" />
    </>
  ),
  warning: (
    <>
      <path d="M8 2.2 14.3 13.4H1.7z" class="stroke" />
      <path d="M8 6.4v3.2M8 11.3v.4" class="stroke" />
    </>
  ),
  drift: (
    <>
      <path d="M8 .8 15.2 8 8 15.2.8 8z" class="fill" />
      <path d="M8 4.6v4M8 10.7v.5" class="knock" />
    </>
  ),
  insufficient_data: <circle cx="8" cy="8" r="6.25" class="stroke dashed" />,
} as const;

export const ThemeIcon = ({ choice }: { choice: "system" | "light" | "dark" }) => (
  <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    {choice === "light" && (
      <>
        <circle cx="8" cy="8" r="3" class="stroke" />
        <path d="M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M13 3l-1.2 1.2M4.2 11.8 3 13" class="stroke" />
      </>
    )}
    {choice === "dark" && <path d="M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z" class="stroke" />}
    {choice === "system" && (
      <>
        <circle cx="8" cy="8" r="5.8" class="stroke" />
        <path d="M8 2.2a5.8 5.8 0 0 1 0 11.6z" class="fill" />
      </>
    )}
  </svg>
);
