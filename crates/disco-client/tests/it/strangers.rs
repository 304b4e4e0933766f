//! Peers that do not speak as they should, typed by hand.

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::support::{Client, Server, mysql, mysql_query, wait_set};

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn a_person_can_type_it() {
    let server = Server::start().await;
    let mut stream = BufReader::new(TcpStream::connect(server.address).await.unwrap());
    stream.write_all(b"what?\n").await.unwrap();
    let answer = line(&mut stream).await;
    assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700"#), "{answer}");
    let open =
        r#"{"jsonrpc":"2.0","id":"me","method":"session.open","params":{"protocol":"disco/1","agent":"a person"}}"#;
    stream.write_all(format!("{open}\r\n\r\n").as_bytes()).await.unwrap();
    let answer = line(&mut stream).await;
    assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":"me","result":{"session":"#), "{answer}");
    stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"dance\"}\n").await.unwrap();
    let answer = line(&mut stream).await;
    assert!(answer.contains(r#""data":{"code":"method_not_found"}"#), "{answer}");
}

#[tokio::test]
async fn a_line_without_end_is_answered_and_the_connection_closed() {
    let server = Server::start().await;
    let mut stream = BufReader::new(TcpStream::connect(server.address).await.unwrap());
    let long = vec![b'x'; disco_proto::limits::LINE];
    stream.write_all(&long).await.unwrap();
    let answer = line(&mut stream).await;
    assert!(answer.contains(r#""data":{"code":"parse"}"#), "{answer}");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn one_that_does_not_read_hinders_nobody() {
    let server = Server::start().await;
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    let open = r#"{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"protocol":"disco/1","agent":"deaf"}}"#;
    deaf.write_all(format!("{open}\n").as_bytes()).await.unwrap();
    // It asks until nobody listens any more, and reads none of it.
    let ask = b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"list\"}\n".repeat(100);
    let asking = async {
        loop {
            if deaf.write_all(&ask).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let conversation = async {
        let client = Client::start(&server, "client");
        let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
        for port in 1..100 {
            client.handle.provide(mysql("a", port)).await.unwrap();
            wait_set(&mut subscription, "changed", |set| set.endpoints.iter().any(|one| one.port == port)).await;
        }
    };
    tokio::select! {
        () = asking => {}
        () = conversation => {}
    }
}
