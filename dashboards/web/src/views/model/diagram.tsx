/** The model as a graph: input → encoder → heads, each with its evidence. */

import { useWidth } from "../../charts/width";
import type { Alert, Model, Place, ScopeName, TaskSpec, Window } from "../../api/types";
import { type Box, layOut } from "../../data/diagram";
import { ofThreshold, quantity, words } from "../../data/format";
import { isSilent } from "../../data/lacks";
import { barPosition, levelOf, logRatio, THRESHOLD_AT } from "../../data/scale";
import { evidenceAt, partInAlert, placeName, samePlace } from "../../data/shape";

export function ModelDiagram(props: {
  model: Model;
  window: Window | null;
  /** The alert that fires at that time. */
  alert: Alert | null;
  place: Place | null;
  onPlace: (place: Place) => void;
}) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const { model, window } = props;
  const tasks = model.manifest.tasks;
  const diagram = layOut(Math.max(width, 240), tasks.length);
  const level = (place: Place): string => {
    if (isSilent(window?.not_judged, place)) return "unknown";
    const ratio = window === null ? null : logRatio(evidenceAt(window, place), window.threshold);
    return ratio === null ? "unknown" : levelOf(ratio);
  };
  const node = (box: Box, place: Place, title: string, kind: string) => (
    <Node
      key={placeName(place)}
      box={box}
      title={title}
      kind={kind}
      level={level(place)}
      part={partInAlert(props.alert, place)}
      evidence={window === null || isSilent(window.not_judged, place) ? null : evidenceAt(window, place)}
      threshold={window?.threshold ?? model.threshold}
      beside={besideOf(window, place)}
      name={placeName(place)}
      on={props.place !== null && samePlace(props.place, place)}
      onClick={() => props.onPlace(place)}
    />
  );
  // What an alert in front of a connection lets through is drawn along it; a head that drifts by itself
  // leaves its connection neutral.
  const linkLevel = (task: TaskSpec | undefined): string => {
    const kind = props.alert?.cause.kind;
    if (task === undefined) return kind === "input" ? "reached" : "unknown";
    const reached = partInAlert(props.alert, { scope: "head", task: task.name }) !== null;
    return reached && (kind === "input" || kind === "encoder") ? "reached" : "unknown";
  };

  return (
    <div ref={ref} class="diagram">
      {width > 0 && (
        <svg
          width={diagram.width}
          height={diagram.height}
          viewBox={`0 0 ${diagram.width} ${diagram.height}`}
          role="group"
          aria-label={`Input, encoder and ${tasks.length} heads. Choosing a part shows its signals below.`}
        >
          {diagram.links.map((path, i) => (
            <path key={path} d={path} class={`link ${linkLevel(tasks[i - 1])}`} />
          ))}
          {node(diagram.input, { scope: "input", task: null }, "input", "what is asked")}
          {node(
            diagram.encoder,
            { scope: "encoder", task: null },
            "encoder",
            model.manifest.encoder.dimension === null ? "no embedding" : `${model.manifest.encoder.dimension} dimensions`,
          )}
          {tasks.map((task, i) => {
            const box = diagram.heads[i];
            return box && node(box, { scope: "head", task: task.name }, task.name, describe(task));
          })}
        </svg>
      )}
    </div>
  );
}

function Node(props: {
  box: Box;
  title: string;
  kind: string;
  level: string;
  part: "cause" | "reached" | null;
  evidence: number | null;
  threshold: number;
  /** Links to other heads, and skew: what is judged beside the part itself. */
  beside: Beside[];
  name: string;
  on: boolean;
  onClick: () => void;
}) {
  const { x, y, width, height } = props.box;
  const inner = width - 20;
  // In a narrow box the number takes the place of the second line.
  const compact = width < 130;
  const sign = props.part === "cause" ? "◆ " : (LEVEL_SIGNS[props.level] ?? "");
  const numberRoom = 7 * quantity(props.evidence).length + (sign === "" ? 8 : 22);
  const also = props.beside.map((b) => `${b.word} ${quantity(b.evidence)}${b.level === "calm" ? "" : ` (${LEVEL_WORDS[b.level] ?? b.level})`}`);
  const state = [LEVEL_WORDS[props.level], PART_WORDS[props.part ?? ""], ...also].filter(Boolean).join(", ");
  const badge = props.beside.map((b) => `${b.sign} ${quantity(b.evidence)}`).join("  ");
  const barEnd = inner * THRESHOLD_AT;
  const filled = inner * barPosition(props.evidence, props.threshold);
  return (
    <g
      class={`node ${props.level} ${props.part ?? ""}${props.on ? " on" : ""}`}
      role="button"
      // In SVG the name of an attribute is as it is written: `tabIndex` would make nothing focusable.
      tabindex={0}
      aria-pressed={props.on}
      onClick={props.onClick}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        props.onClick();
      }}
      transform={`translate(${x} ${y})`}
    >
      {/* Its name, for hover and screen readers; what is drawn is cut to fit. */}
      <title>{`${props.name} · ${props.kind} · ${state} · evidence ${quantity(props.evidence)}, ${ofThreshold(props.evidence, props.threshold)} of the threshold`}</title>
      <g aria-hidden="true">
        <rect class="node-box" x="0.5" y="0.5" width={width - 1} height={height - 1} rx="6" />
        <text class="node-title" x="10" y="18">
          {fit(props.title, compact ? inner : inner - numberRoom)}
        </text>
        {!compact && (
          <text class="node-kind" x="10" y="31">
            {props.part === null ? fit(props.kind, inner - 6.2 * badge.length, 5.6) : PART_WORDS[props.part]}
          </text>
        )}
        {!compact && badge !== "" && (
          <text class="node-beside" x={width - 10} y="31" text-anchor="end">
            {props.beside.map((b, i) => (
              <tspan key={b.word} class={b.level}>
                {i > 0 ? "  " : ""}
                {LEVEL_SIGNS[b.level] ?? ""}
                {`${b.sign} ${quantity(b.evidence)}`}
              </tspan>
            ))}
          </text>
        )}
        <text class="node-evidence" x={compact ? 10 : width - 10} y={compact ? 32 : 18} text-anchor={compact ? "start" : "end"}>
          {`${sign}${quantity(props.evidence)}`}
        </text>
        <rect class="node-track" x="10" y={height - 7} width={inner} height="2.5" rx="1" />
        <rect class="node-fill" x="10" y={height - 7} width={filled} height="2.5" rx="1" />
        <rect class="node-threshold" x={10 + barEnd} y={height - 9} width="1" height="6" />
      </g>
    </g>
  );
}

interface Beside {
  sign: string;
  word: string;
  evidence: number;
  level: string;
}

/** Links and skew of a head, and the skew of the encoder, where they are measured. */
function besideOf(window: Window | null, place: Place): Beside[] {
  if (window === null || place.scope === "input") return [];
  const measured: [ScopeName, string, string][] = [["labels", "✓", "what labels prove"], ["link", "⇄", "links to other heads"], ["skew", "≠", "skew"]];
  return measured.flatMap(([scope, sign, word]) => {
    const evidence = evidenceAt(window, { scope, task: place.task });
    const ratio = logRatio(evidence, window.threshold);
    return evidence === null || ratio === null ? [] : [{ sign, word, evidence, level: levelOf(ratio) }];
  });
}

const LEVEL_SIGNS: Record<string, string> = { warning: "▲ ", drift: "◆ " };
const PART_WORDS: Record<string, string> = { cause: "cause of the alert", reached: "moved with it" };
const LEVEL_WORDS: Record<string, string> = { calm: "quiet", warning: "evidence is rising", drift: "drift", unknown: "not judged" };

function describe(task: TaskSpec): string {
  const things = task.kind === "multilabel" || task.kind === "token_labels" ? "labels" : "classes";
  return task.kind === "regression" ? "regression" : `${words(task.kind)}, ${task.classes} ${things}`;
}

/** As much of a text as the room allows, by a careful width per letter. */
function fit(text: string, room: number, letter = 7): string {
  const most = Math.max(3, Math.floor(room / letter));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
