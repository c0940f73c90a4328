/** What the model's state means, in plain words built from data. */

import type { Alert, Model, ModelRow, Place, Window } from "../api/types";
import { clock, count, duration, enumerate, moment, ofThreshold, percent, plural, quantity } from "./format";
import { alertOrder, firedAt, placeName, strongest } from "./shape";

const NAMES = { ok: "OK", warning: "Warning", drift: "Drift", insufficient_data: "Not enough data" } as const;

/** The word for a state. */
export const stateName = (state: ModelRow["state"]): string => NAMES[state];

/** One sentence on a model; `windows` oldest first. */
export function verdict(model: Model, windows: Window[], alerts: Alert[], now: Date): string {
  const latest = windows.at(-1);
  const current = alertOrder(alerts)[0];
  if (current?.state === "firing") {
    return `${happened(current)}: first seen ${at(current.opened_at, now)}, still firing.${anew(current, latest)}`;
  }
  if (model.reference === null) return "There is no reference yet, so there is nothing to compare with and nothing is judged.";
  if (latest === undefined) return firstWindow(model, now);
  if (model.state === "insufficient_data") {
    return `The window that ended ${at(latest.end, now)} had too few records for any test; they are carried to the next.`;
  }
  if (current?.state === "pending" || model.state === "warning") return rising(model, latest);
  if (model.state === "drift") {
    return `Evidence reached the threshold in the window that ended ${at(latest.end, now)}${most(model.worst)}.`;
  }
  const since = lastResolved(alerts);
  const judged = (model.not_judged ?? []).length === 0 ? "No drift" : "No drift in what can be judged";
  const calm = `${judged}: evidence is ${quantity(latest.evidence)}, ${ofThreshold(latest.evidence, latest.threshold)} of the threshold.`;
  if (since === null || Date.parse(since.end) < Date.parse(windows[0]?.start ?? "")) return calm;
  return `${calm} ${happened(since.alert)} earlier, from ${at(since.alert.opened_at, now)} to ${at(since.end, now)}.`;
}

/** What happened, as the beginning of a sentence. */
export function happened(alert: Alert): string {
  const { kind, task, tasks_affected: affected } = alert.cause;
  const others = affected.filter((name) => name !== task);
  const reaching = others.length === 0 ? "" : ` and reached ${enumerate(others)}`;
  switch (kind) {
    case "input":
      return `The input drifted${reaching}`;
    case "encoder":
      return `The encoder drifted${reaching}`;
    case "head":
      return `Head ${task ?? "unknown"} drifted${others.length === 0 ? "" : `, ${enumerate(others)} moved too`}`;
    case "prior_shift":
      return `The classes of ${task ?? "a head"} come in another mix${others.length === 0 ? "" : `, ${enumerate(others)} moved too`}`;
    case "concept":
      return `${task ?? "A head"} is wrong more often: its labels say so`;
    case "link":
      return `The answers of ${enumerate(affected)} go together otherwise`;
    case "skew":
      if (alert.cause.part === "version") return `Production serves ${otherVersion(alert)}${reaching}`;
      return `Production answers otherwise than the exported model${task === null ? "" : ` in ${task}`}${reaching}`;
    case "segment":
      return `Segment ${alert.cause.segment ?? "unknown"} drifted${reaching}`;
    default:
      return "Several signals moved and none stands out";
  }
}

/** `version 13`, the one that most records named. */
function otherVersion(alert: Alert): string {
  const most = alert.cause.versions?.[0];
  return most === undefined ? "another version" : `version ${most.version}`;
}

/** A cause in two words, for lists. */
export const causeName = (alert: Alert): string =>
  alert.cause.kind === "undetermined"
    ? "undetermined"
    : alert.cause.part === "version" ? "another version"
    : alert.cause.kind === "prior_shift" ? `class mix of ${alert.cause.task ?? "a head"}`
    : alert.cause.kind === "concept" ? `errors of ${alert.cause.task ?? "a head"}`
    : placeName({ scope: alert.cause.kind, task: alert.cause.task, segment: alert.cause.segment ?? null });

/** The headline of the fleet. */
export function fleetVerdict(models: ModelRow[]): string {
  const drifting = models.filter((m) => m.state === "drift").length;
  const warning = models.filter((m) => m.state === "warning").length;
  const unsure = models.filter((m) => m.state === "insufficient_data").length;
  const total = models.length;
  if (drifting === 0 && warning === 0 && unsure === total) return "No model can be judged yet.";
  if (drifting === 0 && warning === 0) {
    const inPart = models.some((m) => (m.not_judged ?? []).length > 0);
    const far = (who: string): string => (inPart ? `, as far as ${who} can be judged.` : ".");
    return total === 1 ? `The model does not drift${far("it")}` : `No model drifts${far("they")}`;
  }
  if (drifting === 0) return `No model drifts; in ${warning === 1 ? "one" : warning} evidence is rising.`;
  if (total === 1) return "The model drifts.";
  return `${drifting === total ? "All" : drifting} of ${total} models ${drifting === 1 ? "drifts" : "drift"}.`;
}

/** `1/30d` as words: `one false alarm in 30 days`. */
export function budgetWords(budget: string): string {
  const found = parseBudget(budget);
  if (found === null) return `${budget} false alarms`;
  const { alarms, amount, unit } = found;
  const name = { s: "second", m: "minute", h: "hour", d: "day", w: "week" }[unit];
  return `${alarms === 1 ? "one false alarm" : `${alarms} false alarms`} in ${plural(amount, name)}`;
}

/**
 * Length of a window in seconds. The API does not say it before the first window has closed, but
 * the threshold is the number of windows in which one false alarm is allowed, so it follows.
 */
export function windowSeconds(model: Model, windows: Window[]): number | null {
  const latest = windows.at(-1);
  if (latest !== undefined) return (Date.parse(latest.end) - Date.parse(latest.start)) / 1000;
  const found = parseBudget(model.budget);
  if (found === null || !(model.threshold > 0)) return null;
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 }[found.unit];
  const seconds = (found.amount * unit) / found.alarms / model.threshold;
  return seconds >= 1 && Math.abs(seconds - Math.round(seconds)) < 1e-6 ? Math.round(seconds) : null;
}

/** Windows that may be missing before it is said: one is being filled, and one waits for its stragglers. */
const MISSING = 4;
/** With windows of seconds, a pause of less than this is none. */
const LEAST_PAUSE_SECS = 300;

/** Seconds since a window last ended, where that is longer than windows take to come; null where they come. */
export function silentFor(lastEnd: string | null | undefined, windowSecs: number | null | undefined, now: Date): number | null {
  if (lastEnd == null || windowSecs == null) return null;
  const since = (now.getTime() - Date.parse(lastEnd)) / 1000;
  return since > Math.max(MISSING * windowSecs, LEAST_PAUSE_SECS) ? since : null;
}

/** Which other versions the records of a window name; null where they name none. */
export function otherVersionsNote(window: Window | null): string | null {
  const others = window?.other_versions;
  if (window === null || others === undefined || others.records === 0) return null;
  const named = others.versions.slice(0, 3).map((v) => `${v.version} (${count(v.records)})`);
  return `${percent(others.records / (others.records + window.records))} of the records name another version and are not judged: ${enumerate(named)}.`;
}

function firstWindow(model: Model, now: Date): string {
  const seconds = windowSeconds(model, []);
  if (seconds === null) return "No window has closed yet: the first closes once records reach past its end.";
  const close = new Date(Math.ceil(now.getTime() / 1000 / seconds) * seconds * 1000);
  return `No window has closed yet: windows are ${duration(seconds)} long, and the first can close at ${clock(close)}.`;
}

/** After an alarm the detectors restart, so that low evidence under a firing alert is no contradiction. */
function anew(alert: Alert, latest: Window | undefined): string {
  const fired = firedAt(alert);
  if (fired === null || alert.cause.part === "version" || latest === undefined || (latest.evidence ?? 0) >= latest.threshold) return "";
  const quiet = Date.parse(latest.end) > Date.parse(fired);
  return quiet ? " Since the alarm, evidence is counted anew." : "";
}

function rising(model: Model, latest: Window): string {
  const place = model.worst ?? strongest(latest.scopes);
  const share = ofThreshold(latest.evidence, latest.threshold);
  return `Evidence is rising${most(place)}: ${quantity(latest.evidence)} is ${share} of the threshold, no alarm yet.`;
}

const most = (place: Place | null): string => (place === null ? "" : `, most at ${placeName(place)}`);

const at = (time: string, now: Date): string => moment(new Date(time), now);

function lastResolved(alerts: Alert[]): { alert: Alert; end: string } | null {
  const over = alerts.flatMap((alert) =>
    alert.state === "resolved" && alert.resolved_at !== null ? [{ alert, end: alert.resolved_at }] : [],
  );
  return over.reduce<{ alert: Alert; end: string } | null>(
    (last, one) => (last === null || Date.parse(one.end) > Date.parse(last.end) ? one : last),
    null,
  );
}

function parseBudget(budget: string): { alarms: number; amount: number; unit: "s" | "m" | "h" | "d" | "w" } | null {
  const found = /^(\d+)\s*\/\s*(\d*)\s*([smhdw])$/.exec(budget.trim());
  if (found === null) return null;
  const amount = found[2] === "" ? 1 : Number(found[2]);
  return { alarms: Number(found[1]), amount, unit: found[3] as "s" | "m" | "h" | "d" | "w" };
}
