//! TLS: who gets in, what their certificate lets them do, and certificates that change meanwhile.

use std::{sync::atomic::Ordering, time::SystemTime};

use disco_server::Admission;
use scs_pki::{Kind, Live, Side, Trouble};

use crate::support::{Client, DAY, World, code, config, options, soon, start};

#[tokio::test]
async fn a_host_does_what_its_certificate_says_and_nothing_else() {
    let world = World::new();
    let server = start(options(Some(world.server()))).await;
    let live = Live::open(world.host("web1"), None).unwrap();
    let mut client = Client::tls(server.address, live.client()).await.unwrap();
    assert_eq!(code(&client.open().await), "");
    assert!(client.provide("prod/blog/wordpress/http").await["result"]["rev"].is_u64());
    assert_eq!(code(&client.provide("prod/shop/web/http").await), "forbidden");
    assert_eq!(code(&client.provide("dev/blog/wordpress/http").await), "forbidden");
    let resolved = client.ask("resolve", serde_json::json!({"name": "prod/shop/web/http"})).await;
    assert_eq!(code(&resolved), "", "{resolved}");
    let resolved = client.ask("resolve", serde_json::json!({"name": "dev/shop/web/http"})).await;
    assert_eq!(code(&resolved), "forbidden");
}

#[tokio::test]
async fn strangers_are_turned_away_and_counted_by_why() {
    let (world, other) = (World::new(), World::new());
    let server = start(options(Some(world.server()))).await;
    let trusted = world.authority.trusted();
    let late = world.issue(Kind::Host, "late", &[], &[], SystemTime::now() - 3 * DAY);
    let foreign = other.host("web1");
    for (files, told, counted) in [
        (None, Trouble::Missing { whose: Side::Own }, "certificate_missing"),
        (Some(&late), Trouble::Expired { whose: Side::Own }, "certificate_expired"),
        (Some(&foreign), Trouble::Foreign { whose: Side::Own }, "certificate_foreign"),
    ] {
        // The server looks at our certificate after we have looked at its, so the refusal comes in place of the first line.
        let mut client = Client::tls(server.address, config(files, &trusted)).await.unwrap();
        let refused = client.hear().await.unwrap_err();
        assert_eq!(Trouble::of(&refused), Some(told));
        let seen = async {
            while !server.traffic.refused().contains_key(counted) {
                tokio::task::yield_now().await;
            }
        };
        soon(counted, seen).await;
    }
    assert_eq!(server.traffic.connections.load(Ordering::Relaxed), 0, "none of them had a conversation");
}

#[tokio::test]
async fn a_session_is_resumed_and_the_holder_is_still_known() {
    let world = World::new();
    let server = start(options(Some(world.server()))).await;
    let config = Live::open(world.host("web1"), None).unwrap().client();
    for _ in 0..3 {
        let mut client = Client::tls(server.address, config.clone()).await.unwrap();
        client.open().await;
        assert_eq!(code(&client.provide("dev/blog/wordpress/http").await), "forbidden");
        assert_eq!(code(&client.provide("prod/blog/wordpress/http").await), "");
    }
    let (full, resumed) = (&server.traffic.handshakes, &server.traffic.resumed);
    assert_eq!((full.load(Ordering::Relaxed), resumed.load(Ordering::Relaxed)), (1, 2));
}

#[tokio::test]
async fn the_authority_is_replaced_without_a_drop() {
    let mut world = World::new();
    let options = options(Some(world.server()));
    let taken = options.tls.clone().unwrap();
    let server = start(options).await;
    let old = Live::open(world.host("web1"), None).unwrap();
    let mut client = Client::tls(server.address, old.client()).await.unwrap();
    client.open().await;
    client.provide("prod/blog/wordpress/http").await;

    let now = SystemTime::now();
    world.authority.rotate(now).unwrap();
    // A client first: the server knows nothing of the new authority yet.
    let new = Live::open(world.host("web2"), None).unwrap();
    let mut second = Client::tls(server.address, new.client()).await.unwrap();
    second.open().await;
    assert_eq!(code(&second.provide("prod/blog/proxy/http").await), "");
    world.server();
    assert!(taken.reload().unwrap());
    for live in [&old, &new] {
        let mut third = Client::tls(server.address, live.client()).await.unwrap();
        assert_eq!(code(&third.open().await), "");
    }
    world.host("web1");
    world.authority.retire(false, now).unwrap();
    world.server();
    world.host("web1");
    assert!(taken.reload().unwrap() && old.reload().unwrap());
    let mut renewed = Client::tls(server.address, old.client()).await.unwrap();
    assert_eq!(code(&renewed.open().await), "");

    assert_eq!(
        client.ask("ping", serde_json::json!({})).await["result"]["heartbeat"],
        1000,
        "it was never disconnected"
    );
    assert_eq!(server.handle.snapshot().await.unwrap().provisions.len(), 2);
}

#[tokio::test]
async fn a_full_server_says_so() {
    let world = World::new();
    let admission = Admission { connections: 1, ..Admission::default() };
    for tls in [false, true] {
        let files = tls.then(|| world.server());
        let server = start(disco_server::Options { admission, ..options(files) }).await;
        let live = Live::open(world.host("web1"), None).unwrap();
        let connect = async || match tls {
            true => Client::tls(server.address, live.client()).await.unwrap(),
            false => Client::plain(server.address).await,
        };
        let mut first = connect().await;
        first.open().await;
        let mut second = connect().await;
        assert_eq!(code(&second.hear().await.unwrap().unwrap()), "limit");
        assert_eq!(second.hear().await.unwrap(), None, "and it is closed");
        assert_eq!(server.traffic.refused()["limit"], 1);
    }
}

#[tokio::test]
async fn whoever_begins_no_handshake_is_not_waited_for() {
    let world = World::new();
    let admission = Admission { handshake: std::time::Duration::from_millis(50), ..Admission::default() };
    let server = start(disco_server::Options { admission, ..options(Some(world.server())) }).await;
    let mut silent = Client::plain(server.address).await;
    assert!(matches!(silent.hear().await, Ok(None) | Err(_)));
    assert_eq!(server.traffic.refused()["tls_timeout"], 1);
}
