//! Input and encoder beside heads that drift far more: what one window shows of them says nothing, what they gathered
//! beside the alarms of others does.

use std::collections::BTreeSet;

use super::Findings;
use crate::drift::cause::CauseKind;
use crate::drift::signal::Scope;
use crate::stats::probability::ln_add;

impl Findings<'_> {
    /// Whether input and encoder, though they drift, hold next to nothing beside heads that drift given what they answer.
    pub(super) fn is_dwarfed_by(&self, given: &BTreeSet<usize>) -> bool {
        !given.is_empty() && given.iter().all(|task| self.is_still_before(self.most_moved(*task)))
    }

    /// Input, or encoder, where what it gathered beside the alarms of others would alarm by itself.
    pub(super) fn alarms_beside(&self) -> Option<CauseKind> {
        let alarms = |scope: Scope| {
            let own = self.all().filter(|i| self.scope(*i) == scope).map(|i| self.ln_share[i]);
            own.fold(f64::NEG_INFINITY, ln_add) >= self.ln_threshold
        };
        match () {
            () if alarms(Scope::Input) => Some(CauseKind::Input),
            () if alarms(Scope::Encoder) && !self.encoder_skewed => Some(CauseKind::Encoder),
            () => None,
        }
    }
}
