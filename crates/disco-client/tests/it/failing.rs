//! Connections that break, fall silent, or never were.

use std::time::Duration;

use disco_client::{Cause, List, Reason};
use scs_testkit::Proxy;

use crate::support::{
    Client, Server, addresses, client_options, eventually, mysql, mysql_query, server_options, wait_set,
};

#[tokio::test]
async fn a_cut_connection_is_resumed_and_nobody_notices() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address).await;
    let provider = Client::with(client_options(proxy.address, "provider"));
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let subscriber = Client::start(&server, "subscriber");
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    let before = wait_set(&mut subscription, "found", |set| set.endpoints.len() == 1).await;

    let mut connected = provider.handle.connected();
    proxy.cut();
    connected.wait_for(|connected| !connected).await.unwrap();
    connected.wait_for(|connected| *connected).await.unwrap();
    provider.handle.provide(mysql("b", 2)).await.unwrap();
    let after = wait_set(&mut subscription, "the second is found", |set| set.endpoints.len() == 2).await;
    assert_eq!((after.seq, after.gone.len()), (before.seq + 1, 0), "{after:?}");
    let view = server.handle.snapshot().await.unwrap();
    assert_eq!(view.sessions.len(), 2, "the session was resumed: {:?}", view.sessions);
}

#[tokio::test]
async fn a_subscriber_that_was_cut_off_gets_the_difference() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address).await;
    let provider = Client::start(&server, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let subscriber = Client::with(client_options(proxy.address, "subscriber"));
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "found", |set| set.endpoints.len() == 1).await;

    proxy.stop();
    proxy.cut();
    let stale = wait_set(&mut subscription, "marked stale", |set| set.stale_since.is_some()).await;
    assert_eq!(addresses(&stale), ["192.0.2.11:1"], "the endpoints stay");
    provider.handle.provide(mysql("b", 2)).await.unwrap();
    proxy.go_on();
    let set = wait_set(&mut subscription, "back", |set| set.stale_since.is_none()).await;
    assert_eq!(addresses(&set), ["192.0.2.11:1", "192.0.2.11:2"]);
    assert_eq!(set.seq, stale.seq + 1);
}

#[tokio::test]
async fn a_silent_provider_expires_and_comes_back() {
    let mut options = server_options("127.0.0.1:0".parse().unwrap());
    options.heartbeat = Duration::from_millis(100);
    let server = Server::with(options).await;
    let proxy = Proxy::to(server.address).await;
    let provider = Client::with(client_options(proxy.address, "provider"));
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let subscriber = Client::start(&server, "subscriber");
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "found", |set| set.endpoints.len() == 1).await;
    proxy.stop();
    let set = wait_set(&mut subscription, "expired", |set| set.endpoints.is_empty()).await;
    assert_eq!(set.gone[0].1, Reason::Expired);
    proxy.go_on();
    let set = wait_set(&mut subscription, "back", |set| !set.endpoints.is_empty()).await;
    assert!(set.gone.is_empty(), "what came back is not gone: {set:?}");
}

#[tokio::test]
async fn an_ended_provider_is_lost_after_its_window() {
    let server = Server::start().await;
    let mut options = client_options(server.address, "provider");
    options.window = Duration::from_millis(200);
    let provider = Client::with(options);
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let subscriber = Client::start(&server, "subscriber");
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "found", |set| set.endpoints.len() == 1).await;
    provider.kill().await;
    let set = wait_set(&mut subscription, "lost", |set| set.endpoints.is_empty()).await;
    assert_eq!(set.gone[0].1, Reason::Lost);
}

#[tokio::test]
async fn what_is_asked_before_a_server_is_there_is_done_when_it_comes() {
    // A port that is free for the moment, and stays so: nobody else is given it that soon.
    let address = {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        holder.local_addr().unwrap()
    };
    let client = Client::with(client_options(address, "client"));
    let handle = client.handle.clone();
    let providing = tokio::spawn(async move { handle.provide(mysql("a", 1)).await });
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    assert!(subscription.current().endpoints.is_empty());
    let _server = Server::with(server_options(address)).await;
    providing.await.unwrap().unwrap();
    wait_set(&mut subscription, "found", |set| set.endpoints.len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_server_a_request_gives_up_and_says_what_goes_on() {
    // Nobody runs the service, so nothing ever answers; the clock runs ahead.
    let (_service, handle) = disco_client::Service::new(client_options("127.0.0.1:1".parse().unwrap(), "client"));
    let error = handle.provide(mysql("a", 1)).await.unwrap_err();
    assert!(error.retried && matches!(error.cause, Cause::Unreachable { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "disco: cannot provide dev/blog/mysql/mysql as a; it is tried again in the background"
    );
    let error = handle.resolve(mysql_query()).await.unwrap_err();
    assert!(!error.retried, "{error:?}");
}

#[tokio::test]
async fn a_refused_identity_is_taken_once_its_owner_is_gone() {
    let server = Server::start().await;
    let (here, there) = (Client::start(&server, "here"), Client::start(&server, "there"));
    here.handle.provide(mysql("a", 1)).await.unwrap();
    let error = there.handle.provide(mysql("a", 2)).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Refused(failure) if failure.code.as_str() == "owned_by_other"), "{error:?}");
    assert!(error.retried);
    here.handle.close().await.unwrap();
    eventually("the other one has it", || async {
        let endpoints = there.handle.resolve(mysql_query()).await.unwrap();
        if endpoints.iter().any(|endpoint| endpoint.port == 2) { Ok(()) } else { Err(format!("{endpoints:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_dropped_subscription_is_no_longer_there() {
    let server = Server::start().await;
    let client = Client::start(&server, "client");
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "answered", |set| set.complete).await;
    let listing = client.handle.list(List::default()).await.unwrap();
    assert_eq!((listing.requirements.len(), listing.requirements[0].id.as_str()), (1, "db"));
    drop(subscription);
    eventually("it is gone", || async {
        let left = client.handle.list(List::default()).await.unwrap().requirements;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}
