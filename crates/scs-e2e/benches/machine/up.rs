//! The blog from nothing running (but every image there) until its site answers, beside a shell script of `docker run`s.

use crate::{median, say, table::Row};
use scs_e2e::docker::docker;
use scs_e2e::{Scs, blog, wait_for};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const RUNS: usize = 3;
const ROLES: [&str; 3] = ["mysql-master", "mysql-backup", "wordpress"];

/// Both rows: the time, and the memory of the daemon while the blog runs.
pub fn measure() -> Vec<Row> {
    let directory = blog::copy();
    say("the blog, once, so that every image is there");
    {
        let scs = Scs::new(directory.path());
        let _ = scs.ok(&["up", "-d"]);
    }
    let (mut ours, mut bare, mut memory) = (Vec::new(), Vec::new(), 0.0);
    for run in 1..=RUNS {
        say(&format!("the blog until it answers, {run} of {RUNS}"));
        let copies = tempfile::tempdir().expect("a temporary directory can be made");
        let script = {
            let scs = Scs::new(directory.path());
            let started = Instant::now();
            let _ = scs.ok(&["up", "-d"]);
            answers(&scs.address("wordpress", "http"));
            ours.push(milliseconds(started));
            memory = resident(scs.daemon());
            script(&scs, copies.path())
        };
        let started = Instant::now();
        let output = Command::new("sh").args(["-ec", &script.text]).output().expect("sh is there");
        assert!(output.status.success(), "{}\n{}", script.text, String::from_utf8_lossy(&output.stderr));
        answers(&script.site);
        bare.push(milliseconds(started));
        let _ = docker(&["rm", "--force", "--volumes", "bench-mysql-master", "bench-mysql-backup", "bench-wordpress"]);
    }
    let up = Row::compared(
        "`scs up -d` of the blog, images cached, until it returned (backup seeded too) and WordPress answers",
        median(ours),
        "a shell script of `docker run`, until WordPress answers",
        median(bare),
        1.2,
    );
    let resident = Row {
        what: "`scs dev` with the blog running, resident",
        scs: format!("{memory:.1} MB"),
        beside: "1 MB",
        bare: "–".into(),
        ratio: memory,
        goal: 40.0,
    };
    vec![up, resident]
}

/// A shell script that runs the same containers with the engine's own command.
struct Script {
    text: String,
    site: String,
}

fn script(scs: &Scs, copies: &Path) -> Script {
    let mut text = String::new();
    let mut site = String::new();
    for role in ROLES {
        let inspected: Value =
            serde_json::from_str(&docker(&["inspect", &scs.container(role)])).expect("inspect prints JSON");
        let container = &inspected[0];
        let mut words = vec!["docker run --detach --network scs".to_owned(), format!("--name bench-{role}")];
        for variable in strings(&container["Config"]["Env"]) {
            words.push(format!("--env '{variable}'"));
        }
        for mount in container["Mounts"].as_array().into_iter().flatten().filter(|mount| mount["Type"] == "bind") {
            let (source, target) = (text_of(&mount["Source"]), text_of(&mount["Destination"]));
            let own = copies.join(format!("{role}{}", target.replace('/', "_")));
            if target.starts_with("/run/") {
                let copied = Command::new("cp").arg("-a").arg(&source).arg(&own).status();
                assert!(copied.is_ok_and(|status| status.success()), "{source} can be copied");
            } else {
                std::fs::create_dir_all(&own).expect("directories can be made");
            }
            words.push(format!("--volume {}:{target}", own.display()));
        }
        for (path, options) in container["HostConfig"]["Tmpfs"].as_object().into_iter().flatten() {
            words.push(format!("--tmpfs {path}:{}", text_of(options)));
        }
        // The same ports as before, so that the copied files name the right addresses.
        for (port, bound) in container["NetworkSettings"]["Ports"].as_object().into_iter().flatten() {
            for bound in bound.as_array().into_iter().flatten() {
                let address = format!("{}:{}", text_of(&bound["HostIp"]), text_of(&bound["HostPort"]));
                if role == "wordpress" && address.starts_with("127.") {
                    site.clone_from(&address);
                }
                words.push(format!("--publish {address}:{port}"));
            }
        }
        words.push(format!("--memory {}", container["HostConfig"]["Memory"]));
        words.push(text_of(&container["Image"]));
        writeln!(text, "{} >/dev/null", words.join(" ")).expect("writing to a string does not fail");
        if role == "mysql-master" {
            text.push_str("until docker exec bench-mysql-master /usr/local/bin/mysql-healthy >/dev/null 2>&1; do sleep 0.05; done\n");
        }
    }
    Script { text, site }
}

/// Waits until the site at `host:port` answers with something other than an error.
fn answers(address: &str) {
    wait_for("the site to answer", Duration::from_secs(120), || {
        let get = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"GET /wp-login.php HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        match get() {
            Ok(answer) if answer.starts_with("HTTP/1.1 2") || answer.starts_with("HTTP/1.1 3") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the daemon runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("every process has a resident size");
    let kilobytes: f64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of kB");
    kilobytes / 1000.0
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text_of).collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
