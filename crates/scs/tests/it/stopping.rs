//! Processes that are stopped and go on (`SIGSTOP`, `SIGCONT`): clients, and the server itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::server::Server;
use crate::support::Place;

/// Three of these missed, and a client is silent: short, so that the test is.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// A command of `scs disco` that runs, killed when dropped.
struct Command {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Command {
    fn start(place: &Place, server: &Server, arguments: &[&str]) -> Self {
        let mut command = place.command(&["disco"]);
        command.args(arguments).env("SCS_DISCO", server.disco.to_string());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn provide(place: &Place, server: &Server, instance: &str) -> Self {
        let what = ["provide", "--port", "80", "--health", "none", "--instance", instance, "shop/web/http"];
        Self::start(place, server, &what)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The next change that a watch shows: of which instance, what, and why.
    fn change(&mut self) -> (String, String, String) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let change: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (text(&change["endpoint"]["instance"]), text(&change["change"]), text(&change["reason"]))
    }
}

impl Command {
    /// Waits until a watch that has just begun shows an instance: as one that is there, or one that comes.
    fn sees(&mut self, instance: &str) {
        let (is, change, _) = self.change();
        assert!(is == instance && ["present", "added"].contains(&change.as_str()), "{is} {change}");
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(instance: &str, change: &str, reason: &str) -> (String, String, String) {
    (instance.to_owned(), change.to_owned(), reason.to_owned())
}

fn start(place: &Place) -> Server {
    let arguments = ["--listen", "127.0.0.1:0", "--http", "off", "--hold", "0s", "--heartbeat", "200ms"];
    Server::start(place, &arguments)
}

#[test]
fn a_client_that_is_stopped_expires_and_is_back_when_it_goes_on() {
    let place = Place::new();
    let server = start(&place);
    let mut watch = Command::start(&place, &server, &["watch", "--service", "shop", "-o", "json", "http"]);
    let stopped = Command::provide(&place, &server, "stopped");
    watch.sees("stopped");
    stopped.signal(Signal::STOP);
    assert_eq!(watch.change(), words("stopped", "dropped", "expired"));
    stopped.signal(Signal::CONT);
    assert_eq!(watch.change(), words("stopped", "added", ""));
}

#[test]
fn a_server_that_is_stopped_for_longer_than_any_silence_drops_nobody_who_lives() {
    let place = Place::new();
    let server = start(&place);
    let mut watch = Command::start(&place, &server, &["watch", "--service", "shop", "-o", "json", "http"]);
    let lives = Command::provide(&place, &server, "lives");
    watch.sees("lives");
    server.signal(Signal::STOP);
    // Not a wait for something: that this much time passes is what is tested.
    let (_kept, nothing) = std::sync::mpsc::channel::<()>();
    assert!(nothing.recv_timeout(HEARTBEAT * 20).is_err());
    server.signal(Signal::CONT);
    // Somebody comes and is killed. That this is noticed takes as long as it would to lose the other one.
    let killed = Command::provide(&place, &server, "killed");
    assert_eq!(watch.change(), words("killed", "added", ""));
    killed.signal(Signal::KILL);
    assert_eq!(watch.change(), words("killed", "dropped", "lost"));
    lives.signal(Signal::TERM);
    assert_eq!(watch.change(), words("lives", "dropped", "left"), "it was there all the time");
}

#[test]
fn a_server_conforms_also_where_it_is_stopped_and_ended() {
    let place = Place::new();
    let waits = ["--hold", "1s", "--failback", "1s"];
    let server = Server::start(&place, &[&["--listen", "127.0.0.1:0", "--http", "off"], &waits[..]].concat());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/conformance/disco.py");
    let mut command = std::process::Command::new("python3");
    // No folder of compiled modules in the source tree.
    command.args(["-B", script, "--address", &server.disco.to_string(), "--pid", &server.pid().to_string()]);
    let output = command.output().expect("this test needs python3 (on Debian: apt-get install python3)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("--pid"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for check in ["a server that was stopped for a while", "a server that ends says `drain`"] {
        assert!(said.contains(check), "{check}: {said}");
    }
}
