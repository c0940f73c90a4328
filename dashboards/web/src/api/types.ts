/** What the API answers. Times are RFC 3339 in UTC. */

export type State = "ok" | "warning" | "drift" | "insufficient_data";
export type ScopeName = "input" | "encoder" | "head" | "labels" | "link" | "skew" | "segment";

/**
 * A part of the model: the input, the encoder, a task's head, what its labels prove, its links to other heads, its skew (what
 * production answers against what the exported model answers), or a segment of the traffic. A statistic
 * within a segment has the scope of its signal and the segment's name.
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

/** Something that production lacks, and that a part is judged by. */
export interface Lack {
  scope: ScopeName;
  task: string | null;
  lacks: string;
  /** Whether nothing of the part is judged meanwhile. */
  silent: boolean;
  since: string;
  /** A sentence that begins small. */
  said: string;
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
  /** What cannot be judged now; older servers do not say it. */
  not_judged?: Lack[];
  /** Length of a window; older servers do not say it. */
  window_secs?: number;
}

export interface TaskSpec {
  name: string;
  kind: "binary" | "multiclass" | "multilabel" | "token_labels" | "regression";
  classes: number;
}

export interface Model {
  name: string;
  version: string;
  manifest: { encoder: { dimension: number | null }; tasks: TaskSpec[] };
  reference: Reference | null;
  inference: Inference | null;
  /** Allowed false alarms, such as `1/30d`. */
  budget: string;
  threshold: number;
  /** Length of a window; servers before 0.2 do not say it. */
  window_secs?: number;
  /** Whether redacted texts are kept of its alerts; servers that keep none do not say it. */
  examples?: boolean;
  /** Whether a candidate stands beside it in shadow. */
  shadow?: boolean;
  state: State;
  worst: Place | null;
  not_judged?: Lack[];
}

export interface Reference {
  id: string;
  kind?: "fixed" | "trailing" | "previous_period" | "other_version";
  created_at: string;
  records: number;
  windows: number;
  guarantee: Guarantee;
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
  late_records?: number;
  /** Whether records of it may have been lost. */
  incomplete?: boolean;
  guarantee: Guarantee;
  scopes: ScopeEvidence[];
  /** `embedding`, or tasks, whose numbers differ from the exported model's while its answers are the same. */
  harmless_skew?: string[];
  /** Records that name another version than the manifest: beside `records`, and not judged. */
  other_versions?: { records: number; versions: VersionSeen[] };
  /** What could not be judged. */
  not_judged?: Lack[];
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

/** One cell of a signal in one window, with the 95 % confidence interval of its current share. */
export interface Cell {
  cell: string;
  reference_share: number;
  current_share: number;
  low: number | null;
  high: number | null;
  reference_count: number;
  current_count: number;
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
  kind: "input" | "encoder" | "head" | "prior_shift" | "concept" | "link" | "skew" | "segment" | "undetermined";
  task: string | null;
  segment?: string | null;
  /** Of a skew, which part of production differs. */
  part?: "version" | "encoder" | "head" | null;
  /** Where it is the version: those that records named, the most seen first. */
  versions?: VersionSeen[];
  tasks_affected: string[];
  summary: string;
}

/** A version that records name. */
export interface VersionSeen {
  version: string;
  records: number;
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
  /** `info`, `warning` or `critical`; older servers do not say it. */
  severity?: string;
  cause: Cause;
  opened_at: string;
  opened_window: number | string;
  resolved_at: string | null;
  evidence: number | null;
  threshold: number;
  guarantee: Guarantee;
  transitions: Transition[];
  /** The signals that it rests on and those that its cause explains, the strongest first. */
  witnesses?: Witness[] | null;
  acknowledgement?: Acknowledgement | null;
}

export interface Witness extends Place {
  signal: string;
  /** ln of its evidence when the alert fired, or last grew. */
  ln_evidence?: number | null;
  explained: boolean;
}

/** Redacted texts of an alert, the most telling first. */
export interface Examples {
  alert_id: string;
  model: string;
  enabled: boolean;
  data: Example[];
}

export interface Example {
  text: string;
  pair: string | null;
  window_start: string;
  kept_until: string;
  reasons: Reason[];
}

/** A cell that holds more than it should, and in which the example's record lies. */
export interface Reason extends Place {
  signal: string;
  cell: string;
  reference_share: number;
  current_share: number;
}

export interface Acknowledgement {
  at: string;
  by: string;
  comment: string | null;
}

export interface Silence {
  silence_id: string;
  model: string | null;
  task: string | null;
  cause: string | null;
  segment: string | null;
  severity: string | null;
  comment: string;
  created_by: string;
  starts_at: string;
  ends_at: string;
}

/** What a person says of a silence; the server adds who and, unless it is said, from when. */
export type NewSilence = Partial<Pick<Silence, "model" | "task" | "cause" | "segment" | "severity">> &
  Pick<Silence, "comment" | "starts_at" | "ends_at">;

export interface Delivery {
  id: string;
  endpoint: string;
  event: string;
  model?: string;
  /** The alert that it tells of; not every server says it. */
  alert?: string | null;
  state: "pending" | "delivered" | "merged" | "silenced" | "failed" | "disabled";
  attempts: number;
  created_at: string;
  delivered_at: string | null;
  last_error: string | null;
}

export interface Attempt {
  attempt: number;
  at: string;
  /** HTTP status; null where none came. */
  status: number | null;
  took_secs: number;
  outcome: string;
  /** What was wrong in words; older servers do not say it. */
  detail?: string | null;
}

export interface DeliveryDetail extends Delivery {
  history: Attempt[];
}

/** How a run may have ended, as people say. */
export type RunEnd = "succeeded" | "failed" | "cancelled";

export type RequestState =
  | "proposed" | "rejected" | "requested" | "accepted" | "running"
  | "succeeded" | "failed" | "cancelled" | "expired";

export interface RetrainingRequest {
  id: string;
  model: string;
  state: RequestState;
  /** The alert that led to it. */
  alert?: string;
  tasks: string[];
  protected_tasks: string[];
  reason: string;
  created_at: string;
  expires_at?: string | null;
  run_url?: string | null;
  /** What starts its run; null where a person does. */
  hook?: string | null;
}

export interface RequestChange {
  at: string;
  from: RequestState | null;
  to: RequestState;
  by: string | null;
  comment: string | null;
}

/** What the gate said of a candidate. */
export interface GateVerdict {
  at: string;
  verdict: "pass" | "undecided" | "fail";
  labels_needed: number | null;
  pairs: number;
}

export interface RequestDetail extends RetrainingRequest {
  history: RequestChange[];
  /** Oldest first; the last counts. */
  gates?: GateVerdict[];
}

/** How well one task does, as estimated without labels and as labels show. */
export interface TaskPerformance {
  task: string;
  metric: string;
  /** Oldest first. */
  points: PerformancePoint[];
  harm: { evidence_ratio: number | null; verdict: string } | null;
  /** Share of records that get a label. */
  label_coverage: number | null;
  /** Seconds until a label arrives. */
  label_delay: number | null;
  /** Each label of a multi-label head; empty for other heads. */
  labels: LabelPerformance[];
  /** How its labels come, as usual or not. */
  labelling: TaskLabels | null;
}

export interface TaskLabels {
  stage: "learning" | "judged";
  horizon_secs: number | null;
  /** Share of predictions that get a label. */
  coverage: LabelSignal | null;
  /** Seconds until half of them have come. */
  delay: LabelSignal | null;
}

export interface LabelSignal {
  usual: number;
  latest: number | null;
  evidence_ratio: number;
  changed_since: string | null;
}

/** One label of a multi-label head. */
export interface LabelPerformance {
  label: string;
  reference: LabelFigures;
  /** Without labels; null where nothing tells. */
  estimated: LabelFigures | null;
  /** By the labels that came; null where none came. */
  realised: LabelFigures | null;
}

export interface LabelFigures {
  /** Records that have the label. */
  support: number;
  /** Records that were given it. */
  given: number;
  precision: Figure | null;
  recall: Figure | null;
  f1: Figure | null;
}

/** A share with its 95 % interval. */
export interface Figure {
  value: number;
  low: number;
  high: number;
}

export interface PerformancePoint {
  start: string;
  end: string;
  n: number;
  estimate: number | null;
  estimate_low: number | null;
  estimate_high: number | null;
  realised: number | null;
  realised_low: number | null;
  realised_high: number | null;
  labelled: number;
  /** Whether labels contradict the estimate, so that it does not count. */
  muted: boolean;
}

/** A candidate that answers a sample of the live inputs beside the current model. */
export interface Shadow {
  begun_at: string;
  updated_at: string;
  report: {
    verdict: CandidateVerdict;
    baseline: { version: string; ms_per_text: number | null };
    candidate: { version: string; ms_per_text: number | null };
    /** Records that both answered. */
    rows: number;
    labelled_rows: number;
    labels_needed?: number | null;
    tasks: ShadowTask[];
  };
}

export type CandidateVerdict = "pass" | "undecided" | "fail";

export interface ShadowTask {
  task: string;
  metric: string;
  /** What was asked of it: to stay as good, or to get better. */
  role: { protected: { margin: number } } | { drifted: { min_delta: number } };
  verdict: CandidateVerdict;
  labelled: number;
  /** Scores of both, and the candidate's less the current one's with its bounds. */
  baseline?: number | null;
  candidate?: number | null;
  difference?: number | null;
  low?: number | null;
  high?: number | null;
  answers?: { compared: number; differ: number } | null;
  flips?: { negative: number; positive: number } | null;
  labels_needed?: number | null;
  reasons: { code: string; text: string }[];
}

/** The encoder's density on two principal coordinates; cells row by row from the lowest second coordinate. */
export interface EncoderMap {
  start: string;
  end: string;
  axes: { name: string; low: number; high: number; bins: number }[];
  reference: { count: number; density: number[] };
  current: { count: number; density: number[] };
}

export interface Partition {
  topic: string;
  partition: number;
  generation?: number;
  next_offset: number;
  first_offset?: number;
  watermark: string | null;
  idle_at?: string | null;
  folded?: number;
  set_aside?: number;
  dead_lettered?: number;
  gaps?: number;
  adds_up?: boolean;
}

/** What became of every record. */
export interface Ledger {
  adds_up: boolean;
  partitions: Required<Partition>[];
  closed: { topic: string; partition: number; generation: number; first_offset: number; next_offset: number; folded: number; adds_up: boolean }[];
  losses: { topic: string; partition: number; from_offset: number; to_offset: number | null; reason: string; found_at: string }[];
  windows: { folded: number; judged: number; open: number; expired: number };
}

export type Role = "viewer" | "operator" | "admin";
/** What is granted by name, and by no role. */
export type Scope = "retraining:approve" | "samples:read";

/** Who the caller is. */
export interface Session {
  csrf_token: string | null;
  name: string;
  roles: string[];
  scopes: string[];
}

export interface Status {
  version: string;
  roles: string[];
  store: { kind: string; ok: boolean };
  inference: Inference | null;
  partitions: Partition[];
}

/** What the answering process runs with. */
export interface Settings {
  read_at: string | null;
  /** Settings of the file that differ and wait for a restart. */
  waiting_for_restart: string[];
  /** Why the file as it is now is refused; servers before 0.2 do not say it. */
  refused?: { at: string; why: string } | null;
  settings: unknown;
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
