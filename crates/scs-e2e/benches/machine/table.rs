//! The table of results.

use std::fmt::Write as _;

/// One measurement.
pub struct Row {
    /// What was measured.
    pub what: &'static str,
    /// What scs took, with its unit.
    pub scs: String,
    /// What it is compared with.
    pub beside: &'static str,
    /// What that took, with its unit.
    pub bare: String,
    /// scs ÷ bare, or the measurement itself where there is nothing beside it.
    pub ratio: f64,
    /// At most this is aimed at.
    pub goal: f64,
}

impl Row {
    /// Two durations in milliseconds, compared.
    pub fn compared(what: &'static str, scs: f64, beside: &'static str, bare: f64, goal: f64) -> Self {
        Self { what, scs: format!("{scs:.1} ms"), beside, bare: format!("{bare:.1} ms"), ratio: scs / bare, goal }
    }
}

/// All rows as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | scs | beside | took | ratio | goal | met |\n|---|---|---|---|---|---|---|\n");
    for row in rows {
        let met = if row.ratio <= row.goal { "yes" } else { "**no**" };
        let Row { what, scs, beside, bare, ratio, goal } = row;
        writeln!(text, "| {what} | {scs} | {beside} | {bare} | {ratio:.2} | ≤{goal} | {met} |")
            .expect("writing to a string does not fail");
    }
    text
}
