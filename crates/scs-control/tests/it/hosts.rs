//! Hosts that come and go: placed on, silent, labelled, drained, removed.

use crate::world::{Cluster, Plane, all, blog, origin, until, up, words};
use futures_util::StreamExt;
use scs_api::deploy::{Event, PlanRequest};
use scs_api::error::Code;
use scs_api::host::{Answers, LabelRequest};
use scs_api::log::LogQuery;
use scs_control::InstanceQuery;
use scs_manifest::compiled::Deployment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SILENT: &str = "has not answered since 1970-01-02T00:00:00Z: connection refused";

async fn two() -> (tempfile::TempDir, Arc<Cluster>, Plane) {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Arc::new(Cluster::default());
    cluster.put("h1", &[("dc", "east")]).await;
    cluster.put("h2", &[("dc", "west")]).await;
    let plane = cluster.start(directory.path()).await;
    (directory, cluster, plane)
}

/// The database on one host, its user on another.
fn split(environment: &str) -> Deployment {
    let mut deployment = blog(environment, 1);
    deployment.roles["mysql"].placement.host = Some("h1".to_owned());
    deployment.roles["wordpress"].placement.host = Some("h2".to_owned());
    deployment
}

#[tokio::test]
async fn one_service_runs_across_the_hosts_that_have_joined() {
    let (_directory, cluster, plane) = two().await;
    let events = plane.up(&split("dev")).await.expect("accepted");
    assert_eq!(words(&events), ["mysql running", "wordpress running", "done at 1"]);
    assert_eq!(cluster.world("h1").running(), ["dev/blog/mysql"]);
    assert_eq!(cluster.world("h2").running(), ["dev/blog/wordpress"]);
    let hosts = plane.handle.hosts().await.expect("listed");
    let seen: Vec<_> = hosts.iter().map(|it| (it.name.as_str(), it.instances, it.volumes, &it.answers)).collect();
    assert_eq!(seen, [("h1", 1, 1, &Answers::Yes), ("h2", 1, 0, &Answers::Yes)]);
    let details = plane.handle.host("h1").await.expect("there");
    assert_eq!((details.volume_ids, details.slots.len()), (vec!["dev/blog/mysql/data".to_owned()], 1));
    assert_eq!(plane.handle.host("h9").await.expect_err("refused").code, Code::NotFound);
    assert_eq!(cluster.connected.lock().expect("whole").len(), 2, "once a host");
    plane.stop().await;
}

#[tokio::test]
async fn a_silent_host_gives_partial_answers_and_one_warning() {
    let (_directory, cluster, plane) = two().await;
    plane.up(&split("dev")).await.expect("accepted");
    cluster.world("h2").answers(false);
    let query = InstanceQuery { environment: Some("dev".to_owned()), ..InstanceQuery::default() };
    assert_eq!(plane.handle.instances(&query).len(), 2, "what it said last is known");
    let expected = format!("host h2 {SILENT}; what is shown of it is what it said last");
    assert_eq!(plane.handle.silent_hosts(&query).await.expect("known"), [expected]);
    let other = InstanceQuery { environment: Some("test".to_owned()), ..InstanceQuery::default() };
    assert!(plane.handle.silent_hosts(&other).await.expect("known").is_empty(), "nothing of it is there");

    let logs =
        plane.handle.logs(LogQuery { environment: "dev".to_owned(), ..LogQuery::default() }).await.expect("some");
    assert_eq!(logs.warnings, [format!("host h2 {SILENT}; its lines are missing")]);
    let lines: Vec<_> = logs.value.collect().await;
    assert_eq!(lines.iter().map(|it| it.slot.role.as_str()).collect::<Vec<_>>(), ["mysql"]);
    assert!(plane.handle.volumes().await.expect("listed").warnings.is_empty(), "its only volume is elsewhere");
    let pruned = plane.handle.prune().await.expect("done elsewhere");
    assert_eq!(pruned.warnings, [format!("host h2 {SILENT}; nothing was removed there")]);
    let request = PlanRequest { deployment: split("dev"), origin: origin(), reset_placement: false };
    let plan = plane.handle.plan("dev", "blog", request).await.expect("a plan");
    assert_eq!(plan.warnings.len(), 1, "{:?}", plan.warnings);
    assert!(plan.warnings[0].starts_with(&format!("host h2 {SILENT}")), "{:?}", plan.warnings);

    cluster.world("h2").answers(true);
    assert!(plane.handle.silent_hosts(&query).await.expect("known").is_empty());
    plane.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_on_a_silent_host_says_so_once_and_is_given_up() {
    let (_directory, cluster, plane) = two().await;
    plane.up(&split("dev")).await.expect("accepted");
    cluster.world("h2").answers(false);
    let mut changed = split("dev");
    changed.roles["wordpress"].spec_digest = "other".to_owned();
    let base = plane.plan(&changed).await.expect("a plan");
    let events = all(plane.handle.up("dev", "blog", up(&changed, base)).await.expect("accepted")).await;
    let words = words(&events);
    let warning = format!("warning: host h2: it {SILENT}");
    assert_eq!(words.iter().filter(|it| it.starts_with("warning")).collect::<Vec<_>>(), [&warning]);
    let Some(Event::Failed { problem }) = events.last() else { panic!("not given up: {words:?}") };
    assert_eq!(problem.code, Code::EngineUnavailable);
    assert!(problem.message.contains("wordpress cannot go on: host h2: it has not answered"), "{problem}");

    // It stays wanted, and comes to be when the host is back.
    cluster.world("h2").answers(true);
    let revision = cluster.world("h1").assigned().revision;
    until("it is told", || {
        let now = cluster.world("h2").assigned().revision;
        if now >= revision { Ok(()) } else { Err(now) }
    })
    .await;
    plane.stop().await;
}

#[tokio::test]
async fn drained_and_silent_hosts_get_nothing_new_and_keep_what_they_have() {
    let (_directory, cluster, plane) = two().await;
    plane.up(&split("dev")).await.expect("accepted");
    let details = plane.handle.mark_drained("h2", true).await.expect("marked");
    assert!(details.host.drained && details.slots.len() == 1, "{details:?}");
    let events = plane.up(&split("dev")).await.expect("accepted");
    assert_eq!(words(&events), ["mysql unchanged", "wordpress unchanged", "done at 1"]);
    plane.up(&blog("test", 1)).await.expect("accepted");
    assert_eq!(cluster.world("h2").running().len(), 1, "nothing new");
    let refused = plane.up(&split("prod")).await.expect_err("refused");
    assert!(format!("{refused:?}").contains("h2 is drained"), "{refused:?}");
    plane.handle.mark_drained("h2", false).await.expect("marked");

    cluster.world("h2").answers(false);
    let refused = plane.up(&split("prod")).await.expect_err("refused");
    assert!(format!("{refused:?}").contains("h2 has not answered since"), "{refused:?}");
    plane.stop().await;
}

#[tokio::test]
async fn labels_are_changed_and_placement_goes_by_them() {
    let (_directory, _cluster, plane) = two().await;
    let set = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    let request = LabelRequest { set, remove: BTreeSet::from(["dc".to_owned()]) };
    let details = plane.handle.label_host("h2", request).await.expect("labelled");
    assert_eq!(details.host.labels, BTreeMap::from([("zone".to_owned(), "a".to_owned())]));
    let mut deployment = blog("dev", 1);
    for role in deployment.roles.values_mut() {
        role.placement.r#match = [("zone".to_owned(), scs_manifest::compiled::Condition::Exists(true))].into();
    }
    plane.up(&deployment).await.expect("accepted");
    let hosts: BTreeSet<_> = plane.handle.instances(&InstanceQuery::default()).into_iter().map(|it| it.host).collect();
    assert_eq!(hosts, BTreeSet::from(["h2".to_owned()]));
    let bad = LabelRequest { set: BTreeMap::from([("Zone".to_owned(), "a".to_owned())]), ..LabelRequest::default() };
    assert_eq!(plane.handle.label_host("h2", bad).await.expect_err("refused").code, Code::BadRequest);
    plane.stop().await;
}

#[tokio::test]
async fn a_host_is_removed_once_nothing_lies_there() {
    let (_directory, _cluster, plane) = two().await;
    plane.up(&split("dev")).await.expect("accepted");
    let refused = plane.handle.remove_host("h1").await.expect_err("refused");
    assert_eq!(refused.code, Code::Conflict);
    assert!(refused.message.contains("volumes of desired state (dev/blog/mysql/data)"), "{refused}");
    plane.down("dev", "blog").await;
    plane.handle.remove_host("h2").await.expect("empty");
    assert!(plane.handle.remove_host("h1").await.is_err(), "data stays, and so does its host");
    plane.handle.remove_volume("dev/blog/mysql/data").await.expect("deleted");
    plane.handle.remove_host("h1").await.expect("empty");
    assert!(plane.handle.hosts().await.expect("listed").is_empty());
    plane.stop().await;
}
