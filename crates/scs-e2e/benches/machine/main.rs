//! Measurements on one machine, each beside the bare thing in the same run. `cargo xtask bench` runs them and keeps the
//! table in docs/benchmarks.md.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, reason = "a program for a terminal")]

mod idle;
mod liveupdate;
mod table;
mod up;

use table::Row;

fn main() {
    // `cargo test --benches` and the like ask for a list of tests; there are none.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(up::measure());
    rows.extend(idle::measure());
    rows.push(liveupdate::measure());
    print!("{}", table::markdown(&rows));
}

/// The middle of several measurements, in milliseconds.
fn median(mut milliseconds: Vec<f64>) -> f64 {
    milliseconds.sort_by(f64::total_cmp);
    milliseconds[milliseconds.len() / 2]
}

/// Says what is being measured, where a person can see it.
fn say(text: &str) {
    eprintln!("— {text}");
}
