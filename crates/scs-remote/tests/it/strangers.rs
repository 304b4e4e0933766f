//! Certificates of others, of the past, and of those who may not.

use crate::scripted::Scripted;
use crate::world::{PATIENCE, Served, World, lost, reached, remote};
use scs_api::error::Code;
use scs_control::agents::Agent as _;
use scs_pki::{Kind, Live};
use scs_testkit::wait_for;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[tokio::test]
async fn another_host_at_the_address_is_not_spoken_to() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.live(Kind::Host, "h3")).await;
    let remote = remote(served.address, world.server());
    lost(&remote, "the peer is host h3, not host h2").await;
    let problem = remote.images().await.unwrap_err();
    assert_eq!(problem.code, Code::Unavailable);
    assert_eq!(problem.message, format!("no secure connection to host h2 ({})", served.address));
    assert_eq!(problem.causes, ["the peer is host h3, not host h2"]);
    served.end().await;
}

#[tokio::test]
async fn a_report_of_another_host_is_not_taken() {
    let (world, script) = (World::new(), Scripted::new("h9"));
    let served = Served::start(&script, world.host()).await;
    let remote = remote(served.address, world.server());
    lost(&remote, "it reports as host h9").await;
    assert_eq!(remote.report().borrow().host, "");
    served.end().await;
}

#[tokio::test]
async fn a_host_of_another_cluster_is_not_trusted() {
    let (world, other, script) = (World::new(), World::new(), Scripted::new("h2"));
    let served = Served::start(&script, other.host()).await;
    let remote = remote(served.address, world.server());
    lost(&remote, "issued by an authority that we do not trust").await;
    served.end().await;
}

#[tokio::test]
async fn a_server_of_another_cluster_gets_nothing_and_is_told_why() {
    let (world, other, script) = (World::new(), World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let files = other.files(Kind::Server, "s1", SystemTime::now());
    // It trusts the host's authority, which does not make it trusted.
    std::fs::write(&files.authorities, other.authority.trusted() + &world.authority.trusted()).unwrap();
    let remote = remote(served.address, Arc::new(Live::open(files, None).unwrap()));
    lost(&remote, "the peer does not trust the authority that issued our certificate").await;
    served.end().await;
}

#[tokio::test]
async fn certificates_that_have_ended_are_refused_on_either_side() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let (server, host) = (world.ending(Kind::Server, "s1"), world.ending(Kind::Host, "h2"));
    let ended = host.credentials().certificate.not_after.max(server.credentials().certificate.not_after);
    wait_for("the certificates to end", PATIENCE, async || {
        // TLS counts whole seconds.
        if SystemTime::now() > ended + Duration::from_secs(1) { Ok(()) } else { Err("they have not") }
    })
    .await;
    let old = Served::start(&script, host).await;
    let to_old = remote(old.address, world.live(Kind::Server, "s2"));
    lost(&to_old, "the peer's certificate has expired").await;
    let current = Served::start(&script, world.host()).await;
    let from_old = remote(current.address, server);
    lost(&from_old, "the peer says that our certificate has expired").await;
    old.end().await;
    current.end().await;
}

#[tokio::test]
async fn only_a_server_may_ask() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    for (kind, name) in [(Kind::Person, "ann"), (Kind::Host, "h3"), (Kind::Host, "h2")] {
        let remote = remote(served.address, world.live(kind, name));
        let words = format!("{kind} {name} may not ask the agent of host h2");
        lost(&remote, &words).await;
        let problem = remote.images().await.unwrap_err();
        assert_eq!((problem.code, problem.message), (Code::Forbidden, words));
    }
    served.end().await;
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_used_for_the_next_connection() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let (host, server) = (world.host(), world.server());
    let served = Served::start(&script, Arc::clone(&host)).await;
    let remote = remote(served.address, Arc::clone(&server));
    reached(&remote).await;
    world.files(Kind::Host, "h2", SystemTime::now());
    world.files(Kind::Server, "s1", SystemTime::now());
    assert!(host.reload().unwrap() && server.reload().unwrap());
    assert_eq!(remote.engine().await.unwrap(), "Script 1");
    served.end().await;
}
