//! What librdkafka's statistics tell: lag, and which partitions have no more records for now.

use std::collections::HashMap;
use std::time::Instant;

use rdkafka::Statistics;
use rdkafka::statistics::Partition as Figures;

use super::End;
use crate::drift::checkpoint::Partition;
use crate::metrics;

/// Looks in a row, one a second, after which an assigned partition that is not fetched will not be: while one is begun,
/// or its leader moves, it takes a few.
const STALLED: u32 = 30;

/// What was heard of the brokers.
pub(super) struct Heard {
    /// Answers that each had sent when it was last looked at, by its name: ids are not told of all connections.
    received: HashMap<String, u64>,
    /// When one was last found to have sent more.
    pub(super) last: Instant,
    /// Assigned partitions that are not fetched, for so many looks.
    standing: HashMap<Partition, u32>,
}

impl Default for Heard {
    fn default() -> Heard {
        Heard { received: HashMap::new(), last: Instant::now(), standing: HashMap::new() }
    }
}

impl Heard {
    /// A partition that is assigned and that nobody fetches any more: the client gave it up, and word of it was lost.
    pub(super) fn stalled(&self) -> Option<&Partition> {
        self.standing.iter().find(|(_, looks)| **looks >= STALLED).map(|(partition, _)| partition)
    }
}

/// Partitions whose end was reached and handed over, as far as the brokers that they are fetched from have answered
/// since they were last looked at: one that hangs knows nothing. Sets the gauge of lag: 0 for all that are not
/// assigned, also where an older look that came late said otherwise.
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
    let mut standing = HashMap::new();
    for topic in statistics.topics.values().filter(|t| topics.contains(&t.topic)) {
        // The client has one of its own, below 0.
        for figures in topic.partitions.values().filter(|p| p.partition >= 0) {
            if !figures.desired {
                metrics::lag(&topic.topic, figures.partition, 0);
                continue;
            }
            let partition = || Partition { topic: topic.topic.clone(), number: figures.partition };
            if figures.fetch_state != "active" {
                if matches!(figures.fetch_state.as_str(), "none" | "stopped") {
                    let looks = heard.standing.get(&partition()).copied().unwrap_or(0) + 1;
                    standing.insert(partition(), looks);
                }
                continue;
            }
            metrics::lag(&topic.topic, figures.partition, lag(figures));
            // The group's coordinator has no id, and a partition without a broker has none either.
            let is_heard = figures.broker >= 0 && answering.contains(&figures.broker);
            if is_heard && is_at_end(figures) {
                ends.push(End {
                    partition: partition(),
                    handed_over: (figures.app_offset >= 0).then_some(figures.app_offset),
                });
            }
        }
    }
    heard.standing = standing;
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
