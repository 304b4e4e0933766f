//! A plan as people read it: a mark and a name for each slot, the reasons under it, a footer that counts.

use super::{BAD, DIM, GOOD, NAME, ODD, Printer, text};
use anstyle::Style;
use scs_plan::plan::{Action, Difference, Plan, Step};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Longest value that is shown of a difference.
const VALUE: usize = 60;

/// Whether anything would happen.
#[must_use]
pub fn changes(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.action != Action::Keep)
}

/// Whether something that runs would be interrupted or go away.
#[must_use]
pub fn interrupts(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step.action, Action::ReplaceStopFirst | Action::Remove | Action::Move { .. }))
}

/// The plan as text; styles by `paint`.
#[must_use]
pub fn render(plan: &Plan, printer: &Printer, to_stdout: bool) -> String {
    let paint = |style: Style, what: &str| {
        if to_stdout { printer.out(style, what) } else { printer.err(style, what) }
    };
    let steps: Vec<&Step> =
        plan.steps.iter().filter(|step| step.action != Action::Keep || !step.notes.is_empty()).collect();
    let name = |step: &Step| name(step, plan);
    let width = steps.iter().map(|step| name(step).chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for step in steps {
        let (mark, style, words) = meaning(&step.action);
        let build = if step.build { ", its image is built first" } else { "" };
        let padding = " ".repeat(width - name(step).chars().count());
        let _ = writeln!(
            out,
            "{} {}{padding}  {}{build}",
            paint(style, &format!("{mark:<3}")),
            paint(NAME, &name(step)),
            with_hosts(words, step, hosts(plan).len() > 1),
        );
        for change in &step.changes {
            let _ = writeln!(out, "    {} {}", paint(DIM, "│"), difference(change));
        }
        for note in &step.notes {
            let _ = writeln!(out, "    {} {}", paint(DIM, "│"), note);
        }
    }
    let _ = write!(out, "{}", footer(plan));
    out
}

/// Its name as it can be typed: with its index where the role has several instances.
fn name(step: &Step, plan: &Plan) -> String {
    let slot = &step.slot;
    let several = plan.steps.iter().any(|other| other.slot.role == slot.role && other.slot.index != slot.index);
    if several { slot.numbered() } else { slot.label() }
}

fn meaning(action: &Action) -> (&'static str, Style, &'static str) {
    match action {
        Action::Keep => ("", DIM, "unchanged"),
        Action::Create => ("+", GOOD, "create"),
        Action::LiveUpdate => ("↻", NAME, "live-update, no restart"),
        Action::ReplaceStartFirst => ("+/-", ODD, "replace: the new one is healthy before the old one stops"),
        Action::ReplaceStopFirst => ("-/+", ODD, "replace: the old one stops before the new one starts"),
        Action::Move { .. } => ("→", ODD, "move"),
        Action::Remove => ("-", BAD, "remove; volumes stay"),
    }
}

fn with_hosts(words: &str, step: &Step, several: bool) -> String {
    match &step.action {
        Action::Move { from } => format!("{words} {from} → {}", step.host),
        Action::Create if several => format!("{words} on {}", step.host),
        _ => words.to_owned(),
    }
}

/// One value that differs, in a line.
#[must_use]
pub fn difference(change: &Difference) -> String {
    let value =
        |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), |text| text::cut(text, VALUE));
    if is_digest(change) {
        let short = |value: &Option<String>| {
            value.as_deref().map_or("nothing", |text| text::short(text.trim_matches('"'))).to_owned()
        };
        return format!("{}  {} → {}", change.path, short(&change.old), short(&change.new));
    }
    format!("{}  {} → {}", change.path, value(&change.old), value(&change.new))
}

fn is_digest(change: &Difference) -> bool {
    change.path.ends_with("digest")
}

fn hosts(plan: &Plan) -> BTreeSet<&str> {
    plan.steps.iter().map(|step| step.host.as_str()).collect()
}

/// What happens, counted: `1 create · 1 live-update · 0 restart · across 2 hosts`.
#[must_use]
pub fn footer(plan: &Plan) -> String {
    if !changes(plan) {
        return format!("nothing to do: {}/{} is as its manifests say", plan.environment, plan.service);
    }
    let count = |wanted: fn(&Action) -> bool| plan.steps.iter().filter(|step| wanted(&step.action)).count();
    let restart = count(|action| matches!(action, Action::ReplaceStartFirst | Action::ReplaceStopFirst));
    let counted = [
        (count(|action| *action == Action::Create), "create"),
        (count(|action| matches!(action, Action::Move { .. })), "move"),
        (count(|action| *action == Action::LiveUpdate), "live-update"),
        (count(|action| *action == Action::Remove), "remove"),
        (count(|action| *action == Action::Keep), "unchanged"),
    ];
    let mut parts: Vec<String> =
        counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    parts.push(format!("{restart} restart"));
    let hosts = hosts(plan).len();
    if hosts > 1 {
        parts.push(format!("across {hosts} hosts"));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests;
