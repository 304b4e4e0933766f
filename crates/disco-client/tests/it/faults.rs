//! Lines that are slow, half-open, or break in the middle of a message; and several servers.

use std::time::Duration;

use scs_testkit::Proxy;

use crate::support::{
    Client, Server, addresses, client_options, eventually, mysql, mysql_query, server_options, wait_set,
};

#[tokio::test]
async fn a_reset_in_the_middle_of_a_line_loses_nothing_and_drops_nothing() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address).await;
    let provider = Client::start(&server, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let subscriber = Client::with(client_options(proxy.address, "subscriber"));
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    let mut expected = wait_set(&mut subscription, "found", |set| set.endpoints.len() == 1).await.seq;
    // Wherever in a line it breaks: within its first word, its endpoint, or just before its end.
    for (number, bytes) in [1, 17, 60, 150, 250].into_iter().enumerate() {
        proxy.reset_after(bytes);
        let port = u16::try_from(number + 2).unwrap();
        provider.handle.provide(mysql(&format!("b{number}"), port)).await.unwrap();
        let holds = |set: &disco_client::EndpointSet| {
            set.stale_since.is_none() && set.endpoints.iter().any(|endpoint| endpoint.port == port)
        };
        let set = wait_set(&mut subscription, "told in spite of it", holds).await;
        expected += 1;
        assert_eq!((set.seq, set.endpoints.len(), set.gone.len()), (expected, number + 2, 0), "{set:?}");
        eventually("the line to have been broken", || async {
            if proxy.has_reset() { Ok(()) } else { Err("it is whole".to_owned()) }
        })
        .await;
        wait_set(&mut subscription, "confirmed", |set| set.stale_since.is_none()).await;
    }
}

#[tokio::test]
async fn a_line_that_is_slow_is_only_slow() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address).await;
    proxy.slow(7, Duration::from_micros(200));
    let provider = Client::start(&server, "provider");
    let subscriber = Client::with(client_options(proxy.address, "subscriber"));
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "answered", |set| set.complete).await;
    for port in 1..=200 {
        provider.handle.provide(mysql("a", port)).await.unwrap();
    }
    let set = wait_set(&mut subscription, "the last", |set| addresses(set) == ["192.0.2.11:200"]).await;
    assert!(set.seq < 200, "states in between are skipped: {}", set.seq);
    assert_eq!(set.stale_since, None, "and it is never cut off");
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_the_next_server_is_asked() {
    let mut options = server_options("127.0.0.1:0".parse().unwrap());
    options.heartbeat = Duration::from_millis(100);
    let server = Server::with(options).await;
    let (one, two) = (Proxy::to(server.address).await, Proxy::to(server.address).await);
    let mut options = client_options(one.address, "subscriber");
    options.address = format!("{}, {}", one.address, two.address);
    let subscriber = Client::with(options);
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "answered", |set| set.complete).await;
    let provider = Client::start(&server, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    wait_set(&mut subscription, "found", |set| set.endpoints.len() == 1).await;

    // No byte passes any more, and nobody says so.
    one.stop();
    provider.handle.provide(mysql("b", 2)).await.unwrap();
    let set = wait_set(&mut subscription, "told over the other", |set| set.endpoints.len() == 2).await;
    assert_eq!((set.stale_since, set.gone.len()), (None, 0), "{set:?}");
}

#[tokio::test]
async fn the_first_server_that_answers_is_taken_and_the_others_are_no_trouble() {
    let nobody = {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        holder.local_addr().unwrap()
    };
    let server = Server::start().await;
    let mut options = client_options(nobody, "client");
    options.address = format!("{nobody},{}", server.address);
    let client = Client::with(options);
    client.handle.provide(mysql("a", 1)).await.unwrap();
    assert_eq!(*client.handle.trouble().borrow(), None);

    // Once none is left, there is trouble, and it names what was tried last.
    server.stop().await;
    let mut trouble = client.handle.trouble();
    let why = tokio::time::timeout(crate::support::DEADLINE, trouble.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert!(why.as_deref().is_some_and(|why| why.contains("refused")), "{why:?}");
}
