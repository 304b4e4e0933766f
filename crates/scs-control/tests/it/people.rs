//! The API over TLS: who gets in, what each may do, and what is written down of it.

use crate::world::{Cluster, Plane, Trust, blog, caller, up, words};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request as HttpRequest, StatusCode};
use hyper_util::rt::TokioIo;
use scs_api::audit::Entry;
use scs_api::deploy::{DownRequest, Event, Revision};
use scs_api::error::{Code, Problem};
use scs_api::host::HostInfo;
use scs_api::inspect::{Instance, Version};
use scs_api::join::{JoinRequest, JoinResponse, JoiningHost, Purpose, RenewRequest, Token, TokenRequest};
use scs_api::person::{PersonInfo, PersonRequest, Role};
use scs_control::api::{TlsListener, serve};
use scs_pki::rustls::ClientConfig;
use scs_pki::rustls::pki_types::ServerName;
use scs_pki::{Expected, Files, Live, Request, Side, Trouble, first_contact};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

struct Server {
    plane: Plane,
    trust: Trust,
    address: SocketAddr,
    stop: CancellationToken,
    directory: tempfile::TempDir,
}

/// Somebody who connects.
#[derive(Clone)]
struct Client {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

async fn server() -> Server {
    let directory = tempfile::tempdir().expect("a directory");
    let trust = Trust::new(directory.path());
    let plane = Arc::new(Cluster::default()).start_with(directory.path(), Some(trust.certifier())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(serve(TlsListener::new(listener, trust.live.clone()), plane.handle.clone(), stop.clone()));
    Server { plane, trust, address, stop, directory }
}

impl Client {
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> io::Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(self.config.clone()).connect(name, stream).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let request = HttpRequest::builder().method(method).uri(path).header("host", "scs");
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes()))
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: impl Serialize) -> Result<T, Problem> {
        let body = serde_json::to_vec(&body).expect("serialisable");
        let (status, body) = self.send(method, path, body).await.expect("an answer");
        if status.is_success() {
            let body = if body.is_empty() { Bytes::from("null") } else { body };
            Ok(serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body:?}")))
        } else {
            Err(serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body:?}")))
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.ask(Method::GET, path, ()).await
    }

    async fn events(&self, path: &str, body: impl Serialize) -> Vec<Event> {
        let body = serde_json::to_vec(&body).expect("serialisable");
        let (status, body) = self.send(Method::POST, path, body).await.expect("an answer");
        assert_eq!(status, StatusCode::OK, "{path}: {body:?}");
        let lines = body.split(|it| *it == b'\n').filter(|it| !it.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("an event a line")).collect()
    }
}

impl Server {
    fn stranger(&self) -> Client {
        let config = first_contact(self.trust.fingerprint).expect("TLS");
        Client { address: self.address, config }
    }

    /// Joins as the token says.
    async fn join(&self, purpose: Purpose) -> Client {
        let request = TokenRequest { purpose: purpose.clone(), seconds: None };
        let token: Token = self.plane.handle.make_token(request, "owner").await.expect("made");
        let csr = Request::new().expect("a key");
        let (name, host) = match purpose {
            Purpose::Person { name, .. } => (name, None),
            Purpose::Host { name, .. } => {
                let name = name.expect("named");
                let advertise = "198.51.100.1:9642".to_owned();
                let labels = BTreeMap::new();
                (name.clone(), Some(JoiningHost { name, advertise, labels, cluster: None }))
            }
        };
        let version = "1.2.3".to_owned();
        let request =
            JoinRequest { token: token.token, csr: csr.pem().to_owned(), now: SystemTime::now(), version, host };
        let joined: JoinResponse = self.stranger().ask(Method::POST, "/v1/join", request).await.expect("joined");
        let files =
            csr.write(&joined.certificate, &joined.trusted, &self.directory.path().join(name)).expect("written");
        let live = Live::open(files, None).expect("usable");
        Client { address: self.address, config: live.https_client(&Expected::Server).expect("TLS") }
    }

    async fn person(&self, name: &str, role: Role, environments: &[&str]) -> Client {
        let environments = environments.iter().map(|it| (*it).to_owned()).collect();
        self.join(Purpose::Person { name: name.to_owned(), role, environments }).await
    }

    async fn host(&self, name: &str) -> Client {
        self.join(Purpose::Host { name: Some(name.to_owned()), labels: BTreeMap::new(), rejoin: false }).await
    }

    async fn end(self) {
        self.stop.cancel();
        self.plane.stop().await;
    }
}

#[tokio::test]
async fn people_do_what_their_role_says_in_their_environments() {
    let server = server().await;
    let _h1 = server.host("h1").await;
    let alice = server.person("alice", Role::Deploy, &["dev"]).await;
    let path = "/v1/services/dev/blog";
    let events = alice.events(&format!("{path}/up"), up(&blog("dev", 1), 0)).await;
    assert_eq!(words(&events).last().expect("ends"), "done at 1");
    let history: Vec<Revision> = alice.get(&format!("{path}/history")).await.expect("seen");
    assert_eq!(history[0].who, "alice", "not what she says of herself");
    let refused = alice.ask::<()>(Method::POST, "/v1/services/prod/blog/up", up(&blog("prod", 1), 0)).await;
    let refused = refused.expect_err("refused");
    assert_eq!(refused.code, Code::Forbidden);
    assert_eq!(refused.message, "this takes the role deploy in environment prod; alice has deploy in dev");
    server.plane.up(&blog("prod", 1)).await.expect("the owner may");

    let bob = server.person("bob", Role::Read, &["dev"]).await;
    for client in [&alice, &bob] {
        let instances: Vec<Instance> = client.get("/v1/instances").await.expect("seen");
        assert!(instances.len() == 2 && instances.iter().all(|it| it.report.slot.environment == "dev"));
        let version: Version = client.get("/v1/version").await.expect("seen");
        assert_eq!(version.services, ["dev/blog"]);
        let environments: Vec<String> = client.get("/v1/environments").await.expect("seen");
        assert_eq!(environments, ["dev"]);
        let volumes: Vec<serde_json::Value> = client.get("/v1/volumes").await.expect("seen");
        assert_eq!(volumes.len(), 1);
        for path in ["/v1/instances?environment=prod", "/v1/logs?environment=prod"] {
            assert_eq!(client.get::<()>(path).await.expect_err("refused").code, Code::Forbidden);
        }
        assert_eq!(client.get::<()>("/v1/people").await.expect_err("refused").code, Code::Forbidden);
    }
    let down = DownRequest { caller: caller() };
    assert_eq!(
        bob.ask::<()>(Method::POST, &format!("{path}/down"), &down).await.expect_err("no").code,
        Code::Forbidden
    );
    // Rights are changed without another certificate.
    let more = PersonRequest { role: Role::Deploy, environments: vec!["*".to_owned()] };
    let carol = server.person("carol", Role::Admin, &[]).await;
    let info: PersonInfo = carol.ask(Method::PUT, "/v1/people/bob", &more).await.expect("an administrator may");
    assert_eq!(info.role, Role::Deploy);
    assert_eq!(words(&bob.events(&format!("{path}/down"), &down).await).last().expect("ends"), "done at 2");
    server.end().await;
}

#[tokio::test]
async fn a_stranger_can_join_and_nothing_else() {
    let server = server().await;
    let stranger = server.stranger();
    for path in ["/v1/version", "/v1/instances", "/v1/hosts", "/v1/nothing"] {
        let refused = stranger.get::<()>(path).await.expect_err("refused");
        assert!(refused.message.ends_with("you have shown no certificate"), "{path}: {refused}");
    }
    let renew = RenewRequest { csr: String::new(), advertise: None, version: None };
    let refused = stranger.ask::<()>(Method::POST, "/v1/renew", &renew).await.expect_err("refused");
    assert_eq!(refused.code, Code::Forbidden);
    let again: Result<(StatusCode, Bytes), _> = Client {
        address: server.address,
        config: first_contact("0".repeat(64).parse().expect("a fingerprint")).expect("TLS"),
    }
    .send(Method::GET, "/v1/version", Vec::new())
    .await;
    assert!(again.is_err(), "a token of another authority does not trust this server");
    server.end().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_before_anything_is_asked() {
    let (server, other) = (server().await, server().await);
    let _alice = other.person("alice", Role::Admin, &[]).await;
    // It trusts both authorities, so that it is this server that has to refuse.
    let files = Files::within(&other.directory.path().join("alice"));
    let ours = std::fs::read_to_string(server.directory.path().join("ca/ca.crt")).expect("there");
    let theirs = std::fs::read_to_string(&files.authorities).expect("there");
    std::fs::write(&files.authorities, ours + &theirs).expect("written");
    let live = Live::open(files, None).expect("usable");
    let config = live.https_client(&Expected::Server).expect("TLS");
    let refused = Client { address: server.address, config }.send(Method::GET, "/v1/version", Vec::new()).await;
    let trouble = Trouble::of(&source(refused.expect_err("refused"))).expect("about TLS");
    assert_eq!(trouble, Trouble::Foreign { whose: Side::Own });
    server.end().await;
    other.end().await;
}

/// What an error of HTTP is about, where it is about the connection.
fn source(error: io::Error) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|it| it as _);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<scs_pki::rustls::Error>() {
            return io::Error::other(error.clone());
        }
        cause = match error.downcast_ref::<io::Error>() {
            Some(inner) => inner.get_ref().map(|it| it as _),
            None => error.source(),
        };
    }
    error
}

#[tokio::test]
async fn a_host_renews_and_fetches_sources_and_nothing_else() {
    let server = server().await;
    let host = server.host("h1").await;
    let digest = "a".repeat(64);
    let missing = host.get::<()>(&format!("/v1/bundles/{digest}")).await.expect_err("not there");
    assert_eq!(missing.code, Code::NotFound, "asked for, and not refused");
    for path in ["/v1/instances", "/v1/hosts", "/v1/people", "/v1/audit"] {
        assert_eq!(host.get::<()>(path).await.expect_err("refused").code, Code::Forbidden, "{path}");
    }
    let csr = Request::new().expect("a key").pem().to_owned();
    let renew = RenewRequest { csr, advertise: None, version: Some("2".to_owned()) };
    let renewed: JoinResponse = host.ask(Method::POST, "/v1/renew", &renew).await.expect("renewed");
    assert_eq!(renewed.identity, "host h1");
    server.end().await;
}

#[tokio::test]
async fn whoever_is_removed_is_turned_away_at_once() {
    let server = server().await;
    let host = server.host("h1").await;
    let (alice, carol) =
        (server.person("alice", Role::Read, &["dev"]).await, server.person("carol", Role::Admin, &[]).await);
    alice.get::<Vec<HostInfo>>("/v1/hosts").await.expect("seen");
    carol.ask::<()>(Method::DELETE, "/v1/people/alice", ()).await.expect("removed");
    carol.ask::<()>(Method::DELETE, "/v1/hosts/h1", ()).await.expect("removed");
    let refused = alice.get::<()>("/v1/hosts").await.expect_err("refused");
    assert_eq!(refused.message, "this certificate of person alice has been revoked");
    let csr = Request::new().expect("a key").pem().to_owned();
    let renew = RenewRequest { csr, advertise: None, version: None };
    let refused = host.ask::<()>(Method::POST, "/v1/renew", &renew).await.expect_err("refused");
    assert_eq!(refused.message, "this certificate of host h1 has been revoked");
    // Under the same name they are somebody new.
    let again = server.person("alice", Role::Read, &["dev"]).await;
    again.get::<Vec<HostInfo>>("/v1/hosts").await.expect("seen");
    server.end().await;
}

#[tokio::test]
async fn who_did_what_is_written_down() {
    let server = server().await;
    let _h1 = server.host("h1").await;
    let alice = server.person("alice", Role::Deploy, &["dev"]).await;
    alice.events("/v1/services/dev/blog/up", up(&blog("dev", 1), 0)).await;
    alice.ask::<()>(Method::POST, "/v1/prune", ()).await.expect_err("refused");
    alice.get::<Vec<Instance>>("/v1/instances").await.expect("seen");
    let carol = server.person("carol", Role::Admin, &[]).await;
    let log: Vec<Entry> = carol.get("/v1/audit?last=3").await.expect("seen");
    let lines: Vec<String> =
        log.iter().map(|it| format!("{}: {} {} {}", it.who, it.what, it.status, it.outcome)).collect();
    assert_eq!(
        lines,
        [
            "person alice: POST /v1/services/dev/blog/up 200 done at revision 1",
            "person alice: POST /v1/prune 403 refused: this takes an administrator; alice has deploy in dev",
            "nobody: POST /v1/join 200 joined as person carol",
        ]
    );
    server.end().await;
}
