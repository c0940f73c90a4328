/** Where the encoder puts records, on the two coordinates along which the reference varies most. */

import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import type { EncoderMap, Window } from "../../api/types";
import { DensityMap, HELD } from "../../charts/density";
import { ChartFrame } from "../../charts/frame";
import { count, interval, percent, plural } from "../../data/format";
import { displaced, displacedByChance, movedCells } from "../../data/map";
import { ConnectionNote } from "../../parts/connection";
import { Empty, Panel } from "../../parts/panel";
import { WindowSteps } from "./steps";

export function MapView({ name, windows, window, onWindow }: { name: string; windows: Window[]; window: Window | null; onWindow: (start: string) => void }) {
  const { data, failure, refresh } = usePoll(
    `map ${name} ${window?.start ?? ""} ${window?.revision ?? 0}`,
    async (signal) => ({ map: window === null ? null : await api.encoderMap(name, window.start, signal) }),
    { repeat: false },
  );
  const title = window === null ? "Encoder's map" : <>Encoder's map, window <span class="strong">{interval(new Date(window.start), new Date(window.end), new Date())}</span></>;
  return (
    <>
      <ConnectionNote failure={failure} stale={data !== null} retry={refresh} />
      <Panel title={title} busy={data === null && failure === null} aside={window !== null && <WindowSteps windows={windows} window={window} onWindow={onWindow} />}>
        {data === null ? (
          <p class="loading">Reading the map …</p>
        ) : data.map === null ? (
          <Empty>No map is kept for this window: it needs a reference with embeddings, and a server that keeps their density.</Empty>
        ) : (
          <Content map={data.map} />
        )}
      </Panel>
    </>
  );
}

function Content({ map }: { map: EncoderMap }) {
  const share = displaced(map);
  const chance = displacedByChance(map);
  return (
    <>
      <p class="verdict-small">
        {percent(share)} of the records lie elsewhere than the reference's.{" "}
        <span class="muted">
          Of {plural(map.current.count, "record")} against {count(map.reference.count)} chance alone moves about {percent(chance)}.
        </span>
      </p>
      <ChartFrame
        id="map"
        title="Density"
        note={
          <ul class="legend">
            <li>
              <i class="key current" /> current
            </li>
            <li>
              <i class="key outline" /> {percent(HELD[0] ?? 0)} of the reference
            </li>
            <li>
              <i class="key outline dashed" /> {percent(HELD[1] ?? 0)}
            </li>
            <li>
              <i class="key line moved-line" /> how its middle moved
            </li>
          </ul>
        }
        table={() => <MapTable map={map} />}
      >
        <DensityMap map={map} label={`Density of ${count(map.current.count)} records on ${map.axes.map((a) => a.name).join(" and ")}; ${percent(share)} lie elsewhere than the reference's.`} />
      </ChartFrame>
    </>
  );
}

function MapTable({ map }: { map: EncoderMap }) {
  const [first, second] = map.axes;
  if (first === undefined || second === undefined) return null;
  const from = (axis: typeof first, bin: number): string => (axis.low + (bin / axis.bins) * (axis.high - axis.low)).toFixed(2).replace("-", "−");
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">{first.name}</th>
          <th scope="col">{second.name}</th>
          <th scope="col" class="number">
            Reference
          </th>
          <th scope="col" class="number">
            Current
          </th>
        </tr>
      </thead>
      <tbody>
        {movedCells(map, 100).map((c) => (
          <tr key={`${c.column} ${c.row}`}>
            <th scope="row">
              {from(first, c.column)} to {from(first, c.column + 1)}
            </th>
            <td>
              {from(second, c.row)} to {from(second, c.row + 1)}
            </td>
            <td class="number">{percent(c.reference)}</td>
            <td class="number">{percent(c.current)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
