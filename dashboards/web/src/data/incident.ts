/** What an alert's page tells: what it means, what it explains, who was told, what people did. */

import type { Alert, Cause, Delivery, Place, RequestDetail, Silence, Statistic, Witness } from "../api/types";
import { enumerate } from "./format";
import { levelOf, logRatio } from "./scale";
import { byEvidence, grownAt, firedAt, samePlace, signalKey } from "./shape";

/** Statistics of the window in which the alert fired or last grew, by what the cause says of them; each list by strength. */
export interface Explained<S> {
  /** Of the part that is the cause. */
  cause: S[];
  /** Of parts that the cause reaches, and that moved. */
  follows: S[];
  /** Moved, and the cause does not say why. */
  open: S[];
  /** How many did not move. */
  quiet: number;
}

/** As the alert's own witnesses say; where it names none, as its cause implies. */
export function explain<S extends Statistic>(alert: Alert, statistics: S[], threshold: number): Explained<S> {
  const found: Explained<S> = { cause: [], follows: [], open: [], quiet: 0 };
  const witnesses = new Map(alert.witnesses?.map((w) => [signalKey(w), w.explained]));
  const evidence = new Map(alert.witnesses?.map((w) => [signalKey(w), evidenceOf(w)]));
  // A witness has the evidence that it had when it became one.
  const asWitnessed = statistics.map((s) => ({ ...s, evidence: evidence.get(signalKey(s)) ?? s.evidence }));
  for (const s of byEvidence(asWitnessed) as S[]) {
    const ratio = s.sufficient ? logRatio(s.evidence, threshold) : null;
    const moved = ratio !== null && levelOf(ratio) !== "calm";
    const explained = witnesses.get(signalKey(s));
    if (explained !== undefined) (explained ? found.follows : found.cause).push(s);
    else if (!moved) found.quiet += 1;
    else if (witnesses.size === 0 && isCause(alert.cause, s)) found.cause.push(s);
    else if (witnesses.size === 0 && reaches(alert.cause, s)) found.follows.push(s);
    else found.open.push(s);
  }
  return found;
}

const evidenceOf = (witness: Witness): number | null =>
  witness.ln_evidence == null ? null : Math.min(Math.exp(witness.ln_evidence), Number.MAX_VALUE);

/** What labels say, where an alert was found from them: they are no statistic of a window. */
export function byLabels(alert: Alert): { task: string; evidence: number | null } | null {
  const witness = alert.witnesses?.find((w) => w.signal === "labels");
  return witness?.task == null ? null : { task: witness.task, evidence: evidenceOf(witness) };
}

/** The part that a cause names; null where it names none. */
export function placeOfCause(cause: Cause): Place | null {
  // Another version is named by records; no part of the model moved for it.
  if (cause.kind === "undetermined" || cause.part === "version") return null;
  const scope = cause.kind === "prior_shift" || cause.kind === "concept" ? "head" : cause.kind;
  return { scope, task: cause.task, segment: cause.segment ?? null };
}

function isCause(cause: Cause, place: Place): boolean {
  const at = placeOfCause(cause);
  if (at === null) return false;
  // A skew of no single head is the encoder's, and shows in the answers of several.
  if (cause.kind === "skew" && cause.task === null) return place.scope === "skew";
  return samePlace(at, place);
}

/** Whether a cause explains that another part moved. A segment's statistics follow as those of all records do. */
function reaches(cause: Cause, place: Place): boolean {
  if (cause.kind === "undetermined" || cause.kind === "segment" || cause.kind === "link") return false;
  if (place.segment && isCause(cause, { ...place, segment: null })) return true;
  const affected = place.task !== null && (cause.tasks_affected.includes(place.task) || place.task === cause.task);
  const before = cause.kind === "input" ? ["encoder"] : cause.kind === "prior_shift" ? ["input", "encoder"] : [];
  return before.includes(place.scope) || (affected && ["head", "link"].includes(place.scope));
}

/** What a cause means for people, and what helps. */
export function meaning(cause: Cause): { means: string; helps: string } {
  const task = cause.task ?? "the head";
  switch (cause.kind) {
    case "input":
      return { means: "The texts that arrive are not those the model was trained on.", helps: "Look at which tokens and lengths moved. If this traffic stays, the model needs data of it." };
    case "encoder":
      return { means: "The texts look the same from outside, and the encoder sees other meanings in them.", helps: "Look at the encoder's map for where records moved. If the topic stays, the encoder needs data of it." };
    case "head":
      return { means: `What is asked does not account for it: ${task} answers the same kind of text otherwise.`, helps: `Check what changed for ${task}: a new model version, thresholds, or its region of the texts. Retraining this head alone may do.` };
    case "prior_shift":
      return { means: `The classes of ${task} come in another mix. Within each class nothing moved, so the model is as good as before.`, helps: "Adjust the class priors. Retraining is not needed for this." };
    case "concept":
      return { means: `What arrives and what ${task} answers look as before, and its labels say that it is wrong more often.`, helps: `What is right has changed for ${task}. It needs training on newly labelled data.` };
    case "link":
      return { means: `${capital(enumerate(cause.tasks_affected))} no longer agree as they did; each by itself looks as before.`, helps: "Look at which pairs of answers moved: one of the heads may be wrong where the other is not." };
    case "skew":
      if (cause.part === "version") {
        return {
          means: "Most records name another version of the model than the one that is watched; they are counted and not judged.",
          helps: "If the roll-out is meant, give driftd the new version's manifest, model and reference. If it is not, roll production back.",
        };
      }
      return { means: "Production answers otherwise than the exported model does on the same records.", helps: "Compare tokenizer, model file and code of production with what was exported. This is a defect of serving, and retraining does not help." };
    case "segment":
      return { means: `Only ${cause.segment ?? "one segment"} changed; the rest of the traffic did not.`, helps: "Ask who sends this segment what they changed." };
    default:
      return { means: "Several parts moved a little, and none stands out so far.", helps: "Wait for more windows: with more evidence a part is named." };
  }
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Deliveries that tell of an alert; by time where the server does not say of which. */
export function deliveriesOf(alert: Alert, deliveries: Delivery[], now: number): { rows: Delivery[]; exact: boolean } {
  const exact = deliveries.some((d) => d.alert != null);
  const from = Date.parse(firedAt(alert) ?? alert.opened_at);
  const to = alert.resolved_at === null ? now : Date.parse(alert.resolved_at);
  const during = (d: Delivery): boolean => Date.parse(d.created_at) >= from && Date.parse(d.created_at) <= to;
  return { rows: deliveries.filter((d) => (exact ? d.alert === alert.id : during(d))), exact };
}

/** Whether a silence is about an alert. */
export function isAbout(silence: Silence, alert: Alert): boolean {
  const { cause } = alert;
  return (
    (silence.model === null || silence.model === alert.model) &&
    (silence.task === null || silence.task === cause.task || cause.tasks_affected.includes(silence.task)) &&
    (silence.cause === null || silence.cause === cause.kind) &&
    (silence.segment === null || silence.segment === (cause.segment ?? null))
  );
}

export type Standing = "active" | "upcoming" | "over";

export function standing(silence: Silence, now: number): Standing {
  if (Date.parse(silence.ends_at) <= now) return "over";
  return Date.parse(silence.starts_at) > now ? "upcoming" : "active";
}

/** What a silence holds back, in words. */
export function silenced(silence: Silence): string {
  const about = [
    silence.cause === null ? null : `${silence.cause.replaceAll("_", " ")} drift`,
    silence.task === null ? null : `task ${silence.task}`,
    silence.segment === null ? null : `segment ${silence.segment}`,
    silence.severity === null ? null : `severity ${silence.severity}`,
  ].filter((word) => word !== null);
  const what = about.length === 0 ? "everything" : about.join(", ");
  return silence.model === null ? `${what} of all models` : `${what} of ${silence.model}`;
}

export interface Happening {
  at: string;
  /** Picks the mark in front of it. */
  kind: "pending" | "firing" | "resolved" | "person" | "message" | "failure";
  what: string;
  detail: string;
}

/** Everything that happened to an alert, oldest first. */
export function timeline(alert: Alert, requests: RequestDetail[], deliveries: Delivery[], silences: Silence[]): Happening[] {
  const found: Happening[] = alert.transitions.map((t) => ({
    at: t.at,
    kind: t.to === "firing" ? "firing" : t.to === "resolved" || t.to === "inactive" ? "resolved" : "pending",
    what: t.from === t.to ? t.to : `${t.from} → ${t.to}`,
    detail: t.reason,
  }));
  const said = (comment: string | null | undefined): string => (comment ? `“${comment}”` : "");
  if (alert.acknowledgement) {
    const { at, by, comment } = alert.acknowledgement;
    found.push({ at, kind: "person", what: `acknowledged by ${by}`, detail: said(comment) });
  }
  for (const request of requests) {
    for (const change of request.history) {
      const by = change.by === null ? "" : ` by ${change.by}`;
      found.push({ at: change.at, kind: change.by === null || change.by === "driftd" ? "message" : "person", what: `retraining ${change.to}${by}`, detail: said(change.comment) });
    }
  }
  for (const d of deliveries) {
    if (d.state === "delivered" && d.delivered_at !== null) found.push({ at: d.delivered_at, kind: "message", what: `${d.endpoint} was told`, detail: d.event });
    if (d.state === "failed") found.push({ at: d.created_at, kind: "failure", what: `${d.endpoint} could not be told`, detail: d.last_error ?? "" });
  }
  for (const s of silences) found.push({ at: s.starts_at, kind: "person", what: `silenced by ${s.created_by}`, detail: said(s.comment) });
  return found.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** Start of the window in which the alert fired or last grew, or else of the one in which it opened. */
export function windowStart(alert: Alert, windowSecs: number | null): string | null {
  const grown = grownAt(alert);
  if (grown !== null && windowSecs !== null) return new Date(Date.parse(grown) - windowSecs * 1000).toISOString();
  return typeof alert.opened_window === "string" ? alert.opened_window : null;
}
