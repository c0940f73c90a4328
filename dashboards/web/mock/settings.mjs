/** The settings in force, and what has become of the file since, as `/settings` tells it. */

import { time } from "./random.mjs";

export function makeSettings(clock) {
  const state = { waiting: [], refused: null };
  return {
    /** The file was changed: what waits for a restart, or why it is refused. */
    change: (waiting, why = null) => {
      state.waiting = waiting;
      state.refused = why === null ? null : { at: time(clock() / 1000 - 60), why };
    },
    answer: () => ({
      read_at: time(clock() / 1000 - 3_600),
      waiting_for_restart: state.waiting,
      refused: state.refused,
      settings: {
        log: "text",
        log_levels: null,
        kafka: { brokers: "kafka:9092", group: "driftd", topics: ["nlp.predictions", "nlp.labels"], start: "earliest", properties: {} },
        store: { url: "postgres://db:5432", retention: { statistics: "35d", windows: "90d", rollups: "730d", deliveries: "90d" } },
        models: [{ manifest: "support.yaml", reference: null, budget: "1/30d", window: { length: "5m", grace: "30s" } }],
        endpoints: [],
      },
    }),
  };
}
