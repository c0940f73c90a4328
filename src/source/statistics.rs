//! What librdkafka's statistics tell: lag, and which partitions have no more records for now.

use std::collections::HashMap;

use rdkafka::Statistics;
use rdkafka::statistics::Partition as Figures;

use super::End;
use crate::drift::checkpoint::Partition;
use crate::metrics;

/// What the brokers had sent when they were last looked at, by their ids.
pub(super) type Received = HashMap<i32, u64>;

/// Partitions whose end was reached and handed over, as far as their leaders have answered since
/// they were last looked at: one that hangs knows nothing. Sets the gauge of lag for all that are
/// read.
pub(super) fn ends(statistics: &Statistics, topics: &[String], received: &mut Received) -> Vec<End> {
    let mut ends = Vec::new();
    let answering: Vec<i32> = statistics
        .brokers
        .values()
        .filter(|b| b.state == "UP" && received.insert(b.nodeid, b.rx).is_some_and(|before| b.rx > before))
        .map(|b| b.nodeid)
        .collect();
    for topic in statistics.topics.values().filter(|t| topics.contains(&t.topic)) {
        for figures in topic.partitions.values().filter(|p| p.fetch_state == "active") {
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
