//! `scs server` as a process: what it refuses before it listens, how it ends, and that nobody notices its being killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use disco_client::{Handle, Name, Options, Provision, Query, Service, Withdraw};
use disco_proto::Reason;
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use crate::support::Place;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs, killed when dropped.
pub struct Server {
    child: Child,
    pub disco: SocketAddr,
    http: Option<SocketAddr>,
    log: Arc<std::sync::Mutex<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts it and waits until it says that it is ready.
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(&["server", "--log", "json"]);
        let mut child = command.args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(std::sync::Mutex::new(String::new()));
        let ready = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {}", log.lock().unwrap())).unwrap();
            log.lock().unwrap().push_str(&(line.clone() + "\n"));
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "scs server is ready" {
                break line;
            }
        };
        // A pipe that nobody reads would hold the server up.
        let rest = Arc::clone(&log);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| rest.lock().unwrap().push_str(&(line + "\n")))
        });
        let address = |name: &str| ready[name].as_str().and_then(|address| address.parse().ok());
        Self { child, disco: address("disco").unwrap(), http: address("http"), log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "it did not end: {}", self.log.lock().unwrap());
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_listens() {
    let place = Place::new();
    for arguments in [
        ["server", "--listen", "0.0.0.0:0"].as_slice(),
        &["server", "--http", "[::]:0"],
        &["server", "--listen", "localhost"],
        &["server", "--heartbeat", "soon"],
        &["server", "--heartbeat", "1ms"],
        &["server", "--max-connections", "0"],
    ] {
        assert_eq!(place.code(arguments), 64, "{arguments:?}");
    }
    let refused = place.shown(&["server", "--certificates", "nowhere"]);
    assert!(refused.starts_with("exit 1\n") && refused.contains("nowhere/ca.crt"), "{refused}");
    assert!(refused.contains("nothing was started"), "{refused}");

    place.stdout(&["ca", "init"]);
    let host = place.stdout(&["ca", "issue", "host", "web1", "--provide", "*/*"]);
    let refused = place.shown(&["server", "--certificates", host.trim_end()]);
    assert!(refused.contains("is the certificate of host web1, not of a server"), "{refused}");
}

#[test]
fn it_answers_tells_its_clients_when_it_ends_and_takes_a_directory_for_itself() {
    let place = Place::new();
    let ports = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let mut server = Server::start(&place, &ports);
    let locked = place.command(&["server"]).args(ports).output().unwrap();
    assert_eq!(locked.status.code(), Some(75));

    let mut page = TcpStream::connect(server.http.unwrap()).unwrap();
    page.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    page.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"complete":false,"rev":0}"#), "{answer}");

    let mut client = TcpStream::connect(server.disco).unwrap();
    let open = r#"{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"protocol":"disco/1","agent":"test"}}"#;
    client.write_all(format!("{open}\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("\"session\""));
    server.signal(Signal::TERM);
    assert!(lines.next().unwrap().unwrap().contains("\"method\":\"drain\""));
    assert!(lines.next().is_none(), "then it closes");
    assert_eq!(server.wait(), 0);
    let secret = place.path().join("state/server/disco.secret");
    assert_eq!(std::fs::metadata(secret).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn a_new_certificate_is_taken_up_on_sighup() {
    let place = Place::new();
    place.stdout(&["ca", "init"]);
    let issue = || place.stdout(&["ca", "issue", "server", "disco1", "--address", "localhost"]).trim_end().to_owned();
    let directory = issue();
    let server = Server::start(&place, &["--listen", "127.0.0.1:0", "--http", "off", "--certificates", &directory]);
    issue();
    server.signal(Signal::HUP);
    let deadline = Instant::now() + PATIENCE;
    while !server.log.lock().unwrap().contains("a new certificate is used") {
        assert!(Instant::now() < deadline, "{}", server.log.lock().unwrap());
        std::thread::yield_now();
    }
}

/// Providers, each a session of its own.
const PROVIDERS: usize = 20;
/// Endpoints of each.
const EACH: usize = 5;

/// Twice the longest pause of a client between two attempts: a hold as short as that pause promises nothing on a busy machine.
const HOLD: &str = "10s";

/// Kills the server again and again while endpoints come and go. `SCS_KILL_ROUNDS` says how often; a hundred rounds take minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_drops_nobody_who_lives() {
    let rounds = std::env::var("SCS_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2);
    let place = Place::new();
    let mut server = Server::start(&place, &["--listen", "127.0.0.1:0", "--http", "off", "--hold", HOLD]);
    let address = server.disco.to_string();
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();

    let mut providers = Vec::new();
    for number in 0..PROVIDERS {
        let handle = client(&address, &format!("host{number}"), &stop);
        for endpoint in 0..EACH {
            handle.provide(provision("stays", &format!("i{number}-{endpoint}"))).await.unwrap();
        }
        providers.push(handle);
    }
    let watcher = client(&address, "watcher", &stop);
    let mut stays = watcher.require("stays", Query::of(&name("stays")), Vec::new());
    let all = PROVIDERS * EACH;
    until(&mut stays, "everybody to be there", |set| set.endpoints.len() == all).await;

    // Sees every set there is, and remembers whether anybody was ever missing.
    let missing = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&missing);
    let looking = tokio::spawn(async move {
        loop {
            let set = stays.changed().await;
            stays.applied(set.seq).await;
            if set.endpoints.len() < all || !set.gone.is_empty() {
                seen.store(true, Ordering::Relaxed);
            }
        }
    });
    let churn = client(&address, "churn", &stop);
    let ended = stop.clone();
    let churning = tokio::spawn(async move {
        for round in 0_u64.. {
            // Once its client has ended nothing here waits any more, and a loop that never waits keeps a failed test from ending.
            if ended.is_cancelled() {
                break;
            }
            let instance = format!("c{}", round % 50);
            // While no server is there, these wait or fail: that is the load.
            let _ = churn.provide(provision("churns", &instance)).await;
            let _ = churn.withdraw(&name("churns"), &instance, Withdraw::now(Reason::Left)).await;
        }
    });

    for round in 0..rounds {
        let mut back = Vec::new();
        for handle in providers.iter().chain([&watcher]) {
            back.push(handle.connected());
        }
        server.signal(Signal::KILL);
        server.wait();
        server = Server::start(&place, &["--listen", &address, "--http", "off", "--hold", HOLD]);
        for connected in &mut back {
            let waited = tokio::time::timeout(PATIENCE, connected.wait_for(|connected| *connected)).await;
            waited.unwrap_or_else(|_| panic!("round {round}: not everybody came back")).unwrap();
        }
        // Past the hold: what was not claimed would be dropped now.
        let mut after = watcher.require(format!("after{round}"), Query::of(&name("stays")), Vec::new());
        until(&mut after, "the end of the hold", |set| set.complete && set.endpoints.len() == all).await;
        assert!(!missing.load(Ordering::Relaxed), "round {round}: somebody who lives was dropped");
    }
    looking.abort();
    churning.abort();
}

fn name(endpoint: &str) -> Name {
    Name::new("test", "kill", "role", endpoint).unwrap()
}

fn provision(endpoint: &str, instance: &str) -> Provision {
    Provision::new(name(endpoint), instance, "192.0.2.1", 80)
}

fn client(address: &str, host: &str, stop: &CancellationToken) -> Handle {
    let (service, handle) = Service::new(Options {
        address: address.to_owned(),
        agent: host.to_owned(),
        attributes: [("host".to_owned(), host.to_owned())].into(),
        window: Duration::from_secs(30),
        cache: None,
        tls: None,
    });
    tokio::spawn(service.run(stop.clone()));
    handle
}

async fn until(
    subscription: &mut disco_client::Subscription,
    what: &str,
    wanted: impl Fn(&disco_client::EndpointSet) -> bool,
) {
    let waiting = async {
        while !wanted(&subscription.current()) {
            subscription.changed().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "waited for {what}; there are {} endpoints", subscription.current().endpoints.len());
}
