//! The parts a reference is cut into, so that what is learned from the others can be tried on each.
//!
//! A record's neighbours say what it says: the same visitor asks again, a conversation goes on. A part is therefore a
//! stretch of the stream, with the neighbours inside; scattered over all parts they would stand on both sides, and
//! records would look closer to what was learned without them than later ones do.

use super::signal::FOLDS;

/// Of how many records, and in which order they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folds {
    records: u64,
    sorted: bool,
}

impl Folds {
    /// For so many records. Where they are sorted by class a stretch would take a class away whole, and there are no
    /// neighbours in time: then they are scattered.
    pub(super) fn new(records: usize, sorted: bool) -> Folds {
        Folds { records: records.max(1) as u64, sorted }
    }

    /// The part of the record with this place in the stream, below [`FOLDS`].
    pub(super) fn of(&self, ordinal: u64) -> usize {
        let parts = FOLDS as u64;
        let part = if self.sorted {
            (ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % parts
        } else {
            (u128::from(ordinal) * u128::from(parts) / u128::from(self.records)) as u64
        };
        part.min(parts - 1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_stretches_of_the_stream() {
        let folds = Folds::new(1_001, false);
        let parts: Vec<usize> = (0..1_001).map(|ordinal| folds.of(ordinal)).collect();
        assert!(parts.is_sorted());
        for part in 0..FOLDS {
            let size = parts.iter().filter(|p| **p == part).count();
            assert!((125..=126).contains(&size), "part {part} has {size}");
        }
        assert_eq!(folds.of(5_000), FOLDS - 1);
    }

    #[test]
    fn sorted_records_are_scattered() {
        let folds = Folds::new(8_000, true);
        for stretch in 0..8 {
            let mut sizes = [0; FOLDS];
            (0..1_000).for_each(|i| sizes[folds.of(1_000 * stretch + i)] += 1);
            assert!(sizes.iter().all(|size| (100..150).contains(size)), "{sizes:?}");
        }
    }
}
