//! A MySQL client that knows nothing of discovery, through a forwarded port, while its database dies and comes back elsewhere.

use scs_e2e::docker::docker;
use scs_e2e::{Scs, blog, wait_for};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DEPLOYMENT: &str = "\
version: 1
service: forwarded
secrets:
  root: { generate: 32 }
  db: { generate: 32 }
  replication: { generate: 32 }
containers:
  db:
    image: { source: { path: images/mysql } }
    volume: { data: { method: local } }
    environment: { MYSQL_ROLE: master }
    secrets: { ROOT_PASSWORD: root, DB_PASSWORD: db, REPLICATION_PASSWORD: replication }
    resources: { memory: 384MiB }
";

/// The forwarder, ended with the test.
struct Forwarder(Child);

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One connection with one query, as a program makes it: what came of it, and how long it took.
fn ask(port: &str, password: &str) -> (Result<(), String>, Duration) {
    let started = Instant::now();
    let output = Command::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", port, "--user=wordpress"])
        .args(["--connect-timeout=60", "--batch", "--skip-column-names", "--execute", "SELECT 6 * 7"])
        .env("MYSQL_PWD", password)
        .output()
        .expect("the mariadb client is installed (cargo xtask test sees to it)");
    let answer = String::from_utf8_lossy(&output.stdout).trim() == "42";
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (if answer { Ok(()) } else { Err(words) }, started.elapsed())
}

#[test]
fn a_mysql_client_is_refused_nothing_while_its_database_dies_and_comes_back_elsewhere() {
    let directory = blog::copy();
    std::fs::write(directory.path().join("deployment.yaml"), DEPLOYMENT).expect("files can be written");
    for overlay in ["deployment.dev.yaml", "deployment.prod.yaml"] {
        std::fs::remove_file(directory.path().join(overlay)).expect("the copy has overlays");
    }
    let scs = Scs::new(directory.path());
    let _ = scs.ok(&["up", "-d"]);
    let password = docker(&["exec", &scs.container("db"), "cat", "/run/secrets/DB_PASSWORD"]);
    let before = scs.address("db", "mysql");

    let mut forwarder = Forwarder(scs.spawn(&["disco", "forward", "--patience", "60s", "0:mysql"]));
    let mut output = BufReader::new(forwarder.0.stdout.take().expect("its output is ours"));
    let mut line = String::new();
    let _ = output.read_line(&mut line).expect("it prints where it listens");
    let Some((_, port)) = line.trim().rsplit_once(':') else {
        let mut words = String::new();
        let _ = forwarder.0.stderr.take().expect("its words are ours").read_to_string(&mut words);
        panic!("no port: {line} {words}");
    };

    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let results = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut results = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let result = ask(port, &password);
                let _ = answered.fetch_add(usize::from(result.0.is_ok()), Ordering::Relaxed);
                results.push(result);
            }
            results
        });
        let answers = |count: usize| {
            let enough = answered.load(Ordering::Relaxed) + count;
            wait_for("queries to be answered", Duration::from_secs(90), || {
                let now = answered.load(Ordering::Relaxed);
                if now >= enough { Ok(()) } else { Err(format!("{now} of {enough}{}", scs.last_words())) }
            });
        };
        answers(10);
        let _ = docker(&["kill", &scs.container("db")]);
        wait_for("the database on another port", Duration::from_secs(60), || {
            let slot = scs.wait_for_phase("db", "running");
            match slot["container"]["provides"]["mysql"]["local_address"].as_str() {
                Some(address) if address != before => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        answers(10);
        done.store(true, Ordering::Relaxed);
        asking.join().expect("the client does not panic")
    });

    // A query that is under way when its server is killed breaks; nothing else may.
    let broken: Vec<&String> = results.iter().filter_map(|(result, _)| result.as_ref().err()).collect();
    let refused = broken.iter().filter(|words| words.contains("Can't connect") || words.contains("initial")).count();
    let longest = results.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let count = results.len();
    let summary = format!("{count} connections: {refused} refused, {} broken, the longest {longest:?}", broken.len());
    let _ = writeln!(std::io::stderr(), "{summary}");
    assert_eq!(refused, 0, "{broken:?}");
    assert!(broken.len() <= 1, "{broken:?}");
    assert!(longest < Duration::from_secs(60), "{longest:?}");
}
