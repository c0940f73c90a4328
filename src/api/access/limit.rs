//! How much one caller may ask: a bucket of tokens each, filled at a steady rate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::drift::time::Timestamp;

/// Callers that are remembered. Beyond it those with a full bucket are forgotten, which changes nothing
/// for them; if all are busy, newcomers share one bucket.
const MOST_CALLERS: usize = 10_000;

/// Buckets by caller.
pub(super) struct Limits {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Limits {
    /// So many requests a second over a while, and so many at once.
    pub(super) fn new(per_second: f64, burst: f64) -> Limits {
        Limits { per_second, burst, buckets: Mutex::default() }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// Seconds until there is one.
    pub(super) fn take(&self, caller: &str, now: Timestamp) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = caller;
        if !buckets.contains_key(name) && buckets.len() >= MOST_CALLERS {
            buckets.retain(|_, bucket| self.filled(bucket, now) < self.burst);
            if buckets.len() >= MOST_CALLERS {
                name = "";
            }
        }
        let bucket = buckets.entry(name.to_owned()).or_insert(Bucket { tokens: self.burst, at: now });
        bucket.tokens = self.filled(bucket, now);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - bucket.tokens) / self.per_second).ceil().max(1.0) as u64)
    }

    /// A clock that was set back fills nothing and takes nothing away.
    fn filled(&self, bucket: &Bucket, now: Timestamp) -> f64 {
        let secs = now.since(bucket.at).micros().max(0) as f64 / 1e6;
        self.burst.min(bucket.tokens + secs * self.per_second)
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
    fn many_callers_take_a_bounded_place() {
        let limits = Limits::new(1.0, 2.0);
        for i in 0..MOST_CALLERS {
            assert_eq!(limits.take(&i.to_string(), at(0)), Ok(()));
        }
        assert_eq!([0, 1, 2].map(|i| limits.take(&format!("new{i}"), at(0))), [Ok(()), Ok(()), Err(1)], "shared");
        assert_eq!(limits.buckets.lock().expect("not poisoned").len(), MOST_CALLERS + 1);
        assert_eq!(limits.take("later", at(60_000)), Ok(()));
        assert_eq!(limits.buckets.lock().expect("not poisoned").len(), 1, "the rested are forgotten");
    }
}
