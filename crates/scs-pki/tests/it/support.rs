//! An authority, its certificates, and a handshake without a network.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::{Duration, SystemTime},
};

use scs_pki::{
    Authority, Files, Identity, Kind, Live, Order, Trouble, identity_of,
    rustls::{
        ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        version::TLS13,
    },
};

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// An authority and a place for what it issues.
pub struct World {
    pub place: tempfile::TempDir,
    pub authority: Authority,
}

/// Both ends of a handshake that was made.
#[derive(Debug)]
pub struct Met {
    pub identity: Result<Identity, Trouble>,
    pub kind: HandshakeKind,
}

/// What each end says of a handshake that was not.
#[derive(Debug)]
pub struct Refused {
    pub client: Option<Trouble>,
    pub server: Option<Trouble>,
}

impl World {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let authority = Authority::create(&place.path().join("ca"), "test", SystemTime::now()).unwrap();
        Self { place, authority }
    }

    /// `disco1` is a server, everybody else a host.
    pub fn files(&self, name: &str) -> Files {
        self.files_at(name, SystemTime::now())
    }

    pub fn files_at(&self, name: &str, now: SystemTime) -> Files {
        self.order(name, if name == "disco1" { &["localhost", "127.0.0.1"] } else { &[] }, now)
    }

    /// With addresses, also for a host.
    pub fn files_for(&self, name: &str, addresses: &[&str]) -> Files {
        self.order(name, addresses, SystemTime::now())
    }

    fn order(&self, name: &str, addresses: &[&str], now: SystemTime) -> Files {
        let kind = if name == "disco1" { Kind::Server } else { Kind::Host };
        let mut identity = Identity::new(kind, name).unwrap();
        identity.provide.push("prod/blog".parse().unwrap());
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        let issued = self.authority.issue(&Order { identity, addresses, valid: DAY }, now).unwrap();
        issued.write(&self.place.path().join(name)).unwrap()
    }

    pub fn server(&self) -> Live {
        Live::open(self.files("disco1"), Some([7; 32])).unwrap()
    }

    pub fn host(&self, name: &str) -> Live {
        Live::open(self.files(name), None).unwrap()
    }
}

/// A client that does not look at its own certificate first.
pub fn trusting(files: &Files, authorities: &str) -> Arc<ClientConfig> {
    let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    Arc::new(builder(authorities).with_client_auth_cert(chain, key).unwrap())
}

pub fn without_certificate(authorities: &str) -> Arc<ClientConfig> {
    Arc::new(builder(authorities).with_no_client_auth())
}

fn builder(
    authorities: &str,
) -> scs_pki::rustls::ConfigBuilder<ClientConfig, scs_pki::rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
}

/// Shakes hands in memory, and passes a byte each way, after which everything has been said.
pub fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Result<Met, Refused> {
    let mut client = ClientConnection::new(Arc::clone(client), name.to_owned().try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    client.writer().write_all(b"x").unwrap();
    server.writer().write_all(b"y").unwrap();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut refused = Refused { client: None, server: None };
    for _ in 0..10 {
        let _ = client.write_tls(&mut to_server);
        refused.server = refused.server.or(pass(&mut to_server, |bytes| server.read_tls(bytes))
            .or_else(|| server.process_new_packets().err().map(|error| Trouble::of_tls(&error))));
        let _ = server.write_tls(&mut to_client);
        refused.client = refused.client.or(pass(&mut to_client, |bytes| client.read_tls(bytes))
            .or_else(|| client.process_new_packets().err().map(|error| Trouble::of_tls(&error))));
    }
    if refused.client.is_some() || refused.server.is_some() {
        return Err(refused);
    }
    let mut byte = [0];
    client.reader().read_exact(&mut byte).expect("the server was heard");
    server.reader().read_exact(&mut byte).expect("the client was heard");
    let identity = identity_of(&server, SystemTime::now());
    Ok(Met { identity, kind: server.handshake_kind().unwrap() })
}

fn pass(bytes: &mut Vec<u8>, mut read: impl FnMut(&mut &[u8]) -> io::Result<usize>) -> Option<Trouble> {
    let taken = std::mem::take(bytes);
    let mut rest = taken.as_slice();
    while !rest.is_empty() {
        match read(&mut rest) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    None
}
