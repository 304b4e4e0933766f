//! End-to-end suites over real binaries and a real engine: the fixture.
//!
//! A [`Scs`] is one installation: state directory, daemon and owner of its own, so that suites run side by side and touch
//! nothing of each other. Dropping it removes everything it made, also after a failed test.

pub mod blog;
pub mod docker;
pub mod hosts;
pub mod project;
pub mod table;

use serde_json::Value;
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// One installation of scs with a project directory.
#[derive(Debug)]
pub struct Scs {
    state: tempfile::TempDir,
    project: PathBuf,
    environments: Vec<String>,
    /// Address and network namespace of an engine other than the machine's.
    engine: Option<(String, PathBuf)>,
    /// Whoever its commands run as, where that is not us, and the program where that user can reach it.
    user: Option<(u32, tempfile::TempDir)>,
}

impl Scs {
    /// An installation whose commands run in `project`.
    #[must_use]
    pub fn new(project: &Path) -> Self {
        let state = tempfile::Builder::new().prefix("scs-e2e-").tempdir().expect("a temporary directory can be made");
        Self { state, project: project.to_owned(), environments: vec!["dev".to_owned()], engine: None, user: None }
    }

    /// The same with its state in a directory below `place`.
    #[must_use]
    pub fn inside(place: &Path, project: &Path) -> Self {
        let mut scs = Self::new(project);
        scs.state = tempfile::Builder::new().prefix("scs-e2e-").tempdir_in(place).expect("a directory can be made");
        scs
    }

    /// The same with an engine other than the machine's, at this address and in this network namespace.
    #[must_use]
    pub fn on(project: &Path, engine: &str, network: &Path) -> Self {
        let mut scs = Self::new(project);
        scs.engine = Some((engine.to_owned(), network.to_owned()));
        scs
    }

    /// The same for a user of this number who may use the engine, and no more: its one right is the group of the engine's socket.
    /// `project` becomes that user's.
    #[must_use]
    pub fn of_user(project: &Path, user: u32) -> Self {
        let mut scs = Self::new(project);
        let bin = tempfile::Builder::new().prefix("scs-bin-").tempdir().expect("a temporary directory can be made");
        std::fs::copy(program(), bin.path().join("scs")).expect("the program can be copied");
        for directory in [scs.state.path(), project, bin.path()] {
            let given = Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(directory).status();
            assert!(given.is_ok_and(|it| it.success()), "{} can be given to user {user}", directory.display());
        }
        scs.user = Some((user, bin));
        scs
    }

    /// Names a further environment that is taken down at the end.
    pub fn also(&mut self, environment: &str) {
        self.environments.push(environment.to_owned());
    }

    /// Its state directory.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// A command line of scs, not yet started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match (&self.engine, &self.user) {
            (None, None) => Command::new(program()),
            (None, Some((user, bin))) => {
                let group = std::fs::metadata("/var/run/docker.sock").expect("the engine has a socket").gid();
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={user}"), format!("--groups={group}")]);
                command
                    .arg("--inh-caps=-all")
                    .arg(bin.path().join("scs"))
                    .env("HOME", self.state.path())
                    .env_remove("XDG_STATE_HOME");
                command
            }
            (Some((address, network)), _) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={}", network.display())).arg(program()).env("DOCKER_HOST", address);
                command
            }
        };
        command.args(arguments).current_dir(&self.project).env("SCS_STATE_DIR", self.state.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command line, whatever comes of it.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Run {
        let started = Instant::now();
        let output = self.command(arguments).output().expect("scs can be started");
        Run { line: arguments.join(" "), output, took: started.elapsed() }
    }

    /// Runs a command line that has to succeed and gives what it prints.
    #[must_use]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert!(run.output.status.success(), "{}{}", run.shown(), self.last_words());
        run.stdout()
    }

    /// The same for output in JSON.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(arguments);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("scs {} printed no JSON: {error}\n{text}", arguments.join(" ")))
    }

    /// Starts a command line in the background; it is killed when the child is dropped by the caller.
    #[must_use]
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("scs can be started")
    }

    /// The report of a slot, as `scs ps` gives it; `None` where there is no such slot.
    #[must_use]
    pub fn slot(&self, role: &str) -> Option<Value> {
        self.slot_in("dev", role)
    }

    /// The same in another environment.
    #[must_use]
    pub fn slot_in(&self, environment: &str, role: &str) -> Option<Value> {
        let instances = self.json(&["ps", "--env", environment, "-o", "json"]);
        let found = instances.as_array()?.iter().find(|instance| instance["report"]["slot"]["role"] == role)?;
        Some(found["report"].clone())
    }

    /// Engine id of the container that fills a slot now.
    #[must_use]
    pub fn container(&self, role: &str) -> String {
        let slot = self.slot(role).unwrap_or_else(|| panic!("no slot {role}"));
        slot["container"]["id"].as_str().unwrap_or_else(|| panic!("slot {role} has no container: {slot:#}")).to_owned()
    }

    /// Address of a provided service on this machine.
    #[must_use]
    pub fn address(&self, role: &str, endpoint: &str) -> String {
        let slot = self.slot(role).unwrap_or_else(|| panic!("no slot {role}"));
        let address = &slot["container"]["provides"][endpoint]["local_address"];
        address.as_str().unwrap_or_else(|| panic!("{role}/{endpoint} has no address: {slot:#}")).to_owned()
    }

    /// Waits until a slot is in this phase with this many of the given words true of it.
    pub fn wait_for_phase(&self, role: &str, phase: &str) -> Value {
        wait_for(&format!("{role} to be {phase}"), Duration::from_secs(90), || match self.slot(role) {
            Some(slot) if slot["phase"] == phase => Ok(slot),
            other => Err(format!("{other:#?}{}", self.last_words())),
        })
    }

    /// Process id of its daemon.
    #[must_use]
    pub fn daemon(&self) -> u32 {
        let version = self.json(&["version", "-o", "json"]);
        let pid = version["server"]["pid"].as_u64().unwrap_or_else(|| panic!("no daemon runs: {version:#}"));
        u32::try_from(pid).expect("process ids are small")
    }

    /// Kills its daemon outright and waits until it is gone.
    pub fn kill_daemon(&self) {
        let pid = self.daemon();
        assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().is_ok_and(|status| status.success()));
        wait_for("the daemon to be gone", Duration::from_secs(10), || match lives(pid) {
            false => Ok(()),
            true => Err("it still runs".to_owned()),
        });
    }

    /// The end of the daemon's log, for a failed test.
    #[must_use]
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        for entry in std::fs::read_dir(self.state.path()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log")
                && let Ok(text) = std::fs::read_to_string(entry.path())
            {
                let lines: Vec<&str> = text.lines().collect();
                let tail = lines[lines.len().saturating_sub(40)..].join("\n");
                write!(words, "\n--- {}\n{tail}", entry.path().display()).expect("writing to a string does not fail");
            }
        }
        words
    }
}

impl Drop for Scs {
    fn drop(&mut self) {
        for environment in &self.environments {
            let _ = self.command(&["down", "--env", environment]).output();
        }
        // `scs dev` ends after the last `down`; where a test broke it, its process is named by its lock file.
        if let Ok(pid) = std::fs::read_to_string(self.state.path().join("dev.pid"))
            && let Ok(pid) = pid.trim().parse::<u32>()
            && lives(pid)
            && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "scs")
        {
            let _ = Command::new("kill").arg(pid.to_string()).status();
            let deadline = Instant::now() + Duration::from_secs(10);
            while lives(pid) && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
        docker::remove_all_of(self.state.path());
        docker::remove_volumes_of(self.state.path());
    }
}

/// What came of a command line.
#[derive(Debug)]
pub struct Run {
    line: String,
    /// Its output and exit status.
    pub output: Output,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// Its exit code.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    /// What it printed.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// What it said beside.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// All of it, for a failed assertion.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("scs {} → exit {}\n--- stdout\n{}--- stderr\n{}", self.line, self.code(), self.stdout(), self.stderr())
    }
}

/// Waits until `attempt` succeeds; panics with its last state when `deadline` has passed.
pub fn wait_for<T>(what: &str, deadline: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(last) if Instant::now() > end => panic!("waited {deadline:?} for {what}; last seen:\n{last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The program under test, which `cargo test` has built beside the tests.
#[must_use]
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a running program has a path");
    let program = tests.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join("scs");
    assert!(program.is_file(), "{} is not there: run `cargo build -p scs` first", program.display());
    program
}

fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
