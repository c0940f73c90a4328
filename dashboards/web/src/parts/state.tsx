import type { Guarantee, State } from "../api/types";
import { stateName } from "../data/verdict";
import { StateIcon } from "./icons";

/** A state as shape and word. */
export const StateBadge = ({ state, large = false }: { state: State; large?: boolean }) => (
  <span class={`badge state-${state}${large ? " large" : ""}`}>
    <StateIcon state={state} size={large ? 18 : 14} />
    {stateName(state)}
  </span>
);

/** The guarantee's status; said aloud only when it is not valid. */
export const GuaranteeNote = ({ guarantee }: { guarantee: Guarantee }) => (
  <span class={`guarantee ${guarantee.status}`} title={guarantee.reason}>
    {guarantee.status === "valid" ? "valid" : guarantee.status}
  </span>
);
