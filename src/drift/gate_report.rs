//! What the gate says: numbers for programs, and sentences for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stats::paired::Difference;

/// The format's name.
pub const SCHEMA: &str = "gate/v1";

/// Whether the candidate may take over; the worst of several is the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may.
    Pass,
    /// The labels do not decide it.
    Undecided,
    /// It may not.
    Fail,
}

impl Verdict {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Undecided => "undecided",
            Verdict::Fail => "fail",
        }
    }
}

/// What is asked of a task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = TaskRole)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Not to get worse by this much.
    Protected {
        /// The largest loss that is no harm.
        margin: f64,
    },
    /// To get better by more than this.
    Drifted {
        /// The gain asked for.
        min_delta: f64,
    },
}

impl Role {
    /// Whether it is not to get worse.
    pub fn is_protected(self) -> bool {
        matches!(self, Role::Protected { .. })
    }
}

/// Why a task passes or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not worse by more than its margin.
    NotWorse,
    /// Worse by more than its margin.
    WorseThanMargin,
    /// Worse, and as many labels as were planned do not show it to be within the margin.
    WorseAndNotWithinMargin,
    /// Better by more than was asked.
    Better,
    /// Not better by as much as was asked.
    NotBetter,
    /// As many labels as were planned show no gain.
    NotBetterThoughPlanned,
    /// The labels allow both.
    TooFewLabels,
    /// There are none.
    NoLabels,
    /// More right rows became wrong than may.
    TooManyFlips,
    /// Perhaps more right rows became wrong than may.
    FlipsUnclear,
}

/// A reason, for programs and people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reason {
    /// Which.
    pub code: Code,
    /// One sentence.
    pub text: String,
}

/// The two models as they were run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Side {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Where its answers come from.
    pub source: String,
    /// Size of the ONNX file; null where logged answers stand in.
    pub bytes: Option<u64>,
    /// Milliseconds a text in batches; null where logged answers stand in.
    pub ms_per_text: Option<f64>,
}

/// What the candidate costs, as multiples of the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cost {
    /// Time a text; null where one of the two was not run.
    pub latency: Option<f64>,
    /// The most that was allowed.
    pub most_latency: Option<f64>,
    /// Size of the file.
    pub size: Option<f64>,
    /// The most that was allowed.
    pub most_size: Option<f64>,
    /// Whether it is within what was allowed.
    pub verdict: Verdict,
}

/// Rows that changed sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FlipReport {
    /// Right before, wrong now.
    pub negative: u64,
    /// Wrong before, right now.
    pub positive: u64,
    /// Negative ones as a share of the labelled rows.
    pub share: f64,
    /// Lower bound of the share.
    pub low: f64,
    /// Upper bound of the share.
    pub high: f64,
    /// The most that is allowed.
    pub most: f64,
}

/// A class whose share of the answers moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Mover {
    /// The class.
    pub class: String,
    /// Its share before.
    pub baseline: f64,
    /// Its share now.
    pub candidate: f64,
}

impl Mover {
    /// How far it moved.
    pub fn moved(&self) -> f64 {
        (self.candidate - self.baseline).abs()
    }
}

/// What the two models' answers say of each other, over all rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AnswersReport {
    /// Rows that both answered.
    pub compared: u64,
    /// Share of them answered materially otherwise.
    pub differ: f64,
    /// Jensen–Shannon divergence of the class mix, base 2.
    pub jensen_shannon: Option<f64>,
    /// Hellinger distance of the class mix.
    pub hellinger: Option<f64>,
    /// Classes whose shares moved most.
    pub movers: Vec<Mover>,
    /// Mean confidence before.
    pub baseline_confidence: Option<f64>,
    /// Mean confidence now.
    pub candidate_confidence: Option<f64>,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskReport {
    /// Name.
    pub task: String,
    /// What a score is: `accuracy`, `f1`, `token_accuracy` or `closeness`.
    pub metric: String,
    /// What was asked of it.
    pub role: Role,
    /// Whether it passes.
    pub verdict: Verdict,
    /// Rows with a label for it.
    pub labelled: u64,
    /// Rows whose label cannot be compared with an answer, such as one of another number of tokens.
    pub incomparable: u64,
    /// Mean score of the baseline.
    pub baseline: Option<f64>,
    /// Mean score of the candidate.
    pub candidate: Option<f64>,
    /// Candidate less baseline: for a protected task its backward transfer.
    pub difference: Option<f64>,
    /// Lower bound of the difference.
    pub low: Option<f64>,
    /// Upper bound of the difference.
    pub high: Option<f64>,
    /// Natural log of McNemar's exact p-value of "no better", where scores are 0 or 1.
    pub better_ln_p: Option<f64>,
    /// Rows that changed sides.
    pub flips: Option<FlipReport>,
    /// Labels that a decision probably takes besides those at hand.
    pub labels_needed: Option<u64>,
    /// What the two answer, labels aside.
    pub answers: Option<AnswersReport>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GateReport {
    /// `gate/v1`.
    pub schema: String,
    /// Whether the candidate may take over.
    pub verdict: Verdict,
    /// Labels of the neediest task that a decision probably takes besides those at hand.
    pub labels_needed: Option<u64>,
    /// Mean difference over the protected tasks.
    pub backward_transfer: Option<f64>,
    /// The current model.
    pub baseline: Side,
    /// The one that is to take over.
    pub candidate: Side,
    /// Rows.
    pub rows: u64,
    /// Rows with any label.
    pub labelled_rows: u64,
    /// Error of each one-sided bound.
    pub error: f64,
    /// What the candidate costs.
    pub cost: Cost,
    /// By task.
    pub tasks: Vec<TaskReport>,
}

impl GateReport {
    /// What is wrong with a report that came from elsewhere, if something is.
    ///
    /// # Errors
    /// A sentence: another format, numbers that cannot be, or a verdict that its own tasks contradict.
    pub fn check(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("the report's schema is `{}`, expected `{SCHEMA}`", self.schema));
        }
        if self.tasks.is_empty() {
            return Err("the report names no task".to_owned());
        }
        let worst = self.tasks.iter().map(|t| t.verdict).chain([self.cost.verdict]).max();
        if worst != Some(self.verdict) {
            return Err(format!("the verdict is `{}`, but the tasks say otherwise", self.verdict.name()));
        }
        for task in &self.tasks {
            let wrong = |what: &str| Err(format!("task `{}`: {what}", task.task));
            let score = |s: Option<f64>| s.is_none_or(|s| (0.0..=1.0).contains(&s));
            if !score(task.baseline) || !score(task.candidate) {
                return wrong("scores lie between 0 and 1");
            }
            if task.labelled > self.rows {
                return wrong("more labels than rows");
            }
            let passes = match (task.role, task.low) {
                (Role::Protected { margin }, Some(low)) => low > -margin,
                (Role::Drifted { min_delta }, Some(low)) => low > min_delta,
                (_, None) => false,
            };
            if task.verdict == Verdict::Pass && !passes {
                return wrong("it passes, and its lower bound does not");
            }
        }
        Ok(())
    }
}

impl Reason {
    /// About a difference.
    pub(super) fn new(code: Code, role: Role, difference: Option<Difference>) -> Reason {
        let limit = match role {
            Role::Protected { margin } => margin,
            Role::Drifted { min_delta } => min_delta,
        };
        let limit = Points(limit);
        let (low, high) = difference.map_or((Points(0.0), Points(0.0)), |d| (Points(d.low), Points(d.high)));
        let text = match code {
            Code::NotWorse => format!("at worst {low} points, within the margin of {limit}"),
            Code::WorseThanMargin => format!("at best {high} points: worse than the margin of {limit}"),
            Code::WorseAndNotWithinMargin => {
                format!("worse (at best {high} points), and at worst {low}: beyond the margin of {limit}")
            }
            Code::Better => format!("at worst {low} points better, more than the {limit} asked for"),
            Code::NotBetter => format!("at best {high} points: less than the {limit} asked for"),
            Code::NotBetterThoughPlanned => format!("no gain beyond {limit} points on as many labels as would show it"),
            Code::TooFewLabels if role.is_protected() => {
                format!("between {low} and {high} points: the margin of {limit} may be kept or not")
            }
            Code::TooFewLabels => format!("between {low} and {high} points: {limit} may be gained or not"),
            Code::NoLabels => "no labels".to_owned(),
            Code::TooManyFlips | Code::FlipsUnclear => unreachable!("flips have their own sentence"),
        };
        Reason { code, text }
    }

    /// About rows that changed sides.
    pub(super) fn of_flips(code: Code, flips: &FlipReport) -> Reason {
        let (low, high, most) = (100.0 * flips.low, 100.0 * flips.high, 100.0 * flips.most);
        let text = match code {
            Code::TooManyFlips => {
                format!("at least {low:.2} % of the rows were right and are wrong, more than the {most:.2} % that may")
            }
            _ => format!("between {low:.2} and {high:.2} % of the rows were right and are wrong; {most:.2} % may"),
        };
        Reason { code, text }
    }
}

/// A share in points, with its sign.
struct Points(f64);

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", 100.0 * self.0)
    }
}
