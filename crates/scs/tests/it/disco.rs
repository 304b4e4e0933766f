//! `scs disco` against a discovery server: what scripts and people use.

use crate::support::{Place, shown, snapshot};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server in this process, and a place to run commands that speak to it.
struct Registry {
    place: Place,
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
    _guard: DropGuard,
}

impl Registry {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut options = disco_server::Options::new("127.0.0.1:0".parse().unwrap());
        options.hold = Duration::ZERO;
        let service = runtime.block_on(disco_server::Service::bind(options)).unwrap();
        let address = service.local_addr();
        let shutdown = CancellationToken::new();
        runtime.spawn(service.run(shutdown.clone()));
        Self { place: Place::new(), address, _runtime: runtime, _guard: shutdown.drop_guard() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(&["disco"]);
        command.args(arguments).env("SCS_DISCO", self.address.to_string());
        command
    }

    fn shown(&self, arguments: &[&str]) -> String {
        shown(&mut self.command(arguments))
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// Announces a port until it is dropped, and is announced when this returns.
    fn provide(&self, port: u16, name: &str, more: &[&str]) -> Running {
        let port = port.to_string();
        let arguments = [&["provide", "--port", &port, "--health", "none", name], more].concat();
        let provider = self.start(&arguments);
        let endpoint = name.rsplit('/').next().unwrap();
        let mut found = self.start(&["require", "--once", "--service", "shop", endpoint]);
        assert!(found.line().ends_with(&port));
        assert_eq!(found.end(), Some(0));
        provider
    }
}

struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// The next line of its output; empty at its end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(told.unwrap().success());
    }

    fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_command_that_ends_takes_its_endpoint_with_it_and_its_exit_code_is_passed_on() {
    let registry = Registry::new();
    let mut watch = registry.start(&["watch", "--service", "shop", "-o", "json", "http"]);
    let line = "echo up; read go; exit 7";
    let mut command = registry.command(&["provide", "--port", "8080", "--health", "none", "shop/web/http"]);
    command.args(["--", "sh", "-c", line]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut provider = command.spawn().unwrap();
    let added: serde_json::Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!(added["endpoint"]["address"], "127.0.0.1:8080");
    provider.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(provider.wait().unwrap().code(), Some(7));
    let dropped: serde_json::Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!((&dropped["change"], &dropped["reason"]), (&"dropped".into(), &"died".into()));
}

#[test]
fn a_command_is_told_to_end_only_after_its_users_have_moved() {
    let registry = Registry::new();
    // What its user runs at the change looks whether the provider still runs.
    let line = "trap 'rm running; exit 3' TERM; touch running; echo up; while :; do sleep 0.02; done";
    let more = ["--wait", "60s", "shop/web/http", "--", "sh", "-c", line];
    let mut provider = registry.start(&[&["provide", "--port", "8080", "--health", "none"][..], &more].concat());
    assert_eq!(provider.line(), "up");
    let look = "echo \"$SCS_REQUIRE_HTTP $(ls running)\"";
    let mut user = registry.start(&["require", "--service", "shop", "http", "--", "sh", "-c", look]);
    let mut first = user.line();
    if first == " running" {
        // It may have been asked before the announcement.
        first = user.line();
    }
    assert_eq!(first, "127.0.0.1:8080 running");
    provider.signal("TERM");
    assert_eq!(user.line(), " running", "the user is told first");
    assert_eq!(provider.end(), Some(3));
    user.signal("INT");
    assert_eq!(user.end(), Some(130));
}

#[test]
fn other_signals_reach_the_command_and_a_death_by_signal_is_passed_on() {
    let registry = Registry::new();
    let line = "trap 'echo reloaded' HUP; echo up; while :; do sleep 0.02; done";
    let arguments = ["provide", "--port", "8080", "shop/web/http", "--", "sh", "-c", line];
    let mut provider = registry.start(&arguments);
    assert_eq!(provider.line(), "up");
    provider.signal("HUP");
    assert_eq!(provider.line(), "reloaded");
    provider.signal("TERM");
    assert_eq!(provider.end(), Some(128 + 15));
}

#[test]
fn it_is_announced_once_its_port_accepts() {
    let registry = Registry::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let mut watch = registry.start(&["watch", "--service", "shop", "http"]);
    let mut provider = registry.start(&["provide", "--address", &format!("127.0.0.1:{port}"), "shop/web/http"]);
    // Nobody listens yet: nothing is announced, however long it takes.
    let empty = registry.shown(&["resolve", "shop/web/http"]);
    assert!(empty.starts_with("exit 1"), "{empty}");
    let _listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let line = watch.line();
    assert!(line.contains(&format!("dev/shop/web/http  127.0.0.1:{port}/tcp  passing")), "{line}");
    provider.signal("INT");
    assert_eq!(provider.end(), Some(130));
    let line = watch.line();
    assert!(line.ends_with("(left)"), "{line}");
}

#[test]
fn each_set_is_a_line_and_conditions_choose_among_the_endpoints() {
    let registry = Registry::new();
    let _one = registry.provide(1, "shop/a/http", &["--attribute", "zone=a"]);
    let mut all = registry.start(&["require", "--service", "shop", "http"]);
    assert_eq!(all.line(), "127.0.0.1:1");
    let mut only = registry.start(&["require", "--service", "shop", "--match", "zone!=a", "http", "-o", "json"]);
    let set: serde_json::Value = serde_json::from_str(&only.line()).unwrap();
    assert_eq!((&set["complete"], &set["endpoints"]), (&true.into(), &serde_json::json!([])));
    let two = registry.start(&["provide", "--port", "2", "--health", "none", "--attribute", "zone=b", "shop/b/http"]);
    assert_eq!(all.line(), "127.0.0.1:1 127.0.0.1:2");
    let set: serde_json::Value = serde_json::from_str(&only.line()).unwrap();
    assert_eq!(set["endpoints"][0]["address"], "127.0.0.1:2");
    let near = registry.shown(&["resolve", "--service", "shop", "--prefer", "zone", "--own", "zone=b", "http"]);
    assert_eq!(near, "exit 0\n--- stdout\n127.0.0.1:2\n");
    two.signal("TERM");
    assert_eq!(all.line(), "127.0.0.1:1");
}

#[test]
fn a_forwarded_port_leads_to_the_endpoint_and_ctrl_c_ends_it() {
    let registry = Registry::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut forward = registry.start(&["forward", "0:shop/db/mysql", "127.0.0.1:0:shop/web/http"]);
    let (port, other) = (forward.line(), forward.line());
    assert!(port.starts_with("127.0.0.1:") && other.starts_with("127.0.0.1:") && port != other, "{port} {other}");
    // Before anybody provides it.
    let mut client = TcpStream::connect(&port).unwrap();
    let _provider = registry.provide(listener.local_addr().unwrap().port(), "shop/db/mysql", &[]);
    let (mut served, _) = listener.accept().unwrap();
    served.write_all(b"hello").unwrap();
    drop(served);
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
    drop(client);
    forward.signal("INT");
    assert_eq!(forward.end(), Some(130));
    assert!(TcpStream::connect(&port).is_err());
}

#[test]
fn a_list_shows_what_is_provided_and_who_requires_it() {
    let registry = Registry::new();
    snapshot!(registry.shown(&["ls"]), @"
    exit 0
    --- stderr
    no endpoints: nobody provides any
    ");
    let _provider = registry.provide(8080, "shop/web/http", &["--host", "192.0.2.1", "--attribute", "zone=a"]);
    let list = registry.shown(&["ls"]);
    for part in ["dev/shop/web/http", "192.0.2.1:8080/tcp", "passing", "scs disco provide", "zone=a"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let mut user = registry.start(&["require", "--service", "shop", "http"]);
    assert_eq!(user.line(), "192.0.2.1:8080");
    let list = registry.shown(&["ls", "--requirements"]);
    assert!(list.contains("dev/shop/*/http") && list.contains("web/"), "{list}");
    snapshot!(registry.shown(&["resolve", "shop/web/htp"]), @r"
    exit 1
    --- stderr
    error: nobody provides dev/shop/web/htp
    hint: there is `dev/shop/web/http`
    ");
}

#[test]
fn where_nobody_listens_it_says_so() {
    let place = Place::new();
    let shown = |arguments: &[&str]| shown(place.command(arguments).env_remove("SCS_DISCO"));
    snapshot!(shown(&["disco", "ls"]), @r"
    exit 69
    --- stderr
    error: there is no discovery server: `scs dev` does not run, and none is named
    hint: name one with `--server HOST:PORT`, or run `scs dev`
    ");
    snapshot!(shown(&["disco", "ls", "--server", "127.0.0.1:1"]), @r"
    exit 69
    --- stderr
    error: no discovery server answers at 127.0.0.1:1
      because: 127.0.0.1:1: Connection refused (os error 111)
    hint: is it running there? `--server HOST:PORT` or SCS_DISCO names another one; off loopback it asks for `--certificates DIR`
    ");
    for command in [
        &["disco", "forward", "--server", "127.0.0.1:1", "0:shop/db/mysql"][..],
        &["disco", "provide", "--server", "127.0.0.1:1", "--port", "1", "shop/db/mysql"],
        &["disco", "require", "--server", "127.0.0.1:1", "shop/db/mysql"],
        &["disco", "watch", "--server", "127.0.0.1:1", "shop/db/mysql"],
    ] {
        assert_eq!(place.code(command), 69, "{command:?}");
    }
    // A command is worth more than its announcement.
    let lonely =
        ["disco", "provide", "--server", "127.0.0.1:1", "--port", "1", "shop/db/mysql", "--", "sh", "-c", "exit 5"];
    assert_eq!(place.code(&lonely), 5);
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let place = Place::new();
    snapshot!(place.shown(&["disco", "resolve", "mysql"]), @r"
    exit 64
    --- stderr
    error: which service? `mysql` names none, and there is no deployment.yaml in this directory
    hint: write SERVICE/*/mysql, or say `--service NAME`
    ");
    snapshot!(place.shown(&["disco", "provide", "--port", "1", "--service", "shop", "http"]), @r"
    exit 64
    --- stderr
    error: `http` names no role
    hint: write ROLE/http, e.g. web/http
    ");
    for wrong in [
        &["disco", "forward", "mysql"][..],
        &["disco", "provide", "shop/web/http"],
        &["disco", "watch", "--server", "127.0.0.1:1"],
        &["disco", "require", "--match", "=", "shop/web/http"],
    ] {
        assert_eq!(place.code(wrong), 64, "{wrong:?}");
    }
}

#[test]
fn off_loopback_the_certificate_says_who_we_are_and_what_we_may_ask_for() {
    let place = Place::new();
    let ca = |arguments: &[&str]| drop(place.stdout(&[&["ca"][..], arguments].concat()));
    ca(&["init"]);
    ca(&["issue", "server", "disco1", "--address", "127.0.0.1", "--to", "disco1"]);
    let scope = ["--provide", "dev/shop", "--require", "dev/shop"];
    ca(&[&["issue", "host", "web1", "--to", "web1"][..], &scope].concat());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let listen = ["server", "--listen", &address, "--http", "off", "--certificates", "disco1", "--hold", "0s"];
    let server = place.command(&listen).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut server = server.map(|mut child| Running { lines: BufReader::new(child.stdout.take().unwrap()), child });
    let server = server.as_mut().unwrap();

    let command = |arguments: &[&str]| {
        let mut command = place.command(&[&["disco"][..], arguments].concat());
        command.env("SCS_DISCO", &address).env("SCS_CERTIFICATES", place.path().join("web1"));
        command
    };
    let start = |arguments: &[&str]| {
        let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        Running { lines: BufReader::new(child.stdout.take().unwrap()), child }
    };
    // It listens when it answers.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !command(&["ls"]).output().unwrap().status.success() {
        assert!(std::time::Instant::now() < deadline, "{}", shown(&mut command(&["ls"])));
    }
    let _provider = start(&["provide", "--port", "8080", "--health", "none", "shop/web/http"]);
    assert_eq!(start(&["require", "--once", "shop/web/http"]).line(), "127.0.0.1:8080");
    for refused in [
        &["require", "other/web/http"][..],
        &["resolve", "other/web/http"],
        &["watch", "other/web/http"],
        &["provide", "--port", "1", "--health", "none", "other/web/http"],
    ] {
        let text = shown(&mut command(refused));
        assert!(text.starts_with("exit 1\n") && text.contains("(forbidden)"), "{refused:?}: {text}");
    }
    let text = shown(command(&["ls"]).env_remove("SCS_CERTIFICATES"));
    assert!(text.starts_with("exit 69\n") && text.contains("--certificates DIR"), "{text}");
    server.signal("TERM");
    assert_eq!(server.end(), Some(0));
}
