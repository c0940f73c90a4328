//! Categories by name: those with a cell of their own, and those that were seen beside them.

use serde::{Deserialize, Serialize};

/// Category names, found by a hash of their bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredNames", into = "StoredNames")]
pub(super) struct Names {
    pub(super) sorted: Vec<String>,
    /// A power of two of slots, at least four a name, so that a search mostly ends where it begins.
    slots: Vec<Slot>,
}

/// Names as a reference holds them.
#[derive(Serialize, Deserialize)]
struct StoredNames {
    sorted: Vec<String>,
    heads: Vec<u64>,
}

/// A name's first eight bytes, its length, and its place; [`FREE`] for no name.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slot {
    head: u64,
    length: u32,
    place: u32,
}

const FREE: Slot = Slot { head: 0, length: u32::MAX, place: u32::MAX };

impl From<StoredNames> for Names {
    fn from(stored: StoredNames) -> Names {
        Names::new(stored.sorted)
    }
}

impl From<Names> for StoredNames {
    fn from(names: Names) -> StoredNames {
        StoredNames { heads: names.sorted.iter().map(|name| head(name.as_bytes())).collect(), sorted: names.sorted }
    }
}

impl Names {
    pub(super) fn new(mut names: Vec<String>) -> Names {
        const SLOTS_A_NAME: usize = 4;
        names.sort();
        let mut slots = vec![FREE; (SLOTS_A_NAME * names.len().max(1)).next_power_of_two()];
        for (place, name) in names.iter().enumerate() {
            let bytes = name.as_bytes();
            let mut at = begin(bytes, slots.len());
            while slots[at] != FREE {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = Slot { head: head(bytes), length: bytes.len() as u32, place: place as u32 };
        }
        Names { sorted: names, slots }
    }

    /// The place of a name; one past the last for others.
    pub(super) fn place(&self, name: &str) -> usize {
        let (bytes, own) = (name.as_bytes(), head(name.as_bytes()));
        let mut at = begin(bytes, self.slots.len());
        loop {
            let slot = self.slots[at];
            // Eight bytes and a length say all of a short name.
            let alike = slot.head == own && slot.length as usize == bytes.len();
            if alike && (bytes.len() <= 8 || self.sorted[slot.place as usize].as_bytes() == bytes) {
                return slot.place as usize;
            }
            if slot == FREE {
                return self.sorted.len();
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

impl Rare {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Rare {
        let mut hashes: Vec<u32> = names.map(Rare::hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Rare(hashes)
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.binary_search(&Rare::hash(name)).is_ok()
    }

    /// One of a thousand names is taken for another with a probability of 1 in four million.
    fn hash(name: &str) -> u32 {
        (hash(name.as_bytes()) >> 32) as u32
    }
}

/// The slot where the search for a name begins.
fn begin(name: &[u8], slots: usize) -> usize {
    (hash(name) >> 40) as usize & (slots - 1)
}

fn hash(name: &[u8]) -> u64 {
    // 2⁶⁴ over the golden ratio: its products spread over the high bits (Knuth, The Art of Computer Programming, 6.4).
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = |hash: u64, bytes: &[u8]| (hash.rotate_left(32) ^ head(bytes).swap_bytes()).wrapping_mul(MIX);
    if name.len() <= 8 { mixed(0, name) } else { name.chunks(8).fold(0, mixed) }
}

/// The first eight bytes, in the order of the names.
fn head(name: &[u8]) -> u64 {
    let byte = |i: usize| u64::from(name[i]) << (56 - 8 * i);
    let four =
        |i: usize| u64::from(u32::from_be_bytes([name[i], name[i + 1], name[i + 2], name[i + 3]])) << (32 - 8 * i);
    match name.len() {
        0 => 0,
        // What is read twice is the same.
        n @ 1..=3 => byte(0) | byte(n / 2) | byte(n - 1),
        n @ 4..=7 => four(0) | four(n - 4),
        _ => four(0) | four(4),
    }
}

/// Categories that were seen and have no cell of their own, by a hash of their names: sorted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rare(Vec<u32>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_all_of_their_bytes() {
        let names =
            Names::new(["standard-plus", "standard", "standard-basic", "b", "", "b\0"].map(str::to_owned).to_vec());
        for (at, name) in ["", "b", "b\0", "standard", "standard-basic", "standard-plus"].iter().enumerate() {
            assert_eq!(names.place(name), at, "{name}");
        }
        for other in ["standard-", "c", "bb", "b\0\0", "\0", "standard-basis"] {
            assert_eq!(names.place(other), 6, "{other}");
        }
        let many = Names::new((0..256).map(|i| format!("category {i:03}")).collect());
        assert_eq!(
            (many.place("category 042"), many.place("category 255"), many.place("category 256")),
            (42, 255, 256)
        );
    }

    #[test]
    fn heads_keep_the_order_of_names() {
        let longest = "customer";
        for n in 0..=longest.len() {
            let mut bytes = [0; 8];
            bytes[..n].copy_from_slice(&longest.as_bytes()[..n]);
            assert_eq!(head(&longest.as_bytes()[..n]), u64::from_be_bytes(bytes), "{n}");
        }
        assert_eq!(head(b"customers"), head(b"customer"));
    }

    #[test]
    fn what_was_seen_is_told_from_what_was_not() {
        let name = |i: u32| format!("{}product {i}", if i.is_multiple_of(2) { "a longer name of a " } else { "" });
        let seen: Vec<String> = (0..5_000).map(name).collect();
        let rare = Rare::of(seen.iter().map(String::as_str));
        assert!(seen.iter().all(|name| rare.holds(name)));
        let taken = (5_000..10_000).filter(|i| rare.holds(&name(*i))).count();
        assert!(taken <= 1, "{taken} of 5000 that nobody saw");
        assert!(!Rare::of(std::iter::empty()).holds(""));
    }
}
