/** What became of every record, as `/ledger` tells it. */

import { time } from "./random.mjs";

export function ledgerOf(empty, now) {
  const partition = (topic, number, { folded, set_aside = 0, dead_lettered = 0, gaps = 0, lag = 20, idle = false, generation = 0 }) => {
    const first = 1_000_000 + number * 2_817;
    return {
      topic,
      partition: number,
      generation,
      first_offset: first,
      next_offset: first + folded + set_aside + dead_lettered + gaps,
      watermark: lag === null ? null : time(now / 1000 - lag),
      idle_at: idle ? time(now / 1000 - 4) : null,
      folded,
      set_aside,
      dead_lettered,
      gaps,
      adds_up: true,
    };
  };
  const partitions = empty
    ? []
    : [
        partition("nlp.predictions", 0, { folded: 204_331, set_aside: 120, lag: 21 }),
        partition("nlp.predictions", 1, { folded: 203_964, set_aside: 96, dead_lettered: 12, lag: 27 }),
        partition("nlp.predictions", 2, { folded: 204_110, set_aside: 131, gaps: 5_000, lag: 34 }),
        partition("nlp.predictions", 3, { folded: 61_250, set_aside: 9, lag: 5_420, generation: 1 }),
        partition("nlp.labels", 0, { folded: 0, set_aside: 41_880, dead_lettered: 3, lag: 60, idle: true }),
        partition("nlp.labels", 1, { folded: 0, set_aside: 0, lag: null, idle: true }),
      ];
  const closed = empty ? [] : [{ topic: "nlp.predictions", partition: 3, generation: 0, first_offset: 0, next_offset: 88_100, folded: 88_100, adds_up: true }];
  const folded = [...partitions, ...closed].reduce((sum, p) => sum + p.folded, 0);
  const open = empty ? 0 : 1_204;
  const expired = empty ? 0 : 310_400;
  return {
    adds_up: true,
    partitions,
    closed,
    losses: empty
      ? []
      : [
          { topic: "nlp.predictions", partition: 2, from_offset: 1_101_000, to_offset: 1_106_000, reason: "retention", found_at: time(now / 1000 - 30_400) },
          { topic: "nlp.predictions", partition: 3, from_offset: 88_100, to_offset: null, reason: "topic_recreated", found_at: time(now / 1000 - 96_000) },
        ],
    windows: { folded, judged: folded - open - expired, open, expired },
  };
}
