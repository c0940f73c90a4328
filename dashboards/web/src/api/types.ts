/** What the API answers. Times are RFC 3339 in UTC. */

export type State = "ok" | "warning" | "drift" | "insufficient_data";
export type ScopeName = "input" | "encoder" | "head" | "link" | "segment";

/**
 * A part of the model: the input, the encoder, a task's head (or its link to the encoder), or a segment
 * of the traffic. A statistic within a segment has the scope of its signal and the segment's name.
 */
export interface Place {
  scope: ScopeName;
  task: string | null;
  /** `channel=mail`; absent or null for all records. */
  segment?: string | null;
}

export interface Guarantee {
  status: "valid" | "provisional" | "broken";
  reason: string;
}

export interface ModelRow {
  name: string;
  version: string;
  state: State;
  worst: Place | null;
  evidence: number | null;
  threshold: number;
  last_window_end: string | null;
  records: number;
  guarantee: Guarantee;
}

export interface TaskSpec {
  name: string;
  kind: "binary" | "multiclass" | "multilabel" | "token_labels" | "regression";
  classes: number;
}

export interface Model {
  name: string;
  version: string;
  manifest: { encoder: { dimension: number }; tasks: TaskSpec[] };
  reference: { id: string; created_at: string; records: number; windows: number; guarantee: Guarantee } | null;
  inference: Inference | null;
  /** Allowed false alarms, such as `1/30d`. */
  budget: string;
  threshold: number;
  state: State;
  worst: Place | null;
}

export interface Inference {
  provider: string;
  device: string;
}

export interface ScopeEvidence extends Place {
  evidence: number | null;
}

export interface Window {
  index: number;
  start: string;
  end: string;
  records: number;
  evidence: number | null;
  threshold: number;
  verdict: State;
  revision: number;
  guarantee: Guarantee;
  scopes: ScopeEvidence[];
}

/** Effect sizes by the measure's name; which ones depends on the signal. */
export type Effect = Record<string, number>;

export interface Mover {
  cell: string;
  reference_share: number;
  current_share: number;
  reference_count: number;
  current_count: number;
  /** 95 % confidence interval of the current share. */
  current_interval?: [number, number];
}

/** One signal in one window. What needs a test is null while there are too few records for one. */
export interface Statistic extends Place {
  signal: string;
  statistic: number | null;
  degrees_of_freedom: number | null;
  p_value: number | null;
  ln_p_value: number | null;
  e_value: number | null;
  evidence: number | null;
  n: number;
  effect: Effect | null;
  movers: Mover[];
  sufficient: boolean;
  /** Whether the false-alarm budget is promised for this signal. */
  guarantee?: Guarantee["status"];
}

export interface DatedStatistic extends Statistic {
  window_start: string;
  window_end: string;
}

export type AlertState = "inactive" | "pending" | "firing" | "resolved";

export interface Cause {
  kind: "input" | "encoder" | "head" | "link" | "segment" | "undetermined";
  task: string | null;
  segment?: string | null;
  tasks_affected: string[];
  summary: string;
}

export interface Transition {
  at: string;
  from: AlertState;
  to: AlertState;
  reason: string;
}

export interface Alert {
  id: string;
  model: string;
  state: AlertState;
  cause: Cause;
  opened_at: string;
  opened_window: number | string;
  resolved_at: string | null;
  evidence: number | null;
  threshold: number;
  guarantee: Guarantee;
  transitions: Transition[];
}

export interface Delivery {
  id: string;
  endpoint: string;
  event: string;
  state: "pending" | "delivered" | "failed" | "disabled";
  attempts: number;
  created_at: string;
  delivered_at: string | null;
  last_error: string | null;
}

export interface RetrainingRequest {
  id: string;
  model: string;
  state: "proposed" | "requested";
  tasks: string[];
  protected_tasks: string[];
  reason: string;
  created_at: string;
}

export interface Status {
  version: string;
  roles: string[];
  store: { kind: string; ok: boolean };
  inference: Inference | null;
  partitions: { topic: string; partition: number; next_offset: number; watermark: string | null }[];
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
}
