/** A signal's cells in one window, the reference's shares against the current ones. */

import { useState } from "preact/hooks";
import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Cell, Statistic } from "../../api/types";
import { ChartFrame } from "../../charts/frame";
import { largestShare, ShareRow, SharesLegend, SharesTable } from "../../charts/shares";
import { fromMovers, type Order, ordered } from "../../data/cells";
import { signalKey } from "../../data/shape";
import { Empty } from "../../parts/panel";

/** So many cells are shown before the reader asks for all. */
const FEW = 8;

export function Distribution({ name, start, statistic }: { name: string; start: string; statistic: Statistic }) {
  const key = `${name}|${start}|${signalKey(statistic)}`;
  const { data } = usePoll(key, async (signal) => ({ cells: await api.distribution(name, statistic, start, signal) }), { repeat: false });
  const [order, setOrder] = useState<Order>("moved");
  const [all, setAll] = useState(false);
  // What moved is known before the other cells are.
  const whole = data?.cells ?? null;
  const cells = ordered(whole ?? fromMovers(statistic), order);
  if (cells.length === 0) return <Empty>This signal has no cells to compare: it is a mean, and its effect is the distance it moved.</Empty>;
  const shown = all ? cells : cells.slice(0, FEW);
  const largest = largestShare(cells);
  return (
    <ChartFrame
      id="distribution"
      title="Reference against current"
      note={<SharesLegend note={noteOf(whole, order, shown.length, cells.length)} />}
      table={() => <SharesTable cells={cells} />}
    >
      {whole !== null && whole.length > 2 && (
        <div class="segments" role="group" aria-label="Order of the cells">
          <button aria-pressed={order === "moved"} onClick={() => setOrder("moved")}>
            Moved most
          </button>
          <button aria-pressed={order === "own"} onClick={() => setOrder("own")}>
            In order
          </button>
        </div>
      )}
      <ul class="movers">
        {shown.map((cell) => (
          <ShareRow key={cell.cell} cell={cell} largest={largest} />
        ))}
      </ul>
      {cells.length > FEW && (
        <button class="link-button small-text" onClick={() => setAll(!all)}>
          {all ? `Show ${FEW}` : `Show all ${cells.length}`}
        </button>
      )}
    </ChartFrame>
  );
}

function noteOf(whole: Cell[] | null, order: Order, shown: number, total: number): string {
  if (whole === null) return "cells that moved most, share of all";
  if (shown === total) return `all ${total} cells, share of all`;
  return order === "moved" ? `${shown} of ${total} cells, those that moved most` : `the first ${shown} of ${total} cells`;
}
