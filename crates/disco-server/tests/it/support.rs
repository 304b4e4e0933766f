//! A server with certificates, and clients that speak line by line.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use disco_server::{Handle, Options, Service, Traffic, http};
use scs_pki::{Authority, Files, Identity, Kind, Live, Order};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};
use tokio_util::sync::CancellationToken;

/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Waits for something that has to come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// An authority and what it issued.
pub struct World {
    pub place: tempfile::TempDir,
    pub authority: Authority,
}

impl World {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let authority = Authority::create(&place.path().join("ca"), "test", SystemTime::now()).unwrap();
        Self { place, authority }
    }

    pub fn directory(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A host that may provide in `prod/blog` and require in all of `prod`.
    pub fn host(&self, name: &str) -> Files {
        self.issue(Kind::Host, name, &["prod/blog"], &["prod/*"], SystemTime::now())
    }

    pub fn server(&self) -> Files {
        self.issue(Kind::Server, "disco1", &[], &[], SystemTime::now())
    }

    pub fn issue(&self, kind: Kind, name: &str, provide: &[&str], require: &[&str], now: SystemTime) -> Files {
        let mut identity = Identity::new(kind, name).unwrap();
        identity.provide = provide.iter().map(|scope| scope.parse().unwrap()).collect();
        identity.require = require.iter().map(|scope| scope.parse().unwrap()).collect();
        let addresses = if kind == Kind::Server { vec!["localhost".to_owned()] } else { Vec::new() };
        let issued = self.authority.issue(&Order { identity, addresses, valid: DAY }, now).unwrap();
        issued.write(&self.directory(name)).unwrap()
    }
}

/// A server and its HTTP API, ended when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub http: SocketAddr,
    pub handle: Handle,
    pub traffic: Arc<Traffic>,
    pub stop: CancellationToken,
    pub ended: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn options(tls: Option<Files>) -> Options {
    let tls = tls.map(|files| Arc::new(Live::open(files, Some([9; 32])).unwrap()));
    Options { hold: Duration::ZERO, tls, ..Options::new(SocketAddr::from(([127, 0, 0, 1], 0))) }
}

pub async fn start(options: Options) -> Server {
    let (tls, admit) = (options.tls.clone(), options.admit.clone());
    let disco = Service::bind(options).await.unwrap();
    let (address, handle, traffic) = (disco.local_addr(), disco.handle(), disco.traffic());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let api = http::Options { listen, tls, admit, version: "0".to_owned() };
    let api = http::Service::bind(api, handle.clone(), Arc::clone(&traffic)).await.unwrap();
    let http = api.local_addr();
    let stop = CancellationToken::new();
    let ended = tokio::spawn(disco.run(stop.clone()));
    tokio::spawn(api.run(stop.clone()));
    Server { address, http, handle, traffic, stop, ended: Some(ended) }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client that says and hears lines.
pub struct Client {
    stream: BufReader<Box<dyn Stream>>,
}

impl Client {
    pub async fn plain(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self { stream: BufReader::new(Box::new(stream)) }
    }

    pub async fn tls(address: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await?;
        Ok(Self { stream: BufReader::new(Box::new(stream)) })
    }

    /// Opens a session and says who it is.
    pub async fn open(&mut self) -> Value {
        let open = json!({"protocol": "disco/1", "agent": "test", "window": 60000});
        self.ask("session.open", open).await
    }

    pub async fn say(&mut self, method: &str, params: Value) {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string() + "\n";
        self.stream.write_all(line.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.say(method, params).await;
        self.hear().await.unwrap().expect("an answer")
    }

    /// The next line; `None` at the end.
    pub async fn hear(&mut self) -> std::io::Result<Option<Value>> {
        let mut line = String::new();
        let length = soon("a line", self.stream.read_line(&mut line)).await?;
        Ok((length > 0).then(|| serde_json::from_str(&line).unwrap()))
    }

    pub async fn provide(&mut self, name: &str) -> Value {
        self.ask("provide", json!({"name": name, "instance": "i1", "host": "192.0.2.1", "port": 80})).await
    }
}

/// A refusal's code.
pub fn code(answer: &Value) -> &str {
    answer["error"]["data"]["code"].as_str().unwrap_or_default()
}

/// A client of these files, which does not look at them as closely as ours do.
pub fn config(files: Option<&Files>, authorities: &str) -> Arc<ClientConfig> {
    use tokio_rustls::rustls::{
        RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match files {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&files.key).unwrap()).unwrap()
        }
    })
}

/// Status, headers and body of a request.
pub async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    request(&mut TcpStream::connect(address).await.unwrap(), path).await
}

pub async fn get_tls(address: SocketAddr, config: Arc<ClientConfig>, path: &str) -> (u16, String, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await.unwrap();
    request(&mut stream, path).await
}

async fn request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> (u16, String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon("an answer", stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}
