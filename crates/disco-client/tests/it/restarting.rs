//! Servers that restart, and clients that do.

use std::time::Duration;

use disco_client::{Reason, Withdraw};

use crate::support::{Client, Server, addresses, mysql, mysql_query, name, server_options, wait_set};

#[tokio::test]
async fn a_restarted_server_is_not_noticed() {
    let first = Server::start().await;
    let address = first.address;
    let provider = Client::start(&first, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let subscriber = Client::start(&first, "subscriber");
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    let before = wait_set(&mut subscription, "found", |set| set.complete && !set.endpoints.is_empty()).await;

    first.stop().await;
    let stale = wait_set(&mut subscription, "marked stale", |set| set.stale_since.is_some()).await;
    assert_eq!(addresses(&stale), addresses(&before));
    let mut options = server_options(address);
    options.hold = Duration::from_secs(1);
    let second = Server::with(options).await;
    let seen = wait_set(&mut subscription, "confirmed again", |set| set.complete && set.stale_since.is_none()).await;
    assert_eq!((seen.seq, addresses(&seen)), (before.seq, addresses(&before)), "nothing changed: {seen:?}");
    let view = second.handle.snapshot().await.unwrap();
    assert_eq!((view.provisions.len(), view.complete), (1, true));

    // And it goes on from there.
    provider.handle.withdraw(&name("dev/blog/mysql/mysql"), "a", Withdraw::now(Reason::Left)).await.unwrap();
    wait_set(&mut subscription, "gone", |set| set.endpoints.is_empty()).await;
}

#[tokio::test]
async fn what_did_not_come_back_with_the_server_is_lost_when_the_hold_is_over() {
    let first = Server::start().await;
    let address = first.address;
    let provider = Client::start(&first, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let subscriber = Client::start(&first, "subscriber");
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "found", |set| !set.endpoints.is_empty()).await;
    provider.kill().await;
    first.stop().await;
    wait_set(&mut subscription, "marked stale", |set| set.stale_since.is_some()).await;
    let mut options = server_options(address);
    options.hold = Duration::from_millis(500);
    let _second = Server::with(options).await;
    let held = wait_set(&mut subscription, "confirmed", |set| set.stale_since.is_none()).await;
    assert!(held.complete || !held.endpoints.is_empty(), "nothing is dropped before: {held:?}");
    let set = wait_set(&mut subscription, "lost", |set| set.complete).await;
    assert_eq!(set.gone.iter().map(|gone| gone.1).collect::<Vec<_>>(), [Reason::Lost]);
}

#[tokio::test]
async fn the_last_known_endpoints_survive_the_process_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("state/disco.json");
    let server = Server::start().await;
    let address = server.address;
    let provider = Client::start(&server, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let client = Client::cached(address, "client", cache.clone());
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    let before = wait_set(&mut subscription, "found", |set| !set.endpoints.is_empty()).await;
    client.stop().await;
    server.stop().await;

    let client = Client::cached(address, "client", cache.clone());
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    let set = subscription.current();
    assert_eq!(set.endpoints, before.endpoints);
    assert!(set.stale_since.is_some() && !set.complete, "{set:?}");
    let other = client.handle.require("other", mysql_query(), Vec::new());
    assert!(other.sets.borrow().endpoints.is_empty());
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_broken_last_known_good_file_counts_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("disco.json");
    std::fs::write(&cache, b"{\"form\":1,\"requirements\":{\"db\":").unwrap();
    let server = Server::start().await;
    let client = Client::cached(server.address, "client", cache);
    let mut subscription = client.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "answered", |set| set.complete).await;
}

#[tokio::test]
async fn a_parked_agent_comes_back_as_itself_and_withdraws_what_it_no_longer_has() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("disco.json");
    let server = Server::start().await;
    let subscriber = Client::start(&server, "subscriber");
    let agent = Client::cached(server.address, "agent", cache.clone());
    agent.handle.provide(mysql("a", 1)).await.unwrap();
    agent.handle.provide(mysql("b", 2)).await.unwrap();
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    let before = wait_set(&mut subscription, "found", |set| set.endpoints.len() == 2).await;
    agent.handle.park(Duration::from_secs(60)).await.unwrap();
    agent.stop().await;

    let agent = Client::cached(server.address, "agent", cache);
    agent.handle.provide(mysql("a", 1)).await.unwrap();
    let inherited = agent.handle.inherited().await.unwrap();
    assert_eq!(inherited.iter().map(|identity| identity.instance.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(subscription.current().seq, before.seq, "nothing was noticed");
    for identity in inherited {
        agent.handle.withdraw(&identity.name, &identity.instance, Withdraw::now(Reason::Died)).await.unwrap();
    }
    let set = wait_set(&mut subscription, "the second is gone", |set| set.endpoints.len() == 1).await;
    assert_eq!(addresses(&set), ["192.0.2.11:1"]);
}

#[tokio::test]
async fn a_closed_session_has_left_and_the_next_request_opens_another() {
    let server = Server::start().await;
    let subscriber = Client::start(&server, "subscriber");
    let provider = Client::start(&server, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "found", |set| !set.endpoints.is_empty()).await;
    provider.handle.close().await.unwrap();
    let set = wait_set(&mut subscription, "left", |set| set.endpoints.is_empty()).await;
    assert_eq!(set.gone[0].1, Reason::Left);
    provider.handle.provide(mysql("b", 2)).await.unwrap();
    wait_set(&mut subscription, "found again", |set| !set.endpoints.is_empty()).await;
}

#[tokio::test]
async fn what_was_let_go_of_starts_anew_and_what_a_parked_process_let_go_of_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("disco.json");
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    provider.handle.provide(mysql("a", 1)).await.unwrap();

    // An agent is restarted: it parks, lets go of everything, and the next process knows what it knew.
    let agent = Client::cached(server.address, "agent", cache.clone());
    let mut subscription = agent.handle.require("db", mysql_query(), Vec::new());
    wait_set(&mut subscription, "found", |set| set.complete && !set.endpoints.is_empty()).await;
    agent.handle.park(Duration::from_secs(30)).await.unwrap();
    drop(subscription);
    agent.stop().await;
    let agent = Client::cached(server.address, "agent", cache.clone());
    let mut subscription = agent.handle.require("db", mysql_query(), Vec::new());
    assert_eq!(addresses(&subscription.current()), ["192.0.2.11:1"]);
    wait_set(&mut subscription, "confirmed", |set| set.complete && set.stale_since.is_none()).await;

    // Its user is taken down, then the provider: who requires it again is told what is true, not what once was.
    drop(subscription);
    provider.handle.withdraw(&name("dev/blog/mysql/mysql"), "a", Withdraw::now(Reason::Left)).await.unwrap();
    let mut subscription = agent.handle.require("db", mysql_query(), Vec::new());
    assert_eq!(addresses(&subscription.current()), [""; 0]);
    drop(subscription);
    agent.stop().await;
    let agent = Client::cached(server.address, "agent", cache);
    let mut subscription = agent.handle.require("db", mysql_query(), Vec::new());
    assert_eq!(addresses(&subscription.current()), [""; 0], "nor does the next process");
}
