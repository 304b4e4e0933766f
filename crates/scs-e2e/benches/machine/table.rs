//! The table of results.

use std::fmt::Write as _;

/// One measurement.
pub struct Row {
    /// What was measured.
    what: &'static str,
    /// What scs took, with its unit.
    scs: String,
    /// What it is compared with, what that took, and how many times as much scs took.
    beside: Option<(&'static str, String, f64)>,
    /// At most this is aimed at, and whether that was reached. Without one it is there to be known.
    goal: Option<(String, bool)>,
}

impl Row {
    /// Two durations in milliseconds, compared.
    pub fn compared(what: &'static str, scs: f64, beside: &'static str, bare: f64, goal: f64) -> Self {
        let goal = (format!("≤{goal} ×"), scs / bare <= goal);
        Self { goal: Some(goal), ..Self::known(what, scs, beside, bare) }
    }

    /// The same without a goal.
    pub fn known(what: &'static str, scs: f64, beside: &'static str, bare: f64) -> Self {
        let beside = Some((beside, milliseconds(bare), scs / bare));
        Self { what, scs: milliseconds(scs), beside, goal: None }
    }

    /// A size, with nothing beside it.
    pub fn megabytes(what: &'static str, scs: f64, goal: f64) -> Self {
        let goal = Some((format!("≤{goal} MB"), scs <= goal));
        Self { what, scs: format!("{scs:.1} MB"), beside: None, goal }
    }
}

fn milliseconds(number: f64) -> String {
    format!("{number:.1} ms")
}

/// All rows as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | scs | beside | took | ratio | goal | met |\n|---|---|---|---|---|---|---|\n");
    for Row { what, scs, beside, goal } in rows {
        let (beside, bare, ratio) = match beside {
            Some((beside, bare, ratio)) => (*beside, bare.as_str(), format!("{ratio:.2} ×")),
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
