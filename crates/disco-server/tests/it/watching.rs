//! `GET /v1/watch`.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::support::{Client, options, soon, start};

/// Reads events.
struct Watch {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
}

impl Watch {
    async fn begin(address: SocketAddr, query: &str, known: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let known = known.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /v1/watch{query} HTTP/1.1\r\nHost: localhost\r\n{known}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { lines: BufReader::new(stream).lines() }
    }

    /// Name, id and content of the next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        let (mut name, mut id, mut data) = (String::new(), String::new(), Value::Null);
        loop {
            let line = soon("an event", self.lines.next_line()).await.unwrap()?;
            if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("id: ") {
                text.clone_into(&mut id);
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = serde_json::from_str(text).unwrap();
            } else if line.is_empty() && !name.is_empty() {
                return Some((name, id, data));
            }
        }
    }
}

#[tokio::test]
async fn what_is_there_comes_first_and_then_every_change_with_its_reason() {
    let server = start(options(None)).await;
    let mut client = Client::plain(server.address).await;
    client.open().await;
    client.provide("prod/blog/wordpress/http").await;
    let mut watch = Watch::begin(server.http, "?environment=prod&service=blog", None).await;
    let (name, _, present) = watch.next().await.unwrap();
    assert_eq!(name, "present");
    assert_eq!(present["endpoints"][0]["name"], "prod/blog/wordpress/http");
    assert_eq!(present["complete"], true);

    client.provide("prod/shop/web/http").await;
    client.provide("prod/blog/mysql/mysql").await;
    let (name, _, change) = watch.next().await.unwrap();
    assert_eq!((name.as_str(), &change["change"]), ("change", &json!("added")));
    assert_eq!(change["endpoint"]["name"], "prod/blog/mysql/mysql", "the shop is not asked for");
    let died = json!({"name": "prod/blog/mysql/mysql", "instance": "i1", "reason": "died"});
    client.ask("withdraw", died).await;
    let (_, id, change) = watch.next().await.unwrap();
    assert_eq!((&change["change"], &change["reason"]), (&json!("dropped"), &json!("died")));

    let mut again = Watch::begin(server.http, "", Some(&id)).await;
    assert_eq!(again.next().await.unwrap().0, "unchanged", "nothing has happened since");
    client.provide("prod/blog/mysql/mysql").await;
    assert_eq!(again.next().await.unwrap().2["change"], "added");
    let mut late = Watch::begin(server.http, "", Some(&id)).await;
    assert_eq!(late.next().await.unwrap().0, "present", "something has");

    server.stop.cancel();
    while watch.next().await.is_some() {}
}
