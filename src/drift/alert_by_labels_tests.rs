//! What labels prove beside an alert that stands.

use super::*;

const QUIET: Said = Said { patience: 0, moves: false, heard: true, spread: false };

fn witness() -> Witness {
    Witness { signal: 1, ln_evidence: 9.0, explained: false }
}

/// A segment that reaches the first head.
fn segment() -> Found {
    let segment = Some(Segment { tag: 0, value: 0 });
    let cause = Cause { kind: CauseKind::Segment, task: None, segment, tasks_affected: vec![0] };
    Found::plain(cause, vec![witness()])
}

fn harm() -> Found {
    let harmed = vec![Harmed { task: 0, classes: Vec::new() }];
    Found { harmed, ..place(CauseKind::Concept, Some(0), &[0]) }
}

#[test]
fn an_alert_keeps_what_it_rests_on_when_labels_prove_harm() {
    let mut alerts = Alerts::default();
    alerts.advance(&report(0, Verdict::Drift), || vec![segment()], Standing::Ours, 3, &QUIET);
    let grown = alerts.advance(&report(1, Verdict::Drift), || vec![harm()], Standing::Ours, 3, &QUIET);
    let [grown] = grown.as_slice() else { panic!("one alert that grew: {grown:?}") };
    assert_eq!((grown.to, grown.alert.cause.kind), (AlertState::Firing, CauseKind::Segment));
    assert_eq!((grown.alert.harmed.len(), grown.alert.witnesses.as_slice()), (1, [witness()].as_slice()));
}

#[test]
fn labels_do_not_hold_an_alert_whose_signals_are_quiet() {
    let mut alerts = Alerts::default();
    alerts.advance(&report(0, Verdict::Drift), || vec![segment()], Standing::Ours, 3, &QUIET);
    let mut story = Vec::new();
    for slot in 1..=4 {
        for t in alerts.advance(&report(slot, Verdict::Drift), || vec![harm()], Standing::Ours, 3, &QUIET) {
            story.push((slot, t.alert.cause.kind, t.to));
        }
    }
    let (segment, concept) = (CauseKind::Segment, CauseKind::Concept);
    let expected =
        [(1, segment, AlertState::Firing), (3, segment, AlertState::Resolved), (4, concept, AlertState::Firing)];
    assert_eq!(story, expected);
}

#[test]
fn an_alert_that_is_all_but_over_is_not_why_a_head_errs() {
    let mut alerts = Alerts::default();
    let patient = Said { patience: 40, ..QUIET };
    alerts.advance(&report(0, Verdict::Drift), || vec![segment()], Standing::Ours, 3, &patient);
    for slot in 1..=3 {
        alerts.advance(&report(slot, Verdict::Ok), Vec::new, Standing::Ours, 3, &QUIET);
    }
    let changes = alerts.advance(&report(4, Verdict::Drift), || vec![harm()], Standing::Ours, 3, &QUIET);
    let [new] = changes.as_slice() else { panic!("a new alert: {changes:?}") };
    assert_eq!((new.from, new.alert.cause.kind), (AlertState::Inactive, CauseKind::Concept));
    assert_eq!(alerts.firing().count(), 2, "beside the one that waits for its slow clock");
}
