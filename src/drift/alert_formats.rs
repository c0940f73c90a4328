//! Alerts as courses of earlier formats hold them.

use super::{Alert, Alerts, Cause, Firing, Harmed, Slot, Timestamp, Witness};

/// An alert with the tasks that labels prove worse, without their classes;
type WithTasks = (Slot, u32, Timestamp, Cause, f64, Vec<Witness>, Vec<usize>);
/// before that, without what labels prove.
type WithoutHarm = (Slot, u32, Timestamp, Cause, f64, Vec<Witness>);
/// Alerts of which each that fires stands with its quiet windows and its patience;
type All<A> = (Option<A>, Vec<(A, u32, u32)>);
/// those of courses that knew no classes,
pub(in crate::drift) type WithoutClasses = All<WithTasks>;
/// and before that no harm;
pub(in crate::drift) type Earlier = All<WithoutHarm>;
/// and of still earlier ones, with its quiet windows alone.
pub(in crate::drift) type WithoutPatience = (Option<WithoutHarm>, Vec<(WithoutHarm, u32)>);

impl From<WithTasks> for Alert {
    fn from((opened_slot, ordinal, opened_at, cause, ln_evidence, witnesses, tasks): WithTasks) -> Alert {
        let harmed = tasks.into_iter().map(|task| Harmed { task, classes: Vec::new() }).collect();
        Alert { opened_slot, ordinal, opened_at, cause, ln_evidence, witnesses, harmed }
    }
}

impl From<WithoutHarm> for Alert {
    fn from((opened_slot, ordinal, opened_at, cause, ln_evidence, witnesses): WithoutHarm) -> Alert {
        Alert { opened_slot, ordinal, opened_at, cause, ln_evidence, witnesses, harmed: Vec::new() }
    }
}

impl<A: Into<Alert>> From<All<A>> for Alerts {
    fn from((pending, firing): All<A>) -> Alerts {
        let of = |(alert, quiet, patience): (A, u32, u32)| Firing { alert: alert.into(), quiet, patience };
        Alerts { pending: pending.map(A::into), firing: firing.into_iter().map(of).collect() }
    }
}

impl From<WithoutPatience> for Alerts {
    fn from((pending, firing): WithoutPatience) -> Alerts {
        let firing = firing.into_iter().map(|(alert, quiet)| (alert, quiet, 0)).collect();
        let earlier: Earlier = (pending, firing);
        Alerts::from(earlier)
    }
}
