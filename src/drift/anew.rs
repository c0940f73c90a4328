//! Which evidence begins anew after an alarm, and which goes on.
//!
//! What alarmed has been told, and counts from zero. Were everything to begin anew, a strong cause that alarms in every
//! window would keep whatever is light beside it from ever adding up. So signals that no firing alert accounts for go
//! on (docs/decisions/0057).
//!
//! The budget does not notice. The model's evidence M = Σ w·R grows by at most one a window in expectation where
//! nothing drifts, is never negative, and each alarm takes at least the threshold A from it: in T windows at most T/A
//! alarms are expected, whatever else is kept. That is why an alarm takes the strongest of what would go on, too, where
//! what it told is less than A.

use super::cause::{Cause, CauseKind};
use super::detector::SignalStep;
use super::reference::{Reference, SignalReference};
use super::signal::Scope;
use super::tree::weights;
use super::witness::{explains_signal, owns_signal};
use crate::stats::probability::ln_add;

/// Says of each signal whether its evidence goes on after an alarm that left these alerts firing, each with whether the
/// alarm was its; `ln_threshold` is ln A. Where the signals hold less than A, labels made the alarm with them, and all
/// begin anew.
pub fn go_on(reference: &Reference, steps: &[SignalStep], firing: &[(&Cause, bool)], ln_threshold: f64) -> Vec<bool> {
    let weights = weights(reference);
    let ln_share = |signal: &usize| weights[*signal].ln() + steps[*signal].ln_evidence;
    // An alert that others' alarms do not renew goes on where its own signals gather again.
    let takes = |(cause, renewed): &(&Cause, bool), signal: usize| {
        accounts_for(cause, reference, signal) && (*renewed || !owns_signal(cause, reference, signal))
    };
    let is_told = |signal: usize| firing.iter().any(|alert| takes(alert, signal));
    // What has no weight has a threshold of its own.
    let (mut kept, told): (Vec<usize>, Vec<usize>) =
        (0..steps.len()).partition(|signal| weights[*signal] > 0.0 && !is_told(*signal));
    kept.sort_by(|a, b| ln_share(a).total_cmp(&ln_share(b)));
    let mut taken = told.iter().map(ln_share).fold(f64::NEG_INFINITY, ln_add);
    while taken < ln_threshold
        && let Some(strongest) = kept.pop()
    {
        taken = ln_add(taken, ln_share(&strongest));
    }
    let mut goes_on = vec![false; steps.len()];
    kept.into_iter().for_each(|signal| goes_on[signal] = true);
    goes_on
}

/// Whether a signal moves where a cause is so. What changes the texts, or the mix of answers, reaches everything but the
/// comparison of production's answers with ours; a head reaches what looks at its answers; labels reach nothing.
fn accounts_for(cause: &Cause, reference: &Reference, signal: usize) -> bool {
    let SignalReference { key, .. } = &reference.signals[signal];
    match cause.kind {
        CauseKind::Concept => false,
        CauseKind::Skew | CauseKind::Version => explains_signal(cause, reference, signal),
        CauseKind::Head => key.scope != Scope::Skew && explains_signal(cause, reference, signal),
        _ => key.scope != Scope::Skew,
    }
}
