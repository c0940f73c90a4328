//! Stories of alerts, window by window.

use super::*;
use crate::drift::segment::Segment;
#[path = "alert_by_labels_tests.rs"]
mod by_labels;

fn report(slot: Slot, verdict: Verdict) -> Report {
    Report {
        slot,
        start: Timestamp::from_micros(slot),
        end: Timestamp::from_micros(slot + 1),
        records: 100,
        verdict,
        ln_evidence: 1.0,
        ln_threshold: 5.0,
        parts: Vec::new(),
        notices: Vec::new(),
        statistics: Vec::new(),
    }
}

/// Whatever is looked at is quiet, and looks take no time.
struct Plain;

impl Looks for Plain {
    fn appears_after(&self, _: Slot, _: &Found) -> bool {
        false
    }

    fn patience(&self, _: &Found) -> u32 {
        0
    }

    fn moves(&self, _: &Alert) -> bool {
        false
    }

    fn heard(&self, _: &Alert) -> bool {
        true
    }

    fn is_spread(&self, _: &Alert) -> bool {
        false
    }

    fn is_elsewhere(&self, _: &Alert, _: &Found) -> bool {
        false
    }

    fn source(&self, witness: &Witness) -> Option<&str> {
        ["attribute_a", "attribute_b"].get(witness.signal as usize).copied()
    }

    fn shows_input_at_once(&self, _: &Found) -> bool {
        true
    }
}

fn place(kind: CauseKind, task: Option<usize>, tasks_affected: &[usize]) -> Found {
    let cause = Cause { kind, task, segment: None, tasks_affected: tasks_affected.to_vec() };
    Found::plain(cause, Vec::new())
}

fn head(task: usize) -> Found {
    place(CauseKind::Head, Some(task), &[task])
}

fn story(verdicts: &[Verdict]) -> Vec<(Slot, AlertState, AlertState)> {
    let mut alerts = Alerts::default();
    let steps = verdicts.iter().enumerate();
    steps
        .flat_map(|(i, v)| alerts.advance(&report(i as Slot, *v), || vec![head(0)], Standing::Ours, 2, &Plain))
        .map(|t| (t.slot, t.from, t.to))
        .collect()
}

/// Goes through alarms with these causes; the kinds and tasks that fire at the end.
fn firing(alarms: &[Vec<Found>]) -> Vec<(CauseKind, Option<usize>)> {
    let mut alerts = Alerts::default();
    for (slot, found) in alarms.iter().enumerate() {
        let verdict = if found.is_empty() { Verdict::Ok } else { Verdict::Drift };
        alerts.advance(&report(slot as Slot, verdict), || found.clone(), Standing::Ours, 3, &Plain);
    }
    alerts.firing().map(|a| (a.cause.kind, a.cause.task)).collect()
}

#[test]
fn an_alert_rises_fires_once_and_resolves_when_quiet() {
    use AlertState::{Firing, Inactive, Pending, Resolved};
    use Verdict::{Drift, InsufficientData, Ok, Warning};
    let found = story(&[Ok, Warning, Drift, Drift, Ok, Warning, Ok, InsufficientData, Ok, Ok]);
    assert_eq!(found, [(1, Inactive, Pending), (2, Pending, Firing), (8, Firing, Resolved)]);
}

#[test]
fn a_pending_alert_that_calms_down_says_so() {
    use AlertState::{Inactive, Pending};
    let found = story(&[Verdict::Warning, Verdict::Ok]);
    assert_eq!(found, [(0, Inactive, Pending), (1, Pending, Inactive)]);
}

#[test]
fn a_cause_grows_and_keeps_its_place() {
    let mut alerts = Alerts::default();
    alerts.advance(&report(0, Verdict::Drift), || vec![place(CauseKind::Input, None, &[1])], Standing::Ours, 3, &Plain);
    let grown = alerts.advance(&report(1, Verdict::Drift), || vec![head(0)], Standing::Ours, 3, &Plain);
    let [grown] = grown.as_slice() else { panic!("one change: {grown:?}") };
    let cause = &grown.alert.cause;
    assert_eq!((cause.kind, &cause.tasks_affected, &grown.reason), (CauseKind::Input, &vec![0, 1], &Reason::CauseGrew));
    assert_eq!(grown.alert.opened_slot, 0, "still the same alert");
}

#[test]
fn a_task_that_labels_prove_worse_makes_an_alert_grow_that_has_it_already() {
    let mut alerts = Alerts::default();
    let mut alarm = |slot, found: Found| {
        alerts.advance(&report(slot, Verdict::Drift), || vec![found.clone()], Standing::Ours, 9, &Plain)
    };
    alarm(0, place(CauseKind::Encoder, None, &[0, 1]));
    let plain = |task| Harmed { task, classes: Vec::new() };
    let harmed = |task| Found { harmed: vec![plain(task)], ..place(CauseKind::Concept, Some(task), &[task]) };
    for (slot, task, all) in [(20, 1, vec![1]), (22, 0, vec![0, 1])] {
        let grown = alarm(slot, harmed(task));
        let [Transition { alert, reason: Reason::CauseGrew, .. }] = grown.as_slice() else {
            panic!("it grows: {grown:?}")
        };
        assert_eq!((alert.cause.kind, &alert.cause.tasks_affected), (CauseKind::Encoder, &vec![0, 1]));
        assert_eq!(alert.harmed, all.into_iter().map(plain).collect::<Vec<_>>());
        assert_eq!(alarm(slot + 1, harmed(task)), [], "nothing is new");
    }
}

#[test]
fn a_mix_of_classes_with_more_evidence_takes_the_place_of_a_young_encoder() {
    use CauseKind::{Encoder, PriorShift};
    let with = |kind, task, ln_evidence| {
        let witnesses = vec![Witness { signal: 0, ln_evidence, explained: false }];
        vec![Found { witnesses, ..place(kind, task, &[0, 1]) }]
    };
    let mix = |task, ln_evidence| with(PriorShift, Some(task), ln_evidence);
    let encoder = |ln_evidence| with(Encoder, None, ln_evidence);
    assert_eq!(firing(&[encoder(9.0), mix(1, 12.0)]), [(PriorShift, Some(1))]);
    assert_eq!(firing(&[encoder(9.0), mix(1, 8.0)]), [(Encoder, None)]);
    assert_eq!(firing(&[mix(1, 9.0), encoder(12.0)]), [(PriorShift, Some(1))]);
    let later: Vec<Vec<Found>> = std::iter::repeat_n(encoder(9.0), 18).chain([mix(1, 12.0)]).collect();
    assert_eq!(firing(&later), [(Encoder, None)], "the place of an old alert stands");
}

#[test]
fn causes_apart_are_alerts_apart() {
    use CauseKind::{Head, Input, Skew, Undetermined};
    let two = vec![head(0), head(2)];
    assert_eq!(firing(std::slice::from_ref(&two)), [(Head, Some(0)), (Head, Some(2))]);
    assert_eq!(firing(&[vec![head(0)], two]), [(Head, Some(0)), (Head, Some(2))]);
    let later = [vec![place(Undetermined, None, &[1])], vec![head(1)], vec![place(Input, None, &[0, 1])]];
    assert_eq!(firing(&later), [(Input, None)], "what explains it takes its place");
    let skew = vec![place(Skew, Some(0), &[0])];
    assert_eq!(firing(&[vec![head(0)], skew.clone()]), [(Skew, Some(0))]);
    assert_eq!(firing(&[skew, vec![head(0), head(1)]]), [(Skew, Some(0)), (Head, Some(1))]);
}

#[test]
fn a_cause_by_itself_stands_beside_what_would_explain_it() {
    use CauseKind::{Head, Input, Segment, Skew};
    let input = || place(Input, None, &[1]);
    let by_itself = |task| Found { by_itself: true, ..head(task) };
    let both = [(Input, None), (Head, Some(0))];
    assert_eq!(firing(&[vec![input(), by_itself(0)]]), both);
    assert_eq!(firing(&[vec![input()], vec![by_itself(0), input()], vec![head(0)]]), both, "in the end it is known");
    assert_eq!(firing(&[vec![head(0)], vec![input(), by_itself(0)]]), [(Head, Some(0)), (Input, None)]);
    assert_eq!(firing(&[vec![input()], vec![head(0)]]), [(Input, None)], "what may be explained is");
    let skew = place(Skew, Some(0), &[0]);
    assert_eq!(firing(&[vec![skew], vec![by_itself(0)]]), [(Skew, Some(0))], "production's own head answers so");
    let mail = place(Segment, None, &[0]);
    assert_eq!(firing(&[vec![mail], vec![by_itself(0)]]), [(Segment, None)], "the head answers so in the segment");
}

#[test]
fn an_alert_goes_on_by_its_own_alarms() {
    let mut alerts = Alerts::default();
    let mut at = |slot, found: Vec<Found>| {
        alerts.advance(&report(slot, Verdict::Drift), || found, Standing::Ours, 2, &Plain).len()
    };
    let input = || place(CauseKind::Input, None, &[1]);
    let by_itself = || Found { by_itself: true, ..head(0) };
    assert_eq!(at(0, vec![input(), by_itself()]), 2);
    assert_eq!((at(1, vec![head(0)]), at(2, vec![head(0)])), (0, 1), "the input is over, which the head did not renew");
    assert_eq!(alerts.firing().map(|a| a.cause.kind).collect::<Vec<_>>(), [CauseKind::Head]);
}

#[test]
fn a_segment_with_more_evidence_takes_the_place_of_the_whole() {
    use CauseKind::{Encoder, Head, PriorShift, Segment, Skew};
    let with = |kind, task, ln_evidence| {
        let witnesses = vec![Witness { signal: 0, ln_evidence, explained: false }];
        vec![Found { witnesses, ..place(kind, task, &[0]) }]
    };
    for (kind, task) in [(Encoder, None), (Head, Some(0)), (PriorShift, Some(0))] {
        assert_eq!(firing(&[with(kind, task, 9.0), with(Segment, None, 12.0)]), [(Segment, None)], "{kind:?}");
        assert_eq!(firing(&[with(kind, task, 9.0), with(Segment, None, 8.0)]), [(kind, task)]);
    }
    assert_eq!(firing(&[with(Skew, Some(0), 9.0), with(Segment, None, 12.0)]), [(Skew, Some(0))]);
}

#[test]
fn an_alert_is_over_while_another_goes_on() {
    let mut alerts = Alerts::default();
    alerts.advance(&report(0, Verdict::Drift), || vec![head(0), head(1)], Standing::Ours, 2, &Plain);
    assert_eq!(alerts.advance(&report(1, Verdict::Drift), || vec![head(1)], Standing::Ours, 2, &Plain), []);
    let over = alerts.advance(&report(2, Verdict::Drift), || vec![head(1)], Standing::Ours, 2, &Plain);
    assert_eq!(over.iter().map(|t| (t.to, t.alert.cause.task)).collect::<Vec<_>>(), [(AlertState::Resolved, Some(0))]);
    assert_eq!(alerts.firing().map(|a| (a.ordinal, a.cause.task)).collect::<Vec<_>>(), [(1, Some(1))]);
}

/// A story of windows: what evidence says, what records say of versions; the changes, window by window.
fn with_versions(windows: &[(Verdict, Standing, Vec<Found>)]) -> (Alerts, Vec<(Slot, AlertState, CauseKind)>) {
    let mut alerts = Alerts::default();
    let mut story = Vec::new();
    for (slot, (verdict, standing, found)) in windows.iter().enumerate() {
        let changes = alerts.advance(&report(slot as Slot, *verdict), || found.clone(), *standing, 2, &Plain);
        story.extend(changes.iter().map(|t| (t.slot, t.to, t.alert.cause.kind)));
    }
    (alerts, story)
}

#[test]
fn another_version_fires_whatever_the_evidence_and_ends_by_itself() {
    use AlertState::{Firing, Resolved};
    use Standing::{Mixed, Others, Ours, TooFew};
    use Verdict::{InsufficientData, Ok, Warning};
    for verdict in [InsufficientData, Ok, Warning] {
        let window = |standing| (verdict, standing, Vec::new());
        let story: Vec<_> = [Ours, Mixed, Others, Others, Ours, Mixed, Ours, TooFew, Ours].map(window).into();
        let (_, story) = with_versions(&story);
        let of_versions: Vec<_> = story.into_iter().filter(|(_, _, kind)| *kind == CauseKind::Version).collect();
        let expected = [(2, Firing, CauseKind::Version), (8, Resolved, CauseKind::Version)];
        assert_eq!(of_versions, expected, "{verdict:?}: a half begins nothing and ends nothing");
    }
}

#[test]
fn another_version_explains_what_drifts_and_not_the_input() {
    use Standing::{Others, Ours};
    let witness = Witness { signal: 3, ln_evidence: 9.0, explained: false };
    let head = Found { witnesses: vec![witness], ..head(0) };
    let input = place(CauseKind::Input, None, &[1]);
    let (alerts, _) =
        with_versions(&[(Verdict::Ok, Others, vec![]), (Verdict::Drift, Others, vec![head.clone(), input.clone()])]);
    let firing: Vec<&Alert> = alerts.firing().collect();
    assert_eq!(firing.iter().map(|a| a.cause.kind).collect::<Vec<_>>(), [CauseKind::Version, CauseKind::Input]);
    assert_eq!(firing[0].cause.tasks_affected, [0]);
    assert!(firing[0].witnesses.iter().all(|w| w.explained) && firing[0].witnesses.len() == 1);

    // What fired a moment before takes the cause's name; evidence of it does not keep the alert up.
    let drift = |standing| (Verdict::Drift, standing, vec![head.clone()]);
    let (alerts, story) = with_versions(&[drift(Ours), drift(Others), drift(Ours), drift(Ours)]);
    let kinds: Vec<(Slot, AlertState)> = story.iter().map(|(slot, to, _)| (*slot, *to)).collect();
    assert_eq!(kinds, [(0, AlertState::Firing), (1, AlertState::Firing), (3, AlertState::Resolved)]);
    assert_eq!((story[1].2, alerts.firing().count()), (CauseKind::Version, 0));
}

/// What a window says of whatever fires.
#[derive(Clone, Copy)]
struct Said {
    patience: u32,
    moves: bool,
    heard: bool,
    spread: bool,
}

impl Looks for Said {
    fn appears_after(&self, _: Slot, _: &Found) -> bool {
        false
    }

    fn patience(&self, _: &Found) -> u32 {
        self.patience
    }

    fn moves(&self, _: &Alert) -> bool {
        self.moves
    }

    fn heard(&self, _: &Alert) -> bool {
        self.heard
    }

    fn is_spread(&self, alert: &Alert) -> bool {
        self.spread && alert.cause.segment.is_some()
    }

    fn is_elsewhere(&self, _: &Alert, _: &Found) -> bool {
        false
    }

    fn source(&self, witness: &Witness) -> Option<&str> {
        ["attribute_a", "attribute_b"].get(witness.signal as usize).copied()
    }

    fn shows_input_at_once(&self, _: &Found) -> bool {
        false
    }
}

/// The window in which an alert is over that fired in window 0, if it was found with so much patience; the others
/// say this, and then nothing but quiet.
fn over(patience: u32, resolve_after: u32, then: &[Said]) -> Slot {
    const QUIET: Said = Said { patience: 0, moves: false, heard: true, spread: false };
    let mut alerts = Alerts::default();
    let found = || vec![head(0)];
    alerts.advance(&report(0, Verdict::Drift), found, Standing::Ours, resolve_after, &Said { patience, ..QUIET });
    let said = then.iter().copied().chain(std::iter::repeat(QUIET));
    let end = (1..).zip(said).find(|(slot, said)| {
        let changes = alerts.advance(&report(*slot, Verdict::Ok), found, Standing::Ours, resolve_after, said);
        changes.iter().any(|t| t.to == AlertState::Resolved)
    });
    end.expect("over in the end").0
}

#[test]
fn an_alert_is_not_over_before_its_witnesses_have_looked_again() {
    let quiet = Said { patience: 0, moves: false, heard: true, spread: false };
    let (moves, unheard) = (Said { moves: true, ..quiet }, Said { heard: false, ..quiet });
    assert_eq!((over(0, 12, &[]), over(32, 12, &[]), over(32, 40, &[])), (12, 32, 40), "the longer of both");
    let still: Vec<Said> = [quiet; 10].into_iter().chain([moves; 10]).collect();
    assert_eq!(over(0, 12, &still), 21, "not while it still moves");
    assert_eq!(over(0, 12, &[moves; 100]), 36, "nor for ever");
    let silent = Said { heard: false, ..moves };
    assert_eq!(over(0, 3, &[[moves; 1].as_slice(), &[silent; 50]].concat()), 53, "labels that speak against it");
    assert_eq!(over(0, 3, &[unheard, unheard, quiet, unheard]), 2 + 3, "labels have to come once");
}

#[test]
fn patience_is_as_long_as_the_slowest_alarm_of_an_alert() {
    let mut alerts = Alerts::default();
    let mut at = |slot, verdict, patience| {
        let said = Said { patience, moves: false, heard: true, spread: false };
        alerts.advance(&report(slot, verdict), || vec![head(0)], Standing::Ours, 1, &said).len()
    };
    at(0, Verdict::Drift, 8);
    at(1, Verdict::Drift, 2);
    assert_eq!((2..9).map(|slot| at(slot, Verdict::Ok, 0)).sum::<usize>(), 0);
    assert_eq!(at(9, Verdict::Ok, 0), 1);
}

/// The kind of the one alert that fires once two causes were found, one window after the other.
fn renamed(first: Found, second: Found, spread: bool) -> Option<CauseKind> {
    let mut alerts = Alerts::default();
    let said = Said { patience: 0, moves: true, heard: true, spread };
    for (slot, found) in [first, second].into_iter().enumerate() {
        alerts.advance(&report(slot as Slot, Verdict::Drift), || vec![found.clone()], Standing::Ours, 12, &said);
    }
    let mut firing = alerts.firing().map(|alert| alert.cause.kind);
    firing.next().filter(|_| firing.next().is_none())
}

#[test]
fn a_name_that_turns_out_wrong_is_given_up() {
    let by_itself = Found { by_itself: true, ..head(0) };
    let segment = || {
        let mut found = place(CauseKind::Segment, None, &[0]);
        found.cause.segment = Some(Segment { tag: 0, value: 1 });
        found
    };
    assert_eq!(renamed(segment(), by_itself.clone(), false), Some(CauseKind::Segment));
    assert_eq!(renamed(segment(), by_itself.clone(), true), Some(CauseKind::Head), "its siblings moved as well");
    assert_eq!(renamed(segment(), place(CauseKind::Encoder, None, &[0]), true), Some(CauseKind::Encoder));
    let mix = || place(CauseKind::PriorShift, Some(0), &[0]);
    assert_eq!(renamed(mix(), head(0), false), Some(CauseKind::PriorShift));
    assert_eq!(renamed(mix(), by_itself, false), Some(CauseKind::Head), "it gives the same texts other answers");
}

#[test]
fn an_encoders_alert_is_the_inputs_if_the_texts_show_it_by_and_by() {
    let [encoder, input] = [CauseKind::Encoder, CauseKind::Input].map(|kind| place(kind, None, &[]));
    assert_eq!(renamed(encoder.clone(), input.clone(), false), Some(CauseKind::Input));
    // What one window shows by itself was not there before.
    assert_eq!(firing(&[vec![encoder], vec![input]]), [(CauseKind::Encoder, None)]);
}

#[test]
fn an_attribute_that_joins_an_alert_of_the_input_is_told_once_and_stays_in_it() {
    let mut alerts = Alerts::default();
    let rests_on = |signals: &[u32]| {
        let witness = |signal: &u32| Witness { signal: *signal, ln_evidence: 9.0, explained: false };
        Found { witnesses: signals.iter().map(witness).collect(), ..place(CauseKind::Input, None, &[]) }
    };
    let mut told = |slot, signals: &[u32]| {
        let found = || vec![rests_on(signals)];
        let changes = alerts.advance(&report(slot, Verdict::Drift), found, Standing::Ours, 3, &Plain);
        let held = alerts.firing().flat_map(|alert| alert.witnesses.iter().map(|w| w.signal)).collect::<Vec<u32>>();
        (changes.len(), held)
    };
    assert_eq!(told(0, &[0]), (1, vec![0]));
    assert_eq!(told(1, &[0]), (0, vec![0]));
    assert_eq!(told(2, &[0, 1, 2]), (1, vec![0, 1, 2]), "another attribute, and a signal that is none of the input's");
    assert_eq!(told(3, &[1]), (0, vec![1, 0]));
    assert_eq!(told(4, &[0]), (0, vec![0, 1]));
}
