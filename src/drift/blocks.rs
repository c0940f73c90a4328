//! A reference's windows while it is fitted: tallied one by one, then given out in blocks of as many as a scale merges.

use std::collections::BTreeMap;

use super::fit::add;
use super::observation::Observation;
use super::reference::Reference;
use super::signal::HeldOut;
use super::spread::Spreads;
use super::summary::Summary;
use super::time::Timestamp;
use super::window::Slot;

/// Merged windows a scale needs to be calibrated on its own; below, the scale before it stands in, which
/// errs on the safe side: it takes the windows' effects to last.
pub(super) const LEAST_BLOCKS: usize = 8;
/// Windows kept open while records of many windows are read in some disorder.
const MOST_OPEN: usize = 32;

/// Tallies of a reference's windows, by window and phase; closed ones as bytes, which are mostly zeros.
#[derive(Default)]
pub(super) struct Tallies {
    open: BTreeMap<(Slot, usize), Summary>,
    closed: BTreeMap<(Slot, usize), Vec<u8>>,
    spreads: Spreads,
}

impl Tallies {
    pub(super) fn new() -> Tallies {
        Tallies::default()
    }

    pub(super) fn fold(
        &mut self,
        reference: &Reference,
        slot: Slot,
        time: Timestamp,
        observation: &Observation,
        held: HeldOut,
    ) {
        self.spreads.fold(reference, time, observation, held);
        let phase = reference.season.map_or(0, |season| season.phase(time));
        let tally = self.open.entry((slot, phase)).or_insert_with(|| Summary::empty(reference));
        tally.fold_held_out(reference, time, observation, held);
        if self.open.len() > MOST_OPEN {
            let (key, oldest) = self.open.pop_first().expect("more than none are open");
            self.close(key, oldest);
        }
    }

    fn close(&mut self, key: (Slot, usize), mut tally: Summary) {
        if let Some(earlier) = self.closed.get(&key) {
            add(&mut tally, &decode(earlier));
        }
        self.closed.insert(key, tally.encode());
    }

    /// Closes everything.
    pub(super) fn finish(mut self) -> Windows {
        while let Some((key, tally)) = self.open.pop_first() {
            self.close(key, tally);
        }
        let mut windows: BTreeMap<Slot, Window> = BTreeMap::new();
        for ((slot, phase), bytes) in self.closed {
            windows.entry(slot).or_default().push((phase, bytes));
        }
        Windows { windows: windows.into_values().collect(), spreads: self.spreads }
    }
}

/// The tallies of one window, by phase.
type Window = Vec<(usize, Vec<u8>)>;

/// All windows of a reference, in order.
pub(super) struct Windows {
    windows: Vec<Window>,
    /// How widely their records lie around the means of their phases.
    pub(super) spreads: Spreads,
}

impl Windows {
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// What the windows hold together, by phase; one sum where there are no seasons.
    pub(super) fn by_phase(&self, reference: &Reference) -> Vec<Summary> {
        let mut sums = vec![Summary::empty(reference); reference.phases().max(1)];
        for (phase, bytes) in self.windows.iter().flatten() {
            add(&mut sums[*phase], &decode(bytes));
        }
        sums
    }

    /// Gives every `scale` consecutive windows merged; a rest at the end is left out.
    pub(super) fn each_block(&self, reference: &Reference, scale: u32, mut take: impl FnMut(&Summary)) {
        for block in self.windows.chunks_exact(scale as usize) {
            take(&merged(reference, block));
        }
    }

    /// The same, each with a reference that lacks the block and, where there are enough, its neighbours: what goes on
    /// over an edge is in them, and a thin cell that a block itself has filled fits it better than any later one.
    pub(super) fn each_apart(&self, reference: &mut Reference, scale: u32, mut take: impl FnMut(&Reference, &Summary)) {
        let blocks: Vec<&[Window]> = self.windows.chunks_exact(scale as usize).collect();
        let near = usize::from(blocks.len() >= LEAST_BLOCKS);
        for (i, block) in blocks.iter().enumerate() {
            let [first, end] = [i.saturating_sub(near), (i + near + 1).min(blocks.len())];
            let entered = if i == 0 { first } else { (i + near).min(end) };
            blocks[entered..end].iter().for_each(|block| shift_totals(reference, block, -1));
            take(reference, &merged(reference, block));
            let left = if i + 1 == blocks.len() { end } else { (i + 1).saturating_sub(near) };
            blocks[first..left].iter().for_each(|block| shift_totals(reference, block, 1));
        }
    }
}

/// Adds windows to what the reference counts, or with −1 takes them out.
fn shift_totals(reference: &mut Reference, windows: &[Window], sign: i64) {
    for (phase, bytes) in windows.iter().flatten() {
        let tally = decode(bytes);
        for signal in &mut reference.signals {
            let own = &tally.cells[signal.cells()];
            let of_phase = signal.seasonal.as_mut().map(|seasonal| &mut seasonal.by_phase[*phase]);
            for totals in of_phase.into_iter().chain([&mut signal.totals]) {
                totals.iter_mut().zip(own).for_each(|(total, cell)| *total += sign * cell);
            }
        }
    }
}

fn merged(reference: &Reference, block: &[Window]) -> Summary {
    let mut merged = Summary::empty(reference);
    block.iter().flatten().for_each(|(_, bytes)| add(&mut merged, &decode(bytes)));
    merged
}

fn decode(bytes: &[u8]) -> Summary {
    Summary::decode(bytes).expect("what was just encoded decodes")
}
