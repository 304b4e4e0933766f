//! Over a real Docker Engine. Fails loudly where there is none.

use crate::support::{
    Agent, FixedImages, Registry, assignment, assignments, http_health, instance, live_update, of, provide, require,
    role, slot, wait_for,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use scs_agent::{Options, Ports, label};
use scs_api::agent::{LeaseGrant, Phase, SlotReport};
use scs_api::log::{LogLine, LogQuery};
use scs_api::secret::SecretValue;
use scs_engine_docker::Docker;
use scs_ports::engine::{Container, Engine, Exec, Labels, MountSource, Port, State};
use scs_ports::network::{Attachment, Error, NetworkProvisioner, NetworkRequest};
use scs_ports::volume::{self, Ensured, VolumeId, VolumeProvisioner, VolumeRequest};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The engine's own bridge, ports on loopback.
#[derive(Debug)]
struct Loopback;

#[async_trait]
impl NetworkProvisioner for Loopback {
    async fn ensure(&self, request: &NetworkRequest) -> Result<Attachment, Error> {
        let ports = request.ports.iter().map(|port| Port {
            container_port: port.container_port,
            protocol: port.protocol,
            host_address: LOCAL,
            host_port: port.publish_port.unwrap_or(0),
        });
        Ok(Attachment { network: "bridge".into(), ports: ports.collect(), announce: LOCAL, announce_v6: None })
    }

    async fn release(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// Directories, as the method `local` has them.
#[derive(Debug)]
struct Directories(PathBuf);

#[async_trait]
impl VolumeProvisioner for Directories {
    async fn ensure(&self, request: &VolumeRequest) -> Result<Ensured, volume::Error> {
        let path = self.0.join(&request.id.name);
        let fresh = !path.exists();
        std::fs::create_dir_all(&path).unwrap();
        Ok(Ensured { source: MountSource::Host(path), fresh, epoch: 0 })
    }

    async fn inspect(&self, _: &VolumeId) -> Result<Option<Ensured>, volume::Error> {
        Ok(None)
    }

    async fn release(&self, _: &VolumeId) -> Result<(), volume::Error> {
        Ok(())
    }

    async fn destroy(&self, _: &VolumeId) -> Result<(), volume::Error> {
        Ok(())
    }
}

/// The program itself, which lies beside the directory of the tests.
fn watchdog() -> Vec<OsString> {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("scs");
    vec![program.into(), "watchdog".into()]
}

/// A host of its own on the machine's engine; everything it made is removed in the end, also when the test fails.
struct Host {
    docker: Docker,
    owner: String,
    state: TempDir,
    registry: Registry,
    images: Arc<FixedImages>,
}

impl Host {
    async fn new() -> Self {
        let docker = Docker::connect(None).await.expect("these tests need a Docker Engine at the default address");
        let image = scs_helper::helper_image(&docker).await.unwrap();
        let images = Arc::new(FixedImages::default());
        images.0.lock().unwrap().insert("image-1".into(), image);
        let state = tempfile::tempdir().unwrap();
        let owner =
            format!("test-agent-{}", state.path().file_name().unwrap().to_string_lossy().trim_start_matches('.'));
        Self { docker, owner, state, registry: Registry::default(), images }
    }

    fn agent(&self) -> Agent {
        let helper = scs_helper::install(&self.state.path().join("bin")).unwrap();
        let options = Options {
            host: "h1".into(),
            owner: self.owner.clone(),
            cluster: None,
            state: self.state.path().join("agent"),
            attributes: BTreeMap::new(),
            helper: Some(helper),
            watchdog: Some(watchdog()),
        };
        let volumes: Arc<dyn VolumeProvisioner> = Arc::new(Directories(self.state.path().join("volumes")));
        let networks: Arc<dyn NetworkProvisioner> = Arc::new(Loopback);
        let ports = Ports {
            engine: Arc::new(self.docker.clone()),
            volumes: [("local".to_owned(), volumes)].into(),
            networks: [("bridge".to_owned(), networks)].into(),
            images: self.images.clone(),
            discovery: Arc::new(self.registry.clone()),
        };
        Agent::start(options, ports)
    }

    async fn containers(&self) -> Vec<Container> {
        let labels: Labels = [(label::OWNER.to_owned(), self.owner.clone())].into();
        self.docker.containers(&labels).await.unwrap()
    }

    async fn running(&self) -> Vec<Container> {
        self.containers().await.into_iter().filter(|it| it.state == State::Running).collect()
    }

    async fn in_container(&self, id: &str, command: &[&str]) -> (Option<i64>, String) {
        let exec = Exec { command: command.iter().map(|it| (*it).to_owned()).collect(), ..Exec::default() };
        let mut process = self.docker.exec(id, &exec).await.unwrap();
        let mut text = String::new();
        while let Some(chunk) = process.output.next().await {
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap().bytes));
        }
        (process.control.exit_code().await.unwrap(), text)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The test's own runtime may be the one that panicked.
        let filter = format!("label={}={}", label::OWNER, self.owner);
        let listed = std::process::Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output();
        let ids = listed.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            let _ = std::process::Command::new("docker").args(["rm", "-f"]).args(ids).output();
        }
    }
}

fn web() -> scs_manifest::compiled::Role {
    role(
        "web",
        &json!({
            "process": {"command": ["/scs-helper", "serve", "--port", "80"]},
            "provide": {"http": provide(80, &http_health())},
        }),
    )
}

/// Writes what it was told into a file, so that the test can look.
fn app() -> scs_manifest::compiled::Role {
    let command = ["/scs-helper", "play", "env=SCS_REQUIRE_HTTP", "read=/run/scs/env", "write=/told:yes"];
    role(
        "app",
        &json!({
            "process": {"command": ["/scs-helper", "serve", "--port", "81"]},
            "require": {"http": require("web", "http", &command)},
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_provider_is_restarted_and_its_user_told() {
    let host = Host::new().await;
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(app()), assignment(web())])).await;
    let first = agent.until_applied("web").await;
    let user = agent.until_applied("app").await;
    assert_eq!(host.registry.log()[0], "provide dev/blog/web/http Passing");

    let id = &first.container.as_ref().unwrap().id;
    host.docker.signal(id, "KILL").await.unwrap();
    let report = agent
        .until("told of the second", |report| {
            let restarted = of(report, "web").is_some_and(|it| it.restarts == 1 && it.phase == Phase::Running);
            let told = of(report, "app").and_then(|it| it.live_updates.get("http"));
            restarted && told.is_some_and(|it| it.exit_code == Some(0))
        })
        .await;
    let second = of(&report, "web").unwrap();
    assert_ne!(instance(&first), instance(second));
    assert!(host.registry.log().contains(&"withdraw dev/blog/web/http died".to_owned()));
    let now = of(&report, "app").unwrap();
    assert_eq!(instance(&user), instance(now), "the user is not restarted");
    let address = &second.container.as_ref().unwrap().provides["http"].address;
    let output = now.live_updates["http"].output.join("\n");
    assert!(output.contains(address) && output.contains(&format!("SCS_REQUIRE_HTTP='{address}'")), "{output}");
    agent.end().await;
    assert_eq!(host.running().await.len(), 2, "containers outlive the agent");
    assert!(host.registry.parked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_is_replaced_by_one_that_adopts() {
    let host = Host::new().await;
    let agent = host.agent();
    let mut secret = app();
    secret.secrets.insert(
        "TOKEN".into(),
        serde_json::from_value(
            json!({"from": "token", "as": "file", "liveupdate": live_update(&["/scs-helper", "play"])}),
        )
        .unwrap(),
    );
    let mut given = assignment(secret);
    given.secrets.insert("token".into(), SecretValue::new("s3cret".into()));
    agent.assign(assignments(7, vec![given, assignment(web())])).await;
    let before = (agent.until_applied("web").await, agent.until_applied("app").await);
    let id = before.1.container.as_ref().unwrap().id.clone();
    let (code, text) = host.in_container(&id, &["/scs-helper", "play", "read=/run/secrets/TOKEN"]).await;
    assert_eq!((code, text.trim()), (Some(0), "s3cret"));
    agent.kill().await;

    let agent = host.agent();
    let after = (agent.until_applied("web").await, agent.until_applied("app").await);
    assert_eq!((instance(&before.0), instance(&before.1)), (instance(&after.0), instance(&after.1)));
    assert_eq!(before.0.container.as_ref().unwrap().started, after.0.container.as_ref().unwrap().started);
    assert!(after.1.live_updates.is_empty(), "nothing has changed: {:?}", after.1.live_updates);
    assert!(!host.registry.log().iter().any(|it| it.starts_with("withdraw")), "{:?}", host.registry.log());

    // What was persisted is enough to restart without a server, secrets included.
    host.docker.signal(&id, "KILL").await.unwrap();
    agent
        .until("restarted", |report| of(report, "app").is_some_and(|it| it.restarts == 1 && it.phase == Phase::Running))
        .await;
    let refused = agent.handle.assign(assignments(6, vec![])).await.unwrap_err();
    assert!(refused.to_string().contains("older than 7"), "{refused}");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_removes_and_absence_does_not() {
    let host = Host::new().await;
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(web())])).await;
    let web = agent.until_applied("web").await;
    agent.assign(assignments(2, vec![])).await;
    let still = agent.until_applied("web").await;
    assert_eq!(instance(&web), instance(&still));
    let mut empty = assignments(3, vec![]);
    empty.tombstones.push(slot("web"));
    agent.assign(empty).await;
    agent.until("gone", |report| report.gone == [slot("web")]).await;
    wait_for("no container is left", async || {
        let left = host.containers().await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_follow_across_a_replaced_container() {
    let host = Host::new().await;
    let agent = host.agent();
    let mut logger = role("log", &json!({"process": {"command": ["/scs-helper", "play", "out=one", "sleep=1h"]}}));
    agent.assign(assignments(1, vec![assignment(logger.clone())])).await;
    let first = agent.until_applied("log").await;
    let query = LogQuery { environment: "dev".into(), follow: true, ..LogQuery::default() };
    let mut lines = agent.handle.logs(query);
    assert_eq!(lines.next().await.unwrap().line, "one");
    logger.process.command = Some(["/scs-helper", "play", "out=two", "sleep=1h"].map(str::to_owned).to_vec());
    logger.spec_digest = "2".into();
    agent.assign(assignments(2, vec![assignment(logger)])).await;
    let line = tokio::time::timeout(crate::support::PATIENCE, lines.next()).await.unwrap().unwrap();
    assert_eq!(line.line, "two");
    assert_ne!(line.instance, instance(&first));
    agent.until_applied("log").await;
    // The lines of the last container are still there for those who come later.
    let query = LogQuery { environment: "dev".into(), ..LogQuery::default() };
    let all: Vec<String> = agent.handle.logs(query).map(|line| line.line).collect().await;
    assert_eq!(all, ["one", "two"]);
    agent.end().await;
}

/// Lines of one source that there are now, as soon as they are those expected.
async fn until_lines(agent: &Agent, query: &LogQuery, source: &str, expected: &[&str]) -> Vec<LogLine> {
    wait_for("the lines", async || {
        let all: Vec<LogLine> = agent.handle.logs(query.clone()).collect().await;
        let of: Vec<LogLine> = all.into_iter().filter(|line| line.source == source).collect();
        let texts: Vec<&str> = of.iter().map(|line| line.line.as_str()).collect();
        if texts == expected { Ok(of) } else { Err(format!("{texts:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_log_files_are_kept_once_across_ends_of_the_agent_and_of_containers() {
    let host = Host::new().await;
    let agent = host.agent();
    let command = ["/scs-helper", "play", "append=/app.log:begun", "out=hello", "sleep=1h"];
    let logs = json!([{"path": "/app.log", "type": "my app"}, {"path": "/dev/stdout", "type": "none"}]);
    let logger = role("log", &json!({"process": {"command": command}, "logs": logs}));
    agent.assign(assignments(1, vec![assignment(logger)])).await;
    let append = async |id: &str, line: &str| {
        let command = ["/scs-helper", "play", &format!("append=/app.log:{line}")].map(str::to_owned).to_vec();
        let mut process = host.docker.exec(id, &Exec { command, ..Exec::default() }).await.unwrap();
        while process.output.next().await.is_some() {}
    };
    let id = agent.until_applied("log").await.container.unwrap().id;
    let query = LogQuery { environment: "dev".into(), ..LogQuery::default() };
    until_lines(&agent, &query, "my app", &["begun"]).await;
    agent.end().await;
    append(&id, "alone").await;

    let agent = host.agent();
    let lines = until_lines(&agent, &query, "my app", &["begun", "alone"]).await;
    let millis = |line: &LogLine| {
        let since = line.time.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        Some(u64::try_from(since.as_millis()).unwrap())
    };
    let since = LogQuery { since: millis(&lines[1]), ..query.clone() };
    until_lines(&agent, &since, "my app", &["alone"]).await;
    let until = LogQuery { until: millis(&lines[0]).map(|at| at + 1), ..query.clone() };
    until_lines(&agent, &until, "my app", &["begun"]).await;

    // What was written last is not lost with the container, and neither is one of those before it.
    let mut follow = agent.handle.logs(LogQuery { follow: true, tail: Some(1), ..query.clone() });
    append(&id, "at the end").await;
    host.docker.signal(&id, "KILL").await.unwrap();
    let restarted = |count| move |it: &SlotReport| it.restarts == count && it.phase == Phase::Running;
    let report = agent.until("restarted", |report| of(report, "log").is_some_and(restarted(1))).await;
    until_lines(&agent, &query, "my app", &["begun", "alone", "at the end", "begun"]).await;
    let second = of(&report, "log").unwrap().container.clone().unwrap().id;
    host.docker.signal(&second, "KILL").await.unwrap();
    agent.until("restarted again", |report| of(report, "log").is_some_and(restarted(2))).await;
    until_lines(&agent, &query, "my app", &["begun", "alone", "at the end", "begun", "begun"]).await;
    wait_for("the first container is removed", async || {
        let left = host.containers().await.len();
        if left == 2 { Ok(()) } else { Err(left.to_string()) }
    })
    .await;
    until_lines(&agent, &query, "my app", &["begun", "alone", "at the end", "begun", "begun"]).await;
    until_lines(&agent, &query, "stdout", &["hello"; 3]).await;
    let last = LogQuery { tail: Some(2), ..query };
    let all: Vec<LogLine> = agent.handle.logs(last).collect().await;
    assert_eq!(all.len(), 2, "{all:?}");
    let followed = tokio::time::timeout(crate::support::PATIENCE, async {
        let mut seen = Vec::new();
        while seen.iter().filter(|line| *line == "begun").count() < 2 {
            let line = follow.next().await.unwrap();
            seen.extend((line.source == "my app").then_some(line.line));
        }
        seen
    });
    assert_eq!(followed.await.unwrap(), ["alone", "at the end", "begun", "begun"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_ends_at_its_timeout() {
    let host = Host::new().await;
    host.registry.elsewhere("web", "http", "w1", "192.0.2.1", 80);
    let mut hanging = app();
    let policy = &mut hanging.require["http"].liveupdate;
    policy.action =
        serde_json::from_value(json!({"command": ["/scs-helper", "play", "out=begun", "deaf", "sleep=1h"]})).unwrap();
    policy.timeout = std::time::Duration::from_secs(1);
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(hanging)])).await;
    let before = agent.until_applied("app").await;
    host.registry.elsewhere("web", "http", "w2", "192.0.2.2", 80);
    let report = agent
        .until("failed", |report| {
            of(report, "app").is_some_and(|it| it.live_updates.get("http").is_some_and(|it| it.failures > 0))
        })
        .await;
    let after = of(&report, "app").unwrap();
    assert_eq!(instance(&before), instance(after), "and the container is left alone");
    assert!(after.live_updates["http"].output.iter().any(|it| it == "begun"), "{:?}", after.live_updates);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_volume_gets_its_owner_and_mode_inside_the_image() {
    let host = Host::new().await;
    let agent = host.agent();
    let data = json!({"path": "/data", "access": "single", "owner": "1234:1235", "mode": 0o750, "method": "local"});
    let with = json!({"process": {"command": ["/scs-helper", "serve", "--port", "80"]}, "volumes": {"data": data}});
    agent.assign(assignments(1, vec![assignment(role("db", &with))])).await;
    let report = agent.until_applied("db").await;
    let place = std::fs::metadata(&report.volumes["data"].place).unwrap();
    assert_eq!((place.uid(), place.gid(), place.mode() & 0o7777), (1234, 1235, 0o750));
    assert_eq!(host.containers().await.len(), 1, "the one-off is removed");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ended_at_once_has_no_address() {
    let host = Host::new().await;
    let agent = host.agent();
    let with = json!({
        "process": {"command": ["/scs-helper", "play", "exit=3"]},
        "provide": {"http": provide(80, &json!(null))},
    });
    agent.assign(assignments(1, vec![assignment(role("web", &with))])).await;
    agent
        .until("ended three times", |report| {
            let web = of(report, "web");
            let provides = web.and_then(|it| it.container.as_ref()).map(|it| &it.provides);
            // The port of the manifest is the container's own: on the host, where nothing is bound any more, it is another's.
            assert!(provides.is_none_or(|it| it.values().all(|it| !it.address.ends_with(":80"))), "{provides:?}");
            web.is_some_and(|it| it.restarts == 3)
        })
        .await;
    agent.end().await;
}

/// Asks for a lease in the name of the host, and grants it.
fn grant_lease(agent: &Agent, role: &str) {
    let question = agent.handle.ask_lease().expect("it needs one");
    agent.handle.lease(&LeaseGrant { question, slots: [slot(role)].into() });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_by_lease_starts_with_one_and_is_killed_at_its_end_though_its_agent_is_dead() {
    let host = Host::new().await;
    let agent = host.agent();
    let leased = || scs_api::agent::Assignment { leased: true, ..assignment(web()) };
    assert_eq!(agent.handle.ask_lease(), None, "nothing needs one");
    agent.assign(assignments(1, vec![leased()])).await;
    agent
        .until("waiting for a lease", |report| {
            of(report, "web").is_some_and(|it| it.message.as_ref().is_some_and(|it| it.contains("waiting for a lease")))
        })
        .await;
    assert!(host.containers().await.is_empty(), "nothing is made without");

    let granted = std::time::Instant::now();
    grant_lease(&agent, "web");
    let running = agent.until_phase("web", Phase::Running).await;
    assert!(running.leased);
    let first = instance(&running);
    agent.kill().await;
    wait_for("the watchdog to kill it", async || match host.running().await {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
    let (took, lease) = (granted.elapsed(), scs_plan::lease::LENGTH);
    assert!(took >= lease && took < lease + scs_plan::lease::MARGIN, "killed after {took:?}");

    let agent = host.agent();
    agent.until("that it has ended", |report| of(report, "web").is_some_and(|it| it.phase != Phase::Running)).await;
    grant_lease(&agent, "web");
    let again = agent.until_phase("web", Phase::Running).await;
    assert_ne!(instance(&again), first);
    agent.end().await;
}
