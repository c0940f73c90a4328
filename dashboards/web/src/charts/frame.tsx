import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLinking } from "./link";

/** A chart with its title, the same data as a table on request, and the address that shows it again. */
export function ChartFrame(props: {
  /** Names the chart in addresses. */
  id: string;
  title: string;
  note?: ComponentChildren;
  table: () => ComponentChildren;
  children: ComponentChildren;
}) {
  const [asTable, setAsTable] = useState(false);
  const linking = useLinking();
  const frame = useRef<HTMLDivElement>(null);
  const begin = linking?.at === props.id;
  useLayoutEffect(() => {
    if (begin) frame.current?.scrollIntoView({ block: "start" });
  }, [begin]);
  return (
    <div ref={frame} class="chart-frame">
      <div class="chart-head">
        <h3>{props.title}</h3>
        {props.note !== undefined && <div class="chart-note">{props.note}</div>}
        <span class="chart-tools">
          {linking !== null && (
            <a class="quiet small" href={linking.href(props.id)} title="The address that shows this again">
              Link<span class="hidden"> to {props.title}</span>
            </a>
          )}
          <button class="quiet small" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
            {asTable ? "Show as chart" : "Show as table"}
            <span class="hidden">: {props.title}</span>
          </button>
        </span>
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
