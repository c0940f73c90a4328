import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

/** A chart with its title, and the same data as a table on request. */
export function ChartFrame(props: {
  title: string;
  note?: ComponentChildren;
  table: () => ComponentChildren;
  children: ComponentChildren;
}) {
  const [asTable, setAsTable] = useState(false);
  return (
    <div class="chart-frame">
      <div class="chart-head">
        <h3>{props.title}</h3>
        {props.note !== undefined && <div class="chart-note">{props.note}</div>}
        <button class="quiet small" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? "Show as chart" : "Show as table"}
          <span class="hidden">: {props.title}</span>
        </button>
      </div>
      {asTable ? (
        <div class="scroll tall" tabIndex={0} role="region" aria-label={`${props.title}, table`}>
          {props.table()}
        </div>
      ) : (
        props.children
      )}
    </div>
  );
}
