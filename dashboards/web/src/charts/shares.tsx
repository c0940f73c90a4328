/** Shares of cells, the reference's against the current one with its interval: bars that lie below each other. */

import type { Cell } from "../api/types";
import { isClear } from "../data/cells";
import { count, percent, points } from "../data/format";

export const SharesLegend = ({ note }: { note: string }) => (
  <ul class="legend mover-legend">
    <li>
      <i class="key reference" /> reference
    </li>
    <li>
      <i class="key current" /> current, 95 % interval
    </li>
    <li class="muted">{note}</li>
  </ul>
);

/** The largest share that a row of these cells has to show. */
export const largestShare = (cells: Cell[]): number =>
  Math.max(...cells.flatMap((c) => [c.reference_share, c.current_share, c.high ?? 0]), 0.01);

export function ShareRow({ cell, name, largest }: { cell: Cell; name?: string | undefined; largest: number }) {
  const change = cell.current_share - cell.reference_share;
  const spread = intervalWords(cell);
  const title = `reference ${count(cell.reference_count)}, current ${count(cell.current_count)}${spread === "" ? "" : `; 95 % confidence interval ${spread}`}`;
  return (
    <li class={`mover ${isClear(cell) ? "clear" : ""}`} title={title}>
      <span class="mover-cell">
        {cell.cell}
        {name !== undefined && <span class="muted"> {name}</span>}
      </span>
      <span class="mover-change">
        {points(change)} <span class="unit">pp</span>
      </span>
      <span class="mover-bars" aria-hidden="true">
        <span class="mover-bar reference" style={{ "--share": cell.reference_share / largest }} />
        <span class="mover-bar current" style={{ "--share": cell.current_share / largest }} />
        {cell.low !== null && cell.high !== null && (
          <span class="mover-interval" style={{ "--low": cell.low / largest, "--high": cell.high / largest }} />
        )}
      </span>
      <span class="mover-shares">
        <span class="muted">
          <span class="hidden">from </span>
          {percent(cell.reference_share)}
        </span>
        <span>
          <span class="hidden">to </span>
          {percent(cell.current_share)}
          {spread !== "" && <span class="hidden">, interval {spread}</span>}
        </span>
      </span>
    </li>
  );
}

export const intervalWords = (cell: Cell): string =>
  cell.low === null || cell.high === null ? "" : `${percent(cell.low)} to ${percent(cell.high)}`;

export function SharesTable({ cells, names }: { cells: Cell[]; names?: string[] }) {
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Cell</th>
          <th scope="col" class="number">
            Reference
          </th>
          <th scope="col" class="number">
            Current
          </th>
          <th scope="col" class="number">
            95 % interval
          </th>
          <th scope="col" class="number">
            Counts
          </th>
        </tr>
      </thead>
      <tbody>
        {cells.map((c, i) => (
          <tr key={`${c.cell} ${names?.[i] ?? ""}`}>
            <th scope="row">
              {c.cell}
              {names?.[i] !== undefined && <span class="muted"> {names[i]}</span>}
            </th>
            <td class="number">{percent(c.reference_share)}</td>
            <td class="number">{percent(c.current_share)}</td>
            <td class="number">{intervalWords(c)}</td>
            <td class="number">
              {count(c.reference_count)} → {count(c.current_count)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
