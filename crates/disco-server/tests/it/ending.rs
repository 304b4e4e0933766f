//! How a server ends, and clients that read slowly meanwhile.

use serde_json::json;

use crate::support::{Client, World, code, options, soon, start};

#[tokio::test]
async fn an_ending_server_tells_its_clients_to_come_back() {
    let world = World::new();
    let mut server = start(options(Some(world.server()))).await;
    let live = scs_pki::Live::open(world.host("web1"), None).unwrap();
    let mut client = Client::tls(server.address, live.client()).await.unwrap();
    client.open().await;
    server.stop.cancel();
    let drain = client.hear().await.unwrap().unwrap();
    assert_eq!(drain["method"], "drain");
    assert_eq!(client.hear().await.unwrap(), None, "then it is closed");
    soon("its end", server.ended.take().unwrap()).await.unwrap();
}

#[tokio::test]
async fn more_than_a_socket_takes_reaches_a_slow_reader_over_tls() {
    let world = World::new();
    let server = start(options(Some(world.server()))).await;
    let live = scs_pki::Live::open(world.host("web1"), None).unwrap();
    let mut client = Client::tls(server.address, live.client()).await.unwrap();
    client.open().await;
    let long = "x".repeat(1000);
    let attributes: serde_json::Map<_, _> = (0..60).map(|n| (format!("a{n}"), json!(long))).collect();
    for n in 0..20 {
        let provision = json!({"name": "prod/blog/wordpress/http", "instance": format!("i{n}"), "host": "192.0.2.1", "port": 80, "attributes": attributes});
        assert_eq!(code(&client.ask("provide", provision).await), "");
    }
    // Megabytes of answers, none of them read before all are asked for.
    for _ in 0..6 {
        client.say("list", json!({})).await;
    }
    for _ in 0..6 {
        let listing = client.hear().await.unwrap().unwrap();
        assert!(listing["result"]["provisions"].as_array().is_some_and(|provisions| provisions.len() > 5));
    }
}
