//! What a back-test's windows lack, from when to when: by the daemon's own rule, which looks at each window, and over the
//! stream as a whole, which counts what was rare.

use serde_json::{Value, json};

use super::backtest::Stream;
use super::backtest_words::strongest_told;
use crate::drift::course::Judged;
use crate::drift::lacking::lasting::Standing;
use crate::drift::lacking::{Lack, lacking};
use crate::drift::reference::Reference;
use crate::drift::signal::Scope;
use crate::drift::time::Timestamp;
use crate::drift::tree::Part;

/// Everything that is lacked.
pub struct Lacks {
    whole: Vec<Lack>,
    lapses: Vec<Lapse>,
    windows: usize,
}

/// Something lacked for some windows on end.
struct Lapse {
    /// What, as in the latest look that lacked it.
    lack: Lack,
    since: Timestamp,
    /// The first window that lacked it.
    from: usize,
    /// The window with which it was over, and its start; `None` where it lasts to the end.
    until: Option<(usize, Timestamp)>,
}

impl Lacks {
    /// Of a stream that has ended.
    pub fn of(stream: &Stream) -> Lacks {
        let judged = &stream.judged;
        Lacks { whole: lacking(stream.reference, &stream.seen), lapses: lapses(judged), windows: judged.len() }
    }

    /// Whether all could be judged.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.lapses.is_empty()
    }

    /// For people, a line for each part and what it lacks.
    pub fn said(&self) -> Vec<String> {
        let mut said: Vec<String> = self.whole.iter().map(|lack| lack.said.clone()).collect();
        let mut told: Vec<&Lapse> = Vec::new();
        for lapse in self.lapses.iter().filter(|lapse| !self.is_told_of_the_whole(lapse)) {
            if !told.iter().any(|other| other.is_of(&lapse.lack)) {
                told.push(lapse);
                said.push(self.sentence(lapse));
            }
        }
        said
    }

    /// Of all windows, and told so already.
    fn is_told_of_the_whole(&self, lapse: &Lapse) -> bool {
        lapse.from == 0 && lapse.until.is_none() && self.whole.iter().any(|lack| lapse.is_of(lack))
    }

    /// When, how often, and what.
    fn sentence(&self, lapse: &Lapse) -> String {
        let more = self.lapses.iter().filter(|other| other.is_of(&lapse.lack)).count() - 1;
        let again = match more {
            0 => String::new(),
            1 => ", and once more later".to_owned(),
            more => format!(", and {more} times more later"),
        };
        let when = match lapse.until {
            None => format!("since {} (window {}), to the end", lapse.since, lapse.from),
            Some((until, end)) => format!("from {} to {end} (windows {} to {until}){again}", lapse.since, lapse.from),
        };
        format!("{when}: {}", lapse.lack.said)
    }

    /// Whether nothing of a part is judged in a window.
    pub fn is_silent(&self, part: &Part, window: usize) -> bool {
        let place = match part.scope {
            // What two heads answer to each other, or a head otherwise than the exported model.
            Scope::Link | Scope::Skew => Scope::Head,
            scope => scope,
        };
        let of = |lack: &Lack| lack.silent && (lack.scope, lack.task) == (place, part.task);
        part.segment.is_none()
            && (self.whole.iter().any(of) || self.lapses.iter().any(|lapse| of(&lapse.lack) && lapse.holds(window)))
    }

    /// When what was lacked, for programs.
    pub fn json(&self, reference: &Reference) -> Value {
        let whole = self.whole.iter().map(|lack| told(reference, lack, json!({"from": 0, "to": self.windows})));
        let lapse = |lapse: &Lapse| {
            let to = lapse.until.map_or(self.windows, |(until, _)| until);
            let mut value = told(reference, &lapse.lack, json!({"from": lapse.from, "to": to}));
            (value["since"], value["until"]) = (json!(lapse.since), json!(lapse.until.map(|(_, at)| at)));
            value
        };
        whole.chain(self.lapses.iter().map(lapse)).collect()
    }
}

impl Lapse {
    fn is_of(&self, lack: &Lack) -> bool {
        (self.lack.scope, self.lack.task, self.lack.what) == (lack.scope, lack.task, lack.what)
    }

    fn holds(&self, window: usize) -> bool {
        window >= self.from && self.until.is_none_or(|(until, _)| window < until)
    }
}

fn lapses(judged: &[Judged]) -> Vec<Lapse> {
    let mut found: Vec<Lapse> = Vec::new();
    for (index, window) in judged.iter().enumerate() {
        for Standing { lack, since } in &window.lacked.began {
            // Told two looks late: it began where the first of them did.
            let from = judged[..index].partition_point(|earlier| earlier.report.start < *since);
            found.push(Lapse { lack: lack.clone(), since: *since, from, until: None });
        }
        for Standing { lack, .. } in &window.lacked.standing {
            // The newest of its kind: in the words of the latest look.
            if let Some(lapse) = found.iter_mut().rev().find(|lapse| lapse.is_of(lack)) {
                lapse.lack.clone_from(lack);
            }
        }
        for Standing { lack, .. } in &window.lacked.ended {
            if let Some(lapse) = found.iter_mut().rev().find(|lapse| lapse.is_of(lack)) {
                lapse.until = Some((index, window.report.start));
            }
        }
    }
    found
}

/// What stood in a window, as the daemon's API tells it.
pub fn standing(reference: &Reference, judged: &Judged) -> Vec<Value> {
    let one = |Standing { lack, since }: &Standing| {
        let mut value = told(reference, lack, Value::Null);
        value["since"] = json!(since);
        value
    };
    judged.lacked.standing.iter().map(one).collect()
}

fn told(reference: &Reference, lack: &Lack, windows: Value) -> Value {
    let mut value = json!({
        "scope": lack.scope, "task": lack.task.map(|task| &reference.spec.tasks[task].name), "lacks": lack.what,
        "silent": lack.silent, "said": lack.said,
    });
    if !windows.is_null() {
        value["windows"] = windows;
    }
    value
}

/// A window in a line: what has the most evidence, and the parts of which nothing was judged.
pub fn window_told(reference: &Reference, judged: &Judged) -> String {
    let strongest = strongest_told(reference, judged);
    let silent = judged.lacked.standing.iter().filter(|standing| standing.lack.silent);
    let name =
        |s: &Standing| s.lack.task.map_or(s.lack.scope.name(), |task| &reference.spec.tasks[task].name).to_owned();
    let silent = silent.map(name).collect::<Vec<_>>().join(", ");
    match (strongest.as_str(), silent.as_str()) {
        (_, "") => strongest,
        ("", silent) => format!("not judged: {silent}"),
        (strongest, silent) => format!("{strongest}; not judged: {silent}"),
    }
}
