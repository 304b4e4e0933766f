//! Roles move between hosts while clients go on asking: none is refused, and no row that was acknowledged is lost.

use super::shop::shop;
use scs_e2e::hosts::{Hosts, LONG};
use scs_e2e::wait_for;
use std::collections::BTreeSet;
use std::io::Write as _;

/// Asks one URL after the other on h1 until told to stop, and writes down `TIME NUMBER` of each that was answered, or `failed NUMBER`.
const CLIENT: &str = "\
number=0
while test ! -e /run/stop; do
    number=$((number + 1))
    if curl --silent --fail --max-time 60 --output /dev/null \"$1$number\"
    then echo \"$(date +%s%3N) $number\"
    else echo \"failed $number\"
    fi
done > \"$2\"
";

/// What a client on h1 was answered.
struct Answers {
    kept: Vec<(u64, u64)>,
    failed: usize,
}

/// Runs a client while something happens, from some answers before it to some after it.
fn asking(hosts: &Hosts, url: &str, file: &str, happens: impl FnOnce()) -> Answers {
    let _ = hosts.on("h1", "sh", &["-c", "rm -f /run/stop; : > $0", file]);
    let mut client =
        hosts.command("h1", "sh", &["-c", CLIENT, "sh", url, file]).spawn().expect("a shell can be started");
    let answered = |count: usize| {
        wait_for("answers", LONG, || {
            let said = hosts.on("h1", "cat", &[file]);
            let now = said.lines().filter(|line| !line.starts_with("failed")).count();
            if now >= count {
                Ok(now)
            } else {
                Err(format!("{said}{}{}", hosts.said("h1", "forward"), hosts.last_words()))
            }
        })
    };
    let before = answered(10);
    happens();
    let _ = answered(before + 20);
    let _ = hosts.on("h1", "touch", &["/run/stop"]);
    let _ = client.wait().expect("it ends");
    let said = hosts.on("h1", "cat", &[file]);
    let kept = said.lines().filter_map(|line| {
        let (time, number) = line.split_once(' ')?;
        Some((time.parse().ok()?, number.parse().ok()?))
    });
    Answers { kept: kept.collect(), failed: said.lines().filter(|line| line.starts_with("failed")).count() }
}

/// The longest time between two answers, in milliseconds.
fn pause(answers: &Answers) -> u64 {
    answers.kept.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default()
}

fn host(hosts: &Hosts, role: &str) -> String {
    hosts.instance(role, 0).expect("it is there")["host"].as_str().unwrap_or_default().to_owned()
}

/// Waits until nothing runs on a host: what has moved away ends there once nobody uses it any more.
fn empty(hosts: &Hosts, host: &str) {
    wait_for(&format!("nothing to run on {host}"), LONG, || {
        let there = hosts.containers(host);
        if there.is_empty() { Ok(()) } else { Err(format!("{there:?} {}{}", hosts.ok(&["ps"]), hosts.last_words())) }
    });
}

#[test]
fn roles_move_and_hosts_are_drained_while_clients_ask_all_the_time() {
    let project = shop();
    project.replace("deployment.prod.yaml", ", replicas: 2", "");
    let hosts = Hosts::joined(project.path());
    hosts.give_base();
    let _ = hosts.ok(&["up", "-d"]);
    assert_eq!([host(&hosts, "store"), host(&hosts, "web")], ["h3", "h1"]);
    let certificates = "/var/lib/scs/host/certificates";
    let server = format!("{}:9640", hosts.address("h1"));
    let ports = ["8080:prod/shop/web/http", "5000:prod/shop/store/db"];
    let forward = ["disco", "forward", "--server", &server, "--certificates", certificates, "--patience", "50s"];
    hosts.start("h1", "forward", &[&forward[..], &ports].concat(), &[]);

    // Without data: the new one serves before the old one stops.
    let answers = asking(&hosts, "http://127.0.0.1:8080/?", "/run/reads", || {
        let _ = hosts.ok(&["move", "web", "h2"]);
    });
    say(&format!("web moved under {} requests, the longest pause {} ms", answers.kept.len(), pause(&answers)));
    assert_eq!(answers.failed, 0, "no request failed");
    empty(&hosts, "h1");
    assert_eq!(host(&hosts, "web"), "h2");

    // With its data: down for the last difference, and not a row is lost.
    hosts.refused(&["move", "store", "h2"], 1, &["store", "place", "--force"]);
    let mut printed = String::new();
    let answers = asking(&hosts, "http://127.0.0.1:5000/cgi-bin/add?", "/run/writes", || {
        let run = hosts.run(&["move", "store", "h2", "--force"]);
        assert_eq!(run.code(), 0, "{}{}", run.shown(), hosts.last_words());
        printed = run.shown();
    });
    say(&format!("store moved under {} writes, the longest pause {} ms", answers.kept.len(), pause(&answers)));
    assert!(printed.contains("down"), "the downtime is told: {printed}");
    // Never two writers: the old one ended before the new one started.
    assert!(hosts.containers("h3").is_empty());
    assert_eq!(host(&hosts, "store"), "h2");
    let rows = hosts.ok(&["exec", "store", "--", "cat", "/data/rows"]);
    let rows: BTreeSet<u64> = rows.lines().filter_map(|row| row.parse().ok()).collect();
    let lost: Vec<u64> =
        answers.kept.iter().map(|(_, number)| *number).filter(|number| !rows.contains(number)).collect();
    assert!(lost.is_empty(), "{lost:?} were acknowledged and are lost");
    // Whatever was under way when the old one stopped, and no more.
    assert!(answers.failed <= 1, "{} failed", answers.failed);

    // What was moved stays, and says so, until somebody wants it as the manifest says.
    let kept = hosts.run(&["up", "-d"]);
    assert!(kept.code() == 0 && kept.stderr().contains("was up already"), "{}", kept.shown());

    // Everything leaves a host that is drained.
    let drained = hosts.run(&["host", "drain", "h2"]);
    say(&drained.shown());
    empty(&hosts, "h2");
    hosts.wait_until_running(&[("store", 0), ("web", 0)]);
    assert_eq!(hosts.ok(&["exec", "store", "--", "cat", "/data/rows"]).lines().count(), rows.len());
    let _ = hosts.ok(&["host", "undrain", "h2"]);
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
