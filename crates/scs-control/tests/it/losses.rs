//! Hosts that are lost: what starts elsewhere, what waits and says so, and what happens when they are back.

use crate::world::{Cluster, LEASE, Plane, blog, origin, until, up};
use futures_util::StreamExt as _;
use scs_api::deploy::{Event, PlanRequest};
use scs_api::error::Code;
use scs_control::InstanceQuery;
use scs_manifest::compiled::{Deployment, Fence, OnHostLoss};
use scs_plan::plan::Action;
use std::sync::Arc;

const EVERYTHING: InstanceQuery = InstanceQuery { environment: None, service: None, role: None };

/// Three hosts, and the blog on the first, all of which would go elsewhere.
async fn start() -> (tempfile::TempDir, Arc<Cluster>, Plane) {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Arc::new(Cluster::default());
    for host in ["h1", "h2", "h3"] {
        cluster.put(host, &[]).await;
    }
    let plane = cluster.start(directory.path()).await;
    drain(&plane, true).await;
    plane.up(&movable()).await.expect("accepted");
    drain(&plane, false).await;
    (directory, cluster, plane)
}

async fn drain(plane: &Plane, drained: bool) {
    for host in ["h2", "h3"] {
        plane.handle.mark_drained(host, drained).await.expect("marked");
    }
}

fn movable() -> Deployment {
    let mut deployment = blog("dev", 1);
    deployment.roles.values_mut().for_each(|role| role.on_host_loss = OnHostLoss::Elsewhere);
    deployment
}

fn waits(plane: &Plane) -> Vec<String> {
    plane.handle.waits(|it| EVERYTHING.matches(&it.slot))
}

async fn runs(cluster: &Cluster, host: &str, expected: &[&str]) {
    until(&format!("{host} runs what it should"), || {
        let there = cluster.world(host).running();
        if there == expected { Ok(()) } else { Err(there) }
    })
    .await;
}

#[tokio::test]
async fn what_may_starts_elsewhere_and_leaves_the_host_when_it_is_back() {
    let (_directory, cluster, plane) = start().await;
    cluster.world("h1").answers(false);
    runs(&cluster, "h2", &["dev/blog/wordpress"]).await;
    assert_eq!(cluster.world("h1").running().len(), 2, "what runs there runs on");
    let history = plane.handle.history("dev", "blog").await.expect("kept");
    assert_eq!((history[0].who.as_str(), history[0].what.as_str()), ("loss of host h1", "move wordpress to h2"));
    let request = PlanRequest { deployment: movable(), origin: origin(), reset_placement: false };
    let planned = plane.handle.plan("dev", "blog", request).await.expect("a plan");
    let step = planned.plan.steps.iter().find(|it| it.slot.role == "wordpress").expect("planned");
    assert_eq!((&step.action, step.host.as_str()), (&Action::Keep, "h2"));
    assert!(step.notes[0].starts_with("loss of host h1 moved it to h2 on "), "{:?}", step.notes);

    cluster.world("h1").answers(true);
    runs(&cluster, "h1", &["dev/blog/mysql"]).await;
    until("its tombstone is done", || match cluster.world("h1").assigned().tombstones {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    assert_eq!(cluster.world("h2").running(), ["dev/blog/wordpress"], "it stays where it is now");
    plane.stop().await;
}

#[tokio::test]
async fn whoever_holds_a_permit_is_waited_for_and_that_is_said_everywhere() {
    let (_directory, cluster, plane) = start().await;
    assert!(waits(&plane).is_empty());
    cluster.world("h1").answers(false);
    let expected =
        "dev/blog/mysql waits for host h1, which holds its volume data: it may still write to it, so nobody else may";
    until("it is said", || match waits(&plane) {
        said if said == [expected] => Ok(()),
        other => Err(other),
    })
    .await;
    runs(&cluster, "h2", &["dev/blog/wordpress"]).await;
    let base = plane.plan(&movable()).await.expect("a plan");
    let mut events = plane.handle.up("dev", "blog", up(&movable(), base)).await.expect("accepted");
    let first = events.next().await;
    assert!(matches!(&first, Some(Event::Warning { message }) if message == expected), "{first:?}");
    drop(events);
    assert!(cluster.world("h2").model().volumes.is_empty() && cluster.world("h3").model().volumes.is_empty());

    cluster.world("h1").answers(true);
    until("nothing waits", || match waits(&plane) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    plane.stop().await;
}

#[tokio::test]
async fn a_host_that_is_dead_is_given_up_and_what_needs_its_data_waits_until_that_is_given_up_too() {
    let (_directory, cluster, plane) = start().await;
    let handle = &plane.handle;
    let alive = handle.give_up_host("h1", true, "alice").await.expect_err("refused");
    assert_eq!((alive.code, alive.message.as_str()), (Code::Conflict, "host h1 is not known to be out of reach"));
    cluster.world("h1").answers(false);
    runs(&cluster, "h2", &["dev/blog/wordpress"]).await;
    let holds = handle.remove_host("h1").await.expect_err("refused");
    assert!(holds.message.starts_with("host h1 holds volumes of desired state (dev/blog/mysql/data)"), "{holds}");
    assert!(holds.hint.as_ref().is_some_and(|it| it.contains("--assume-host-dead")), "{holds:?}");
    assert_eq!(handle.hosts().await.expect("listed").len(), 3, "nothing was changed");

    let given_up = handle.give_up_host("h1", false, "alice").await.expect("given up");
    assert_eq!(given_up.lost, ["dev/blog/mysql/data"]);
    assert_eq!(given_up.waiting.iter().map(ToString::to_string).collect::<Vec<_>>(), ["dev/blog/mysql"]);
    assert!(given_up.elsewhere.is_empty(), "the site had gone already");
    let expected = "dev/blog/mysql waits: its volume data was lost with host h1, and it does not start without unasked";
    until("it is said", || match waits(&plane) {
        said if said == [expected] => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(
        handle.hosts().await.expect("listed").iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["h2", "h3"]
    );
    assert!(handle.instances(&EVERYTHING).iter().all(|it| it.host != "h1"), "nothing of it is shown");
    let history = handle.history("dev", "blog").await.expect("kept");
    assert_eq!((history[0].who.as_str(), history[0].what.as_str()), ("alice", "give up host h1"));
    let base = plane.plan(&movable()).await.expect_err("refused");
    assert!(
        base.message.starts_with("volume dev/blog/mysql/data was lost with host h1, which alice gave up"),
        "{base}"
    );
    let told = cluster.world("h1").model().assigned.len();

    // Its data is given up, too: a fresh volume, of a later epoch than whatever the dead host has.
    handle.remove_volume("dev/blog/mysql/data").await.expect("given up");
    runs(&cluster, "h3", &["dev/blog/mysql"]).await;
    let grant = cluster.world("h3").assigned().assignments[0].volumes["data"];
    assert!(grant.epoch > 1, "{grant:?}");
    assert!(
        !cluster
            .world("h3")
            .model()
            .assigned
            .iter()
            .any(|it| it.assignments.iter().any(|it| it.volumes["data"].epoch == 1))
    );
    until("nothing waits", || match waits(&plane) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;

    // It comes back: nobody tells it anything, and what runs there runs on.
    cluster.world("h1").answers(true);
    plane.up(&movable()).await.expect("accepted");
    assert_eq!(cluster.world("h1").model().assigned.len(), told);
    assert_eq!(cluster.world("h1").running().len(), 2);
    plane.stop().await;
}

#[tokio::test]
async fn with_its_data_given_up_everything_of_a_dead_host_starts_elsewhere_and_what_joins_anew_leaves_it() {
    let (directory, cluster, plane) = start().await;
    cluster.world("h1").answers(false);
    runs(&cluster, "h2", &["dev/blog/wordpress"]).await;
    let given_up = plane.handle.give_up_host("h1", true, "alice").await.expect("given up");
    assert_eq!(given_up.elsewhere.iter().map(ToString::to_string).collect::<Vec<_>>(), ["dev/blog/mysql"]);
    runs(&cluster, "h3", &["dev/blog/mysql"]).await;
    let grant = cluster.world("h3").assigned().assignments[0].volumes["data"];
    assert!(grant.epoch > 1, "{grant:?}");
    until("it is known", || {
        let assigned = cluster.world("h3").assigned();
        if assigned.assignments[0].volumes["data"].known { Ok(()) } else { Err(assigned) }
    })
    .await;

    // The machine is put together again and joins anew: what it still runs goes, and takes nothing away.
    plane.stop().await;
    cluster.put("h1", &[]).await;
    cluster.world("h1").answers(true);
    let plane = cluster.start(directory.path()).await;
    runs(&cluster, "h1", &[]).await;
    assert_eq!(cluster.world("h3").running(), ["dev/blog/mysql"]);
    assert_eq!(cluster.world("h3").assigned().assignments[0].volumes["data"].epoch, grant.epoch);
    plane.down("dev", "blog").await;
    plane.stop().await;
}

#[tokio::test]
async fn a_service_goes_down_though_a_host_of_it_was_given_up() {
    let (_directory, cluster, plane) = start().await;
    cluster.world("h1").answers(false);
    runs(&cluster, "h2", &["dev/blog/wordpress"]).await;
    plane.handle.give_up_host("h1", false, "alice").await.expect("given up");
    let last = plane.down("dev", "blog").await.pop();
    assert!(matches!(last, Some(Event::Done { .. })), "{last:?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_server_that_is_cut_off_moves_nothing() {
    let (_directory, cluster, plane) = start().await;
    for host in ["h1", "h2"] {
        cluster.world(host).answers(false);
    }
    until("it knows", || plane.handle.alone().map(drop).ok_or(())).await;
    assert!(plane.handle.alone().expect("alone").to_string().starts_with("2 of 3 hosts do not answer"));
    until("both wait", || match waits(&plane) {
        both if both.len() == 2 => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(plane.handle.history("dev", "blog").await.expect("kept")[0].what, "up", "nothing was changed");
    assert!(cluster.world("h3").running().is_empty());

    // One of them is back: now it is the other that is lost.
    cluster.world("h2").answers(true);
    runs(&cluster, "h2", &["dev/blog/wordpress"]).await;
    assert_eq!(plane.handle.alone(), None);
    plane.stop().await;
}

/// The same, with a database that runs by lease on a directory that every host has.
fn leased() -> Deployment {
    let mut deployment = movable();
    let mysql = &mut deployment.roles["mysql"];
    mysql.fence = Fence::Lease;
    let data = &mut mysql.volumes["data"];
    data.method = "bind".to_owned();
    data.options.insert("from".to_owned(), "/shared/mysql".into());
    deployment
}

async fn start_leased() -> (tempfile::TempDir, Arc<Cluster>, Plane) {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Arc::new(Cluster::default());
    for host in ["h1", "h2", "h3"] {
        cluster.put(host, &[]).await;
    }
    let plane = cluster.start(directory.path()).await;
    drain(&plane, true).await;
    plane.up(&leased()).await.expect("accepted");
    plane.handle.mark_drained("h2", false).await.expect("marked");
    (directory, cluster, plane)
}

#[tokio::test]
async fn what_runs_by_lease_passes_on_once_the_last_one_has_ended() {
    let (_directory, cluster, plane) = start_leased().await;
    let lost = cluster.world("h1");
    let runs_by_lease = |world: &Arc<crate::world::World>| {
        let assigned = world.assigned().assignments;
        assigned.into_iter().find(|it| it.slot.role == "mysql").map(|it| (it.leased, it.volumes["data"].epoch))
    };
    assert_eq!(runs_by_lease(&lost), Some((true, 1)));
    assert_eq!(lost.ask(1).await, ["dev/blog/mysql"]);
    let granted = std::time::Instant::now();
    lost.answers(false);
    until("it waits for the lease", || match waits(&plane) {
        some if some.iter().any(|it| it.contains("until its lease has ended")) => Ok(()),
        other => Err(other),
    })
    .await;
    runs(&cluster, "h2", &["dev/blog/mysql", "dev/blog/wordpress"]).await;
    assert!(granted.elapsed() >= LEASE, "passed on after {:?}", granted.elapsed());
    assert_eq!(runs_by_lease(&cluster.world("h2")), Some((true, 2)), "with a higher epoch");

    // The host is back, and may not run it for another moment, whatever it still has.
    lost.answers(true);
    assert!(lost.ask(2).await.is_empty(), "nothing of it is its own any more");
    assert_eq!(cluster.world("h2").ask(1).await, ["dev/blog/mysql"]);
    plane.stop().await;
}

#[tokio::test]
async fn a_server_that_starts_does_not_know_who_was_granted_a_lease_and_waits() {
    let (directory, cluster, plane) = start_leased().await;
    assert_eq!(cluster.world("h1").ask(1).await, ["dev/blog/mysql"]);
    plane.stop().await;
    let started = std::time::Instant::now();
    let plane = cluster.start(directory.path()).await;
    cluster.world("h1").answers(false);
    runs(&cluster, "h2", &["dev/blog/mysql", "dev/blog/wordpress"]).await;
    assert!(started.elapsed() >= LEASE, "passed on after {:?}", started.elapsed());
    plane.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_everywhere_is_not_taken_from_a_host_that_has_not_let_go_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Arc::new(Cluster::default());
    for host in ["h1", "h2"] {
        cluster.put(host, &[]).await;
    }
    let plane = cluster.start(directory.path()).await;
    let mut deployment = blog("dev", 1);
    deployment.roles.shift_remove("wordpress");
    deployment.roles["mysql"].volumes["data"].method = "nfs".to_owned();
    plane.handle.mark_drained("h2", true).await.expect("marked");
    plane.up(&deployment).await.expect("accepted");
    plane.handle.mark_drained("h2", false).await.expect("marked");

    let lost = cluster.world("h1");
    lost.answers(false);
    let events = plane.down("dev", "blog").await;
    assert!(matches!(events.last(), Some(Event::Failed { .. })), "{events:?}");
    assert_eq!(lost.running(), ["dev/blog/mysql"], "it still writes");
    let planned = plane.up(&deployment).await.expect_err("refused");
    assert!(planned.message.contains("host h1 may still write to it"), "{planned}");
    let base = plane.handle.history("dev", "blog").await.expect("kept")[0].revision;
    let refused = plane.handle.up("dev", "blog", up(&deployment, base)).await.err();
    assert_eq!(refused.expect("refused where it is not planned, too").message, planned.message);
    assert!(cluster.world("h2").running().is_empty());

    // Once it has said that it has let go, the permit passes on.
    lost.answers(true);
    until("it is gone there", || match lost.assigned().tombstones {
        left if left.is_empty() && lost.running().is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    plane.handle.mark_drained("h1", true).await.expect("marked");
    plane.up(&deployment).await.expect("accepted");
    runs(&cluster, "h2", &["dev/blog/mysql"]).await;
    let assigned = cluster.world("h2").assigned().assignments;
    assert_eq!(assigned[0].volumes["data"].epoch, 2, "with a higher epoch");
    plane.stop().await;
}
