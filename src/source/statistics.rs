//! What librdkafka's statistics tell: lag, and which partitions have no more records for now.

use rdkafka::Statistics;
use rdkafka::statistics::Partition as Figures;

use super::End;
use crate::drift::checkpoint::Partition;
use crate::metrics;

/// Partitions whose end was reached and handed over; sets the gauge of lag for all that are read.
pub(super) fn ends(statistics: &Statistics, topics: &[String]) -> Vec<End> {
    let mut ends = Vec::new();
    for topic in statistics.topics.values().filter(|t| topics.contains(&t.topic)) {
        for figures in topic.partitions.values().filter(|p| p.fetch_state == "active") {
            let leader = statistics.brokers.values().find(|b| b.nodeid == figures.leader);
            metrics::lag(&topic.topic, figures.partition, lag(figures));
            if leader.is_some_and(|b| b.state == "UP") && is_at_end(figures) {
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
