/** Tokens, classes and pairs of answers that moved in a window, over all its signals. */

import type { Statistic, Window } from "../../api/types";
import { ChartFrame } from "../../charts/frame";
import { largestShare, ShareRow, SharesLegend, SharesTable } from "../../charts/shares";
import { type Moved, movedGroups } from "../../data/cells";
import { words } from "../../data/format";

const MOST = 6;

export function MovedPanel({ window, statistics }: { name: string; window: Window; statistics: Statistic[] }) {
  const { tokens, classes, pairs } = movedGroups(statistics, window.threshold, MOST);
  const all = [...tokens, ...classes, ...pairs];
  if (all.length === 0) return null;
  return (
    <div class="moved">
      <ChartFrame
        id="moved"
        title="What moved"
        note={<SharesLegend note={`of signals that moved, in ${window.records.toLocaleString("en-US")} records`} />}
        table={() => <SharesTable cells={all} names={all.map(nameOf)} />}
      >
        <div class="moved-groups">
          {ofWords(statistics) ? (
            <Group title="Words" cells={tokens} none="no word moved" />
          ) : (
            <Group title="Tokens" cells={tokens} none="no token moved" />
          )}
          <Group title="Classes" cells={classes} none="no class moved" />
          <Group title="Pairs of answers" cells={pairs} none="no pair moved" />
        </div>
      </ChartFrame>
    </div>
  );
}

function Group({ title, cells, none }: { title: string; cells: Moved[]; none: string }) {
  const largest = largestShare(cells);
  return (
    <section aria-label={`${title} that moved`}>
      <h4>{title}</h4>
      {cells.length === 0 ? (
        <p class="muted small-text">{none}</p>
      ) : (
        <ul class="movers">
          {cells.map((cell) => (
            <ShareRow key={cell.key} cell={cell} name={nameOf(cell)} largest={largest} />
          ))}
        </ul>
      )}
    </section>
  );
}

/** Whether texts are cut into words, for want of a tokenizer. */
const ofWords = (statistics: Statistic[]): boolean => statistics.some((s) => s.scope === "input" && s.signal === "word_distribution");

const nameOf = (cell: Moved): string =>
  cell.place.scope === "input" ? "" : cell.signal === "predicted_class" ? (cell.place.task ?? "") : `${cell.place.task ?? ""}, ${words(cell.signal)}`;
