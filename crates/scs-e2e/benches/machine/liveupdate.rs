//! From an endpoint's change until the live-update command runs, beside a bare `docker exec`.

use disco_client::{Health, Name, Options, Protocol, Provision, Service};
use scs_e2e::project::Project;
use scs_e2e::table::{Row, median, say};
use scs_e2e::{Scs, docker::docker, wait_for};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

const RUNS: u16 = 30;

/// The one row. Debounce is set to nothing; both sides read the clock inside the container.
pub fn measure() -> Row {
    say("an endpoint's change until its live update runs");
    let project = Project::store_and_web();
    project.replace(
        "images/web/image.yaml",
        "command: [/usr/local/bin/told, db], debounce: 50ms",
        "command: [/bin/sh, -c, 'date +%s%N > /told'], debounce: 0ms",
    );
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let web = scs.container("web");
    let version = scs.json(&["version", "-o", "json"]);
    let disco = version["server"]["disco"].as_str().expect("the daemon has a discovery server").to_owned();

    let bare = (0..RUNS).map(|_| {
        let asked = now();
        let ran: f64 = docker(&["exec", &web, "/bin/sh", "-c", "date +%s%N"]).parse().expect("date prints a number");
        ran / 1e6 - asked
    });
    let bare = median(bare.collect());
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let ours = median(runtime.block_on(changes(&disco, &web)));
    Row::compared("endpoint changed → live-update command runs (no debounce)", ours, "`docker exec`", bare, 1.5)
}

async fn changes(disco: &str, web: &str) -> Vec<f64> {
    let options = Options {
        address: disco.to_owned(),
        agent: "bench".to_owned(),
        attributes: BTreeMap::from([("host".to_owned(), "bench".to_owned())]),
        window: Duration::ZERO,
        cache: None,
        tls: None,
    };
    let (service, handle) = Service::new(options);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    let mut took = Vec::new();
    for port in 1..=RUNS {
        let before = docker(&["exec", web, "sh", "-c", "cat /told 2>/dev/null || true"]);
        let asked = now();
        handle.provide(provision(port)).await.expect("the server takes an endpoint");
        let ran = wait_for("the live update", Duration::from_secs(10), || {
            let now = docker(&["exec", web, "sh", "-c", "cat /told 2>/dev/null || true"]);
            if now == before || now.is_empty() { Err(now) } else { Ok(now) }
        });
        took.push(ran.parse::<f64>().expect("date prints a number") / 1e6 - asked);
    }
    shutdown.cancel();
    let _ = task.await;
    took
}

fn provision(port: u16) -> Provision {
    Provision {
        name: "dev/shop/store/db".parse::<Name>().expect("a name of four labels"),
        instance: "bench".to_owned(),
        host: "198.51.100.9".to_owned(),
        port,
        protocol: Protocol::Tcp,
        attributes: BTreeMap::new(),
        health: Health::Passing,
        incarnation: 1,
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64() * 1000.0
}
