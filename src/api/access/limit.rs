//! How much one caller may ask: a bucket of tokens each, filled at a steady rate.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::drift::time::Timestamp;

/// Callers that are remembered. Beyond it those with a full bucket are forgotten, which changes nothing
/// for them; if all are busy, newcomers share one bucket.
const MOST_CALLERS: usize = 10_000;

/// Buckets by caller.
pub(super) struct Limits(Mutex<Buckets>);

struct Buckets {
    per_second: f64,
    burst: f64,
    held: HashMap<String, Bucket>,
}

struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Limits {
    /// So many requests a second over a while, and so many at once.
    pub(super) fn new(per_second: f64, burst: f64) -> Limits {
        Limits(Mutex::new(Buckets { per_second, burst, held: HashMap::new() }))
    }

    /// Another rate from now on; what callers have left stays, up to the new burst.
    pub(super) fn set(&self, (per_second, burst): (f64, f64)) {
        let mut buckets = self.lock();
        (buckets.per_second, buckets.burst) = (per_second, burst);
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token.
    ///
    /// # Errors
    /// Seconds until there is one.
    pub(super) fn take(&self, caller: &str, now: Timestamp) -> Result<(), u64> {
        let mut buckets = self.lock();
        let Buckets { per_second, burst, held } = &mut *buckets;
        let mut name = caller;
        if !held.contains_key(name) && held.len() >= MOST_CALLERS {
            held.retain(|_, bucket| bucket.filled(*per_second, *burst, now) < *burst);
            if held.len() >= MOST_CALLERS {
                name = "";
            }
        }
        let bucket = held.entry(name.to_owned()).or_insert(Bucket { tokens: *burst, at: now });
        bucket.tokens = bucket.filled(*per_second, *burst, now);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - bucket.tokens) / *per_second).ceil().max(1.0) as u64)
    }
}

impl Bucket {
    /// A clock that was set back fills nothing and takes nothing away.
    fn filled(&self, per_second: f64, burst: f64, now: Timestamp) -> f64 {
        let secs = now.since(self.at).micros().max(0) as f64 / 1e6;
        burst.min(self.tokens + secs * per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limits = Limits::new(0.5, 3.0);
        for _ in 0..3 {
            assert_eq!(limits.take("a", at(0)), Ok(()));
        }
        assert_eq!(limits.take("a", at(0)), Err(2));
        assert_eq!(limits.take("b", at(0)), Ok(()), "others have their own");
        assert_eq!(limits.take("a", at(1_000)), Err(1));
        assert_eq!(limits.take("a", at(2_000)), Ok(()));
        assert_eq!(limits.take("a", at(-60_000)), Err(2), "a clock that was set back");
        assert_eq!(limits.take("a", at(1_000_000)), Ok(()));
    }

    #[test]
    fn another_rate_counts_at_once() {
        let limits = Limits::new(1.0, 5.0);
        assert_eq!(limits.take("a", at(0)), Ok(()));
        limits.set((0.5, 2.0));
        assert_eq!([(); 3].map(|()| limits.take("a", at(0))), [Ok(()), Ok(()), Err(2)], "no more than the new burst");
        limits.set((1.0, 5.0));
        assert_eq!(limits.take("a", at(0)), Err(1), "what was used is not given back");
    }

    #[test]
    fn many_callers_take_a_bounded_place() {
        let limits = Limits::new(1.0, 2.0);
        for i in 0..MOST_CALLERS {
            assert_eq!(limits.take(&i.to_string(), at(0)), Ok(()));
        }
        assert_eq!([0, 1, 2].map(|i| limits.take(&format!("new{i}"), at(0))), [Ok(()), Ok(()), Err(1)], "shared");
        assert_eq!(limits.lock().held.len(), MOST_CALLERS + 1);
        assert_eq!(limits.take("later", at(60_000)), Ok(()));
        assert_eq!(limits.lock().held.len(), 1, "the rested are forgotten");
    }
}
