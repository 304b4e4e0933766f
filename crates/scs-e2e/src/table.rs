//! Tables of measurements, for the programs that make `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::io::Write as _;

/// One measurement.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    what: String,
    /// What scs took, with its unit.
    scs: String,
    /// What it is compared with, what that took, and how many times as much scs took.
    beside: Option<(String, String, f64)>,
    /// At most this is aimed at, and whether that was reached. Without one it is there to be known.
    goal: Option<(String, bool)>,
}

impl Row {
    /// Two durations in milliseconds, compared: scs may take at most `goal` times as long.
    #[must_use]
    pub fn compared(what: impl Into<String>, scs: f64, beside: impl Into<String>, bare: f64, goal: f64) -> Self {
        let goal = (format!("≤{goal} ×"), scs / bare <= goal);
        Self { goal: Some(goal), ..Self::known(what, scs, beside, bare) }
    }

    /// The same without a goal.
    #[must_use]
    pub fn known(what: impl Into<String>, scs: f64, beside: impl Into<String>, bare: f64) -> Self {
        let beside = Some((beside.into(), milliseconds(bare), scs / bare));
        Self { what: what.into(), scs: milliseconds(scs), beside, goal: None }
    }

    /// A duration in milliseconds that may be at most `goal`, and what it is compared with.
    #[must_use]
    pub fn within(what: impl Into<String>, scs: f64, beside: impl Into<String>, bare: f64, goal: f64) -> Self {
        let goal = (format!("≤{}", milliseconds(goal)), scs <= goal);
        Self { goal: Some(goal), ..Self::known(what, scs, beside, bare) }
    }

    /// A size, with nothing beside it.
    #[must_use]
    pub fn megabytes(what: impl Into<String>, scs: f64, goal: f64) -> Self {
        Self::bare(what, scs, goal, "MB")
    }

    /// A share of one core, in percent, with nothing beside it.
    #[must_use]
    pub fn percent(what: impl Into<String>, scs: f64, goal: f64) -> Self {
        Self::bare(what, scs, goal, "%")
    }

    fn bare(what: impl Into<String>, scs: f64, goal: f64, unit: &str) -> Self {
        let reached = scs <= goal;
        let goal = Some((format!("≤{goal} {unit}"), reached));
        Self { what: what.into(), scs: format!("{scs:.1} {unit}"), beside: None, goal }
    }
}

fn milliseconds(number: f64) -> String {
    if number >= 10_000.0 { format!("{:.1} s", number / 1000.0) } else { format!("{number:.1} ms") }
}

/// All rows as Markdown.
///
/// # Panics
/// Never: a string takes everything.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | scs | beside | took | ratio | goal | met |\n|---|---|---|---|---|---|---|\n");
    for Row { what, scs, beside, goal } in rows {
        let (beside, bare, ratio) = match beside {
            Some((beside, bare, ratio)) => (beside.as_str(), bare.as_str(), format!("{ratio:.2} ×")),
            None => ("–", "–", "–".to_owned()),
        };
        let (goal, met) = match goal {
            Some((goal, met)) => (goal.as_str(), if *met { "yes" } else { "**no**" }),
            None => ("–", "–"),
        };
        writeln!(text, "| {what} | {scs} | {beside} | {bare} | {ratio} | {goal} | {met} |")
            .expect("writing to a string does not fail");
    }
    text
}

/// The middle of several measurements.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Says what is being measured, where a person can see it.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "— {text}");
}
