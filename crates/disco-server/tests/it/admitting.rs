//! Certificates that are revoked, and grants that come from elsewhere and change while everybody is connected.

use std::{collections::BTreeMap, sync::Arc};

use disco_server::{Admit, Grants, Holder, Options, Revoked, Scope};
use scs_pki::{Kind, Live};
use tokio::sync::watch;

use crate::support::{Client, World, code, config, get_tls, options, soon, start};

/// Where each host may provide, as somebody else says; who is not in it has been removed.
#[derive(Debug)]
struct Assigned(watch::Receiver<(u64, BTreeMap<String, Vec<Scope>>)>, watch::Receiver<u64>);

impl Admit for Assigned {
    fn admit(&self, holder: &Holder) -> Result<Grants, Revoked> {
        let (_, assigned) = &*self.0.borrow();
        let mut identity = holder.identity.clone();
        assert_eq!(identity.kind, Kind::Host);
        assert!(holder.serial.len() >= 8, "{holder:?}");
        identity.provide =
            assigned.get(&identity.name).ok_or_else(|| Revoked::new(holder, "alice removed it"))?.clone();
        Ok(identity.grants())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.1.clone()
    }
}

struct Orders {
    assigned: watch::Sender<(u64, BTreeMap<String, Vec<Scope>>)>,
    changes: watch::Sender<u64>,
}

impl Orders {
    fn new() -> (Self, Arc<dyn Admit>) {
        let (assigned, seen) = watch::channel(Default::default());
        let (changes, changed) = watch::channel(0);
        (Self { assigned, changes }, Arc::new(Assigned(seen, changed)))
    }

    fn assign(&self, host: &str, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        self.assigned.send_modify(|(_, assigned)| drop(assigned.insert(host.to_owned(), scopes)));
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn remove(&self, host: &str) {
        self.assigned.send_modify(|(_, assigned)| drop(assigned.remove(host)));
        self.changes.send_modify(|changes| *changes += 1);
    }
}

fn world() -> (World, Orders, Options) {
    let world = World::new();
    let (orders, admit) = Orders::new();
    let options = Options { admit: Some(admit), ..options(Some(world.server())) };
    (world, orders, options)
}

#[tokio::test]
async fn a_host_may_provide_what_is_assigned_to_it_whatever_its_certificate_says() {
    let (world, orders, options) = world();
    orders.assign("web1", &[]);
    let server = start(options).await;
    let live = Live::open(world.host("web1"), None).unwrap();
    let mut client = Client::tls(server.address, live.client()).await.unwrap();
    client.open().await;
    assert_eq!(code(&client.provide("prod/blog/wordpress/http").await), "forbidden");

    orders.assign("web1", &["prod/blog/wordpress"]);
    let granted = async { while code(&client.provide("prod/blog/wordpress/http").await) == "forbidden" {} };
    soon("what is assigned", granted).await;
    assert_eq!(code(&client.provide("prod/blog/mysql/mysql").await), "forbidden", "another role");

    orders.assign("web1", &["prod/shop"]);
    assert_eq!(code(&client.hear().await.unwrap().unwrap()), "forbidden");
    assert_eq!(client.hear().await.unwrap(), None, "and it is closed");
    assert!(server.handle.snapshot().await.unwrap().provisions.is_empty());
}

#[tokio::test]
async fn a_revoked_certificate_opens_nothing_and_what_it_had_open_ends() {
    let (world, orders, options) = world();
    for host in ["web1", "web2"] {
        orders.assign(host, &["prod/blog"]);
    }
    let server = start(options).await;
    // One that resumes its TLS session, too: a ticket outlives what it was given for.
    let (revoked, other) =
        (Live::open(world.host("web1"), None).unwrap(), Live::open(world.host("web2"), None).unwrap());
    let mut client = Client::tls(server.address, revoked.client()).await.unwrap();
    client.open().await;
    client.provide("prod/blog/wordpress/http").await;
    let mut bystander = Client::tls(server.address, other.client()).await.unwrap();
    bystander.open().await;

    orders.remove("web1");
    let told = client.hear().await.unwrap().unwrap();
    assert_eq!(code(&told), "certificate_revoked");
    assert!(
        told["error"]["message"].as_str().unwrap().contains("host web1 has been revoked: alice removed it"),
        "{told}"
    );
    assert_eq!(client.hear().await.unwrap(), None, "and it is closed");
    let mut again = Client::tls(server.address, revoked.client()).await.unwrap();
    assert_eq!(code(&again.hear().await.unwrap().unwrap()), "certificate_revoked");
    assert_eq!(again.hear().await.unwrap(), None);
    assert_eq!(server.traffic.refused()["certificate_revoked"], 1, "the one that was open is no refused connection");
    assert_eq!(code(&bystander.provide("prod/blog/wordpress/http").await), "owned_by_other", "kept for a moment");
}

#[tokio::test]
async fn the_http_api_shows_a_revoked_certificate_nothing() {
    let (world, orders, options) = world();
    orders.assign("web1", &["prod/blog"]);
    let files = world.host("web1");
    let server = start(options).await;
    let config = config(Some(&files), &world.authority.trusted());
    assert_eq!(get_tls(server.http, config.clone(), "/v1/endpoints").await.0, 200);
    orders.remove("web1");
    let (status, _, body) = get_tls(server.http, config, "/v1/endpoints").await;
    assert!(status == 403 && body.contains("\"certificate_revoked\""), "{status} {body}");
}

#[tokio::test]
async fn a_watch_follows_what_its_peer_may_see() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    let (world, orders, options) = world();
    orders.assign("web1", &["prod/blog"]);
    let files = world.issue(Kind::Host, "web1", &[], &[], std::time::SystemTime::now());
    let server = start(options).await;
    let stream = tokio::net::TcpStream::connect(server.http).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(config(Some(&files), &world.authority.trusted()));
    let mut stream = BufReader::new(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap());
    stream.write_all(b"GET /v1/watch HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    let mut until = async |words: &str| {
        while !seen.contains(words) {
            assert!(stream.read_line(&mut seen).await.unwrap() > 0, "it ended before {words}: {seen}");
        }
        seen.clear();
    };
    soon("what is there", until("event: present")).await;
    orders.assign("web1", &["prod/shop"]);
    soon("a new beginning", until("event: reset")).await;
    soon("what is there", until("event: present")).await;
    orders.remove("web1");
    // The last chunk of the answer.
    soon("its end", until("\r\n0\r\n")).await;
}
