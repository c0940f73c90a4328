import type { Guarantee, Lack, State } from "../api/types";
import { lackBrief, lackWords, shownName, shownState } from "../data/lacks";
import { StateIcon } from "./icons";

/** A state as shape and word; grey where it says nothing of some part. */
export function StateBadge({ state, lacks = [], large = false }: { state: State; lacks?: Lack[]; large?: boolean }) {
  const judged = { state, not_judged: lacks };
  const shown = shownState(judged);
  return (
    <span class={`badge state-${shown}${large ? " large" : ""}`}>
      <StateIcon state={shown} size={large ? 18 : 14} />
      {shownName(judged)}
    </span>
  );
}

/** What cannot be judged, one sentence each; in lists only what and since when. */
export const LackNotes = ({ lacks = [], brief = false }: { lacks?: Lack[]; brief?: boolean }) => (
  <>
    {lacks.map((lack) => (
      <p key={`${lack.scope} ${lack.task} ${lack.lacks}`} class="muted small-text" title={brief ? lack.said : undefined}>
        {brief ? lackBrief(lack, new Date()) : lackWords(lack, new Date())}
      </p>
    ))}
  </>
);

/** The guarantee's status; said aloud only when it is not valid. */
export const GuaranteeNote = ({ guarantee }: { guarantee: Guarantee }) => (
  <span class={`guarantee ${guarantee.status}`} title={guarantee.reason}>
    {guarantee.status === "valid" ? "valid" : guarantee.status}
  </span>
);
