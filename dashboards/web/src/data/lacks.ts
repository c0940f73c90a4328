/** What cannot be judged: nothing is known of it, which is not calm and must not look so. */

import type { Lack, Place, State, Window } from "../api/types";
import { moment } from "./format";
import { placeName, samePlace } from "./shape";
import { stateName } from "./verdict";

export interface Judged {
  state: State;
  not_judged?: Lack[];
}

/** What a window says, in the same shape as a model's state. */
export const judgedIn = (window: Pick<Window, "verdict" | "not_judged">): Judged => ({ state: window.verdict, not_judged: window.not_judged ?? [] });

const isCalmInPart = ({ state, not_judged = [] }: Judged): boolean => state === "ok" && not_judged.length > 0;

/** The state that is drawn: what is calm in part is grey. */
export const shownState = (judged: Judged): State => (isCalmInPart(judged) ? "insufficient_data" : judged.state);

/** The word beside it. */
export const shownName = (judged: Judged): string => (isCalmInPart(judged) ? "Not all judged" : stateName(judged.state));

/** Whether nothing of a part is judged. */
export const isSilent = (lacks: Lack[] | undefined, place: Place): boolean =>
  (place.segment ?? null) === null && (lacks ?? []).some((lack) => lack.silent && samePlace(lack, place));

/** `encoder not judged since 14:05`. */
export const lackBrief = (lack: Lack, now: Date): string =>
  `${placeName(lack)} ${lack.silent ? "not judged" : "judged in part"} since ${moment(new Date(lack.since), now)}`;

/** `Encoder not judged since 14:05: no record has an embedding.` */
export function lackWords(lack: Lack, now: Date): string {
  const brief = lackBrief(lack, now);
  return `${brief.charAt(0).toUpperCase()}${brief.slice(1)}: ${lack.said}.`;
}
