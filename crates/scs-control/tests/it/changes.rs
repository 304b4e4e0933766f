//! up, down, restart, rollback: what is said, what is assigned, what is refused.

use crate::world::{Plane, Script, World, all, blog, caller, role, until, up, words};
use futures_util::StreamExt;
use scs_api::agent::Phase;
use scs_api::deploy::{Caller, DownRequest, Event, PlanRequest, RoleRequest, RollbackRequest, UpRequest};
use scs_api::error::{Code, Problem};
use scs_control::RoleAction;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

fn problem(events: &[Event]) -> &Problem {
    match events.last() {
        Some(Event::Failed { problem }) => problem,
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[tokio::test]
async fn a_service_comes_up_is_kept_and_goes_down_users_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    let blog = blog("dev", 1);
    assert_eq!(plane.actions(&blog).await, ["mysql Create build", "wordpress Create build"]);

    let events = plane.up(&blog).await.expect("accepted");
    assert_eq!(words(&events), ["mysql running", "wordpress running", "done at 1"]);
    let Some(Event::Done { addresses, .. }) = events.last() else { panic!("not done: {events:?}") };
    let site = addresses.iter().find(|it| it.role == "wordpress").expect("the site's address");
    assert_eq!((site.address.as_str(), site.fixed), ("127.0.0.1:8080", true));
    assert_eq!(*plane.handle.services().borrow(), ["dev/blog"]);

    let started = plane.world.model().started;
    let revision = plane.world.assigned().revision;
    assert_eq!(plane.actions(&blog).await, ["mysql Keep", "wordpress Keep"]);
    let events = plane.up(&blog).await.expect("accepted");
    assert_eq!(words(&events), ["mysql unchanged", "wordpress unchanged", "done at 1"]);
    assert_eq!(plane.world.model().started, started, "nothing was started");
    assert!(plane.world.assigned().revision <= revision + 1, "only the volume became known");

    let events = plane.down("dev", "blog").await;
    assert_eq!(words(&events), ["wordpress removed", "mysql removed", "done at 2"]);
    let went: Vec<String> = plane.world.model().went.iter().map(|it| it.role.clone()).collect();
    assert_eq!(went, ["wordpress", "mysql"]);
    assert!(plane.handle.services().borrow().is_empty());
    let history = plane.handle.history("dev", "blog").await.expect("kept");
    assert_eq!(history.iter().map(|it| it.what.as_str()).collect::<Vec<_>>(), ["down", "up"]);
    assert!(history.iter().all(|it| !it.current));

    let events = plane.down("dev", "blog").await;
    assert_eq!(words(&events), ["warning: dev/blog is not up", "done at 2"]);
    plane.stop().await;
}

#[tokio::test]
async fn a_changed_parameter_replaces_one_container() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let mysql =
        plane.world.model().containers.iter().find(|(it, _)| it.role == "mysql").expect("there").1.instance.clone();
    assert_eq!(plane.actions(&blog("dev", 2)).await, ["mysql Keep", "wordpress ReplaceStopFirst build"]);
    let events = plane.up(&blog("dev", 2)).await.expect("accepted");
    assert_eq!(words(&events), ["mysql unchanged", "wordpress running", "done at 2"]);
    let history = plane.handle.history("dev", "blog").await.expect("kept");
    assert_eq!(history[0].changed, ["wordpress"]);
    let model = plane.world.model();
    assert!(model.containers.values().any(|it| it.instance == mysql), "the database is the same container");
}

#[tokio::test]
async fn a_role_that_is_no_longer_wanted_gets_a_tombstone_and_others_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let mut smaller = blog("dev", 1);
    smaller.roles.shift_remove("wordpress");
    let events = plane.up(&smaller).await.expect("accepted");
    assert_eq!(words(&events), ["mysql unchanged", "wordpress removed", "done at 2"]);
    until("the tombstone is taken away", || {
        let assigned = plane.world.assigned();
        if assigned.tombstones.is_empty() { Ok(()) } else { Err(assigned.tombstones) }
    })
    .await;
    assert_eq!(plane.world.running(), ["dev/blog/mysql"]);

    let events = plane.up(&blog("dev", 1)).await.expect("accepted");
    assert_eq!(words(&events), ["mysql unchanged", "wordpress running", "done at 3"]);
}

#[tokio::test]
async fn a_stale_plan_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    let base = plane.plan(&blog("dev", 1)).await.expect("a plan");
    plane.up(&blog("dev", 2)).await.expect("accepted");
    let revision = plane.world.assigned().revision;
    let refused = plane.handle.up("dev", "blog", up(&blog("dev", 1), base)).await.err().expect("refused");
    assert_eq!(refused.code, Code::StalePlan);
    assert!(refused.hint.expect("a hint").contains("plan again"));
    assert_eq!(plane.handle.history("dev", "blog").await.expect("kept").len(), 1);
    assert!(plane.world.assigned().revision <= revision + 1);
}

#[tokio::test]
async fn a_second_change_meanwhile_is_told_who_holds_the_lock() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.world.script("wordpress", Some(Script::Stands(Phase::Image, "building".to_owned())));
    let base = plane.plan(&blog("dev", 1)).await.expect("a plan");
    let first = UpRequest { who: "eva@laptop".to_owned(), ..up(&blog("dev", 1), base) };
    let stream = plane.handle.up("dev", "blog", first).await.expect("accepted");
    let refused = plane.handle.up("dev", "blog", up(&blog("dev", 2), 1)).await.err().expect("refused");
    assert_eq!(refused.code, Code::Locked);
    assert!(refused.message.contains("eva@laptop (`up`)"), "{}", refused.message);

    // Another environment is another service.
    plane.world.script("wordpress", None);
    assert!(plane.up(&blog("test", 1)).await.is_ok());
    assert_eq!(words(&all(stream).await).last().expect("an end"), "done at 1");
    assert!(plane.up(&blog("dev", 2)).await.is_ok(), "the lock is free again");
}

#[tokio::test]
async fn a_client_that_goes_away_undoes_nothing_and_frees_the_lock() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.world.script("wordpress", Some(Script::Stands(Phase::Image, "building".to_owned())));
    let stream = plane.handle.up("dev", "blog", up(&blog("dev", 1), 0)).await.expect("accepted");
    drop(stream);
    plane.world.script("wordpress", None);
    until("both run", || {
        let running = plane.world.running();
        if running.len() == 2 { Ok(()) } else { Err(running) }
    })
    .await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match plane.up(&blog("dev", 1)).await {
            Ok(events) => break assert_eq!(words(&events).last().expect("an end"), "done at 1"),
            Err(problem) => assert!(tokio::time::Instant::now() < deadline, "still locked: {problem}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn another_directory_takes_a_service_over_only_when_it_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let elsewhere = PathBuf::from("/home/other/blog");
    let request = PlanRequest { deployment: blog("dev", 1), origin: elsewhere.clone(), reset_placement: false };
    let response = plane.handle.plan("dev", "blog", request).await.expect("a plan");
    assert!(response.warnings[0].contains("/home/test/blog"), "{:?}", response.warnings);

    let foreign = UpRequest { origin: elsewhere.clone(), ..up(&blog("dev", 1), 1) };
    let refused = plane.handle.up("dev", "blog", foreign.clone()).await.err().expect("refused");
    assert_eq!(refused.code, Code::Conflict);
    assert!(refused.hint.expect("a hint").contains("--take-over"));

    let taken = plane.handle.up("dev", "blog", UpRequest { take_over: true, ..foreign }).await.expect("accepted");
    assert!(words(&all(taken).await)[0].contains("taken over"));
    assert!(plane.world.assigned().assignments.iter().all(|it| it.origin == elsewhere));
}

#[tokio::test]
async fn two_environments_live_side_by_side() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    plane.up(&blog("test", 2)).await.expect("accepted");
    assert_eq!(*plane.handle.services().borrow(), ["dev/blog", "test/blog"]);
    let password = |environment: &str| {
        let assigned = plane.world.assigned();
        let of = assigned.assignments.into_iter().find(|it| it.slot.environment == environment).expect("there");
        of.secrets["db"].expose().to_owned()
    };
    assert_ne!(password("dev"), password("test"));
    plane.down("dev", "blog").await;
    assert_eq!(plane.world.running(), ["test/blog/mysql", "test/blog/wordpress"]);
    assert_eq!(*plane.handle.services().borrow(), ["test/blog"]);
}

#[tokio::test]
async fn a_failed_role_is_named_with_its_last_lines_and_its_users_follow() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.world.script("mysql", Some(Script::Stands(Phase::Failed, "cannot read its configuration".to_owned())));
    plane.world.script(
        "wordpress",
        Some(Script::Stands(Phase::Waiting, "waiting for mysql (dev/blog/mysql/mysql)".to_owned())),
    );
    let events = plane.up(&blog("dev", 1)).await.expect("accepted");
    let problem = problem(&events);
    assert_eq!(problem.code, Code::Failed);
    assert_eq!(problem.message, "mysql failed: cannot read its configuration");
    assert_eq!(problem.causes, ["wordpress waits for mysql, which did not come up"]);
    assert_eq!(problem.output, ["last line of output"]);
    // It stays wanted: once mended it comes to be, and the next `up` has nothing to change.
    plane.world.script("mysql", None);
    plane.world.script("wordpress", None);
    assert_eq!(words(&plane.up(&blog("dev", 1)).await.expect("accepted")).last().expect("an end"), "done at 1");
}

#[tokio::test]
async fn a_requirement_that_nobody_provides_ends_the_wait_and_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    let mut alone = blog("dev", 1);
    alone.roles["wordpress"].require["mysql"].wait = Duration::from_millis(50);
    plane.world.script(
        "wordpress",
        Some(Script::Stands(Phase::Waiting, "waiting for mysql (dev/blog/mysql/mysql)".to_owned())),
    );
    let events = plane.up(&alone).await.expect("accepted");
    assert!(words(&events).contains(&"wordpress: waiting for mysql (dev/blog/mysql/mysql)".to_owned()), "{events:?}");
    assert!(problem(&events).message.starts_with("wordpress is still waiting for mysql"), "{:?}", problem(&events));
    assert_eq!(plane.world.running(), ["dev/blog/mysql"]);
}

#[tokio::test]
async fn output_of_a_build_is_passed_on_to_its_own_service_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.world.script("wordpress", Some(Script::Stands(Phase::Image, "building".to_owned())));
    let mut stream = plane.handle.up("dev", "blog", up(&blog("dev", 1), 0)).await.expect("accepted");
    let slot = |environment: &str| scs_plan::slot::Slot {
        environment: environment.to_owned(),
        service: "blog".to_owned(),
        role: "wordpress".to_owned(),
        index: 0,
    };
    let mut seen = Vec::new();
    while !seen.contains(&"wordpress: preparing its image (building)".to_owned()) {
        let event = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("an event");
        seen.extend(words(&event.into_iter().collect::<Vec<_>>()));
    }
    plane.world.say(slot("test"), "not ours");
    plane.world.say(slot("dev"), "Step 1");
    let event = stream.next().await.into_iter().collect::<Vec<_>>();
    assert_eq!(words(&event), ["wordpress| Step 1"]);
}

#[tokio::test]
async fn restart_stop_and_start_concern_one_role() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let act = async |action, role: &str| {
        let request = RoleRequest { index: None, caller: caller() };
        plane.handle.role("dev", "blog", role, action, request).await
    };
    let started = plane.world.model().started;
    let events = all(act(RoleAction::Restart, "wordpress").await.expect("accepted")).await;
    assert_eq!(words(&events), ["wordpress running", "done at 2"]);
    assert_eq!(plane.world.model().started, started + 1);

    let events = all(act(RoleAction::Stop, "mysql").await.expect("accepted")).await;
    assert_eq!(words(&events), ["mysql stopped", "done at 3"]);
    assert_eq!(plane.world.running(), ["dev/blog/wordpress"]);
    assert_eq!(plane.actions(&blog("dev", 1)).await, ["mysql Create", "wordpress Keep"]);

    let events = all(act(RoleAction::Start, "mysql").await.expect("accepted")).await;
    assert_eq!(words(&events), ["mysql running", "done at 4"]);
    let refused = act(RoleAction::Start, "nobody").await.err().expect("refused");
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (Code::NotFound, "dev/blog has no role nobody; it has mysql, wordpress")
    );
    assert_eq!(words(&plane.up(&blog("dev", 1)).await.expect("accepted")).last().expect("an end"), "done at 4");
}

#[tokio::test]
async fn manifests_of_another_directory_change_nothing_unless_it_is_meant() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    plane.up(&blog("dev", 2)).await.expect("accepted");
    let revision = plane.world.assigned().revision;
    let elsewhere = Caller { origin: Some(PathBuf::from("/home/test/clone")), ..caller() };
    let handle = &plane.handle;
    let role = |caller: &Caller| RoleRequest { index: None, caller: caller.clone() };
    let refused = [
        handle.down("dev", "blog", DownRequest { caller: elsewhere.clone() }).await.err(),
        handle.role("dev", "blog", "mysql", RoleAction::Restart, role(&elsewhere)).await.err(),
        handle.role("dev", "blog", "mysql", RoleAction::Stop, role(&elsewhere)).await.err(),
        handle.rollback("dev", "blog", RollbackRequest { revision: None, caller: elsewhere.clone() }).await.err(),
    ];
    for problem in refused {
        let problem = problem.expect("refused");
        let said = (problem.code, problem.message.as_str());
        assert_eq!(said, (Code::Conflict, "dev/blog belongs to /home/test/blog, not to /home/test/clone"));
        assert!(problem.hint.expect("a hint").contains("--take-over"));
    }
    assert_eq!(plane.world.assigned().revision, revision, "nothing was changed");

    // Named outright it is meant wherever it came from; and so it is where that is said.
    let named = Caller { origin: None, ..caller() };
    let events =
        all(handle.role("dev", "blog", "mysql", RoleAction::Stop, role(&named)).await.expect("accepted")).await;
    assert_eq!(words(&events), ["mysql stopped", "done at 3"]);
    let said = Caller { take_over: true, ..elsewhere };
    let events = all(handle.down("dev", "blog", DownRequest { caller: said }).await.expect("accepted")).await;
    assert_eq!(words(&events).last().expect("an end"), "done at 4");
}

#[tokio::test]
async fn one_instance_of_several_is_restarted_and_explained() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    let mut blog = blog("dev", 1);
    let site = blog.roles.get_mut("wordpress").expect("the site");
    (site.replicas, site.spec_digest) = (2, "two".to_owned());
    plane.up(&blog).await.expect("accepted");
    assert_eq!(plane.world.running(), ["dev/blog/mysql", "dev/blog/wordpress", "dev/blog/wordpress.1"]);
    let instances = || {
        let model = plane.world.model();
        let sites = model.containers.iter().filter(|(slot, _)| slot.role == "wordpress");
        sites.map(|(_, it)| it.instance.clone()).collect::<Vec<_>>()
    };
    let before = instances();
    let act = async |index| {
        let request = RoleRequest { index: Some(index), caller: caller() };
        plane.handle.role("dev", "blog", "wordpress", RoleAction::Restart, request).await
    };
    assert_eq!(words(&all(act(1).await.expect("accepted")).await), ["wordpress running", "done at 2"]);
    let after = instances();
    assert_eq!((after[0] == before[0], after[1] == before[1]), (true, false), "{before:?} → {after:?}");
    let history = plane.handle.history("dev", "blog").await.expect("kept");
    assert_eq!((history[0].what.as_str(), history[0].who.as_str()), ("restart wordpress.1", "test"));

    let explained = plane.handle.explain("dev", "blog", "wordpress", 1, "mysql").await.expect("an explanation");
    assert_eq!(explained.requirement, "dev/blog/wordpress.1.mysql");
    let missing = plane.handle.explain("dev", "blog", "wordpress", 2, "mysql").await.expect_err("there is none");
    let said = "role wordpress of dev/blog has no instance wordpress.2; it has wordpress.0 to wordpress.1";
    assert_eq!((missing.code, missing.message.as_str()), (Code::NotFound, said));
    assert_eq!(act(2).await.err().expect("refused").message, said);
}

#[tokio::test]
async fn environments_are_known_once_anything_was_brought_up_in_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("prod", 1)).await.expect("accepted");
    plane.up(&blog("dev", 1)).await.expect("accepted");
    plane.down("dev", "blog").await;
    let known = plane.handle.environments().await.expect("a list");
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["dev", "prod"], "one that is down is known too");
}

#[tokio::test]
async fn rollback_goes_to_the_last_different_revision_and_says_that_data_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    plane.up(&blog("dev", 2)).await.expect("accepted");
    let roll = async |revision| {
        let request = RollbackRequest { revision, caller: caller() };
        plane.handle.rollback("dev", "blog", request).await
    };
    let events = words(&all(roll(None).await.expect("accepted")).await);
    assert!(events[0].contains("data does not roll back"), "{events:?}");
    assert_eq!(events.last().expect("an end"), "done at 3");
    assert_eq!(plane.actions(&blog("dev", 1)).await, ["mysql Keep", "wordpress Keep"]);
    assert_eq!(roll(Some(99)).await.err().expect("refused").code, Code::NotFound);
    plane.down("dev", "blog").await;
    let events = words(&all(roll(Some(2)).await.expect("accepted")).await);
    assert_eq!(events.last().expect("an end"), "done at 5");
    assert_eq!(plane.actions(&blog("dev", 2)).await, ["mysql Keep", "wordpress Keep"]);
}

#[tokio::test]
async fn ten_revisions_are_kept_with_their_images() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    for parameter in 1..=13 {
        plane.up(&blog("dev", parameter)).await.expect("accepted");
    }
    let history = plane.handle.history("dev", "blog").await.expect("kept");
    assert_eq!(history.iter().map(|it| it.revision).collect::<Vec<_>>(), (4..=13).rev().collect::<Vec<_>>());
    let pruned = plane.handle.prune().await.expect("pruned");
    assert_eq!(pruned.value.removed.len(), 3, "{pruned:?}");
    assert_eq!(plane.world.model().kept.as_ref().expect("asked").len(), 11, "ten sites and one database");
}

#[tokio::test]
async fn a_down_that_was_interrupted_goes_on_when_the_server_is_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let plane = Plane::start(directory.path(), &world).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    world.script("wordpress", Some(Script::NeverGoes));
    let request = scs_api::deploy::DownRequest { caller: caller() };
    drop(plane.handle.down("dev", "blog", request).await.expect("accepted"));
    until("the site is told to go", || {
        let assigned = world.assigned();
        if assigned.tombstones.len() == 1 { Ok(()) } else { Err(assigned) }
    })
    .await;
    assert_eq!(world.running(), ["dev/blog/mysql", "dev/blog/wordpress"], "its provider stays until it has gone");
    plane.stop().await;

    let plane = Plane::start(directory.path(), &world).await;
    world.script("wordpress", None);
    until("everything has gone", || {
        let running = world.running();
        if running.is_empty() { Ok(()) } else { Err(running) }
    })
    .await;
    until("the service is down", || {
        let services = plane.handle.services().borrow().clone();
        if services.is_empty() { Ok(()) } else { Err(services) }
    })
    .await;
    assert_eq!(words(&plane.up(&blog("dev", 1)).await.expect("accepted")).last().expect("an end"), "done at 3");
}

#[tokio::test]
async fn a_deployment_that_is_not_what_it_says_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    let refused = |request: UpRequest| plane.handle.up("dev", "blog", request);
    let other = refused(up(&blog("test", 1), 0)).await.err().expect("refused");
    assert_eq!(other.code, Code::BadRequest);
    let mut placed = blog("dev", 1);
    placed.roles["mysql"].placement.host = Some("mars".to_owned());
    let nowhere = refused(up(&placed, 0)).await.err().expect("refused");
    assert_eq!(nowhere.causes, ["it is placed on host mars, which is not there (hosts are here)"]);
    let mut named = blog("dev", 1);
    named.roles.insert("../x".to_owned(), role("../x", &json!({})));
    assert_eq!(refused(up(&named, 0)).await.err().expect("refused").code, Code::BadRequest);
    let mut out = blog("dev", 1);
    let secret = out.roles["mysql"].secrets["ROOT_PASSWORD"].clone();
    out.roles["mysql"].secrets.insert("../../x".to_owned(), secret);
    let escape = refused(up(&out, 0)).await.err().expect("refused");
    assert_eq!(escape.message, "secret \"../../x\" of role mysql is not named as it should be");
    assert!(plane.handle.services().borrow().is_empty());
}
