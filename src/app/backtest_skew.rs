//! Skew in a back-test that is no alert: production's numbers differ from the exported model's, and of its answers so
//! few that they are nobody's business, or not enough to be proven.

use serde_json::{Value, json};

use super::backtest_report::Told;
use crate::drift::signal::answer_skew::HARMLESS;

/// Numbers that were served otherwise, without an alert.
pub struct HarmlessSkew {
    /// The first window that shows it.
    pub first_window: usize,
    /// Windows that show it.
    pub windows: usize,
    /// `embedding`, and the tasks whose confidences they are.
    pub parts: Vec<String>,
    /// Answers that were compared since, by task.
    answers: Vec<Compared>,
}

/// Answers of one task beside the exported model's.
struct Compared {
    task: String,
    /// How many were compared in windows that were tested.
    compared: i64,
    /// How many of them are others.
    differ: i64,
    /// The share that is in the reference.
    reference: f64,
}

impl Compared {
    fn share(&self) -> f64 {
        self.differ as f64 / self.compared.max(1) as f64
    }
}

impl HarmlessSkew {
    /// Of a stream, if no alert says that its answers are skewed.
    pub fn of(told: &Told) -> Option<HarmlessSkew> {
        if told.alerts.iter().any(|alert| alert.kind == "skew" && alert.part != Some("version")) {
            return None;
        }
        let noticed = told.judged.iter().enumerate().filter(|(_, judged)| !judged.report.notices.is_empty());
        let (mut first_window, mut windows, mut tasks) = (None, 0, Vec::new());
        for (window, judged) in noticed {
            first_window.get_or_insert(window);
            windows += 1;
            tasks.extend(judged.report.notices.iter().map(|part| part.task));
        }
        tasks.sort_unstable();
        tasks.dedup();
        let name = |task: Option<usize>| {
            task.map_or_else(|| "embedding".to_owned(), |task| told.reference.spec.tasks[task].name.clone())
        };
        let parts = tasks.into_iter().map(name).collect();
        let first_window = first_window?;
        Some(HarmlessSkew { first_window, windows, parts, answers: compared(told, first_window) })
    }

    /// One sentence.
    pub fn words(&self) -> String {
        let HarmlessSkew { first_window, windows, parts, answers } = self;
        let numbers = format!(
            "from window {first_window} on, told by {windows} windows: production's numbers are not the exported model's \
             ({})",
            parts.join(", ")
        );
        let worst = answers.iter().max_by(|a, b| (a.share() - a.reference).total_cmp(&(b.share() - b.reference)));
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        match worst {
            Some(worst) if worst.share() > worst.reference + HARMLESS => format!(
                "skew {numbers}, and {} of {} compared answers of `{}` are others ({}; {} in the reference): more than is \
                 nobody's business, though not proven by these alone",
                worst.differ,
                worst.compared,
                worst.task,
                percent(worst.share()),
                percent(worst.reference)
            ),
            Some(worst) => format!(
                "harmless skew {numbers}, and its answers are, as with another precision or batch size ({} of `{}` \
                 differ at most)",
                percent(worst.share()),
                worst.task
            ),
            None => format!("skew {numbers}; whether its answers are was not tested"),
        }
    }

    /// For the report's summary.
    pub fn json(&self) -> Value {
        let answers = self.answers.iter().map(|a| json!({"task": a.task, "compared": a.compared, "differ": a.differ}));
        json!({
            "first_window": self.first_window, "windows": self.windows, "parts": self.parts,
            "answers": answers.collect::<Vec<_>>(), "summary": self.words(),
        })
    }
}

/// What the windows from this one on that were tested for it say of each task's answers.
fn compared(told: &Told, first_window: usize) -> Vec<Compared> {
    let signals = told.reference.signals.iter().enumerate();
    let served = signals.filter(|(_, s)| s.key.signal == "served_answer" && s.key.segment.is_none());
    let of_signal = |(i, signal): (usize, &crate::drift::reference::SignalReference)| {
        let tested = told.judged[first_window..].iter().filter_map(|judged| judged.report.statistics.get(i));
        let (mut compared, mut differ) = (0, 0);
        for statistic in tested.filter(|statistic| statistic.tested.is_some()) {
            compared += statistic.n;
            let others = statistic.movers.iter().find(|mover| mover.cell == "differs");
            differ += others.map_or(0, |mover| mover.current_count);
        }
        let [same, other] = [0, 1].map(|cell| signal.totals.get(cell).copied().unwrap_or(0) as f64);
        let task = told.reference.task_name(&signal.key)?.to_owned();
        (compared > 0).then_some(Compared { task, compared, differ, reference: other / (same + other).max(1.0) })
    };
    served.filter_map(of_signal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(differ: &[i64]) -> String {
        let of = |(i, differ): (usize, &i64)| Compared {
            task: format!("t{i}"),
            compared: 200,
            differ: *differ,
            reference: 0.01,
        };
        let answers = differ.iter().enumerate().map(of).collect();
        HarmlessSkew { first_window: 3, windows: 2, parts: vec!["embedding".to_owned()], answers }.words()
    }

    #[test]
    fn it_is_called_harmless_while_hardly_an_answer_differs() {
        let harmless = words(&[0, 6]);
        assert!(
            harmless.starts_with("harmless skew from window 3 on") && harmless.contains("3.0 % of `t1`"),
            "{harmless}"
        );
        let not = words(&[7, 0]);
        assert!(not.starts_with("skew from window 3 on") && not.contains("7 of 200 compared answers of `t0`"), "{not}");
        assert!(words(&[]).ends_with("was not tested"));
    }
}
