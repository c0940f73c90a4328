//! What the maker of a reference should know about it before it is used.

use super::fit::Checks;
use super::guarantee::WINDOWS_FOR_GUARANTEE;
use super::order::Sorted;
use super::reference::{Reference, SignalReference};
use super::segment::LEAST_RECORDS;
use super::signal::Scope;

/// A class seen less often than this is known too poorly to judge its share.
const RARE_CLASS: i64 = 5;
/// Beyond this share of repeated texts a reference looks copied together.
const MOST_REPEATED: f64 = 0.5;
/// Confidence may exceed accuracy by so much before it looks like training rows.
const CONFIDENCE_GAP: f64 = 0.03;
/// Names told one by one.
const SHOWN: usize = 5;
/// A head with fewer answers than this has next to nothing to be compared with.
const FEW_ANSWERS: i64 = 100;
/// Records in which production may answer otherwise than the exported model before they look like two models.
const MOST_SKEWED: f64 = 0.05;

/// All of them, the gravest first.
pub(super) fn warnings(reference: &Reference, checks: &Checks) -> Vec<String> {
    let mut found = Vec::new();
    embeddings(reference, checks, &mut found);
    if reference.windows < WINDOWS_FOR_GUARANTEE {
        found.push(format!(
            "only {} windows of {}: the guarantee stays provisional below {WINDOWS_FOR_GUARANTEE}",
            reference.windows, reference.window
        ));
    }
    if reference.season.is_none() {
        found.push("shorter than two days: seasons of the day cannot be told from drift".to_owned());
    }
    if reference.lacks_weekdays() {
        let days = reference.days();
        found.push(format!("only {days} days: what other days of the week bring cannot be told from drift"));
    }
    if checks.texts > 0 && checks.repeated_texts as f64 > MOST_REPEATED * checks.texts as f64 {
        found.push(format!(
            "{} of the first {} texts are repeats of others: is this a sample of real traffic?",
            checks.repeated_texts, checks.texts
        ));
    }
    if let Some(Sorted { task, same, by_chance }) = checks.runs.sorted() {
        found.push(format!(
            "{:.0} % of the answers of task `{}` follow one of the same class, and {:.0} % would by chance: a file sorted \
             by class? Its windows differ from each other as no traffic does, and drift of that size will not be found. \
             Bring the records in the order of their time, or shuffle them",
            100.0 * same,
            reference.spec.tasks[task].name,
            100.0 * by_chance
        ));
    }
    for tag in &checks.missing_tags {
        found.push(format!("no record has the tag `{tag}` that the manifest names as a segment"));
    }
    for tag in reference.spec.segments.iter().flatten().filter(|tag| !checks.missing_tags.contains(tag)) {
        if reference.segments.iter().all(|segment| segment.tag != *tag) {
            found.push(format!(
                "tag `{tag}`: no value of it comes in {LEAST_RECORDS} records or more: no segment of it is watched"
            ));
        }
    }
    for (task, (labels, right, confidence)) in &checks.labelled {
        let n = *labels as f64;
        let (accuracy, confidence) = (*right as f64 / n, confidence / n);
        let error = (accuracy * (1.0 - accuracy) / n).sqrt();
        if confidence - accuracy > CONFIDENCE_GAP.max(3.0 * error) {
            found.push(format!(
                "task `{}`: confidence is {confidence:.3} on average and accuracy {accuracy:.3} on {labels} labels; \
                 an uncalibrated head, or rows the model was trained on",
                reference.spec.tasks[*task].name
            ));
        }
    }
    for known in reference.performance.iter().filter(|known| known.wanders()) {
        found.push(format!(
            "task `{}`: its error of {:.1} % wanders by {:.1} points (a standard deviation) within the reference: labels \
             prove harm only above {:.1} %",
            reference.spec.tasks[known.task].name,
            100.0 * known.loss,
            100.0 * known.wander,
            100.0 * known.tolerated().min(1.0)
        ));
    }
    tasks(reference, &mut found);
    let whole = || reference.signals.iter().filter(|s| s.key.segment.is_none());
    for signal in whole().filter(|s| s.measure.as_signal().counts() && s.measure.as_signal().looks_at().is_none()) {
        let used = signal.totals.iter().filter(|t| **t > 0).count();
        // Where production and the exported model agree, skew is constant: that is as it should be.
        let usual = signal.key.scope == Scope::Skew
            || ["truncation", "script", "unknown_rate"].contains(&signal.key.signal.as_str());
        if used < 2 && !usual {
            found.push(format!("{} is constant in the reference", reference.signal_name(&signal.key)));
        }
    }
    let broken = || reference.signals.iter().filter(|s| s.broken.is_some());
    for signal in broken().take(SHOWN) {
        let why = signal.broken.as_deref().unwrap_or_default();
        found.push(format!("{}: no guarantee: {why}", reference.signal_name(&signal.key)));
    }
    if broken().count() > SHOWN {
        found.push(format!("{} signals more are without a guarantee", broken().count() - SHOWN));
    }
    found
}

fn embeddings(reference: &Reference, checks: &Checks, found: &mut Vec<String>) {
    let dimension = reference.spec.embedding_dimension.unwrap_or(0);
    if checks.embeddings == 0 && dimension > 0 {
        found.push("no record has an embedding, though the manifest names one: the encoder is not watched".to_owned());
    }
    // Records of another dimension are in the cell of unusable embeddings.
    let in_cells = reference.signals.iter().find(|s| s.key.signal == "encoder_mean").map(|s| s.totals[1]);
    let unusable = in_cells.map_or(checks.unusable_embeddings, i64::unsigned_abs);
    if unusable > 0 {
        found.push(format!(
            "{unusable} of {} embeddings are unusable (another dimension than {dimension}, or not a number)",
            checks.embeddings
        ));
    }
    if checks.embeddings_do_not_vary && dimension > 0 {
        found
            .push(format!("the embeddings do not vary, or none has {dimension} numbers: encoder signals are left out"));
    }
}

fn tasks(reference: &Reference, found: &mut Vec<String>) {
    for (i, task) in reference.spec.tasks.iter().enumerate() {
        let own = || reference.signals.iter().filter(move |s| s.key.task == Some(i) && s.key.segment.is_none());
        if own().next().is_none() {
            found.push(format!("no record answers task `{}`: it will not be watched", task.name));
        }
        let named = |name: &'static str| own().find(move |s| s.key.signal == name);
        let answers = |s: &SignalReference| s.measure.as_signal().n(&s.totals);
        // Of a set of labels or of tokens the classes count each one, these the records.
        let by_record = ["label_count", "span_count", "predicted_value", "predicted_class"].into_iter().find_map(named);
        if let Some(n) = by_record.map(answers).filter(|n| *n < FEW_ANSWERS) {
            found.push(format!("task `{}`: only {n} records answer it: too few to judge it by", task.name));
        }
        if let Some(signal) = named("predicted_class") {
            classes(signal, &task.name, &task.classes, found);
            match named("confidence").map(|s| s.totals.last().copied().unwrap_or(0)) {
                None => found.push(format!(
                    "task `{}`: no record has probabilities of its answers: how sure it is will not be watched",
                    task.name
                )),
                Some(0) => {}
                Some(n) => found.push(format!("task `{}`: {n} confidences are no probabilities", task.name)),
            }
        }
        if let Some(skew) = named("served_answer") {
            let (differ, compared) = (skew.totals[1], answers(skew));
            if differ as f64 > MOST_SKEWED * compared as f64 {
                found.push(format!(
                    "task `{}`: production answers otherwise than the exported model in {differ} of {compared} records \
                     that were compared; is this the tokenizer and the model that production serves? A reference \
                     takes it for normal",
                    task.name
                ));
            }
        }
    }
}

fn classes(signal: &SignalReference, task: &str, classes: &[String], found: &mut Vec<String>) {
    if let Some(unknown) = signal.totals.get(classes.len()).filter(|n| **n > 0) {
        found.push(format!("task `{task}`: {unknown} answers name no class of the manifest"));
    }
    let counts = || classes.iter().zip(&signal.totals);
    for (what, of) in [("never seen", 0..1), ("seen fewer than 5 times", 1..RARE_CLASS)] {
        let rare: Vec<&str> = counts().filter(|(_, t)| of.contains(t)).map(|(c, _)| c.as_str()).collect();
        if !rare.is_empty() {
            let more = if rare.len() > SHOWN { format!(" and {} more", rare.len() - SHOWN) } else { String::new() };
            let shown = rare[..rare.len().min(SHOWN)].join("`, `");
            found.push(format!("task `{task}`: {what}: `{shown}`{more}"));
        }
    }
}
