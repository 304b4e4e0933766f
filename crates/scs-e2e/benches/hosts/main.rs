//! Measurements over three hosts on one machine. `cargo xtask bench hosts` runs them and keeps the table in docs/benchmarks.md; with
//! names of measurements as arguments, those alone are run.

#![allow(clippy::print_stdout, missing_docs, reason = "a program for a terminal")]

mod blog;
mod crowd;
mod images;
mod lost;
mod moves;
mod plan;

use scs_e2e::table::{self, Row};

/// Measures something, once the hosts it needs run.
type Measure = fn() -> Vec<Row>;

/// Measurements by the names that arguments have.
const ALL: &[(&str, Measure)] = &[
    ("moves", moves::measure),
    ("blog", blog::measure),
    ("lost", lost::measure),
    ("crowd", crowd::measure),
    ("plan", plan::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` and the like ask for a list of tests; there are none.
    if arguments.iter().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    if let Some(unknown) = arguments.iter().find(|name| ALL.iter().all(|(known, _)| known != name)) {
        let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        table::say(&format!("there is no measurement {unknown}; there are {}", known.join(", ")));
        std::process::exit(64);
    }
    let chosen = ALL.iter().filter(|(name, _)| arguments.is_empty() || arguments.iter().any(|it| it == name));
    let rows: Vec<Row> = chosen.flat_map(|(_, measure)| measure()).collect();
    print!("{}", table::markdown(&rows));
}
