//! Moves between two hosts, carried out on model agents.

use crate::world::{Cluster, Copying, Plane, Script, all, blog, until, words};
use futures_util::stream::BoxStream;
use scs_api::agent::Phase;
use scs_api::deploy::{AbortRequest, Event, MoveRequest};
use scs_api::error::{Code, Problem};
use scs_api::transfer::Compare;
use scs_manifest::compiled::Deployment;
use scs_ports::fake;
use scs_ports::state::{self, Change, Entry, StateStore, Transaction};
use std::path::Path;
use std::sync::Arc;

const DATA: &str = "dev/blog/mysql/data";

/// Database and user on h1, beside an empty h2.
async fn start(directory: &Path) -> (Arc<Cluster>, Plane) {
    let cluster = Arc::new(Cluster::default());
    cluster.put("h1", &[("dc", "east")]).await;
    cluster.put("h2", &[("dc", "west")]).await;
    let plane = cluster.start(directory).await;
    plane.handle.mark_drained("h2", true).await.expect("marked");
    plane.up(&blog("dev", 1)).await.expect("accepted");
    plane.handle.mark_drained("h2", false).await.expect("marked");
    (cluster, plane)
}

fn to(host: &str) -> MoveRequest {
    MoveRequest { host: host.to_owned(), ..MoveRequest::default() }
}

async fn go(plane: &Plane, role: &str, request: MoveRequest) -> Result<Vec<Event>, Problem> {
    Ok(all(plane.handle.move_role("dev", "blog", role, request).await?).await)
}

fn running(cluster: &Cluster, host: &str) -> Vec<String> {
    cluster.world(host).running()
}

/// Epoch of the permit with which a host has a role.
fn epoch(cluster: &Cluster, host: &str, role: &str) -> Option<u64> {
    let assigned = cluster.world(host).assigned();
    Some(assigned.assignments.iter().find(|it| it.slot.role == role)?.volumes["data"].epoch)
}

fn failure(events: &[Event]) -> &Problem {
    match events.last() {
        Some(Event::Failed { problem }) => problem,
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn a_role_without_volumes_is_ready_there_before_it_stops_here() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    let events = words(&go(&plane, "wordpress", to("h2")).await.expect("accepted"));
    assert!(events.contains(&"wordpress on h2, never down".to_owned()), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("done at 2"), "{events:?}");
    until("it has left h1", || match running(&cluster, "h1") {
        left if left == ["dev/blog/mysql"] => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(running(&cluster, "h2"), ["dev/blog/wordpress"]);
    let history = plane.handle.history("dev", "blog").await.expect("kept");
    assert_eq!(history[0].what, "move wordpress to h2");
    // It stays where it was moved to.
    let events = plane.up(&blog("dev", 1)).await.expect("accepted");
    assert_eq!(words(&events).last().map(String::as_str), Some("done at 2"));
    assert_eq!(running(&cluster, "h2"), ["dev/blog/wordpress"]);
    plane.stop().await;
}

#[tokio::test]
async fn a_volume_goes_with_its_permit_and_the_source_says_first_that_it_has_stopped() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    let events = go(&plane, "mysql", to("h2")).await.expect("accepted");
    let said = words(&events);
    for step in [
        "mysql: copying to h2 while it runs",
        "mysql: stopping on h1",
        "mysql: copying the rest",
        "mysql: starting on h2",
    ] {
        assert!(said.iter().any(|it| it.starts_with(step)), "{step}: {said:#?}");
    }
    assert!(said.iter().any(|it| it.contains("50 % (2.0 kB) at 1.5 MB/s")), "{said:#?}");
    assert!(said.iter().any(|it| it.starts_with("mysql on h2, down for 0.")), "{said:#?}");
    let copy = |compare| (DATA.to_owned(), 2, compare);
    let hot = Compare::These(vec!["hot".to_owned()]);
    let expected = [copy(Compare::Times), copy(Compare::Content), copy(Compare::Times), copy(hot)];
    assert_eq!(cluster.world("h2").model().copies, expected);
    assert_eq!(cluster.world("h1").model().handed_over, [(DATA.to_owned(), 1, "h2".to_owned())]);
    assert_eq!(epoch(&cluster, "h2", "mysql"), Some(2));
    let told = cluster.world("h1").model().assigned.clone();
    let stops = told.iter().flat_map(|it| &it.assignments).filter(|it| it.slot.role == "mysql" && it.stopped);
    assert!(stops.clone().count() > 0 && stops.clone().all(|it| it.moving), "users hear of a successor");
    let volumes = plane.handle.volumes().await.expect("listed").value;
    assert_eq!((volumes.len(), volumes[0].host.as_str()), (1, "h2"));
    until("its place is empty", || match running(&cluster, "h1") {
        left if left == ["dev/blog/wordpress"] => Ok(()),
        other => Err(other),
    })
    .await;
    // And back again, with everything that was written there.
    until("its tombstone is done", || match cluster.world("h1").assigned().tombstones {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    go(&plane, "mysql", to("h1")).await.expect("accepted");
    assert_eq!(epoch(&cluster, "h1", "mysql"), Some(3));
    plane.stop().await;
}

#[tokio::test]
async fn a_target_without_room_leaves_everything_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    cluster.world("h2").model().copying = Copying::Fails("there is no room".to_owned());
    let events = go(&plane, "mysql", to("h2")).await.expect("accepted");
    let problem = failure(&events);
    assert!(problem.message.contains("there is no room"), "{problem}");
    assert_eq!(problem.hint.as_deref(), Some("it is on host h1 as before"));
    assert_eq!(running(&cluster, "h1"), ["dev/blog/mysql", "dev/blog/wordpress"]);
    let told = cluster.world("h1").model().assigned.clone();
    assert!(told.iter().flat_map(|it| &it.assignments).all(|it| !it.stopped), "nothing was stopped");
    // Nothing is in the way of the next one.
    cluster.world("h2").model().copying = Copying::Works;
    let events = words(&go(&plane, "mysql", to("h2")).await.expect("accepted"));
    assert_eq!(events.last().map(String::as_str), Some("done at 2"), "{events:#?}");
    plane.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_come_up_gives_it_back_once_it_has_stopped_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    cluster.world("h2").script("mysql", Some(Script::Stands(Phase::Failed, "port 3306 is taken".to_owned())));
    let events = go(&plane, "mysql", to("h2")).await.expect("accepted");
    let problem = failure(&events);
    assert!(problem.message.contains("port 3306 is taken"), "{problem}");
    assert_eq!(running(&cluster, "h1"), ["dev/blog/mysql", "dev/blog/wordpress"]);
    assert_eq!((epoch(&cluster, "h1", "mysql"), running(&cluster, "h2").len()), (Some(3), 0));
    plane.stop().await;
}

#[tokio::test]
async fn a_move_goes_on_after_the_server_has_started_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    cluster.world("h2").model().copying = Copying::Hangs;
    let stream = plane.handle.move_role("dev", "blog", "mysql", to("h2")).await.expect("accepted");
    until("it copies", || if cluster.world("h2").model().copies.is_empty() { Err(()) } else { Ok(()) }).await;
    let refused = plane.up(&blog("dev", 1)).await.expect_err("refused");
    assert_eq!(refused.code, Code::Locked);
    drop(stream);
    plane.stop().await;
    cluster.world("h2").model().copying = Copying::Works;
    let plane = cluster.start(directory.path()).await;
    until("it runs on h2", || match running(&cluster, "h2") {
        there if there == ["dev/blog/mysql"] => Ok(()),
        other => Err(other),
    })
    .await;
    plane.stop().await;
}

/// A store that fails once, right after it has committed the end of a move.
#[derive(Debug)]
struct FailsAfterTheEnd(Arc<fake::State>);

#[async_trait::async_trait]
impl StateStore for FailsAfterTheEnd {
    async fn get(&self, key: &str) -> Result<Option<Entry>, state::Error> {
        self.0.get(key).await
    }

    async fn list(&self, prefix: &str) -> Result<(Vec<Entry>, u64), state::Error> {
        self.0.list(prefix).await
    }

    async fn commit(&self, transaction: &Transaction) -> Result<u64, state::Error> {
        let revision = self.0.commit(transaction).await?;
        if transaction.delete.iter().any(|key| key.starts_with("move")) {
            let (action, source) = ("read".to_owned(), "the disk has gone".into());
            self.0.fail_next(state::Error::Failed { action, source });
        }
        Ok(revision)
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Change>, state::Error> {
        self.0.watch(prefix).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_whose_end_is_written_down_ends_though_the_store_fails_right_after() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    plane.stop().await;
    let store = Arc::new(FailsAfterTheEnd(cluster.store.clone()));
    let plane = cluster.start_on(store, directory.path(), None).await;
    let events = go(&plane, "wordpress", to("h2")).await.expect("accepted");
    assert!(matches!(events.last(), Some(Event::Done { revision: 2, .. })), "{events:?}");
    plane.up(&blog("dev", 1)).await.expect("its service can be changed again");
    plane.stop().await;
}

#[tokio::test]
async fn a_move_is_called_off_by_hand() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    let none = plane.handle.abort_move("dev", "blog", "mysql", &AbortRequest::default()).await.expect_err("refused");
    assert_eq!(none.code, Code::NotFound);
    cluster.world("h2").model().copying = Copying::Hangs;
    let stream = plane.handle.move_role("dev", "blog", "mysql", to("h2")).await.expect("accepted");
    until("it copies", || if cluster.world("h2").model().copies.is_empty() { Err(()) } else { Ok(()) }).await;
    plane.handle.abort_move("dev", "blog", "mysql", &AbortRequest::default()).await.expect("told");
    let events = all(stream).await;
    assert!(failure(&events).message.ends_with("somebody called it off"), "{events:?}");
    assert_eq!(running(&cluster, "h1").len(), 2);
    plane.stop().await;
}

#[tokio::test]
async fn a_target_that_answers_is_not_taken_for_dead() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    cluster.world("h2").script("mysql", Some(Script::Stands(Phase::Starting, "it takes its time".to_owned())));
    let stream = plane.handle.move_role("dev", "blog", "mysql", to("h2")).await.expect("accepted");
    until("it starts on h2", || match epoch(&cluster, "h2", "mysql") {
        Some(2) => Ok(()),
        other => Err(other),
    })
    .await;
    let dead = AbortRequest { assume_host_dead: true, ..AbortRequest::default() };
    let refused = plane.handle.abort_move("dev", "blog", "mysql", &dead).await.expect_err("refused");
    assert_eq!(refused.code, Code::Conflict, "{refused}");
    assert_eq!(epoch(&cluster, "h1", "mysql"), epoch(&cluster, "h2", "mysql"), "nothing was changed");
    cluster.world("h2").answers(false);
    plane.handle.abort_move("dev", "blog", "mysql", &dead).await.expect("told");
    assert!(failure(&all(stream).await).message.contains("called it off"));
    assert_eq!((epoch(&cluster, "h1", "mysql"), running(&cluster, "h1").len()), (Some(3), 2));
    plane.stop().await;
}

#[tokio::test]
async fn a_move_by_force_that_fails_leaves_an_earlier_one_in_force() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    cluster.put("h3", &[("dc", "west")]).await;
    plane.stop().await;
    let plane = cluster.start(directory.path()).await;
    let mut placed: Deployment = blog("dev", 1);
    placed.roles["mysql"].placement.host = Some("h1".to_owned());
    plane.up(&placed).await.expect("accepted");
    let by_force = |host| MoveRequest { force: true, ..to(host) };
    let events = go(&plane, "mysql", by_force("h2")).await.expect("accepted");
    assert!(matches!(events.last(), Some(Event::Done { .. })), "{events:?}");
    cluster.world("h3").model().copying = Copying::Fails("there is no room".to_owned());
    failure(&go(&plane, "mysql", by_force("h3")).await.expect("accepted"));
    plane.up(&placed).await.expect("accepted");
    assert_eq!(running(&cluster, "h2"), ["dev/blog/mysql"], "it stays where it was moved to on purpose");
    plane.stop().await;
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused_before_anything_is_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    let before = cluster.world("h1").assigned().revision;
    let refused = async |role: &str, request: MoveRequest, words: &str| {
        let problem = go(&plane, role, request).await.expect_err("refused");
        let all = format!("{} {}", problem.message, problem.hint.clone().unwrap_or_default());
        assert!(all.contains(words), "{words}: {all}");
    };
    refused("nobody", to("h2"), "has no role nobody").await;
    refused("mysql", to("h9"), "there is no host h9").await;
    refused("mysql", to("h1"), "is on host h1 already").await;
    refused("mysql", MoveRequest { index: Some(7), ..to("h2") }, "no instance mysql.7").await;
    plane.handle.mark_drained("h2", true).await.expect("marked");
    refused("mysql", to("h2"), "is drained").await;
    plane.handle.mark_drained("h2", false).await.expect("marked");
    cluster.world("h2").answers(false);
    refused("mysql", to("h2"), "host h2 has not answered").await;
    cluster.world("h2").answers(true);
    cluster.world("h1").answers(false);
    refused("mysql", to("h2"), "what is in its volumes (data) is there and nowhere else").await;
    refused("wordpress", to("h2"), "would run twice").await;
    cluster.world("h1").answers(true);
    assert_eq!(cluster.world("h1").assigned().revision, before);

    let mut placed: Deployment = blog("dev", 1);
    placed.roles["mysql"].placement.host = Some("h1".to_owned());
    plane.up(&placed).await.expect("accepted");
    refused("mysql", to("h2"), "`--force`").await;
    let events = go(&plane, "mysql", MoveRequest { force: true, ..to("h2") }).await.expect("forced");
    assert!(matches!(events.last(), Some(Event::Done { .. })), "{events:?}");
    plane.stop().await;
}

#[tokio::test]
async fn up_moves_what_the_manifest_places_elsewhere_after_all_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    let mut placed = blog("dev", 1);
    placed.roles["mysql"].placement.host = Some("h2".to_owned());
    placed.roles["mysql"].spec_digest = "placed".to_owned();
    let events = words(&plane.up(&placed).await.expect("accepted"));
    assert!(events.iter().any(|it| it.starts_with("mysql on h2, down for")), "{events:#?}");
    assert_eq!(events.last().map(String::as_str), Some("done at 3"), "one for the manifest, one for the move");
    assert_eq!(running(&cluster, "h2"), ["dev/blog/mysql"]);
    let base = plane.plan(&placed).await.expect("a plan");
    assert_eq!(base, 3);
    let events = words(&plane.up(&placed).await.expect("accepted"));
    assert_eq!(events.last().map(String::as_str), Some("done at 3"), "nothing is left to do: {events:#?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_drained_host_is_left_by_all_that_can_and_the_rest_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cluster, plane) = start(directory.path()).await;
    let mut placed = blog("dev", 1);
    placed.roles["mysql"].placement.host = Some("h1".to_owned());
    placed.roles["mysql"].spec_digest = "placed".to_owned();
    plane.up(&placed).await.expect("accepted");
    let events = all(plane.handle.drain_host("h1", "ann").await.expect("accepted")).await;
    let problem = failure(&events);
    assert_eq!(problem.causes.len(), 1, "{problem:?}");
    assert!(problem.causes[0].starts_with("dev/blog/mysql: no host that it may be on"), "{problem:?}");
    assert_eq!(running(&cluster, "h2"), ["dev/blog/wordpress"]);
    assert!(plane.handle.host("h1").await.expect("there").host.drained);

    plane.up(&blog("dev", 1)).await.expect("accepted");
    let events = all(plane.handle.drain_host("h1", "ann").await.expect("accepted")).await;
    assert!(matches!(events.last(), Some(Event::Done { .. })), "{events:?}");
    until("it is empty", || match running(&cluster, "h1") {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    plane.stop().await;
}
