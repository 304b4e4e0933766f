//! Over TLS: a line in front of the server that takes nobody without a certificate.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use disco_client::{Options, Tls};
use scs_pki::{Authority, Identity, Kind, Live, Order};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::support::{Client, DEADLINE, Server, addresses, client_options, mysql, mysql_query, wait_set};

/// Ends TLS in front of a plain server, and tells of each handshake whether it resumed a session.
struct Front {
    address: SocketAddr,
    handshakes: mpsc::UnboundedReceiver<bool>,
    cut: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl Front {
    async fn of(server: SocketAddr, credentials: Arc<Live>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, handshakes) = mpsc::unbounded_channel();
        let (cut, cuts) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = tokio_rustls::TlsAcceptor::from(credentials.disco_server());
                let (sender, mut cuts) = (sender.clone(), cuts.clone());
                lines.spawn(async move {
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    let kind = client.get_ref().1.handshake_kind();
                    let _ = sender.send(kind == Some(rustls::HandshakeKind::Resumed));
                    let mut server = tokio::net::TcpStream::connect(server).await.unwrap();
                    cuts.mark_unchanged();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, handshakes, cut, _tasks: tasks }
    }
}

/// What `name` connects with, or takes connections with.
fn credentials(authority: &Authority, place: &Path, kind: Kind, name: &str) -> Arc<Live> {
    let identity = Identity::new(kind, name).unwrap();
    let addresses = if kind == Kind::Server { vec!["127.0.0.1".to_owned()] } else { Vec::new() };
    let order = Order { identity, addresses, valid: Duration::from_secs(3600) };
    let files = authority.issue(&order, SystemTime::now()).unwrap().write(&place.join(name)).unwrap();
    Arc::new(Live::open(files, None).unwrap())
}

fn secured(address: SocketAddr, agent: &str, credentials: Arc<Live>) -> Options {
    Options { tls: Some(Tls::new(move || credentials.client())), ..client_options(address, agent) }
}

#[tokio::test]
async fn a_secured_conversation_is_like_a_plain_one_and_its_next_connection_resumes_the_session() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::create(&place.path().join("ca"), "test", SystemTime::now()).unwrap();
    let server = Server::start().await;
    let of_server = credentials(&authority, place.path(), Kind::Server, "disco1");
    let mut front = Front::of(server.address, of_server).await;
    let of_client = credentials(&authority, place.path(), Kind::Host, "web1");
    let client = Client::with(secured(front.address, "client", of_client));
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    for port in 1..=50 {
        client.handle.provide(mysql(&format!("run-{port:02}"), port)).await.unwrap();
    }
    let set = wait_set(&mut subscription, "all of them", |set| set.endpoints.len() == 50).await;
    assert_eq!(front.handshakes.recv().await, Some(false));

    front.cut.send_modify(|count| *count += 1);
    let resumed = tokio::time::timeout(DEADLINE, front.handshakes.recv()).await.expect("another handshake");
    assert_eq!(resumed, Some(true));
    let back = wait_set(&mut subscription, "back", |set| set.stale_since.is_none()).await;
    assert_eq!((back.seq, addresses(&back)), (set.seq, addresses(&set)), "and nobody noticed");
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_spoken_to_and_the_trouble_says_why() {
    let place = tempfile::tempdir().unwrap();
    let ours = Authority::create(&place.path().join("ours"), "ours", SystemTime::now()).unwrap();
    let theirs = Authority::create(&place.path().join("theirs"), "theirs", SystemTime::now()).unwrap();
    let server = Server::start().await;
    let front = Front::of(server.address, credentials(&theirs, place.path(), Kind::Server, "disco1")).await;
    let client = Client::with(secured(front.address, "client", credentials(&ours, place.path(), Kind::Host, "web1")));
    let mut trouble = client.handle.trouble();
    let why = tokio::time::timeout(DEADLINE, trouble.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert!(why.as_deref().is_some_and(|why| why.contains("UnknownIssuer")), "{why:?}");
}
