//! Networks and processes that end, break, or fall silent.

use crate::scripted::Scripted;
use crate::world::{PATIENCE, Served, World, host_answers, lost, reached, remote, revision};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use scs_api::error::Code;
use scs_api::routes::ExecQuery;
use scs_control::agents::{Agent as _, ExecOutput, Reachability, VolumeAt};
use scs_ports::volume::VolumeId;
use scs_testkit::{Proxy, wait_for};
use std::sync::Arc;

fn volume() -> VolumeAt {
    let name = || "x".to_owned();
    VolumeAt {
        id: VolumeId { environment: name(), service: name(), role: name(), index: 0, name: name() },
        method: "local".to_owned(),
        options: serde_json::Map::new(),
        origin: "/".into(),
        known: true,
        epoch: 1,
        parent: None,
    }
}

#[tokio::test]
async fn an_agent_that_is_started_anew_is_found_again_with_its_newest_report() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let address = served.address;
    let remote = remote(address, world.server());
    reached(&remote).await;
    script.sees(4);
    revision(&*remote, 4).await;
    served.end().await;
    lost(&remote, "").await;
    assert!(host_answers(&remote), "only its agent is away");
    assert_eq!(remote.report().borrow().revision, 4, "what it said last is kept");

    // It has not looked yet: what it saw before is shown on.
    script.sees(0);
    let served = Served::start_at(address, &script, world.host()).await;
    reached(&remote).await;
    assert_eq!(remote.report().borrow().revision, 4);
    script.sees(5);
    revision(&*remote, 5).await;
    served.end().await;
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named_with_its_address_and_why() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let address = served.address;
    served.end().await;
    let remote = remote(address, world.server());
    lost(&remote, "refused").await;
    assert!(host_answers(&remote), "it refuses");
    let problem = remote.images().await.unwrap_err();
    assert_eq!(problem.code, Code::Unavailable);
    assert_eq!(problem.message, format!("host h2 ({address}) does not answer"));
    assert!(problem.causes[0].contains("refused"), "{problem:?}");
    assert!(problem.hint.is_some());
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_anew() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let proxy = Proxy::to(served.address).await;
    let remote = remote(proxy.address, world.server());
    reached(&remote).await;
    for round in 2..5 {
        proxy.cut();
        script.sees(round);
        revision(&*remote, round).await;
    }
    reached(&remote).await;
    served.end().await;
}

#[tokio::test]
async fn a_host_that_falls_silent_is_noticed_and_what_waits_for_it_is_told() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let proxy = Proxy::to(served.address).await;
    let remote = remote(proxy.address, world.server());
    reached(&remote).await;
    let removing = tokio::spawn({
        let remote = Arc::clone(&remote);
        async move { remote.remove_volume(volume()).await }
    });
    wait_for("the agent to be asked", PATIENCE, async || {
        script.model().volume.as_ref().map(|_| ()).ok_or("it was not")
    })
    .await;
    proxy.stop();
    lost(&remote, "it has said nothing for 2 s").await;
    assert!(!host_answers(&remote), "nothing is heard of it");
    let Reachability::Unreachable { since, .. } = remote.reachable().borrow().clone() else { panic!("it is back") };
    let problem = removing.await.unwrap().unwrap_err();
    assert_eq!(problem.code, Code::Unavailable);
    assert!(problem.message.ends_with("does not answer any more"), "{problem:?}");

    script.sees(9);
    proxy.go_on();
    revision(&*remote, 9).await;
    reached(&remote).await;
    assert!(matches!(&*remote.reachable().borrow(), Reachability::Reachable { since: now } if *now > since));
    served.end().await;
}

#[tokio::test]
async fn what_breaks_off_says_so_in_its_own_way() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    script.chunks.store(usize::MAX, std::sync::atomic::Ordering::SeqCst);
    let served = Served::start(&script, world.host()).await;
    let proxy = Proxy::to(served.address).await;
    let remote = remote(proxy.address, world.server());
    let mut session = remote.exec("run-1", ExecQuery::default()).await.unwrap();
    session.output.next().await;
    let mut content = remote.export_volume(volume()).await.unwrap();
    content.next().await.unwrap().unwrap();
    proxy.cut();
    let told = session.output.next().await;
    assert!(matches!(&told, Some(ExecOutput::Failed(problem)) if problem.code == Code::Unavailable), "{told:?}");
    let broken = loop {
        match content.next().await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(broken, Some(Err(_))), "a volume that is not whole does not end as if it were");
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1024]))).boxed();
    let importing = tokio::spawn({
        let remote = Arc::clone(&remote);
        async move { remote.import_volume(volume(), endless).await }
    });
    wait_for("the import to begin", PATIENCE, async || match script.open() {
        0 => Err("nothing is open"),
        _ => Ok(()),
    })
    .await;
    proxy.cut();
    assert_eq!(importing.await.unwrap().unwrap_err().code, Code::Unavailable);
    served.end().await;
}

#[tokio::test]
async fn a_remote_that_is_dropped_lets_go_of_its_host() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let remote = remote(served.address, world.server());
    reached(&remote).await;
    assert_eq!(script.report.receiver_count(), 1);
    drop(remote);
    wait_for("nobody to listen", PATIENCE, async || match script.report.receiver_count() {
        0 => Ok(()),
        count => Err(format!("{count} listen")),
    })
    .await;
    served.end().await;
}
