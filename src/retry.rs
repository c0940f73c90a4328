//! Waiting before trying again: exponential with full jitter, so that many replicas do not come
//! back at the same moment.

use std::cell::RefCell;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);

/// How often something failed in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new() -> Backoff {
        Backoff::default()
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next try; false if `shutdown` came first.
    pub async fn wait(&mut self, shutdown: &CancellationToken) -> bool {
        let delay = jittered(FIRST, LONGEST, self.failures);
        self.failures = self.failures.saturating_add(1);
        tokio::select! {
            () = shutdown.cancelled() => false,
            () = tokio::time::sleep(delay) => true,
        }
    }
}

/// A delay between zero and `first · 2^failures`, at most `longest`, and never less than a tenth
/// of its bound, so that nothing spins.
pub fn jittered(first: Duration, longest: Duration, failures: u32) -> Duration {
    let bound = first.saturating_mul(2_u32.saturating_pow(failures.min(20))).min(longest);
    bound.mul_f64(0.1 + 0.9 * JITTER.with_borrow_mut(rand::RngExt::random::<f64>))
}

thread_local! {
    static JITTER: RefCell<StdRng> = RefCell::new(StdRng::from_rng(&mut rand::rng()));
}

/// Makes the delays of this thread follow from a seed, for a simulation that can be repeated.
pub fn seed(seed: u64) {
    JITTER.set(StdRng::seed_from_u64(seed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_bound() {
        for failures in [0, 3, 50] {
            let delay = jittered(FIRST, LONGEST, failures);
            let bound = FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST);
            assert!(delay <= bound && delay >= bound.mul_f64(0.09), "{failures}: {delay:?}");
        }
    }
}
