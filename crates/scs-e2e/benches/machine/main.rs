//! Measurements on one machine, each beside the bare thing in the same run. `cargo xtask bench` runs them and keeps the
//! table in docs/benchmarks.md.

#![allow(clippy::print_stdout, missing_docs, reason = "a program for a terminal")]

mod idle;
mod liveupdate;
mod up;

use scs_e2e::table::{self, Row};

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
