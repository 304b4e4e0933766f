//! A server that says what a test tells it to: what the client makes of an unusual one.

use std::time::{Duration, Instant};

use disco_client::Options;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::support::{Client, DEADLINE, addresses, client_options, mysql_query, wait_set};

struct Script {
    stream: BufReader<TcpStream>,
}

fn endpoint(instance: &str, port: u16) -> String {
    let provision = crate::support::mysql(instance, port);
    let endpoint = serde_json::to_string(&disco_client::Endpoint::of(&provision));
    endpoint.unwrap()
}

impl Script {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = tokio::time::timeout(DEADLINE, listener.accept()).await.expect("a client").unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// The next line that is no ping.
    async fn hear(&mut self) -> serde_json::Value {
        loop {
            let line = self.line().await;
            if line["method"] != "ping" {
                return line;
            }
        }
    }

    async fn line(&mut self) -> serde_json::Value {
        let mut line = String::new();
        tokio::time::timeout(DEADLINE, self.stream.read_line(&mut line)).await.expect("a line").unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    async fn say(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn answer(&mut self, to: &serde_json::Value, result: &str) {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, to["id"]);
        self.say(&line).await;
    }

    /// Opens the session, with this heartbeat.
    async fn open(&mut self, heartbeat: u64) -> serde_json::Value {
        let open = self.hear().await;
        assert_eq!(open["method"], "session.open");
        let result = format!(
            r#"{{"session":"s.1","token":"t","resumed":false,"epoch":"e","heartbeat":{heartbeat},"window":3000}}"#
        );
        self.answer(&open, &result).await;
        open
    }
}

async fn scripted() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = client_options(listener.local_addr().unwrap(), "client");
    (listener, options)
}

#[tokio::test]
async fn a_gap_is_reported_and_the_snapshot_after_it_is_the_truth() {
    let (listener, options) = scripted().await;
    let client = Client::with(options);
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    let mut server = Script::accept(&listener).await;
    server.open(1000).await;
    let require = server.hear().await;
    assert_eq!(require["method"], "require");
    server.answer(&require, &format!(r#"{{"seq":1,"rev":1,"complete":true,"add":[{}]}}"#, endpoint("a", 1))).await;
    let set = wait_set(&mut subscription, "told", |set| set.endpoints.len() == 1).await;

    let change = r#"{"id":"db","seq":3,"rev":3,"complete":true,"drop":[{"key":"mysql/a","reason":"left"}]}"#;
    server.say(&format!(r#"{{"jsonrpc":"2.0","id":9,"method":"changed","params":{change}}}"#)).await;
    let gap = server.hear().await;
    assert_eq!((&gap["id"], &gap["error"]["data"]["code"]), (&9.into(), &"gap".into()), "{gap}");
    assert_eq!(subscription.current().seq, set.seq, "what does not follow is not believed");

    server.say(r#"{"jsonrpc":"2.0","method":"reset","params":{"id":"db","why":"3 follows 1"}}"#).await;
    let whole = format!(r#"{{"id":"db","seq":1,"rev":4,"complete":true,"endpoints":[{}]}}"#, endpoint("b", 2));
    server.say(&format!(r#"{{"jsonrpc":"2.0","id":10,"method":"snapshot","params":{whole}}}"#)).await;
    let set = wait_set(&mut subscription, "the truth", |set| addresses(set) == ["192.0.2.11:2"]).await;
    let received = server.hear().await;
    assert_eq!((&received["id"], &received["result"]), (&10.into(), &serde_json::json!({})), "{received}");
    subscription.applied(set.seq).await;
    let applied = server.hear().await;
    assert_eq!((&applied["method"], &applied["params"]["seq"]), (&"applied".into(), &1.into()), "{applied}");
}

#[tokio::test]
async fn heartbeats_come_as_often_as_the_server_says_and_as_seldom() {
    let (listener, options) = scripted().await;
    let _client = Client::with(options);
    let mut server = Script::accept(&listener).await;
    server.open(30).await;
    let first = server.line().await;
    assert_eq!(first["method"], "ping");
    // The server has more clients now and wants to hear less of each.
    server.answer(&first, r#"{"heartbeat":400}"#).await;
    let second = server.line().await;
    server.answer(&second, r#"{"heartbeat":400}"#).await;
    let since = Instant::now();
    let third = server.line().await;
    assert_eq!((&second["method"], &third["method"]), (&"ping".into(), &"ping".into()));
    assert!(since.elapsed() > Duration::from_millis(200), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_that_is_sent_away_comes_back_with_its_session_and_what_it_knows() {
    let (listener, options) = scripted().await;
    let client = Client::with(options);
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    let mut server = Script::accept(&listener).await;
    let opened = server.open(1000).await;
    assert_eq!(opened["params"]["resume"], serde_json::Value::Null);
    let require = server.hear().await;
    server.answer(&require, &format!(r#"{{"seq":1,"rev":1,"complete":true,"add":[{}]}}"#, endpoint("a", 1))).await;
    wait_set(&mut subscription, "told", |set| set.endpoints.len() == 1).await;
    let since = Instant::now();
    server.say(r#"{"jsonrpc":"2.0","method":"drain","params":{"retry_after":150}}"#).await;

    let mut server = Script::accept(&listener).await;
    assert!(since.elapsed() >= Duration::from_millis(150), "{:?}", since.elapsed());
    let opened = server.open(1000).await;
    assert_eq!(opened["params"]["resume"], serde_json::json!({"session": "s.1", "token": "t"}));
    let require = server.hear().await;
    assert!(require["params"]["known"]["mysql/a"].is_string(), "{require}");
    // A server that has not heard of everyone drops nothing.
    server.answer(&require, r#"{"seq":1,"rev":1,"complete":false}"#).await;
    let set = wait_set(&mut subscription, "back", |set| set.stale_since.is_none()).await;
    assert_eq!((addresses(&set), set.complete), (vec!["192.0.2.11:1".to_owned()], false));
}

#[tokio::test]
async fn a_refused_session_is_trouble_that_says_why() {
    let (listener, options) = scripted().await;
    let client = Client::with(options);
    let mut server = Script::accept(&listener).await;
    let open = server.hear().await;
    let failure = r#"{"code":-32001,"message":"this server speaks disco/2","data":{"code":"protocol_mismatch"}}"#;
    server.say(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{failure}}}"#, open["id"])).await;
    let mut trouble = client.handle.trouble();
    let why = tokio::time::timeout(DEADLINE, trouble.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert!(why.as_deref().is_some_and(|why| why.contains("this server speaks disco/2")), "{why:?}");
}

#[tokio::test]
async fn a_requirement_that_is_refused_says_so_and_keeps_nothing_waiting() {
    let (listener, options) = scripted().await;
    let client = Client::with(options);
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    let mut server = Script::accept(&listener).await;
    server.open(1000).await;
    let require = server.hear().await;
    let failure = r#"{"code":-32602,"message":"not for you","data":{"code":"invalid_params"}}"#;
    server.say(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{failure}}}"#, require["id"])).await;
    let set = wait_set(&mut subscription, "refused", |set| set.refused.is_some()).await;
    assert_eq!(set.refused.map(|failure| failure.message), Some("not for you".to_owned()));
}
