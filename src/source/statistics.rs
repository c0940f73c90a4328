//! What librdkafka's statistics tell: lag, and which partitions have no more records for now.

use std::collections::HashMap;
use std::time::Instant;

use rdkafka::Statistics;
use rdkafka::statistics::Partition as Figures;

use super::End;
use crate::drift::checkpoint::Partition;
use crate::metrics;

/// What was heard of the brokers.
pub(super) struct Heard {
    /// Answers that each had sent when it was last looked at, by its name: ids are not told of all connections.
    received: HashMap<String, u64>,
    /// When one was last found to have sent more.
    pub(super) last: Instant,
}

impl Default for Heard {
    fn default() -> Heard {
        Heard { received: HashMap::new(), last: Instant::now() }
    }
}

/// Partitions whose end was reached and handed over, as far as their leaders have answered since
/// they were last looked at: one that hangs knows nothing. Sets the gauge of lag: 0 for all that are
/// not read here, also where an older look that came late said otherwise.
pub(super) fn ends(statistics: &Statistics, topics: &[String], heard: &mut Heard) -> Vec<End> {
    let mut ends = Vec::new();
    let answering: Vec<i32> = statistics
        .brokers
        .values()
        .filter(|b| b.state == "UP" && heard.received.insert(b.name.clone(), b.rx).is_some_and(|before| b.rx > before))
        .map(|b| b.nodeid)
        .collect();
    if !answering.is_empty() {
        heard.last = Instant::now();
    }
    for topic in statistics.topics.values().filter(|t| topics.contains(&t.topic)) {
        // The client has one of its own, below 0.
        for figures in topic.partitions.values().filter(|p| p.partition >= 0) {
            if figures.fetch_state != "active" {
                metrics::lag(&topic.topic, figures.partition, 0);
                continue;
            }
            metrics::lag(&topic.topic, figures.partition, lag(figures));
            if answering.contains(&figures.leader) && is_at_end(figures) {
                let partition = Partition { topic: topic.topic.clone(), number: figures.partition };
                ends.push(End { partition, handed_over: (figures.app_offset >= 0).then_some(figures.app_offset) });
            }
        }
    }
    ends
}

/// Records that the broker holds and that were not handed over.
fn lag(figures: &Figures) -> i64 {
    let from = if figures.app_offset >= 0 { figures.app_offset } else { figures.next_offset };
    (figures.ls_offset - from).max(0)
}

/// The fetcher stands at the end, and nothing it has fetched waits in a queue.
fn is_at_end(figures: &Figures) -> bool {
    figures.eof_offset >= 0
        && figures.eof_offset == figures.next_offset
        && figures.fetchq_cnt == 0
        && figures.app_offset <= figures.eof_offset
}
