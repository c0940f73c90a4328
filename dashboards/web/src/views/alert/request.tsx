/** The retraining that the alert asks for: how far it is, and the word of whoever may give it. */

import * as api from "../../api/client";
import { useMay } from "../../api/session";
import type { GateVerdict, RequestDetail, RequestState, RunEnd } from "../../api/types";
import { count, enumerate } from "../../data/format";
import { CommentForm, useAction } from "../../parts/action";
import { Empty, Marked, Panel } from "../../parts/panel";
import { Time } from "../../parts/time";
import { sentence } from "./head";
import type { Incident } from "./load";

export const REQUEST_WORDS: Record<RequestState, string> = {
  proposed: "proposed: waits for a person",
  rejected: "rejected",
  requested: "requested: the pipeline is to take it",
  accepted: "accepted by the pipeline",
  running: "running",
  succeeded: "succeeded",
  failed: "failed",
  cancelled: "cancelled",
  expired: "expired before anybody decided",
};
/** Where a request stands; one that nothing starts waits for people. */
const requestWords = ({ state, hook }: RequestDetail): string =>
  state === "requested" && hook === null ? "requested: no hook starts it" : (REQUEST_WORDS[state] ?? state);
const ENDS: RequestState[] = ["rejected", "failed", "cancelled", "expired"];
/** A run may be going on, and may be one that cannot say how it ended. */
const RUNS: RequestState[] = ["requested", "accepted", "running"];
const RUN_ENDS: RunEnd[] = ["succeeded", "failed", "cancelled"];
const STEPS: RequestState[] = ["proposed", "requested", "accepted", "running", "succeeded"];

export function Retraining({ incident, onChange }: { incident: Incident; onChange: () => void }) {
  const { requests } = incident;
  return (
    <Panel title="Retraining">
      {requests.length === 0 ? (
        <Empty>None is asked for. driftd asks when an alert fires, its cause is known, and retraining would help.</Empty>
      ) : (
        <ol class="requests">
          {requests.map((request) => (
            <Request key={request.id} request={request} onChange={onChange} />
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Request({ request, onChange }: { request: RequestDetail; onChange: () => void }) {
  const may = useMay("retraining:approve");
  return (
    <li>
      <div class="alert-head">
        <b>Retrain {enumerate(request.tasks)}</b>
        <span class={`tag ${request.state}`}>{requestWords(request)}</span>
      </div>
      <Steps state={request.state} />
      <p class="alert-summary">
        <Marked text={sentence(request.reason)} />
        {request.protected_tasks.length > 0 && <span class="muted"> Must not get worse: {enumerate(request.protected_tasks)}.</span>}
      </p>
      <p class="muted small-text">
        {request.state === "proposed" && request.expires_at && (
          <>
            Expires <Time at={request.expires_at} />.{" "}
          </>
        )}
        {request.state === "requested" && request.hook === null && (
          <>
            Train it, then close it here or by <code>driftd retraining close {request.id} succeeded</code>
          </>
        )}
        {request.run_url && isWeb(request.run_url) && (
          <a href={request.run_url} rel="noreferrer">
            the pipeline's run
          </a>
        )}
      </p>
      <Gate gate={request.gates?.at(-1)} />
      {may && RUNS.includes(request.state) && <Close request={request} onChange={onChange} />}
      {request.state === "proposed" && (may ? <Decide request={request} onChange={onChange} /> : <p class="muted small-text">Deciding needs the scope retraining:approve.</p>)}
    </li>
  );
}

/** What the gate said last of the run's candidates. */
function Gate({ gate }: { gate: GateVerdict | undefined }) {
  if (gate === undefined) return null;
  return (
    <p class="small-text">
      The gate says <b>{gate.verdict}</b> of its candidate on {count(gate.pairs)} rows, <Time at={gate.at} />
      {gate.verdict === "undecided" && gate.labels_needed !== null && <>: about {count(gate.labels_needed)} more labels are needed</>}.
    </p>
  );
}

/** Two buttons and no answer to the Enter key: neither may be given by accident. */
function Decide({ request, onChange }: { request: RequestDetail; onChange: () => void }) {
  const action = useAction();
  const decide = (decision: "approve" | "reject", comment: string): void =>
    void action.run(() => api.decide(request.id, decision, comment)).then(onChange);
  return (
    <CommentForm label="Comment" hint="kept with the decision" action={action} onSubmit={() => {}}>
      {(comment) => (
        <>
          <button type="button" class="primary" disabled={action.busy} onClick={() => decide("approve", comment)}>
            Approve
          </button>
          <button type="button" class="quiet" disabled={action.busy} onClick={() => decide("reject", comment)}>
            Reject
          </button>
        </>
      )}
    </CommentForm>
  );
}

/** How a run has ended that does not say so itself: until then the model asks for no other. */
function Close({ request, onChange }: { request: RequestDetail; onChange: () => void }) {
  const action = useAction();
  const close = (how: RunEnd, comment: string): void => void action.run(() => api.closeRequest(request.id, how, comment)).then(onChange);
  return (
    <details>
      <summary>Say how it ended</summary>
      <CommentForm label="Comment" hint="kept with the request" action={action} onSubmit={() => {}}>
        {(comment) =>
          RUN_ENDS.map((how) => (
            <button key={how} type="button" class="quiet" disabled={action.busy} onClick={() => close(how, comment)}>
              {how.charAt(0).toUpperCase() + how.slice(1)}
            </button>
          ))
        }
      </CommentForm>
    </details>
  );
}

/** How far a request is. */
function Steps({ state }: { state: RequestState }) {
  const ended = ENDS.includes(state);
  const at = STEPS.indexOf(state);
  return (
    <ol class="steps" aria-label="Steps of the request">
      {(ended ? (["proposed", state] as RequestState[]) : STEPS).map((step, i) => {
        const here = step === state;
        return (
          <li key={step} class={here ? (ended ? "here bad-end" : "here") : !ended && i > at ? "ahead" : "done"} aria-current={here ? "step" : undefined}>
            {step}
          </li>
        );
      })}
    </ol>
  );
}

/** The pipeline says this address: nothing but a page may be opened by it. */
const isWeb = (url: string): boolean => /^https?:\/\//i.test(url);
