//! What the helper program's `play` and `serve` do, for the fake engine.

use scs_ports::engine::Stream;
use scs_ports::fake::{Behaviour, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

/// The steps of `play`, in words: verb and value.
fn steps(command: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let played = command.get(1).is_some_and(|it| it == "play");
    command.iter().skip(2).filter(move |_| played).map(|it| it.split_once('=').unwrap_or((it, "")))
}

/// What it does as process 1. All of its output comes at once, with a pause at its end.
pub fn behaviour(command: &[String]) -> Behaviour {
    let mut behaviour = Behaviour::default();
    let (mut lasts, mut code) = (Duration::ZERO, 0);
    for (verb, value) in steps(command) {
        match verb {
            "out" => behaviour.lines.push((Stream::Stdout, value.to_owned())),
            "err" => behaviour.lines.push((Stream::Stderr, value.to_owned())),
            "sleep" => lasts += scs_manifest::duration::parse(value).unwrap(),
            "exit" => code = value.parse().unwrap(),
            "write" => {
                let (path, content) = value.split_once(':').unwrap();
                behaviour.files.insert(path.to_owned(), content.to_owned().into());
            }
            "cat" => behaviour.echo = true,
            "deaf" => behaviour.stops_with = None,
            other => panic!("a container does not {other}"),
        }
    }
    if command.get(1).is_some_and(|it| it == "play") && !behaviour.echo {
        behaviour.ends = Some((lasts, code));
    }
    behaviour
}

/// What it does as a command.
pub fn outcome(command: &[String], environment: &BTreeMap<String, String>) -> Outcome {
    let mut outcome = Outcome::exit(0);
    for (verb, value) in steps(command) {
        match verb {
            "out" => outcome = outcome.stdout(&format!("{value}\n")),
            "err" => outcome = outcome.stderr(&format!("{value}\n")),
            "env" => outcome = outcome.stdout(&format!("{}\n", environment.get(value).map_or("", String::as_str))),
            "cat" => outcome.echo = true,
            "sleep" => outcome = outcome.after(scs_manifest::duration::parse(value).unwrap()),
            "exit" => outcome.code = value.parse().unwrap(),
            other => panic!("a command does not {other}"),
        }
    }
    outcome
}
