//! `scs host`, `scs person` and `scs audit` against a control plane of a cluster whose only host does not answer.

use crate::support::Place;
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use scs_api::agent::{Assignments, HostReport};
use scs_api::deploy::{BuildRequest, Event};
use scs_api::error::{Code, Problem};
use scs_api::inspect::{Considered, EndpointChange, EndpointInfo, EndpointQuery};
use scs_api::join::{JoinRequest, JoiningHost};
use scs_api::log::{LogLine, LogQuery};
use scs_api::routes::{ExecQuery, Pruned};
use scs_control::agents::{Agent, ByteStream, Connect, ExecSession, HostAddress, OutputLine, Reachability, VolumeAt};
use scs_control::bundles::Bundles;
use scs_control::discovery::Discovery;
use scs_control::trust::OwnAuthority;
use scs_control::{Options, Ports, Service};
use scs_manifest::compiled::Query;
use scs_plan::slot::Slot;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Nobody is there, and nothing is kept.
#[derive(Debug)]
struct Nothing(String);

fn none<T>() -> Result<T, Problem> {
    Err(Problem::new(Code::Unavailable, "nobody is there"))
}

#[async_trait]
impl Agent for Nothing {
    fn host(&self) -> &str {
        &self.0
    }
    fn reachable(&self) -> watch::Receiver<Reachability> {
        let why = "connection refused".to_owned();
        watch::Sender::new(Reachability::Unreachable { since: SystemTime::UNIX_EPOCH, why, host_answers: true })
            .subscribe()
    }
    async fn assign(&self, _: Assignments) -> Result<(), Problem> {
        none()
    }
    fn report(&self) -> watch::Receiver<HostReport> {
        watch::Sender::new(HostReport::default()).subscribe()
    }
    fn output(&self) -> broadcast::Receiver<OutputLine> {
        broadcast::channel(1).1
    }
    async fn engine(&self) -> Result<String, Problem> {
        none()
    }
    async fn build(&self, _: BuildRequest) -> Result<BoxStream<'static, Event>, Problem> {
        none()
    }
    async fn images(&self) -> Result<BTreeSet<String>, Problem> {
        none()
    }
    async fn logs(&self, _: LogQuery) -> Result<BoxStream<'static, LogLine>, Problem> {
        none()
    }
    async fn exec(&self, _: &str, _: ExecQuery) -> Result<ExecSession, Problem> {
        none()
    }
    async fn remove_volume(&self, _: VolumeAt) -> Result<(), Problem> {
        none()
    }
    async fn export_volume(&self, _: VolumeAt) -> Result<ByteStream, Problem> {
        none()
    }
    async fn import_volume(&self, _: VolumeAt, _: ByteStream) -> Result<(), Problem> {
        none()
    }
    async fn prune(&self, _: BTreeSet<String>) -> Result<Pruned, Problem> {
        none()
    }
}

impl Connect for Nothing {
    fn connect(&self, host: &HostAddress) -> Arc<dyn Agent> {
        Arc::new(Self(host.name.clone()))
    }
}

#[async_trait]
impl Discovery for Nothing {
    fn address(&self) -> String {
        "127.0.0.1:9640".to_owned()
    }
    async fn list(&self, _: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem> {
        Ok(Vec::new())
    }
    async fn resolve(&self, _: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem> {
        Ok(Vec::new())
    }
    async fn watch(&self, _: EndpointQuery) -> Result<BoxStream<'static, EndpointChange>, Problem> {
        Ok(stream::pending().boxed())
    }
    async fn explain(&self, _: &Slot, _: &str, _: &Query) -> Result<Considered, Problem> {
        none()
    }
}

#[async_trait]
impl Bundles for Nothing {
    async fn has(&self, _: &str) -> Result<bool, Problem> {
        none()
    }
    async fn get(&self, _: &str) -> Result<Option<ByteStream>, Problem> {
        none()
    }
    async fn put(&self, _: &str, _: ByteStream) -> Result<(), Problem> {
        none()
    }
}

/// Runs `test` while a control plane listens where `scs dev` would.
async fn with_server(test: impl FnOnce(&Place, &scs_control::Handle) + Send + 'static) {
    let place = Place::new();
    let state = place.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    let ca = place.path().join("ca");
    scs_pki::Authority::create(&ca, "test", SystemTime::now()).unwrap();
    let nothing = Arc::new(Nothing(String::new()));
    let ports = Ports {
        store: Arc::new(scs_ports::fake::State::new()),
        agents: Vec::new(),
        connect: Some(nothing.clone()),
        authority: Some(Arc::new(OwnAuthority::new(ca))),
        discovery: nothing.clone(),
        bundles: nothing,
    };
    let options = Options {
        state_directory: state.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        loss_grace: Default::default(),
        lease: scs_control::LEASE,
    };
    let (service, handle) = Service::open(options, ports).await.unwrap();
    let stop = CancellationToken::new();
    let listener = tokio::net::UnixListener::bind(state.join("scs.sock")).unwrap();
    let running = tokio::spawn(service.run(stop.clone()));
    tokio::spawn(scs_control::api::serve(listener, handle.clone(), stop.clone()));
    tokio::task::spawn_blocking(move || test(&place, &handle)).await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_joins_with_a_token_and_is_looked_after() {
    with_server(|place, handle| {
        let nobody = place.shown(&["host", "ls"]);
        assert!(nobody.starts_with("exit 0\n--- stderr\nno host has joined"), "{nobody}");
        let token = place.stdout(&["host", "token", "--label", "dc=east", "h1"]).trim().to_owned();
        let request = JoinRequest {
            token,
            csr: scs_pki::Request::new().unwrap().pem().to_owned(),
            now: SystemTime::now(),
            version: "1.2.3".to_owned(),
            host: Some(JoiningHost {
                name: "h1".to_owned(),
                advertise: "198.51.100.1:9642".to_owned(),
                labels: Default::default(),
                cluster: None,
            }),
        };
        tokio::runtime::Handle::current().block_on(handle.join(request)).unwrap();
        let listed = place.stdout(&["host", "ls"]);
        for word in ["h1", "silent for", "(connection refused)", "dc=east", "198.51.100.1:9642", "1.2.3"] {
            assert!(listed.contains(word), "{word}: {listed}");
        }
        let labelled = place.shown(&["host", "label", "h1", "zone=a", "dc-"]);
        assert_eq!(labelled, "exit 0\n--- stderr\nlabels of host h1: zone=a; what runs stays where it is\n");
        let strange = place.shown(&["host", "label", "h1", "Zone=a"]);
        assert!(strange.contains("exit 64") && strange.contains("label \"Zone\" is not named"), "{strange}");
        let drained = place.shown(&["host", "drain", "h1"]);
        assert!(drained.ends_with("host h1 takes nothing new, and nothing runs there\n"), "{drained}");
        assert!(place.stdout(&["host", "inspect", "h1"]).contains("drained"));
        assert_eq!(place.code(&["host", "undrain", "h1"]), 0);
        assert!(place.shown(&["host", "inspect", "h9"]).contains("there is no host h9"));
        assert_eq!(place.code(&["host", "rm", "h1"]), 64, "nobody can be asked");
        assert_eq!(place.code(&["host", "rm", "--yes", "h1"]), 0);
        assert_eq!(place.stdout(&["host", "ls", "-o", "json"]), "[]\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_let_in_and_who_changed_what_is_shown() {
    with_server(|place, _| {
        let refused = place.shown(&["person", "token", "alice", "--role", "deploy"]);
        assert!(refused.contains("exit 64") && refused.contains("name them with `--env`"), "{refused}");
        let token = place.stdout(&["person", "token", "alice", "--role", "deploy", "--env", "dev"]);
        assert!(token.trim().parse::<scs_api::join::TokenText>().is_ok(), "{token}");
        assert_eq!(place.code(&["person", "token", "alice", "--role", "admin", "--valid", "soon"]), 64);
        assert!(place.shown(&["person", "set", "bob", "--role", "admin"]).contains("there is no person bob"));
        assert!(place.shown(&["person", "ls"]).contains("nobody has joined"));
        let audit = place.stdout(&["audit", "-n", "3"]);
        assert!(audit.contains("owner") && audit.contains("POST /v1/tokens"), "{audit}");
        assert!(audit.contains("PUT /v1/people/bob") && audit.contains("refused: there is no person bob"), "{audit}");
    })
    .await;
}
