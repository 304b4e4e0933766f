//! Joining with one-time tokens: what becomes of them, of names and of certificates.

use crate::world::{Cluster, Plane, Trust, blog};
use disco_core::{Grants, Scope};
use scs_api::error::{Code, Problem};
use scs_api::host::Answers;
use scs_api::join::{JoinRequest, JoinResponse, JoiningHost, Purpose, RenewRequest, TokenRequest};
use scs_api::person::{PersonRequest, Role};
use scs_control::agents::HostAddress;
use scs_pki::rustls::pki_types::CertificateDer;
use scs_pki::rustls::pki_types::pem::PemObject as _;
use scs_pki::{Identity, Kind, Request};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

struct Joined {
    cluster: Arc<Cluster>,
    plane: Plane,
    directory: tempfile::TempDir,
}

async fn started() -> Joined {
    let directory = tempfile::tempdir().expect("a directory");
    let trust = Trust::new(directory.path());
    let cluster = Arc::new(Cluster::default());
    let plane = cluster.start_with(directory.path(), Some(trust.certifier())).await;
    Joined { cluster, plane, directory }
}

fn purpose(name: Option<&str>, rejoin: bool) -> Purpose {
    Purpose::Host { name: name.map(str::to_owned), labels: [("dc".to_owned(), "east".to_owned())].into(), rejoin }
}

fn request(token: &str, name: &str, csr: &Request) -> JoinRequest {
    JoinRequest {
        token: token.to_owned(),
        csr: csr.pem().to_owned(),
        now: SystemTime::now(),
        version: "1.2.3".to_owned(),
        host: Some(JoiningHost {
            name: name.to_owned(),
            advertise: "198.51.100.1:9642".to_owned(),
            labels: BTreeMap::new(),
            cluster: None,
        }),
    }
}

impl Joined {
    async fn token(&self, purpose: Purpose) -> String {
        self.plane.handle.make_token(TokenRequest { purpose, seconds: None }, "owner").await.expect("made").token
    }

    async fn join(&self, token: &str, name: &str) -> Result<JoinResponse, Problem> {
        self.plane.handle.join(request(token, name, &Request::new().expect("a key"))).await
    }

    async fn refused(&self, token: &str, name: &str) -> (Code, String) {
        let problem = self.join(token, name).await.expect_err("refused");
        assert!(problem.hint.as_ref().is_some_and(|it| it.contains("nothing was changed")), "{problem:?}");
        (problem.code, problem.message)
    }
}

#[tokio::test]
async fn a_host_joins_with_a_token_and_runs_what_is_placed_there() {
    let world = started().await;
    let token = world.token(purpose(None, false)).await;
    let csr = Request::new().expect("a key");
    let joined = world.plane.handle.join(request(&token, "h1", &csr)).await.expect("joined");
    let files = csr.write(&joined.certificate, &joined.trusted, &world.directory.path().join("h1")).expect("written");
    let credentials = scs_pki::Credentials::read(&files, SystemTime::now()).expect("usable");
    assert_eq!((credentials.identity.to_string(), joined.identity.as_str()), ("host h1".to_owned(), "host h1"));
    let life = joined.ends.duration_since(SystemTime::now()).expect("in the future");
    assert!(life <= Duration::from_secs(24 * 3600) && life > Duration::from_secs(23 * 3600), "{life:?}");
    let connected = world.cluster.connected.lock().expect("whole").clone();
    assert_eq!(connected, [HostAddress { name: "h1".to_owned(), address: "198.51.100.1:9642".to_owned() }]);
    let hosts = world.plane.handle.hosts().await.expect("listed");
    assert_eq!((hosts[0].labels["dc"].as_str(), &hosts[0].answers), ("east", &Answers::Yes));
    world.plane.up(&blog("dev", 1)).await.expect("accepted");
    assert_eq!(world.cluster.world("h1").running().len(), 2);
    let kept = format!("{:?}", scs_ports::state::StateStore::list(&*world.cluster.store, "").await.expect("readable"));
    let secret = token.split('-').nth(1).expect("a secret");
    assert!(!kept.contains(secret), "tokens rest hashed");
    world.plane.stop().await;
}

#[tokio::test]
async fn wrong_used_and_expired_tokens_are_told_apart() {
    let world = started().await;
    let token = world.token(purpose(None, false)).await;
    let authority = token.rsplit('-').next().expect("a fingerprint");
    let wrong = format!("scs1-{}-{authority}", "0".repeat(40));
    let (code, message) = world.refused(&wrong, "h1").await;
    assert_eq!((code, message.starts_with("this server did not make the token")), (Code::Forbidden, true));
    assert_eq!(world.refused("nonsense", "h1").await.0, Code::BadRequest);
    world.join(&token, "h1").await.expect("joined");
    let (code, message) = world.refused(&token, "h2").await;
    assert_eq!(code, Code::Forbidden);
    assert!(message.starts_with("the token was used by host h1 at "), "{message}");

    let short = TokenRequest { purpose: purpose(None, false), seconds: Some(1) };
    let expired = world.plane.handle.make_token(short, "owner").await.expect("made");
    come(expired.expires).await;
    let (code, message) = world.refused(&expired.token, "h2").await;
    assert_eq!((code, message.starts_with("the token expired at ")), (Code::Forbidden, true), "{message}");
    let never = TokenRequest { purpose: purpose(None, false), seconds: Some(0) };
    assert_eq!(world.plane.handle.make_token(never, "owner").await.expect_err("refused").code, Code::BadRequest);
    assert_eq!(world.plane.handle.hosts().await.expect("listed").len(), 1, "nothing half done");
    world.plane.stop().await;
}

/// Waits until a point in time has come: what ends by the clock is tested by the clock.
async fn come(until: SystemTime) {
    while SystemTime::now() < until {
        tokio::time::sleep(until.duration_since(SystemTime::now()).unwrap_or_default()).await;
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again_until_the_host_is_removed() {
    let world = started().await;
    let token = world.token(purpose(None, false)).await;
    let csr = Request::new().expect("a key");
    world.plane.handle.join(request(&token, "h1", &csr)).await.expect("joined");
    let again = world.plane.handle.join(request(&token, "h1", &csr)).await.expect("joined");
    csr.write(&again.certificate, &again.trusted, &world.directory.path().join("h1")).expect("the same key");
    world.plane.handle.remove_host("h1").await.expect("empty");
    let refused = world.plane.handle.join(request(&token, "h1", &csr)).await.expect_err("refused");
    assert!(refused.message.contains("who has been removed since"), "{refused}");
    world.plane.stop().await;
}

#[tokio::test]
async fn what_cannot_join_leaves_the_token_as_it_was() {
    let world = started().await;
    let token = world.token(purpose(None, false)).await;
    let csr = Request::new().expect("a key");
    let handle = &world.plane.handle;
    let late = JoinRequest { now: SystemTime::now() - Duration::from_secs(3600), ..request(&token, "h1", &csr) };
    let refused = handle.join(late).await.expect_err("refused");
    assert!(refused.message.starts_with("the clock of this machine is 1 h"), "{refused}");
    let mut foreign = request(&token, "h1", &csr);
    foreign.host.as_mut().expect("a host").cluster = Some("0123".to_owned());
    let refused = handle.join(foreign).await.expect_err("refused");
    assert!(refused.message.starts_with("host h1 belongs to cluster 0123, and this server is of cluster"), "{refused}");
    let unsigned = JoinRequest { csr: "nonsense".to_owned(), ..request(&token, "h1", &csr) };
    assert_eq!(handle.join(unsigned).await.expect_err("refused").code, Code::BadRequest);
    let person = JoinRequest { host: None, ..request(&token, "h1", &csr) };
    assert!(handle.join(person).await.expect_err("refused").message.contains("for a host, not for a person"));
    assert!(handle.hosts().await.expect("listed").is_empty());
    handle.join(request(&token, "h1", &csr)).await.expect("still good");
    world.plane.stop().await;
}

#[tokio::test]
async fn one_name_is_one_host_and_the_same_one_joins_again_with_what_it_has() {
    let world = started().await;
    let token = world.token(purpose(None, false)).await;
    world.join(&token, "h1").await.expect("joined");
    world.plane.up(&blog("dev", 1)).await.expect("accepted");
    for other in [purpose(None, false), purpose(Some("h1"), false)] {
        let (code, message) = world.refused(&world.token(other).await, "h1").await;
        assert_eq!(code, Code::Conflict);
        assert!(message.starts_with("there is a host h1 already, at 198.51.100.1:9642"), "{message}");
    }
    let (code, message) = world.refused(&world.token(purpose(Some("h1"), true)).await, "h2").await;
    assert_eq!((code, message.contains("is for host h1")), (Code::Forbidden, true), "{message}");

    let again = world.token(purpose(Some("h1"), true)).await;
    world.join(&again, "h1").await.expect("joined again");
    assert_eq!(world.cluster.world("h1").running().len(), 2, "its containers run on");
    assert_eq!(world.plane.handle.host("h1").await.expect("there").slots.len(), 2);
    let revoked = scs_ports::state::StateStore::list(&*world.cluster.store, "revoked/").await.expect("readable").0;
    assert_eq!(revoked.len(), 1, "the certificate of its earlier self");
    world.plane.stop().await;
}

#[tokio::test]
async fn certificates_are_renewed_for_their_holder_and_for_nobody_who_was_removed() {
    let world = started().await;
    let token = world.token(purpose(None, false)).await;
    world.join(&token, "h1").await.expect("joined");
    let holder = Identity::new(Kind::Host, "h1").expect("a name");
    let csr = Request::new().expect("a key").pem().to_owned();
    let renew = RenewRequest { csr, advertise: Some("h1.example:9642".to_owned()), version: None };
    let renewed = world.plane.handle.renew(&holder, renew.clone()).await.expect("renewed");
    assert_eq!(renewed.identity, "host h1");
    let connected = world.cluster.connected.lock().expect("whole").clone();
    assert_eq!(connected.last().expect("connected").address, "h1.example:9642", "it has moved");
    world.plane.handle.remove_host("h1").await.expect("empty");
    let refused = world.plane.handle.renew(&holder, renew).await.expect_err("refused");
    assert_eq!(refused.message, "host h1 is not, or no longer, known to this cluster");
    let revoked = scs_ports::state::StateStore::list(&*world.cluster.store, "revoked/").await.expect("readable").0;
    assert_eq!(revoked.len(), 2, "both");
    world.plane.stop().await;
}

#[tokio::test]
async fn discovery_lets_a_host_provide_what_is_assigned_to_it_and_a_person_what_their_role_says() {
    let world = started().await;
    let token = world.token(purpose(None, false)).await;
    let joined = world.join(&token, "h1").await.expect("joined");
    let serial = serial_of(&joined);
    let (handle, host) = (&world.plane.handle, Identity::new(Kind::Host, "h1").expect("a name"));
    let admission = handle.admission();
    let may = |identity: &Identity, serial: &str| match admission.grants(identity, serial).expect("let in") {
        Grants::Only(permit) => {
            let list = |scopes: &[Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            format!("{}: {} / {}", permit.host, list(&permit.provide), list(&permit.require))
        }
        Grants::Everything => "everything".to_owned(),
    };
    let mut changes = admission.changes();
    assert_eq!(may(&host, &serial), "h1:  / */*");
    world.plane.up(&blog("dev", 1)).await.expect("accepted");
    assert!(changes.has_changed().expect("alive"));
    assert_eq!(may(&host, &serial), "h1: dev/blog/mysql dev/blog/wordpress / */*");
    world.plane.down("dev", "blog").await;
    changes.borrow_and_update();
    assert_eq!(may(&host, &serial), "h1:  / */*");
    let stranger = Identity::new(Kind::Host, "by-hand").expect("a name");
    assert_eq!(may(&stranger, "01"), "by-hand:  / ", "what its certificate says");

    let role = Purpose::Person { name: "alice".to_owned(), role: Role::Deploy, environments: vec!["dev".to_owned()] };
    let token = world.token(role).await;
    let request = JoinRequest { host: None, ..request(&token, "alice", &Request::new().expect("a key")) };
    handle.join(request).await.expect("joined");
    let alice = Identity::new(Kind::Person, "alice").expect("a name");
    assert_eq!(may(&alice, "02"), "person:alice: dev/* / dev/*");
    let less = PersonRequest { role: Role::Read, environments: vec!["test".to_owned()] };
    handle.set_person("alice", less).await.expect("changed");
    assert_eq!(may(&alice, "02"), "person:alice:  / test/*");

    handle.remove_volume("dev/blog/mysql/data").await.expect("deleted");
    handle.remove_host("h1").await.expect("empty");
    let why = admission.grants(&host, &serial).expect_err("revoked");
    assert!(why.starts_with("host h1 was removed"), "{why}");
    world.plane.stop().await;
}

fn serial_of(joined: &JoinResponse) -> String {
    let der = CertificateDer::from_pem_slice(joined.certificate.as_bytes()).expect("a certificate");
    scs_pki::Certificate::read(&der).expect("readable").serial
}

#[tokio::test]
async fn without_an_authority_nobody_joins() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Arc::new(Cluster::default()).start(directory.path()).await;
    let role = Purpose::Person { name: "alice".to_owned(), role: Role::Admin, environments: Vec::new() };
    let refused =
        plane.handle.make_token(TokenRequest { purpose: role, seconds: None }, "owner").await.expect_err("none");
    assert_eq!(refused.code, Code::Conflict);
    plane.stop().await;
}
