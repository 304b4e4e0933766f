//! Several hosts on one machine, with a server, agents and people: what the suites over a cluster stand on.

use crate::{Run, program, wait_for};
use scs_cluster::{Guard, Host};
use serde_json::Value;
use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The hosts that run containers, with the data centre each is in.
pub const HOSTS: &[(&str, &str)] = &[("h1", "east"), ("h2", "east"), ("h3", "west")];
/// Where the server is.
const SERVER: &str = "h1";
/// Longer than anything takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(90);

/// A cluster that is taken down when dropped, with everything on it.
#[derive(Debug)]
pub struct Hosts {
    cluster: Guard,
    project: PathBuf,
    /// Those that were started here: buried with this, and killed by the hosts' end.
    children: RefCell<Vec<Child>>,
}

impl Hosts {
    /// Hosts and engines, and a server on h1; no host has joined it yet. Commands of people run in `project`.
    #[must_use]
    pub fn new(project: &Path) -> Self {
        let hosts =
            Self { cluster: Guard::new(false), project: project.to_owned(), children: RefCell::new(Vec::new()) };
        hosts.start_server();
        hosts
    }

    /// The same, with all hosts in it, and the desk's context `prod` for somebody who may do everything.
    #[must_use]
    pub fn joined(project: &Path) -> Self {
        let hosts = Self::new(project);
        for (host, center) in HOSTS {
            let token = hosts.host_token(&[]);
            hosts.join(host, center, &token);
        }
        hosts.wait_until_all_answer();
        hosts.context("prod", "ada", "admin", "*", "prod");
        hosts
    }

    /// One host.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        self.cluster.host(name).expect("there is a host of that name")
    }

    /// A host's address.
    #[must_use]
    pub fn address(&self, name: &str) -> &'static str {
        self.host(name).spec.address
    }

    /// The cluster itself, to cut and to heal.
    #[must_use]
    pub fn network(&self) -> &scs_cluster::Cluster {
        &self.cluster
    }

    /// A program on a host, not yet started.
    #[must_use]
    pub fn command(&self, host: &str, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = self.host(host).enter().expect("the host is on").command(program);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// What a program on a host prints; it has to succeed.
    #[must_use]
    pub fn on(&self, host: &str, program: &str, arguments: &[&str]) -> String {
        let output = self.command(host, program, arguments).output().expect("it can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{host}: {program} {}: {said}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A command line of scs at the desk, not yet started. It is ended when it takes too long, so that no test waits for ever.
    #[must_use]
    pub fn desk(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("desk", "timeout", &["120", "env"]);
        command.arg(format!("--chdir={}", self.project.display())).arg(program()).args(arguments);
        command
    }

    /// Where commands of people run.
    #[must_use]
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// How long it takes to start a program at the desk that does nothing: part of what every command line there takes.
    #[must_use]
    pub fn way_in(&self) -> Duration {
        let once = |_| {
            let started = Instant::now();
            let done = self.command("desk", "timeout", &["120", "env", "--chdir=/", "true"]).status();
            assert!(done.is_ok_and(|status| status.success()), "nothing can be done");
            started.elapsed()
        };
        let mut all: Vec<Duration> = (0..9).map(once).collect();
        all.sort();
        all[all.len() / 2]
    }

    /// Runs a command line at the desk, whatever comes of it.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Run {
        ran(arguments, &mut self.desk(arguments))
    }

    /// Runs a command line at the desk that has to succeed.
    #[must_use]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert!(run.output.status.success(), "{}{}", run.shown(), self.last_words());
        run.stdout()
    }

    /// Runs a command line at the desk that has to be refused with this exit code and these words.
    pub fn refused(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let run = self.run(arguments);
        assert_eq!(run.code(), code, "{}", run.shown());
        for word in words {
            assert!(run.stderr().contains(word), "says `{word}`: {}", run.shown());
        }
    }

    /// What a command line at the desk prints in JSON.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(arguments);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("scs {} printed no JSON: {error}\n{text}", arguments.join(" ")))
    }

    /// Runs a command line beside the server, as its owner, who may do everything.
    #[must_use]
    pub fn owner(&self, arguments: &[&str]) -> Run {
        let mut all = vec!["--context", "here"];
        all.extend(arguments);
        ran(arguments, &mut self.command(SERVER, program(), &all))
    }

    /// The same where it has to succeed.
    #[must_use]
    pub fn owner_ok(&self, arguments: &[&str]) -> String {
        let run = self.owner(arguments);
        assert!(run.output.status.success(), "{}{}", run.shown(), self.last_words());
        run.stdout().trim().to_owned()
    }

    /// Starts the server, and waits until it answers its owner.
    pub fn start_server(&self) {
        self.start_server_with(&[]);
    }

    /// The same with these environment variables.
    pub fn start_server_with(&self, environment: &[(&str, &str)]) {
        let address = self.address(SERVER);
        self.start(SERVER, "server", &["server", "--advertise", address, "--log", "text"], environment);
        let socket = "unix:/var/lib/scs/server/scs.sock";
        wait_for("the server to answer", LONG, || {
            // Known from the first start on.
            let added = self.command(SERVER, program(), &["context", "add", "here", socket]).output();
            drop(added);
            let run = self.owner(&["host", "ls"]);
            if run.code() == 0 { Ok(()) } else { Err(format!("{}{}", run.shown(), self.last_words())) }
        });
    }

    /// Starts the server of another cluster on a host, and gives a token of it.
    #[must_use]
    pub fn other_server(&self, host: &str, environment: &[(&str, &str)]) -> String {
        let state = "/var/lib/scs/other";
        let arguments = ["server", "--advertise", self.address(host), "--state", state, "--log", "text"];
        self.start(host, "other", &arguments, environment);
        let socket = format!("unix:{state}/scs.sock");
        wait_for("the other server to answer", LONG, || {
            let _ = self.command(host, program(), &["context", "add", "other", &socket]).output();
            let run =
                ran(&["host", "token"], &mut self.command(host, program(), &["--context", "other", "host", "token"]));
            if run.code() == 0 {
                Ok(token_in(&run.stdout()))
            } else {
                Err(format!("{}{}", run.shown(), self.said(host, "other")))
            }
        })
    }

    /// A token that a host joins with.
    #[must_use]
    pub fn host_token(&self, arguments: &[&str]) -> String {
        let mut all = vec!["host", "token"];
        all.extend(arguments);
        token_in(&self.owner_ok(&all))
    }

    /// Has a host join, and its agent go on.
    pub fn join(&self, host: &str, center: &str, token: &str) {
        let arguments = self.joining(host, center, token);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.start(host, "agent", &arguments, &[]);
    }

    /// The command line of an agent that joins.
    #[must_use]
    pub fn joining(&self, host: &str, center: &str, token: &str) -> Vec<String> {
        let server = format!("https://{}", self.address(SERVER));
        let label = format!("dc={center}");
        ["agent", "--server", &server, "--token", token, "--advertise", self.address(host), "--label", &label]
            .into_iter()
            .chain(["--log", "text"])
            .map(str::to_owned)
            .collect()
    }

    /// Has an agent try to join that is refused, and gives what it said.
    #[must_use]
    pub fn join_refused(&self, host: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        // One that gets in would go on for ever.
        let mut command = self.command(host, "timeout", &["30"]);
        command.arg(program()).args(arguments).envs(environment.iter().copied());
        ran(arguments, &mut command)
    }

    /// Starts the agent of a host that has joined.
    pub fn start_agent(&self, host: &str) {
        self.start(host, "agent", &["agent", "--log", "text"], &[]);
    }

    /// Starts scs on a host in the background; what it says is appended to a log of that name.
    pub fn start(&self, host: &str, log: &str, arguments: &[&str], environment: &[(&str, &str)]) {
        let file = OpenOptions::new().create(true).append(true).open(self.log(host, log)).expect("logs can be written");
        let mut command = self.command(host, program(), arguments);
        command.envs(environment.iter().copied());
        command.stdout(file.try_clone().expect("a file can be shared")).stderr(file);
        self.children.borrow_mut().push(command.spawn().expect("scs can be started"));
    }

    /// Kills server or agent on a host with this signal, and waits until it is gone.
    pub fn kill(&self, host: &str, what: &str, signal: &str) {
        // In the host's own process namespace: no other host's are there.
        let pattern = format!("^{} {what}", program().display());
        let _ = self.on(host, "pkill", &[&format!("-{signal}"), "-f", &pattern]);
        wait_for(&format!("the {what} of {host} to be gone"), LONG, || {
            let found = self.command(host, "pgrep", &["-f", &pattern]).output().expect("pgrep is there");
            if found.status.success() { Err("it still runs".to_owned()) } else { Ok(()) }
        });
    }

    /// What server or agent of a host said so far.
    #[must_use]
    pub fn said(&self, host: &str, what: &str) -> String {
        fs::read_to_string(self.log(host, what)).unwrap_or_default()
    }

    fn log(&self, host: &str, what: &str) -> PathBuf {
        self.host(host).disk().join(format!("{what}.log"))
    }

    /// Waits until the server hears every host.
    pub fn wait_until_all_answer(&self) {
        for (host, _) in HOSTS {
            self.wait_until_answers(host, "yes");
        }
    }

    /// Waits until a host's `answers` is this.
    pub fn wait_until_answers(&self, host: &str, answers: &str) {
        wait_for(&format!("{host} to answer: {answers}"), LONG, || {
            let run = self.owner(&["host", "ls", "-o", "json"]);
            let hosts: Value = serde_json::from_str(&run.stdout()).unwrap_or_default();
            let found = hosts.as_array().into_iter().flatten().find(|it| it["name"] == host);
            match found {
                Some(found) if found["answers"]["state"] == answers => Ok(()),
                _ => Err(format!("{}{}", run.shown(), self.last_words())),
            }
        });
    }

    /// Gives the desk a context bound to an environment, for a person with these rights; that of an administrator is used from then on.
    pub fn context(&self, name: &str, person: &str, role: &str, environments: &str, bound: &str) {
        let printed = self.owner_ok(&["person", "token", person, "--role", role, "--env", environments]);
        let server = format!("https://{}", self.address(SERVER));
        let run = self.run(&["context", "add", name, &server, "--token", &token_in(&printed), "--env", bound]);
        assert_eq!(run.code(), 0, "{}", run.shown());
        if role == "admin" {
            let _ = self.ok(&["context", "use", name]);
        }
    }

    /// The instances of the project, as `scs ps` lists them.
    #[must_use]
    pub fn instances(&self) -> Vec<Value> {
        self.json(&["ps", "-o", "json"]).as_array().cloned().unwrap_or_default()
    }

    /// Where an instance runs, and its report.
    #[must_use]
    pub fn instance(&self, role: &str, index: u64) -> Option<Value> {
        let of = |it: &Value| it["report"]["slot"]["role"] == role && it["report"]["slot"]["index"] == index;
        self.instances().into_iter().find(of)
    }

    /// Waits until all of these instances run.
    pub fn wait_until_running(&self, roles: &[(&str, u64)]) {
        for (role, index) in roles {
            wait_for(&format!("{role}.{index} to run"), LONG, || match self.instance(role, *index) {
                Some(found) if found["report"]["phase"] == "running" => Ok(()),
                found => Err(format!("{found:#?}{}", self.last_words())),
            });
        }
    }

    /// Every container that scs runs on a host: role, id, and when it was started.
    #[must_use]
    pub fn containers(&self, host: &str) -> Vec<String> {
        let ids = self.on(host, "docker", &["ps", "--quiet", "--filter", "label=scs.role"]);
        if ids.is_empty() {
            return Vec::new();
        }
        let format = "{{index .Config.Labels \"scs.role\"}} {{.Id}} {{.State.StartedAt}}";
        let mut arguments = vec!["inspect", "--format", format];
        arguments.extend(ids.lines());
        let mut all: Vec<String> = self.on(host, "docker", &arguments).lines().map(str::to_owned).collect();
        all.sort();
        all
    }

    /// The same of all hosts.
    #[must_use]
    pub fn all_containers(&self) -> Vec<String> {
        HOSTS.iter().flat_map(|(host, _)| self.containers(host)).collect()
    }

    /// Gives every engine the base system of the suite's images: BusyBox and nothing else, 2 MB.
    pub fn give_base(&self) {
        for (host, _) in HOSTS {
            let _ = self.on(host, "sh", &["-c", BASE]);
        }
    }

    /// What a request over HTTP from a host is answered; `None` where nobody answers it well.
    #[must_use]
    pub fn get(&self, from: &str, url: &str) -> Option<String> {
        let arguments = ["--silent", "--fail", "--max-time", "5", url];
        let output = self.command(from, "curl", &arguments).output().expect("curl is there");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The ends of all logs, for a failed test.
    #[must_use]
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        for (host, what) in [(SERVER, "server"), ("h1", "agent"), ("h2", "agent"), ("h3", "agent")] {
            let said = self.said(host, what);
            let lines: Vec<&str> = said.lines().collect();
            words += &format!("\n--- {what} on {host}\n{}", lines[lines.len().saturating_sub(25)..].join("\n"));
        }
        words
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for child in self.children.borrow_mut().iter_mut() {
            // These are `nsenter`; what they started ends with its host.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A base system out of one program.
const BASE: &str = "\
set -e
root=$(mktemp -d)
trap 'rm -rf \"$root\"' EXIT
mkdir -p \"$root/bin\" \"$root/etc\" \"$root/tmp\" \"$root/usr/sbin\"
cp \"$(command -v busybox)\" \"$root/bin/busybox\"
for name in $(busybox --list); do test $name = busybox || ln -s busybox \"$root/bin/$name\"; done
echo 'root:x:0:0::/:/bin/sh' > \"$root/etc/passwd\"
tar -c -C \"$root\" . | docker import - scs-test-base:1
";

/// The token in what a command printed.
fn token_in(printed: &str) -> String {
    let token = printed.split_whitespace().find(|word| word.starts_with("scs1-"));
    token.unwrap_or_else(|| panic!("no token in: {printed}")).to_owned()
}

fn ran(arguments: &[&str], command: &mut Command) -> Run {
    let started = Instant::now();
    let output: Output = command.output().expect("scs can be started");
    Run { line: arguments.join(" "), output, took: started.elapsed() }
}
