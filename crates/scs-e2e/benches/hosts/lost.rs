//! A host is cut off: how long until what it ran runs elsewhere, beside Docker Swarm on the same hosts.

use scs_e2e::hosts::{HOSTS, Hosts};
use scs_e2e::project::Project;
use scs_e2e::table::{Row, median, say};
use scs_e2e::wait_for;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
/// Swarm took 20 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// The one row. Both run one container of the same image, without volumes, on either of two hosts; manager and server are on the third.
pub fn measure() -> Vec<Row> {
    let project = Project::empty();
    project.write("deployment.prod.yaml", "version: 1\n");
    project.write("images/idle/image.yaml", IMAGE);
    project.write("deployment.yaml", DEPLOYMENT);
    let hosts = Hosts::joined(project.path());
    hosts.give_base();
    let swarm = swarm(&hosts);
    for host in ["h2", "h3"] {
        let _ = hosts.ok(&["host", "label", host, "worker=yes"]);
    }
    let _ = hosts.ok(&["up", "-d"]);
    let ours = rounds(&hosts, "scs", "label=scs.role=idle");
    let what = "a host is cut off, until its role with `on_host_loss: elsewhere` runs on another";
    vec![Row::within(what, median(ours), "Docker Swarm on the same hosts", median(swarm), 8000.0)]
}

fn swarm(hosts: &Hosts) -> Vec<f64> {
    let manager = hosts.address("h1");
    let _ = hosts.on("h1", "docker", &["swarm", "init", "--advertise-addr", manager]);
    let token = hosts.on("h1", "docker", &["swarm", "join-token", "--quiet", "worker"]);
    for host in ["h2", "h3"] {
        let join = ["swarm", "join", "--advertise-addr", hosts.address(host), "--token", &token, manager];
        let _ = hosts.on(host, "docker", &join);
    }
    let create = ["service", "create", "--quiet", "--no-resolve-image", "--name", "idle", "--constraint"];
    let service = ["node.role==worker", "scs-test-base:1", "sleep", "1000000"];
    let _ = hosts.on("h1", "docker", &[&create[..], &service[..]].concat());
    let took = rounds(hosts, "Swarm", "label=com.docker.swarm.service.name=idle");
    for (host, _) in HOSTS.iter().rev() {
        let _ = hosts.on(host, "docker", &["swarm", "leave", "--force"]);
    }
    took
}

/// Milliseconds from each cut until a container that this filter finds runs on another host.
fn rounds(hosts: &Hosts, of: &str, filter: &str) -> Vec<f64> {
    let running = |host: &str| !hosts.on(host, "docker", &["ps", "--quiet", "--filter", filter]).is_empty();
    let once = |round| {
        // After the last round, what is left on the host that was cut off goes first.
        let host = wait_for("it to run on one host", PATIENCE, || {
            let there: Vec<&str> = HOSTS.iter().map(|(host, _)| *host).filter(|host| running(host)).collect();
            if let [host] = there[..] { Ok(host) } else { Err(format!("it runs on {there:?}{}", hosts.last_words())) }
        });
        let others: Vec<&str> = HOSTS.iter().map(|(it, _)| *it).filter(|it| *it != host).collect();
        hosts.network().cut(host).expect("it can be cut");
        let cut = Instant::now();
        wait_for("it to run elsewhere", PATIENCE, || {
            if others.iter().any(|host| running(host)) { Ok(()) } else { Err(hosts.last_words()) }
        });
        let took = cut.elapsed().as_secs_f64() * 1000.0;
        hosts.network().heal(host).expect("it can be healed");
        hosts.wait_until_all_answer();
        say(&format!("{of}, {round} of {ROUNDS}: {host} cut off, elsewhere after {took:.0} ms"));
        took
    };
    (1..=ROUNDS).map(once).collect()
}

const DEPLOYMENT: &str = "\
version: 1
service: lost
containers:
  idle:
    image: { source: { path: images/idle } }
    place: { match: { worker: 'yes' } }
    on_host_loss: elsewhere
    stop_grace_period: 1s
";

const IMAGE: &str = "\
version: 1
engine:
  docker:
    from: scs-test-base:1
    command: [sleep, '1000000']
config: { method: none }
";
