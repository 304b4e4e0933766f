//! The blog from nothing running (but every image there) until its site answers, beside a shell script of `docker run`s.

use scs_e2e::docker::docker;
use scs_e2e::table::{Row, median, say};
use scs_e2e::{Scs, blog, wait_for};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const ROLES: [&str; 3] = ["mysql-master", "mysql-backup", "wordpress"];

/// The time until the site answers, the time until everything is as it should be, and the memory of the daemon while the blog runs.
///
/// Both sides begin with fresh volumes and end with the same three containers, on the same addresses, ports, limits and files; the
/// script waits for the master as `scs up` does, by the image's own check. The site is asked all the time, on both sides alike.
pub fn measure() -> Vec<Row> {
    let directory = blog::copy();
    let site = format!("127.0.0.1:{}", fix_port(directory.path()));
    say("the blog, once, so that every image is there");
    {
        let scs = Scs::new(directory.path());
        let _ = scs.ok(&["up", "-d"]);
    }
    let (mut ours, mut bare, mut whole, mut bare_whole, mut memory) = (vec![], vec![], vec![], vec![], 0.0);
    for round in 1..=ROUNDS {
        say(&format!("the blog until it answers, {round} of {ROUNDS}"));
        let copies = tempfile::tempdir().expect("a temporary directory can be made");
        let script = {
            let scs = Scs::new(directory.path());
            let up = race(&site, || drop(scs.ok(&["up", "-d"])));
            ours.push(up.answered);
            whole.push(up.done);
            memory = resident(scs.daemon());
            script(&scs, copies.path())
        };
        let ran = race(&site, || {
            let output = Command::new("sh").args(["-ec", &script]).output().expect("sh is there");
            assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        });
        bare.push(ran.answered);
        bare_whole.push(ran.done);
        let _ = docker(&["rm", "--force", "--volumes", "bench-mysql-master", "bench-mysql-backup", "bench-wordpress"]);
        let last = |all: &[f64]| all.last().copied().unwrap_or_default();
        let line = [&ours, &bare, &whole, &bare_whole].map(|all| format!("{:.0} ms", last(all)));
        say(&format!(
            "answered after {} (script {}), complete after {} (script {})",
            line[0], line[1], line[2], line[3]
        ));
    }
    vec![
        Row::compared(
            "`scs up -d` of the blog, images cached, until WordPress answers",
            median(ours),
            "a shell script doing the same with `docker run`",
            median(bare),
            1.2,
        ),
        Row::known(
            "the same, until the backup database holds its copy and `scs up -d` returns",
            median(whole),
            "the script, waiting for the backup too",
            median(bare_whole),
        ),
        Row::megabytes("`scs dev` with the blog running, resident", memory, 40.0),
    ]
}

/// Gives the site a port that is free now, and returns it: who asks for the site all the time has to know where.
fn fix_port(project: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let port = listener.local_addr().expect("a listener has an address").port();
    let overlay =
        format!("version: 1\ncontainers:\n  wordpress:\n    provide: {{ http: {{ publish: {{ port: {port} }} }} }}\n");
    std::fs::write(project.join("deployment.dev.yaml"), overlay).expect("files can be written");
    port
}

/// Milliseconds from the start of some work.
struct Race {
    /// Until the site answered.
    answered: f64,
    /// Until the work was done.
    done: f64,
}

/// Does the work, and asks for the site at the same time.
fn race(site: &str, work: impl FnOnce()) -> Race {
    let started = Instant::now();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            answers(site);
            milliseconds(started)
        });
        work();
        let done = milliseconds(started);
        Race { answered: asking.join().expect("the site answers"), done }
    })
}

/// A shell script that runs the same containers with the engine's own command, and waits as `scs up` does.
fn script(scs: &Scs, copies: &Path) -> String {
    let mut text = String::new();
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
                let (address, bound) = (text_of(&bound["HostIp"]), text_of(&bound["HostPort"]));
                words.push(format!("--publish {address}:{bound}:{port}"));
            }
        }
        words.push(format!("--memory {}", container["HostConfig"]["Memory"]));
        words.push(text_of(&container["Image"]));
        writeln!(text, "{} >/dev/null", words.join(" ")).expect("writing to a string does not fail");
        if role == "mysql-master" {
            text.push_str(&healthy(role));
        }
    }
    // Last, as nothing depends on it.
    text.push_str(&healthy("mysql-backup"));
    text
}

fn healthy(role: &str) -> String {
    format!("until docker exec bench-{role} /usr/local/bin/mysql-healthy >/dev/null 2>&1; do sleep 0.05; done\n")
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
