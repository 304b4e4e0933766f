//! How long a database is down for a move, beside stopping and starting its container in place with the engine's own commands.

use crate::images;
use scs_e2e::hosts::{Hosts, LONG};
use scs_e2e::project::Project;
use scs_e2e::table::{Row, median, say};
use scs_e2e::{blog, wait_for};
use std::process::Command;
use std::time::{Duration, Instant};

/// Moves, and stops in place, of each size.
const ROUNDS: usize = 3;
/// Bytes of a row: two fill a page of InnoDB's.
const ROW: u64 = 8192;
/// Rows that one statement writes.
const BATCH: u64 = 8192;
const HOT: u64 = 200;

/// A row for each size with tables that nobody writes, and one with a table that is written all the time.
pub fn measure() -> Vec<Row> {
    let project = project();
    let hosts = Hosts::joined(project.path());
    images::give(&hosts);
    let _ = hosts.ok(&["up", "-d"]);
    hosts.wait_until_running(&[("mysql", 0)]);
    let mut database = Database { hosts, host: "h1" };
    let mut rows = Vec::new();
    let mut there = 0;
    for (size, name) in [(200, "0.2 GiB"), (1024, "1 GiB"), (2048, "2 GiB")] {
        say(&format!("a database with {name} of cold tables"));
        database.fill("cold", size - there);
        there = size;
        let (moved, in_place) = database.both(|_| {});
        let what = format!("MariaDB with {name} of cold tables moves to another host: how long it is down");
        rows.push(Row::compared(what, moved, BESIDE, in_place, 1.5));
    }
    say("the same with a hot table");
    database.fill("hot", HOT);
    let (moved, in_place) = database.both(Database::write_all_the_time);
    let what = format!("the same with 2 GiB, of a further {HOT} MiB of which some rows are written all the time");
    rows.push(Row::known(what, moved, BESIDE, in_place));
    rows
}

const BESIDE: &str = "`docker stop` and `docker start` of the same container, until its health check passes";

fn project() -> Project {
    let project = Project::empty();
    project.write("deployment.prod.yaml", "version: 1\n");
    project.write("deployment.yaml", DEPLOYMENT);
    let images = blog::example().join("images/mysql");
    std::fs::create_dir_all(project.path().join("images")).expect("directories can be made");
    let copied = Command::new("cp").arg("-r").arg(images).arg(project.path().join("images")).status();
    assert!(copied.is_ok_and(|status| status.success()), "the example's image can be copied");
    project
}

/// The database, and where it is.
struct Database {
    hosts: Hosts,
    host: &'static str,
}

impl Database {
    /// Milliseconds that it is down for a move, and for a stop in place; `before` each it is made ready.
    fn both(&mut self, before: impl Fn(&Self)) -> (f64, f64) {
        let (mut moved, mut in_place) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            before(self);
            in_place.push(self.stop_and_start());
            before(self);
            moved.push(self.relocate());
            let (moved, in_place) = (moved[round - 1], in_place[round - 1]);
            say(&format!(
                "{round} of {ROUNDS}: moved, down for {moved:.0} ms; stopped and started in {in_place:.0} ms"
            ));
        }
        (median(moved), median(in_place))
    }

    fn container(&self) -> String {
        let instance = self.hosts.instance("mysql", 0).expect("it is there");
        instance["report"]["container"]["id"].as_str().expect("it has a container").to_owned()
    }

    fn sql(&self, statements: &str) {
        let container = self.container();
        let _ = self.hosts.on(self.host, "docker", &["exec", &container, "mysql", "-e", statements]);
    }

    /// Adds this many MiB to a table.
    fn fill(&self, table: &str, mebibytes: u64) {
        self.sql(&format!(
            "CREATE DATABASE IF NOT EXISTS bench; CREATE TABLE IF NOT EXISTS bench.{table} \
             (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(8000)) CHARACTER SET latin1"
        ));
        let mut left = mebibytes * 1024 * 1024 / ROW;
        while left > 0 {
            let now = left.min(BATCH);
            self.sql(&format!(
                "SET sql_log_bin = 0; INSERT INTO bench.{table} (text) \
                 SELECT REPEAT(MD5(RAND()), 240) FROM seq_1_to_{now}"
            ));
            left -= now;
        }
    }

    /// Has the container write rows of the hot table until it ends, and waits for the first.
    fn write_all_the_time(&self) {
        let rows = HOT * 1024 * 1024 / ROW;
        let script = format!(
            "while :; do echo 'SET sql_log_bin = 0; UPDATE bench.hot SET text = REPEAT(MD5(RAND()), 240) \
             WHERE id = 1 + FLOOR(RAND() * {rows}) LIMIT 1; DO 0;'; touch /tmp/writing; done | mysql"
        );
        let container = self.container();
        let _ = self.hosts.on(self.host, "docker", &["exec", "--detach", &container, "sh", "-c", &script]);
        wait_for("rows to be written", LONG, || {
            let written = ["exec", &container, "test", "-e", "/tmp/writing"];
            let output = self.hosts.command(self.host, "docker", &written).output().expect("docker is there");
            if output.status.success() { Ok(()) } else { Err(String::from("none is")) }
        });
    }

    /// Moves it to the other host of the two; how long the server says that it was down.
    fn relocate(&mut self) -> f64 {
        let to = if self.host == "h1" { "h2" } else { "h1" };
        let before = downtimes(&self.hosts).len();
        let run = self.hosts.run(&["move", "mysql", to]);
        assert_eq!(run.code(), 0, "{}{}", run.shown(), self.hosts.last_words());
        self.host = to;
        let all = downtimes(&self.hosts);
        assert_eq!(all.len(), before + 1, "one move more: {}", self.hosts.last_words());
        all[before].as_secs_f64() * 1000.0
    }

    /// Stops and starts it in place, while its agent is away and does nothing about it.
    fn stop_and_start(&self) -> f64 {
        let container = self.container();
        self.hosts.kill(self.host, "agent", "TERM");
        let started = Instant::now();
        for command in [&["stop", "--time", "30"][..], &["start"]] {
            let _ = self.hosts.on(self.host, "docker", &[command, &[&container]].concat());
        }
        let healthy = ["exec", &container, "/usr/local/bin/mysql-healthy"];
        wait_for("the database to answer", LONG, || {
            let output = self.hosts.command(self.host, "docker", &healthy).output().expect("docker is there");
            if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
        });
        let took = started.elapsed().as_secs_f64() * 1000.0;
        self.hosts.start_agent(self.host);
        self.hosts.wait_until_all_answer();
        self.hosts.wait_until_running(&[("mysql", 0)]);
        took
    }
}

/// How long each move so far was down, as the server's log has it.
fn downtimes(hosts: &Hosts) -> Vec<Duration> {
    let said = hosts.said("h1", "server");
    let times = said.lines().filter_map(|line| line.split_once("downtime=")).map(|(_, rest)| rest);
    times.filter_map(|rest| duration(rest.split_whitespace().next()?)).collect()
}

/// A duration as Rust writes it for programmers.
fn duration(text: &str) -> Option<Duration> {
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    number.parse::<f64>().ok().map(|it| Duration::from_secs_f64(it * scale))
}

const DEPLOYMENT: &str = "\
version: 1
service: blog
secrets:
  root: { generate: 32 }
  db: { generate: 32 }
  replication: { generate: 32 }
containers:
  mysql:
    image: { source: { path: images/mysql } }
    place: { match: { dc: east } }
    volume: { data: { method: local } }
    environment: { MYSQL_ROLE: master }
    secrets: { ROOT_PASSWORD: root, DB_PASSWORD: db, REPLICATION_PASSWORD: replication }
    resources: { memory: 384MiB }
    stop_grace_period: 30s
";
