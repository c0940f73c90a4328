//! Harmless skew in a back-test: production's numbers differ from the exported model's, its answers do not.

use serde_json::{Value, json};

use super::backtest_report::Told;

/// Numbers that were served otherwise, without an alert.
pub struct HarmlessSkew {
    /// The first window that shows it.
    pub first_window: usize,
    /// Windows that show it.
    pub windows: usize,
    /// `embedding`, and the tasks whose confidences they are.
    pub parts: Vec<String>,
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
        Some(HarmlessSkew { first_window: first_window?, windows, parts: tasks.into_iter().map(name).collect() })
    }

    /// One sentence.
    pub fn words(&self) -> String {
        let HarmlessSkew { first_window, windows, parts } = self;
        format!(
            "harmless skew from window {first_window} on, in {windows} windows: production's numbers are not the \
             exported model's ({}), and its answers are, as with another precision or batch size",
            parts.join(", ")
        )
    }

    /// For the report's summary.
    pub fn json(&self) -> Value {
        json!({
            "first_window": self.first_window, "windows": self.windows, "parts": self.parts, "summary": self.words(),
        })
    }
}
