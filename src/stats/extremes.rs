//! Whether the least of many p-values are as small as chance has them, and how to read small ones if not.

use serde::{Deserialize, Serialize};

use super::probability::{binomial_ln_sf, chi_square_ln_sf, chi_square_quantile};

/// Most and fewest of the least p-values that are looked at, and their share of all.
const MOST: usize = 16;
const FEWEST: usize = 4;
const SHARE: usize = 20;
/// Chance that a sound series is taken to have too many small ones,
const TOO_MANY: f64 = 1e-3;
/// and that it is taken to have too small ones, which costs it little.
const TOO_SMALL: f64 = 1e-2;
/// Smaller ones are as this one.
const LEAST_LN_P: f64 = -700.0;

/// The least of a series of p-values.
#[derive(Clone, Debug, Default)]
pub struct Extremes {
    seen: usize,
    /// ln p of the least, in order.
    least: Vec<f64>,
}

/// How small p-values are read, where those of windows without any drift are smaller than chance has them: a line up to
/// a knee and another beyond, both on the log scale.
///
/// Where a p-value is right, −ln p of the least of many lies an exponential variable of mean 1 beyond the k-th least
/// (Rényi 1953). Where the law behind it is too light for what happens, as for one customer's batches of like records, of
/// which one in a thousand is of fifty, it lies farther; by how much on average is Hill's estimator (1975).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// −ln p at the knee,
    knee: f64,
    /// and what it is read as.
    read_as: f64,
    /// What −ln p is divided by beyond, at least 1.
    stretch: f64,
}

impl Extremes {
    /// Takes one more.
    pub fn take(&mut self, ln_p: f64) {
        let ln_p = ln_p.max(LEAST_LN_P);
        self.seen += 1;
        let place = self.least.partition_point(|own| *own <= ln_p);
        if place < MOST {
            self.least.insert(place, ln_p);
            self.least.truncate(MOST);
        }
    }

    /// How p-values of this kind are to be read; `None` for as they are.
    pub fn tail(&self) -> Option<Tail> {
        let rank = (self.seen / SHARE).clamp(FEWEST, MOST);
        let knee = -self.least.get(rank - 1).filter(|_| self.seen > rank)?;
        let usual = (self.seen as f64 / rank as f64).ln();
        let p = (-knee).exp();
        let many = knee > usual && binomial_ln_sf(rank as f64, self.seen as f64, p) < TOO_MANY.ln();
        let freedom = 2.0 * (rank - 1) as f64;
        let excess: f64 = self.least[..rank - 1].iter().map(|ln_p| -ln_p - knee).sum();
        let far = chi_square_ln_sf(2.0 * excess, freedom) < TOO_SMALL.ln();
        (many || far).then(|| Tail {
            knee,
            read_as: if many { usual } else { knee },
            // Nine times of ten the mean is no larger.
            stretch: if far { (2.0 * excess / chi_square_quantile(-1.282, freedom)).max(1.0) } else { 1.0 },
        })
    }
}

impl Tail {
    /// ln p as it is read.
    pub fn read(self, ln_p: f64) -> f64 {
        let y = -ln_p;
        if y > self.knee {
            -(self.read_as + (y - self.knee) / self.stretch)
        } else if self.read_as < self.knee {
            ln_p * self.read_as / self.knee
        } else {
            ln_p
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn series(count: usize, rng: &mut StdRng, ln_p: impl Fn(f64) -> f64) -> Option<Tail> {
        let mut extremes = Extremes::default();
        (0..count).for_each(|_| extremes.take(ln_p(rng.random::<f64>().max(1e-300))));
        extremes.tail()
    }

    #[test]
    fn p_values_that_are_right_are_read_as_they_are() {
        let mut rng = StdRng::seed_from_u64(3);
        for count in [52, 840] {
            let others = (0..2_000).filter(|_| series(count, &mut rng, f64::ln).is_some()).count();
            assert!((5..=40).contains(&others), "{others} of 2,000 series of {count}");
        }
        assert_eq!(Extremes::default().tail(), None);
        assert_eq!(series(840, &mut rng, |_| 0.0), None);
    }

    /// The p-values of a law too light: what is read has the chance that it says, in the tail and before it.
    #[test]
    fn p_values_of_a_light_law_are_read_as_rare_as_they_are() {
        let mut rng = StdRng::seed_from_u64(5);
        let laws: [fn(f64) -> f64; 2] = [
            // The cube of what it should be, in one window of twenty.
            |u| if u < 0.05 { 3.0 * u.ln() - 2.0 * 0.05_f64.ln() } else { u.ln() },
            |u| 3.0 * u.ln(),
        ];
        for law in laws {
            let told = |tail: Tail| {
                let read = |u: f64| tail.read(law(u)).exp();
                [0.03_f64, 0.01, 1e-3, 1e-5, 1e-8].iter().all(|u| (0.1 * u.powf(1.3)..u.powf(0.15)).contains(&read(*u)))
            };
            let tails = (0..100).map(|_| series(840, &mut rng, law).expect("too light"));
            let right = tails.filter(|tail| told(*tail)).count();
            assert!(right >= 85, "{right} of 100");
        }
        let tail = series(840, &mut rng, laws[0]).expect("too light");
        assert_eq!((tail.read(f64::NEG_INFINITY), tail.read(0.0)), (f64::NEG_INFINITY, 0.0));
    }
}
