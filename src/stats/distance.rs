//! Effect sizes on two vectors of counts. They are shown to people; none of them decides, because
//! none has an error rate: on a 120-class head two samples of 1,000 without drift have a PSI of 0.2.

/// How far apart two count vectors are, in the measures people know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effects {
    /// Population stability index, Σ (q − p) ln(q/p), with shares (c + ½)/(n + K/2).
    pub psi: f64,
    /// Jensen–Shannon divergence, base 2, in [0, 1].
    pub jensen_shannon: f64,
    /// Hellinger distance in [0, 1].
    pub hellinger: f64,
}

/// Effects of `current` against `reference`; `None` when either is empty.
pub fn effects(current: &[i64], reference: &[f64]) -> Option<Effects> {
    let n = current.iter().sum::<i64>() as f64;
    let total = reference.iter().sum::<f64>();
    if n <= 0.0 || total <= 0.0 {
        return None;
    }
    let cells: Vec<(f64, f64)> =
        current.iter().zip(reference).filter(|(c, r)| **c > 0 || **r > 0.0).map(|(&c, &r)| (c as f64, r)).collect();
    let k = cells.len() as f64;
    let mut found = Effects { psi: 0.0, jensen_shannon: 0.0, hellinger: 0.0 };
    let mut affinity = 0.0;
    for (c, r) in cells {
        let (q, p) = ((c + 0.5) / (n + 0.5 * k), (r + 0.5) / (total + 0.5 * k));
        found.psi += (q - p) * (q / p).ln();
        let (q, p) = (c / n, r / total);
        let middle = 0.5 * (p + q);
        found.jensen_shannon += 0.5 * (information(p, middle) + information(q, middle));
        affinity += (p * q).sqrt();
    }
    found.hellinger = (1.0 - affinity).max(0.0).sqrt();
    Some(found)
}

/// Share of the units that must have changed cells for counts to become what they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Total variation distance ½ Σ |q − p| of the shares, in [0, 1].
    pub seen: f64,
    /// What sampling alone makes of it, on average.
    pub chance: f64,
    /// Units that were counted.
    pub units: f64,
}

/// Two total variation distances of n units each differ by chance by more than this, divided by √n, in less than one
/// of three hundred cases: neither has a standard error of more than ½/√n.
const BEYOND: f64 = 2.0;

impl Change {
    /// The share without what chance adds, in [0, 1]. Where cells moved far chance adds less, and it is too small.
    pub fn least(self) -> f64 {
        (self.seen - self.chance).max(0.0)
    }

    /// Whether more units moved than did in another way, beyond what chance adds to the one and takes off the other.
    pub fn is_beyond(self, other: Change) -> bool {
        self.least() > other.seen + BEYOND / self.units.min(other.units).max(1.0).sqrt()
    }
}

/// Change of `current` against `reference`, whose own error is neglected; `None` when either is empty.
///
/// No pairing of records before with records after leaves more of them in their cells than 1 − TV. Of n units
/// drawn at share p the count's share is off by √(2p(1 − p)/(πn)) on average, the mean absolute deviation of the
/// normal law with its variance.
pub fn change(current: &[i64], reference: &[f64]) -> Option<Change> {
    let n = current.iter().sum::<i64>() as f64;
    let total = reference.iter().sum::<f64>();
    if n <= 0.0 || total <= 0.0 {
        return None;
    }
    let mut change = Change { seen: 0.0, chance: 0.0, units: n };
    for (c, r) in current.iter().zip(reference) {
        let (q, p) = (*c as f64 / n, r / total);
        change.seen += 0.5 * (q - p).abs();
        change.chance += 0.5 * (2.0 * p * (1.0 - p) / (std::f64::consts::PI * n)).sqrt();
    }
    Some(change)
}

fn information(p: f64, middle: f64) -> f64 {
    if p > 0.0 { p * (p / middle).log2() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_have_no_distance() {
        let found = effects(&[10, 20, 30], &[10.0, 20.0, 30.0]).expect("both sides hold counts");
        assert!(found.psi.abs() < 1e-12 && found.jensen_shannon.abs() < 1e-12 && found.hellinger < 1e-7);
    }

    #[test]
    fn disjoint_counts_are_as_far_as_can_be() {
        let found = effects(&[50, 0], &[0.0, 50.0]).expect("both sides hold counts");
        assert!((found.jensen_shannon - 1.0).abs() < 1e-12 && (found.hellinger - 1.0).abs() < 1e-12);
        assert!(found.psi.is_finite(), "half a count keeps the logarithm finite");
    }

    #[test]
    fn change_is_the_share_that_moved_and_what_chance_makes_of_it() {
        use rand::{RngExt, SeedableRng, rngs::StdRng};
        let reference = [1.0; 40];
        let draw = |rng: &mut StdRng, moved: f64| {
            let mut counts = [0_i64; 40];
            for _ in 0..500 {
                let new = rng.random::<f64>() < moved;
                counts[if new { rng.random_range(0..4) } else { rng.random_range(0..40) }] += 1;
            }
            change(&counts, &reference).expect("both sides hold counts")
        };
        let mean = |moved: f64| {
            let mut rng = StdRng::seed_from_u64(5);
            let all: Vec<Change> = (0..400).map(|_| draw(&mut rng, moved)).collect();
            let of = |f: fn(&Change) -> f64| all.iter().map(f).sum::<f64>() / 400.0;
            (of(|c| c.seen), of(|c| c.chance), of(|c| c.least()))
        };
        let (seen, chance, _) = mean(0.0);
        assert!((seen / chance - 1.0).abs() < 0.02, "nothing moved: {seen} {chance}");
        // Nine tenths of what moves leaves the other cells.
        let (seen, chance, least) = mean(0.4);
        assert!(least < 0.36 && 0.36 < seen && 0.36 - least < chance, "{least} {seen} {chance}");
    }

    #[test]
    fn an_empty_side_has_no_distance() {
        assert_eq!(change(&[0, 0], &[1.0, 1.0]), None);
        assert_eq!(effects(&[0, 0], &[1.0, 1.0]), None);
    }
}
