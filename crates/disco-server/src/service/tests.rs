//! A whole server: what it prints, and what outlives it.

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinHandle,
};

use super::*;

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn nobody_gets_in_off_loopback_without_certificates() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let refused = Service::bind(Options::new(address.parse().unwrap())).await.unwrap_err();
        assert!(matches!(refused, Error::Exposed { .. }), "{refused}");
    }
    for address in ["127.0.0.1:0", "[::ffff:127.0.0.1]:0"] {
        Service::bind(Options::new(address.parse().unwrap())).await.unwrap();
    }
}

#[tokio::test]
async fn the_secret_is_in_nothing_that_is_printed() {
    let options = Options { secret: Some([201; 32]), ..Options::new(loopback()) };
    let core = disco_core::Options::new("epoch", [201; 32]);
    let printed = format!("{core:?} {options:?} {:?}", Service::bind(options.clone()).await.unwrap());
    assert!(printed.contains("heartbeat") && !printed.contains("201, 201"), "{printed}");
}

struct Server {
    client: BufReader<TcpStream>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(snapshot: PathBuf) -> Self {
        let options = Options { secret: Some([1; 32]), snapshot: Some(snapshot), ..Options::new(loopback()) };
        let service = Service::bind(options).await.unwrap();
        let (stop, address) = (CancellationToken::new(), service.local_addr());
        let task = tokio::spawn(service.run(stop.clone()));
        Self { client: BufReader::new(TcpStream::connect(address).await.unwrap()), stop, task }
    }

    async fn ask(&mut self, method: &str, params: &str) -> String {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}\n");
        self.client.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.client.read_line(&mut answer).await.unwrap();
        answer
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn text(answer: &str, member: &str) -> String {
    let (_, rest) = answer.split_once(&format!("\"{member}\":\"")).unwrap_or_else(|| panic!("{answer}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_session_outlives_its_server_with_what_it_provides() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry");
    let mut server = Server::start(path.clone()).await;
    let opened = server.ask("session.open", r#"{"protocol":"disco/1","agent":"a"}"#).await;
    let provide = r#"{"name":"dev/blog/mysql/mysql","instance":"x","host":"192.0.2.1","port":1}"#;
    server.ask("provide", provide).await;
    server.stop().await;

    let mut server = Server::start(path).await;
    let (session, token) = (text(&opened, "session"), text(&opened, "token"));
    let resume =
        format!(r#"{{"protocol":"disco/1","agent":"a","resume":{{"session":"{session}","token":"{token}"}}}}"#);
    let resumed = server.ask("session.open", &resume).await;
    assert!(resumed.contains(r#""resumed":true"#) && resumed.contains(r#""instance":"x""#), "{resumed}");
    assert_ne!(text(&opened, "epoch"), text(&resumed, "epoch"));
    server.stop().await;
}
