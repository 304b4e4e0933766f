//! Containers that end, by themselves or for want of what they need, and what people are told of it.

use scs_e2e::docker::{docker, started_at};
use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `scs dev` in the foreground, for commands that need a discovery server and no deployment.
struct Dev(Child);

impl Dev {
    fn of(scs: &Scs) -> Self {
        let dev = Self(scs.spawn(&["dev"]));
        wait_for("scs dev to answer", Duration::from_secs(20), || {
            let version = scs.json(&["version", "-o", "json"]);
            if version["server"].is_object() { Ok(()) } else { Err(format!("{version:#}")) }
        });
        dev
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_container_that_keeps_ending_fails_up_with_its_exit_code_and_its_last_lines() {
    let project = Project::job("[sh, -c, 'echo one; echo the reason >&2; exit 3']", "");
    let scs = Scs::new(project.path());
    for _ in 0..2 {
        let run = scs.run(&["up", "-d"]);
        assert_eq!(run.code(), 1, "{}", run.shown());
        for words in ["job", "exit code 3", "the reason", "hint:"] {
            assert!(run.stderr().contains(words), "says `{words}`: {}", run.shown());
        }
    }
}

#[test]
fn a_run_gives_up_waiting_for_a_requirement_and_names_it() {
    let project = Project::store_and_web();
    project.replace("deployment.yaml", "db: { wait: 30s }", "db: { wait: 1s }");
    let scs = Scs::new(project.path());
    let _dev = Dev::of(&scs);
    // The secret of the deployment is generated; the image is built first, and is not waited for by that clock.
    let run = scs.run(&["run", "web"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains("web is still waiting for db (dev/shop/store/db) after 1s"), "{}", run.shown());
    assert!(run.stderr().contains("hint:"), "{}", run.shown());
}

/// The containers of the role, ended ones too. Those of others may go while they are looked at.
fn containers(scs: &Scs, role: &str) -> Vec<String> {
    let format = "{{.ID}} {{.Mounts}}";
    let filter = format!("label=scs.role={role}");
    let all = docker(&["ps", "--all", "--no-trunc", "--filter", &filter, "--format", format]);
    let ours = |line: &&str| line.contains(&*scs.state().to_string_lossy());
    all.lines().filter(ours).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().is_ok_and(|it| it.success()));
}

#[test]
fn a_run_killed_hard_is_adopted_by_the_next_and_what_the_container_says_when_it_stops_is_shown() {
    let command = "[sh, -c, 'trap \"echo going; exit 0\" TERM; echo here; while :; do sleep 0.1; done']";
    let project = Project::job(command, "");
    let scs = Scs::new(project.path());
    let _dev = Dev::of(&scs);
    let mut first = scs.spawn(&["run", "job"]);
    let one = || match &containers(&scs, "job")[..] {
        [one] => Ok(one.clone()),
        other => Err(format!("{other:?}")),
    };
    let container = wait_for("the container", Duration::from_secs(60), one);
    let started = started_at(&container);
    let second = scs.run(&["run", "job"]);
    assert_eq!(second.code(), 75, "one at a time: {}", second.shown());
    let _ = first.kill();
    let _ = first.wait();
    assert_eq!(started_at(&container), started, "it runs on");

    let mut next = scs.spawn(&["run", "job"]);
    let mut lines = BufReader::new(next.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("here"), "what it wrote before is shown too");
    assert_eq!(started_at(&container), started, "and it was not started again");
    signal(&next, "-TERM");
    assert_eq!(lines.collect::<Vec<_>>(), ["going"]);
    assert_eq!(next.wait().expect("it ends").code(), Some(0));
    assert!(containers(&scs, "job").is_empty(), "and nothing is left");
}

#[test]
fn a_one_off_command_has_the_image_and_the_exit_code_is_its_own() {
    let project = Project::job("[sleep, '1000']", "");
    let scs = Scs::new(project.path());
    let _dev = Dev::of(&scs);
    let run = scs.run(&["run", "job", "--", "sh", "-c", "echo $SCS_ROLE; echo err >&2; exit 7"]);
    assert_eq!((run.code(), run.stdout().as_str()), (7, "job\n"), "{}", run.shown());
    assert!(run.stderr().contains("err"), "{}", run.shown());
    assert!(containers(&scs, "job").is_empty(), "and nothing is left");
}

#[test]
fn what_is_piped_into_a_one_off_command_arrives_whole_and_so_does_what_it_writes() {
    let project = Project::job("[sleep, '1000']", "");
    let scs = Scs::new(project.path());
    let _dev = Dev::of(&scs);
    // No line, no text, and more than fits into any pipe on the way.
    let dump: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[usize::from(number % 3 == 0)]).collect();
    let mut child = scs
        .command(&["run", "job", "--", "sh", "-c", "cat; exit 4"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scs can be started");
    let (mut stdin, sent) = (child.stdin.take().expect("it is piped"), dump.clone());
    let writing = std::thread::spawn(move || stdin.write_all(&sent));
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic").expect("all was taken");
    assert_eq!(output.status.code(), Some(4));
    assert!(output.stdout == dump, "{} of {} bytes came back", output.stdout.len(), dump.len());
}

#[test]
fn a_one_off_command_has_our_terminal_and_its_keys() {
    let project = Project::job("[sleep, '1000']", "");
    let scs = Scs::new(project.path());
    let _dev = Dev::of(&scs);
    let program = scs_e2e::program();
    let inside = r#"while [ "$(stty size)" = "0 0" ]; do :; done; stty size; trap "echo interrupted" INT; while read word; do test "$word" = end && exit 6; echo "<$word>"; done; exit 5"#;
    let line = format!("stty rows 33 cols 99; '{}' run job -- sh -c '{inside}'", program.display());
    // A terminal of its own, as nobody else gives tests one.
    let mut terminal = scs.command(&[]);
    let environment: Vec<_> =
        terminal.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    let directory = terminal.get_current_dir().expect("it is set").to_owned();
    terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]).envs(environment).current_dir(directory);
    let mut child =
        terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`script` of bsdutils can be started");
    let mut keys = child.stdin.take().expect("it is piped");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let mut until = |words: &str| {
        let mut seen = Vec::new();
        let found = lines.by_ref().any(|line| {
            seen.push(line.clone());
            line.contains(words)
        });
        assert!(found, "no `{words}` in {seen:?}");
    };
    until("33 99");
    keys.write_all(b"hello\n").expect("it reads");
    until("<hello>");
    keys.write_all(b"\x03").expect("it reads");
    until("interrupted");
    keys.write_all(b"end\n").expect("it reads");
    let ended = child.wait().expect("it ends");
    assert!(matches!(ended.code(), Some(5 | 6)), "{ended}");
    assert!(containers(&scs, "job").is_empty(), "and nothing is left");
}
