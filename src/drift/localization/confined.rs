//! Drift that is confined to segments of the traffic.
//!
//! What has changed everywhere shows more in all records than in a part of them; what has changed in a part shows
//! more there, since the others dilute it. Where that is so, and the rest of the tag's segments is quiet, what else
//! moved follows from it, as far as so few records can move it (docs/decisions/0039).
//!
//! A head that moved by itself, in more records than any segment holds or in segments that do not show it best, has
//! moved everywhere. Its signals say nothing of where something else moved (docs/decisions/0059, 0061).
//!
//! A part whose clock has not ticked says nothing, and is no quiet one: where windows hold few records, all of them
//! and each segment are looked at in windows of their own, and after an alarm their evidence begins anew.

use std::collections::BTreeSet;

use super::{Findings, MOVED, Named};
use crate::drift::cause::{Cause, CauseKind};
use crate::drift::detector::SignalStep;
use crate::drift::reference::{Reference, SignalReference};
use crate::drift::segment::Segment;
use crate::drift::signal::Measure;
use crate::stats::evidence::ln_weighted_sum;

/// A segment with more of the records than this is no place of its own: what moves in it moves the whole.
const MOST_OF_ALL: f64 = 0.5;
/// The total variation of counts lies within so many times 1/√n of its mean in all but one window of twenty: its
/// standard deviation is at most half of that.
const CHANCE: f64 = 1.0;

impl Findings<'_> {
    /// Causes of what is not skew; `undetermined` only if it must say something.
    pub(super) fn others(&self, must: bool) -> Vec<Named> {
        let confined = self.confined_to();
        if confined.is_empty() {
            return self.places(must);
        }
        let beyond = Findings { drifting: self.beyond(&confined), beside_segments: true, ..self.clone() };
        let mut more = if beyond.drifting.is_empty() { Vec::new() } else { beyond.places(false) };
        more.retain(|named| named.cause.kind != CauseKind::Undetermined);
        // What is beyond the segments is not theirs, nor are they its.
        let by_itself = !more.is_empty();
        let everywhere = self.heads_moved_everywhere(&confined);
        let is_elsewhere = |task: &usize| {
            let is_named = |named: &Named| named.cause.kind == CauseKind::Head && named.cause.task == Some(*task);
            everywhere.contains(task) || more.iter().any(is_named)
        };
        let of = |segment: &Segment| {
            let mut tasks_affected = self.tasks_in(*segment);
            tasks_affected.retain(|task| !is_elsewhere(task));
            Cause { kind: CauseKind::Segment, task: None, segment: Some(*segment), tasks_affected }
        };
        let segments: Vec<Cause> = confined.iter().map(of).collect();
        let causes = segments.into_iter().chain(more.into_iter().map(|named| named.cause));
        causes.map(|cause| Named { by_itself, ..Named::plain(cause) }).collect()
    }

    /// The segments, of one tag, to which what drifts is confined, the strongest first.
    pub(super) fn confined_to(&self) -> Vec<Segment> {
        let tag = |i: &usize| Some(self.reference.signals[*i].key.segment?.tag);
        let shows = |i: &&usize| !self.is_whole(**i) && self.shows_more_than_the_whole(**i);
        let mut tags: Vec<u16> = self.drifting.iter().filter(shows).filter_map(tag).collect();
        let mut seen = BTreeSet::new();
        tags.retain(|tag| seen.insert(*tag));
        tags.into_iter().find_map(|tag| self.confined_within(tag)).unwrap_or_default()
    }

    /// The segments of a tag to which what drifts is confined; `None` where nothing shows more in one of them.
    fn confined_within(&self, tag: u16) -> Option<Vec<Segment>> {
        let shows = |i: &usize| !self.is_whole(*i) && self.shows_more_than_the_whole(*i);
        let segment = |i: usize| self.reference.signals[i].key.segment.filter(|segment| segment.tag == tag);
        let shown = self.drifting.iter().copied().filter(shows).filter_map(segment).collect::<BTreeSet<Segment>>();
        let everywhere = self.heads_moved_everywhere(&shown.into_iter().collect::<Vec<Segment>>());
        let tells = |i: &usize| !self.looks_at(*i, &everywhere);
        let of_segment = |i: &usize| shows(i) && tells(i);
        let (mut found, mut of_found): (Vec<Segment>, Vec<usize>) = Default::default();
        for i in self.drifting.iter().copied().filter(of_segment) {
            if let Some(segment) = segment(i).filter(|segment| !found.contains(segment)) {
                found.push(segment);
                of_found.push(i);
            }
        }
        if found.is_empty() {
            return None;
        }
        let is_rest = |i: &usize| {
            let segment = self.reference.signals[*i].key.segment;
            segment.is_some_and(|s| s.tag == tag && !found.contains(&s))
        };
        let rest: Vec<usize> = (0..self.steps.len()).filter(is_rest).filter(tells).collect();
        let is_quiet = |signals: &[usize]| mean_moved(self.reference, self.steps, signals) < MOVED.ln();
        let alike = |i: &usize| -> Vec<usize> {
            let key = |i: usize| &self.reference.signals[i].key;
            rest.iter().copied().filter(|other| key(*other).is_alike(key(*i))).collect()
        };
        let is_alone = |i: &usize| is_quiet(&alike(i)) && self.most_is_looked_at(&alike(i));
        let confined = !rest.is_empty() && is_quiet(&rest) && of_found.iter().all(is_alone);
        let is_part = |[own, all]: [i64; 2]| own as f64 <= MOST_OF_ALL * all as f64;
        Some(if confined && self.records_in(&found).is_some_and(is_part) { found } else { Vec::new() })
    }

    /// Drifting signals of all records in which more of these have changed than the segments, of one tag, hold, and
    /// those of heads that have moved everywhere.
    pub(super) fn beyond(&self, segments: &[Segment]) -> Vec<usize> {
        let Some([own, all]) = self.records_in(segments) else { return Vec::new() };
        let share = own as f64 / all.max(1) as f64;
        // Of tokens a segment may hold more than its share of the records.
        let is_more = |i: usize| self.units_of(i) <= all && self.has_changed_more(i, share);
        let everywhere = self.heads_moved_everywhere(segments);
        let of_head = |i: usize| self.reference.signals[i].key.task.is_some_and(|task| everywhere.contains(&task));
        self.whole().filter(|i| is_more(*i) || of_head(*i)).collect()
    }

    /// Tasks whose heads answer otherwise in more of the records than these segments, of one tag, hold, or by themselves
    /// and in segments of the tag other than those that show more of it than all records do.
    fn heads_moved_everywhere(&self, segments: &[Segment]) -> BTreeSet<usize> {
        let (Some(first), Some([own, all])) = (segments.first(), self.records_in(segments)) else {
            return BTreeSet::new();
        };
        let share = own as f64 / all.max(1) as f64;
        let heads =
            self.whole().filter(|i| self.reference.signals[*i].key.segment.is_none() && self.is_within_leaves(*i));
        let moved = heads.filter(|i| self.units_of(*i) <= all && self.has_changed_more(*i, share));
        let mut everywhere: BTreeSet<usize> = moved.filter_map(|i| self.reference.signals[i].key.task).collect();
        let given = self.heads_given_their_answers().into_iter().filter(|task| self.is_quiet_before(*task));
        let by_themselves: BTreeSet<usize> = self.heads_by_themselves().into_iter().chain(given).collect();
        everywhere.extend(by_themselves.into_iter().filter(|task| self.moves_in_others(*task, first.tag)));
        everywhere
    }

    /// Whether a head moves in segments of a tag other than those that show more of it than all records do.
    fn moves_in_others(&self, task: usize, tag: u16) -> bool {
        let segment = |i: usize| self.reference.signals[i].key.segment.filter(|segment| segment.tag == tag);
        let is_own = |i: &usize| segment(*i).is_some() && self.reference.signals[*i].key.task == Some(task);
        let own: Vec<usize> = (0..self.steps.len()).filter(is_own).collect();
        let shown =
            own.iter().filter(|i| self.steps[**i].ln_moved >= MOVED.ln() && self.shows_more_than_the_whole(**i));
        let shown: Vec<Segment> = shown.filter_map(|i| segment(*i)).collect();
        let is_other = |i: &usize| segment(*i).is_some_and(|segment| !shown.contains(&segment));
        let others: Vec<usize> = own.into_iter().filter(is_other).collect();
        mean_moved(self.reference, self.steps, &others) >= MOVED.ln()
    }

    /// Whether more than a share of what a signal counts has changed, chance taken off.
    fn has_changed_more(&self, signal: usize, share: f64) -> bool {
        let chance = CHANCE / (self.units_of(signal).max(1) as f64).sqrt();
        self.change(signal).is_some_and(|change| change.least() - chance > share)
    }

    /// What a signal counts in this window.
    fn units_of(&self, signal: usize) -> i64 {
        self.reference.signals[signal].measure.as_signal().n(&self.steps[signal].cells)
    }

    /// Whether a signal looks at the answers of one of these heads.
    fn looks_at(&self, signal: usize, heads: &BTreeSet<usize>) -> bool {
        let SignalReference { key, measure, .. } = &self.reference.signals[signal];
        let linked = matches!(measure, Measure::TaskLink(link) if link.tasks().iter().any(|task| heads.contains(task)));
        linked || key.task.is_some_and(|task| heads.contains(&task))
    }

    /// Whether a signal is of all records, or of a segment that is most of them.
    pub(super) fn is_whole(&self, signal: usize) -> bool {
        self.reference.signals[signal].key.segment.is_none()
            || self
                .whole_of(signal)
                .is_some_and(|all| units(self.reference, signal) > MOST_OF_ALL * units(self.reference, all))
    }

    /// Tasks with a drifting signal in a segment, in their order.
    pub(super) fn tasks_in(&self, segment: Segment) -> Vec<usize> {
        let keys = self.drifting.iter().map(|i| &self.reference.signals[*i].key);
        let mut tasks: Vec<usize> = keys.filter(|k| k.segment == Some(segment)).filter_map(|k| k.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks
    }

    /// A segment that drifts, the strongest, where all records were looked at as well.
    pub(super) fn segment(&self) -> Option<Segment> {
        let part = |i: &&usize| !self.is_whole(**i) && self.whole_of(**i).is_some_and(|whole| self.steps[whole].ticked);
        self.drifting.iter().filter(part).find_map(|i| self.reference.signals[*i].key.segment)
    }

    fn shows_more_than_the_whole(&self, signal: usize) -> bool {
        let moved = |i: usize| self.steps[i].ln_moved;
        self.whole_of(signal).is_some_and(|whole| self.steps[whole].ticked && moved(signal) > moved(whole))
    }

    /// Whether most of what some signals count was looked at since evidence last began anew.
    fn most_is_looked_at(&self, signals: &[usize]) -> bool {
        let units = |i: &usize| units(self.reference, *i);
        let looked_at = signals.iter().filter(|i| self.is_looked_at(**i));
        2.0 * looked_at.map(units).sum::<f64>() >= signals.iter().map(units).sum()
    }

    /// The same signal of all records.
    fn whole_of(&self, signal: usize) -> Option<usize> {
        let own = &self.reference.signals[signal].key;
        self.reference.signals.iter().position(|s| s.key.segment.is_none() && s.key.is_alike(own))
    }

    /// Records of the window in some segments of one tag, and in all.
    fn records_in(&self, segments: &[Segment]) -> Option<[i64; 2]> {
        self.reference.signals.iter().zip(self.steps).find_map(|(signal, step)| match &signal.measure {
            Measure::SegmentMix(mix) => mix.records(segments, &step.cells),
            _ => None,
        })
    }
}

/// Whether a segment is no place by itself after all: something moves in it, and in the others of its tag as well.
/// Heads that it was not said to reach may do so for reasons of their own.
pub fn is_spread(reference: &Reference, steps: &[SignalStep], segment: Segment, tasks_affected: &[usize]) -> bool {
    let is_own = |i: &usize| {
        let key = &reference.signals[*i].key;
        key.segment == Some(segment) && key.task.is_none_or(|task| tasks_affected.contains(&task))
    };
    let has_moved = |i: &usize| mean_moved(reference, steps, &[*i]) >= MOVED.ln();
    let own = (0..steps.len()).filter(is_own).filter(has_moved);
    own.into_iter().any(|signal| moves_elsewhere(reference, steps, segment, signal))
}

/// Whether a signal moves in the other segments of a segment's tag.
pub fn moves_elsewhere(reference: &Reference, steps: &[SignalStep], segment: Segment, signal: usize) -> bool {
    let key = |i: usize| &reference.signals[i].key;
    let is_other = |i: &usize| {
        key(*i).segment.is_some_and(|s| s.tag == segment.tag && s != segment) && key(*i).is_alike(key(signal))
    };
    let others: Vec<usize> = (0..steps.len()).filter(is_other).collect();
    mean_moved(reference, steps, &others) >= MOVED.ln()
}

/// ln of the mean of what signals of segments hold, each with the weight of what it counts. Segments of a tag share no
/// records, so what one of them holds is no echo of another's: quiet ones hold as little as any quiet part.
fn mean_moved(reference: &Reference, steps: &[SignalStep], signals: &[usize]) -> f64 {
    let all: f64 = signals.iter().map(|i| units(reference, *i)).sum();
    if all > 0.0 {
        ln_weighted_sum(signals.iter().map(|i| (units(reference, *i) / all, steps[*i].ln_moved)))
    } else {
        f64::NEG_INFINITY
    }
}

/// What the reference counts of a signal.
fn units(reference: &Reference, signal: usize) -> f64 {
    let SignalReference { measure, totals, .. } = &reference.signals[signal];
    measure.as_signal().n(totals) as f64
}
