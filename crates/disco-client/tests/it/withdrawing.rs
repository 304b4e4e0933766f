//! Withdrawals that wait, moves, and preferences, end to end.

use std::{collections::BTreeMap, time::Duration};

use disco_client::{Query, Reason, Withdraw};

use crate::support::{
    Client, Server, addresses, client_options, eventually, mysql, mysql_query, name, server_options, wait_set,
};

#[tokio::test]
async fn a_withdrawal_waits_for_its_users_and_names_those_that_had_not_applied_it() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let (quick, slow) = (Client::start(&server, "quick"), Client::start(&server, "slow"));
    let mysql_name = name("dev/blog/mysql/mysql");
    for instance in ["a", "b"] {
        provider.handle.provide(mysql(instance, 1)).await.unwrap();
    }
    let mut used = quick.handle.require("web.db", mysql_query(), Vec::new());
    let mut stuck = slow.handle.require("cron.db", mysql_query(), Vec::new());
    wait_set(&mut used, "found", |set| set.endpoints.len() == 2).await;
    wait_set(&mut stuck, "found", |set| set.endpoints.len() == 2).await;
    let applying = tokio::spawn(async move {
        loop {
            let set = used.changed().await;
            used.applied(set.seq).await;
        }
    });
    let waiting = Withdraw::waiting(Reason::Left, Duration::from_millis(300));
    let withdrawn = provider.handle.withdraw(&mysql_name, "a", waiting).await.unwrap();
    assert_eq!(withdrawn.unapplied, ["cron.db@slow"]);

    // With everyone applying, it is answered long before its deadline.
    let set = wait_set(&mut stuck, "one is left", |set| set.endpoints.len() == 1).await;
    stuck.applied(set.seq).await;
    let both = tokio::spawn(async move {
        let set = wait_set(&mut stuck, "none is left", |set| set.endpoints.is_empty()).await;
        stuck.applied(set.seq).await;
        stuck
    });
    let waiting = Withdraw::waiting(Reason::Left, Duration::from_secs(60));
    let withdrawn = provider.handle.withdraw(&mysql_name, "b", waiting).await.unwrap();
    assert!(withdrawn.unapplied.is_empty(), "{withdrawn:?}");
    both.await.unwrap();
    applying.abort();
}

#[tokio::test]
async fn a_move_replaces_the_endpoint_in_one_change() {
    let server = Server::start().await;
    let (old, new) = (Client::start(&server, "old"), Client::start(&server, "new"));
    let subscriber = Client::start(&server, "subscriber");
    old.handle.provide(mysql("a", 1)).await.unwrap();
    let mut subscription = subscriber.handle.require("db", mysql_query(), Vec::new());
    let before = wait_set(&mut subscription, "found", |set| !set.endpoints.is_empty()).await;
    let moving = tokio::spawn(async move {
        let how = Withdraw {
            reason: Reason::Draining,
            wait: Some(Duration::from_secs(60)),
            successor_by: Some(Duration::from_secs(60)),
        };
        old.handle.withdraw(&name("dev/blog/mysql/mysql"), "a", how).await.unwrap()
    });
    eventually("it is leaving", || async {
        let view = server.handle.snapshot().await.unwrap();
        if view.provisions.iter().any(|provision| provision.leaving) { Ok(()) } else { Err(format!("{view:?}")) }
    })
    .await;
    new.handle.provide(mysql("b", 2)).await.unwrap();
    let after = wait_set(&mut subscription, "moved", |set| set.seq > before.seq).await;
    assert_eq!((after.seq, addresses(&after)), (before.seq + 1, vec!["192.0.2.11:2".to_owned()]));
    assert_eq!(after.gone[0].1, Reason::Draining);
    subscription.applied(after.seq).await;
    assert!(moving.await.unwrap().unapplied.is_empty());
}

#[tokio::test]
async fn the_preferred_zone_is_used_while_it_is_there_and_again_when_it_is_stable() {
    let mut options = server_options("127.0.0.1:0".parse().unwrap());
    options.failback = Duration::from_millis(200);
    let server = Server::with(options).await;
    let provider = Client::start(&server, "provider");
    let zoned = |instance, port, zone: &str| {
        let mut provision = mysql(instance, port);
        provision.attributes.insert("zone".to_owned(), zone.to_owned());
        provision
    };
    provider.handle.provide(zoned("far", 1, "b")).await.unwrap();
    provider.handle.provide(zoned("near", 2, "a")).await.unwrap();
    let mut options = client_options(server.address, "subscriber");
    options.attributes = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    let subscriber = Client::with(options);
    let query = Query { prefer: vec!["zone".to_owned()], ..mysql_query() };
    let mut subscription = subscriber.handle.require("db", query, Vec::new());
    let set = wait_set(&mut subscription, "found", |set| !set.endpoints.is_empty()).await;
    assert_eq!(addresses(&set), ["192.0.2.11:2"]);
    provider.handle.withdraw(&name("dev/blog/mysql/mysql"), "near", Withdraw::now(Reason::Died)).await.unwrap();
    let over = wait_set(&mut subscription, "failed over", |set| addresses(set) == ["192.0.2.11:1"]).await;
    assert_eq!(over.seq, set.seq + 1, "in one change");
    provider.handle.provide(zoned("near", 2, "a")).await.unwrap();
    let back = wait_set(&mut subscription, "failed back", |set| addresses(set) == ["192.0.2.11:2"]).await;
    assert_eq!(back.seq, over.seq + 1, "in one change");
}
