//! The example blog brought up on three hosts, beside the same on one of them.

use crate::images;
use scs_e2e::blog;
use scs_e2e::hosts::Hosts;
use scs_e2e::table::{Row, median, say};

const ROUNDS: usize = 3;

/// The one row: from nothing but images to a blog whose backup has its copy, each time with fresh volumes.
pub fn measure() -> Vec<Row> {
    let directory = blog::copy();
    let hosts = Hosts::joined(directory.path());
    images::give(&hosts);
    let (mut three, mut one) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        // The one on one host first: where the machine is warmer for the second, it is so for scs on three.
        one.push(up(&hosts, &format!("one{round}"), ["h1", "h1", "h1"]));
        three.push(up(&hosts, &format!("three{round}"), ["h1", "h3", "h2"]));
        let (three, one) = (three[round - 1], one[round - 1]);
        say(&format!("the blog, {round} of {ROUNDS}: on three hosts {three:.0} ms, on one {one:.0} ms"));
    }
    let what = "`scs up -d` of the blog on three hosts, images on each, until its backup has its copy";
    vec![Row::compared(what, median(three), "the same on one of them", median(one), 1.5)]
}

/// Milliseconds until the blog is up in an environment of its own; it is taken down after it.
fn up(hosts: &Hosts, environment: &str, [master, backup, site]: [&str; 3]) -> f64 {
    let project = hosts.project();
    let place = |role: &str, host: &str| format!("  {role}: {{ place: {{ host: {host} }} }}\n");
    let overlay = ["version: 1\ncontainers:\n".to_owned()]
        .into_iter()
        .chain([place("mysql-master", master), place("mysql-backup", backup), place("wordpress", site)])
        .collect::<String>();
    std::fs::write(project.join(format!("deployment.{environment}.yaml")), overlay).expect("files can be written");
    hosts.context(environment, "ada", "admin", "*", environment);
    let run = hosts.run(&["up", "-d"]);
    assert_eq!(run.code(), 0, "{}{}", run.shown(), hosts.last_words());
    let _ = hosts.ok(&["down"]);
    run.took.as_secs_f64() * 1000.0
}
