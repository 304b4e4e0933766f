//! The life of containers.
#![expect(missing_docs, reason = "named by what they show")]

use super::{World, done, soon};
use crate::engine::{Container, Error, EventKind, Labels, State};
use futures_util::StreamExt;
use std::time::{Duration, SystemTime};

const GRACE: Duration = Duration::from_secs(1);

async fn look(world: &World, id: &str) -> Container {
    done(id, world.engine.container(id).await).unwrap_or_else(|| panic!("container {id} should be there"))
}

fn code(container: &Container) -> i64 {
    match &container.state {
        State::Exited(exit) => exit.code,
        other => panic!("{} should have ended, and is {other:?}", container.name),
    }
}

pub async fn it_says_who_it_is(world: &World) {
    let info = done("info", world.engine.info().await);
    assert!(info.platform.starts_with("linux/"), "{info:?}");
    assert!(!info.id.is_empty() && !info.version.is_empty() && !info.api.is_empty(), "{info:?}");
}

pub async fn a_container_is_created_runs_and_ends(world: &World) {
    let request = world.container("one", &["play", "out=ready", "sleep=1h"]);
    let id = world.create(&request).await;
    let created = look(world, &id).await;
    assert_eq!((created.state, created.pid, created.started), (State::Created, None, None));
    assert_eq!((created.id.as_str(), created.name.as_str()), (id.as_str(), request.name.as_str()));
    done("start", world.engine.start(&id).await);
    let running = look(world, &request.name).await;
    assert_eq!(running.state, State::Running);
    assert!(running.pid.is_some(), "{running:?}");
    world.ready(&id).await;
    done("stop", world.engine.stop(&id, GRACE).await);
    let ended = look(world, &id).await;
    assert_eq!((code(&ended), ended.pid), (0, None));
    world.remove(&id).await;
    assert_eq!(done("look", world.engine.container(&id).await), None);
}

pub async fn starting_and_stopping_are_idempotent(world: &World) {
    let id = world.runs("one").await;
    let pid = look(world, &id).await.pid;
    done("a second start", world.engine.start(&id).await);
    assert_eq!(look(world, &id).await.pid, pid, "a second start leaves it as it is");
    for _ in 0..2 {
        done("stop", world.engine.stop(&id, GRACE).await);
    }
    done("start again", world.engine.start(&id).await);
    assert_eq!(look(world, &id).await.state, State::Running);
    for _ in 0..2 {
        world.remove(&id).await;
    }
}

pub async fn what_is_not_there_is_named(world: &World) {
    let name = world.named("nobody");
    assert_eq!(done("look", world.engine.container(&name).await), None);
    let named = |error: Error| match error {
        Error::NotFound { what } => assert!(what.contains(&name), "{what}"),
        other => panic!("{other:?}"),
    };
    named(world.engine.start(&name).await.expect_err("it cannot be started"));
    named(world.engine.stop(&name, GRACE).await.expect_err("it cannot be stopped"));
    named(world.engine.signal(&name, "HUP").await.expect_err("it gets no signal"));
    named(world.engine.wait(&name).await.expect_err("nobody can wait for it"));
    named(world.engine.rename(&name, &world.named("other")).await.expect_err("it cannot be renamed"));
    named(world.engine.exec(&name, &world.command(&["play"])).await.expect_err("nothing runs in it"));
    let mut request = world.container("one", &["play"]);
    request.image = format!("{name}:none");
    named(world.engine.create(&request).await.expect_err("its image is missing"));
}

pub async fn a_taken_name_is_a_conflict(world: &World) {
    let request = world.container("one", &["play"]);
    let id = world.create(&request).await;
    match world.engine.create(&request).await {
        Err(Error::Conflict { what, .. }) => assert!(what.contains(&request.name), "{what}"),
        other => panic!("{other:?}"),
    }
    let other = world.create(&world.container("two", &["play"])).await;
    let renamed = world.engine.rename(&other, &request.name).await;
    assert!(matches!(renamed, Err(Error::Conflict { .. })), "{renamed:?}");
    world.remove(&id).await;
    world.remove(&other).await;
}

pub async fn a_renamed_container_goes_by_its_new_name(world: &World) {
    let id = world.runs("one").await;
    let name = world.named("two");
    done("rename", world.engine.rename(&id, &name).await);
    assert_eq!(look(world, &name).await.id, id);
    assert_eq!(done("look", world.engine.container(&world.named("one")).await), None);
    assert_eq!(look(world, &id).await.state, State::Running);
    world.remove(&id).await;
}

pub async fn the_exit_code_is_told_to_who_waits(world: &World) {
    let id = world.run(&world.container("one", &["play", "sleep=200ms", "exit=3"])).await;
    let exit = done("wait", soon("the container's end", world.engine.wait(&id)).await);
    assert_eq!((exit.code, exit.out_of_memory), (3, false));
    let again = done("wait", soon("what is over", world.engine.wait(&id)).await);
    assert_eq!(again.code, 3);
    assert_eq!(code(&look(world, &id).await), 3);
    world.remove(&id).await;
}

pub async fn who_waits_for_a_container_not_yet_started_waits_for_its_end(world: &World) {
    let id = world.create(&world.container("one", &["play", "sleep=200ms", "exit=4"])).await;
    let wait = world.engine.wait(&id);
    let start = async {
        tokio::task::yield_now().await;
        done("start", world.engine.start(&id).await);
    };
    let (exit, ()) = soon("the container's end", async { tokio::join!(wait, start) }).await;
    assert_eq!(done("wait", exit).code, 4);
    world.remove(&id).await;
}

pub async fn one_that_is_deaf_is_killed_after_the_grace_period(world: &World) {
    let id = world.run(&world.container("one", &["play", "deaf", "out=deaf now", "sleep=1h"])).await;
    world.ready(&id).await;
    done("stop", soon("a stop", world.engine.stop(&id, GRACE)).await);
    assert_eq!(code(&look(world, &id).await), 137);
    world.remove(&id).await;
}

pub async fn a_signal_reaches_process_1(world: &World) {
    let id = world.run(&world.container("one", &["play", "out=ready", "sleep=1h"])).await;
    world.ready(&id).await;
    done("signal", world.engine.signal(&id, "TERM").await);
    assert_eq!(done("wait", soon("the container's end", world.engine.wait(&id)).await).code, 0);
    let late = world.engine.signal(&id, "TERM").await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
    world.remove(&id).await;
}

pub async fn labels_select_containers(world: &World) {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut first = world.container("one", &["play"]);
    first.labels.extend([label("color", "red"), label("size", "big")]);
    let mut second = world.container("two", &["play"]);
    second.labels.extend([label("color", "blue")]);
    let (first, second) = (world.create(&first).await, world.create(&second).await);
    let select = async |more: &[(&str, &str)]| {
        let mut wanted = world.labels.clone();
        wanted.extend(more.iter().map(|(key, value)| label(key, value)));
        let mut ids: Vec<_> =
            done("list", world.engine.containers(&wanted).await).into_iter().map(|it| it.id).collect();
        ids.sort();
        ids
    };
    let mut both = vec![first.clone(), second.clone()];
    both.sort();
    assert_eq!(select(&[]).await, both);
    assert_eq!(select(&[("color", "")]).await, both, "an empty value matches any");
    assert_eq!(select(&[("color", "red")]).await, [first.as_str()]);
    assert_eq!(select(&[("color", ""), ("size", "big")]).await, [first.as_str()]);
    assert_eq!(select(&[("color", "green")]).await, [""; 0]);
    world.remove(&first).await;
    world.remove(&second).await;
}

pub async fn a_container_says_when_it_started(world: &World) {
    let before = SystemTime::now() - Duration::from_secs(1);
    let id = world.runs("one").await;
    let started = look(world, &id).await.started.expect("one that runs has started");
    assert!(before <= started && started <= SystemTime::now() + Duration::from_secs(1), "{before:?} {started:?}");
    world.remove(&id).await;
}

pub async fn events_tell_the_life_of_a_container(world: &World) {
    let mut events = done("events", world.engine.events(&world.labels).await);
    // From the moment the call has returned on, even before anybody reads them.
    let id = world.run(&world.container("one", &["play", "exit=5"])).await;
    done("wait", soon("the container's end", world.engine.wait(&id)).await);
    world.remove(&id).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&EventKind::Removed) {
        let event = soon("an event", events.next()).await.expect("the stream goes on");
        let event = done("an event", event);
        assert_eq!(event.id, id);
        assert!(world.labels.iter().all(|(key, value)| event.labels.get(key) == Some(value)), "{event:?}");
        seen.push(event.kind);
    }
    assert_eq!(seen, [EventKind::Started, EventKind::Died(5), EventKind::Removed]);
}

pub async fn events_can_be_narrowed_by_label(world: &World) {
    let mut wanted = world.labels.clone();
    wanted.insert("color".to_owned(), "red".to_owned());
    let mut events = done("events", world.engine.events(&wanted).await);
    let other = world.runs("one").await;
    let mut request = world.container("two", &["play", "sleep=1h"]);
    request.labels = wanted;
    let id = world.run(&request).await;
    let event = soon("an event", events.next()).await.expect("the stream goes on");
    assert_eq!(done("an event", event).id, id, "the other one is of no interest");
    let none = done("list", world.engine.containers(&Labels::from([("color".to_owned(), world.name.clone())])).await);
    assert_eq!(none, []);
    world.remove(&other).await;
    world.remove(&id).await;
}
