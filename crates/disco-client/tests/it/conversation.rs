//! The conversation of the idea: "who's available?", "I'll keep you posted".

use disco_client::{Reason, Withdraw};

use crate::support::{Client, Server, addresses, mysql, mysql_query, name, wait_set};

#[tokio::test]
async fn a_subscriber_is_told_of_the_database_its_end_and_its_return_elsewhere() {
    let server = Server::start().await;
    let database = Client::start(&server, "database");
    database.handle.provide(mysql("run-1", 39313)).await.unwrap();

    // "Hi, I need a mysql service to talk to - who's available?"
    let wordpress = Client::start(&server, "wordpress");
    let mut subscription = wordpress.handle.require("wordpress.db", mysql_query(), Vec::new());
    let set = wait_set(&mut subscription, "the database is found", |set| !set.endpoints.is_empty()).await;
    assert_eq!(addresses(&set), ["192.0.2.11:39313"]);
    assert!(set.complete && set.stale_since.is_none(), "{set:?}");
    subscription.applied(set.seq).await;

    // "Sorry to tell you it's no longer available" - "thanks for letting me know".
    database.handle.withdraw(&name("dev/blog/mysql/mysql"), "run-1", Withdraw::now(Reason::Died)).await.unwrap();
    let set = wait_set(&mut subscription, "the database is gone", |set| set.endpoints.is_empty()).await;
    assert_eq!(
        set.gone.iter().map(|(endpoint, why)| (endpoint.port, *why)).collect::<Vec<_>>(),
        [(39313, Reason::Died)]
    );

    // "Great news, I have a new mysql endpoint for you".
    let elsewhere = Client::start(&server, "elsewhere");
    elsewhere.handle.provide(mysql("run-2", 39414)).await.unwrap();
    let set = wait_set(&mut subscription, "the new database is found", |set| !set.endpoints.is_empty()).await;
    assert_eq!(addresses(&set), ["192.0.2.11:39414"]);
}
