//! A hundred containers a host: what an idle agent uses, and how long `scs ps` takes.

use scs_e2e::hosts::{HOSTS, Hosts};
use scs_e2e::project::Project;
use scs_e2e::table::{Row, median, say};
use scs_e2e::{program, wait_for};
use std::time::{Duration, Instant};

/// Containers on each host.
const EACH: usize = 100;
const RUNS: usize = 20;
/// How long an agent is watched.
const WATCHED: Duration = Duration::from_secs(60);
/// Three hundred containers start on one machine.
const PATIENCE: Duration = Duration::from_secs(600);
/// Host of the agent that is watched: not the one with the server.
const FIRST: &str = "h2";

/// All rows. Each container provides an endpoint that is checked as often as the default says.
pub fn measure() -> Vec<Row> {
    let project = Project::empty();
    project.write("deployment.prod.yaml", "version: 1\n");
    project.write("images/idle/image.yaml", IMAGE);
    project.write("deployment.yaml", &deployment(&[FIRST]));
    let hosts = Hosts::joined(project.path());
    hosts.give_base();
    say(&format!("{EACH} containers on one host"));
    up(&hosts, EACH);
    let (share, memory) = idle(&hosts);
    let one = ps(&hosts);
    let all: Vec<&str> = HOSTS.iter().map(|(host, _)| *host).collect();
    say(&format!("{EACH} containers on each of {} hosts", all.len()));
    project.write("deployment.yaml", &deployment(&all));
    up(&hosts, EACH * all.len());
    let three = ps(&hosts);
    vec![
        Row::percent(
            "an agent with 100 idle containers, each checked every 2 s, over 60 s: share of a core",
            share,
            1.0,
        ),
        Row::megabytes("the same agent, resident", memory, 60.0),
        Row::compared("`scs ps` over 3 hosts with 100 containers each", three, "over one host with 100", one, 3.0),
    ]
}

/// Brings the service up, and waits until every container runs: more at once than one command has patience for.
fn up(hosts: &Hosts, count: usize) {
    let _ = hosts.run(&["up", "-d"]);
    wait_for(&format!("{count} containers to run"), PATIENCE, || {
        let instances = hosts.instances();
        let running = instances.iter().filter(|it| it["report"]["phase"] == "running").count();
        if running == count { Ok(()) } else { Err(format!("{running} run{}", hosts.last_words())) }
    });
}

/// Percent of a core and megabytes of the first host's agent.
fn idle(hosts: &Hosts) -> (f64, f64) {
    say("an idle agent, for a minute");
    let pattern = format!("^{} agent", program().display());
    let process = hosts.on(FIRST, "pgrep", &["-f", &pattern]);
    let ticks = || -> f64 {
        let stat = hosts.on(FIRST, "cat", &[&format!("/proc/{process}/stat")]);
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("a process has a name").1.split(' ').collect();
        // Its own and its children's, in user and kernel mode: fields 14 to 17, counted from one.
        fields[11..15].iter().map(|it| it.parse::<f64>().expect("a number of ticks")).sum()
    };
    let a_second: f64 = hosts.on(FIRST, "getconf", &["CLK_TCK"]).parse().expect("a number");
    let (before, started) = (ticks(), Instant::now());
    std::thread::sleep(WATCHED);
    let share = (ticks() - before) / a_second / started.elapsed().as_secs_f64() * 100.0;
    let status = hosts.on(FIRST, "cat", &[&format!("/proc/{process}/status")]);
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("every process has a resident size");
    let kilobytes: f64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number of kB");
    (share, kilobytes / 1000.0)
}

/// Milliseconds of `scs ps`.
fn ps(hosts: &Hosts) -> f64 {
    say("ps");
    let once = |_| {
        let run = hosts.run(&["ps"]);
        assert_eq!(run.code(), 0, "{}", run.shown());
        run.took.as_secs_f64() * 1000.0
    };
    median((0..RUNS).map(once).collect()) - hosts.way_in().as_secs_f64() * 1000.0
}

fn deployment(hosts: &[&str]) -> String {
    let role = |host: &&str| {
        format!(
            "  on-{host}:\n    image: {{ source: {{ path: images/idle }} }}\n    place: {{ host: {host} }}\n    \
             replicas: {EACH}\n    stop_grace_period: 1s\n"
        )
    };
    format!("version: 1\nservice: crowd\ncontainers:\n{}", hosts.iter().map(role).collect::<String>())
}

const IMAGE: &str = "\
version: 1
engine:
  docker:
    from: scs-test-base:1
    command: [httpd, -f, -p, '80']
config: { method: none }
provide:
  http: { port: 80, health: { tcp: true } }
";
