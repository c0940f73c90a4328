//! Named steps at which a test may end the process as `kill -9` would.
//!
//! `DRIFTD_FAULT=name:3` ends it when the step `name` is reached for the third time. Only debug
//! builds look; in a release build every call is empty.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};

/// All steps, for the tests that go through them.
pub const POINTS: [&str; 12] = [
    "after_fetch",
    "in_inference",
    "before_commit",
    "in_commit",
    "after_commit",
    "after_hint",
    "before_judgement",
    "in_judgement",
    "after_judgement",
    "after_claim",
    "after_answer",
    "in_maintenance",
];

/// Reaches a step.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("DRIFTD_FAULT").ok()?;
        let (name, count) = text.split_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    let Some((wanted, count)) = wanted else { return };
    if wanted == name && REACHED.fetch_add(1, Ordering::AcqRel) + 1 == *count {
        eprintln!("fault: ending at `{name}`");
        std::process::abort();
    }
}

/// Reaches a step.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &str) {}
