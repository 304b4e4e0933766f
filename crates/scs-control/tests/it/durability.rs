//! What is on disk: after an end, after a kill, damaged, newer, in use.

use crate::world::{Plane, World, blog, open, until, words};
use scs_control::store::{Embedded, Error};
use scs_ports::state::{StateStore, Transaction};
use std::path::Path;

mod embedded {
    use super::Embedded;
    use std::sync::Arc;

    async fn setup() -> (Arc<Embedded>, tempfile::TempDir) {
        let directory = tempfile::tempdir().expect("a directory");
        (Arc::new(Embedded::open(directory.path()).expect("open")), directory)
    }

    scs_ports::state_conformance!(setup);
}

/// The files of a directory as a kill at this moment would leave them.
fn killed(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    for name in ["state.redb", "host.key"] {
        std::fs::copy(from.join(name), copy.path().join(name)).expect("copied");
    }
    copy
}

fn put(key: &str, value: &str) -> Transaction {
    Transaction { put: vec![(key.to_owned(), value.to_owned().into())], ..Transaction::default() }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let plane = Plane::start(directory.path(), &world).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    until("the volume is known", || {
        let assigned = world.assigned();
        if assigned.assignments.iter().any(|it| it.volumes.values().any(|it| it.known)) {
            Ok(())
        } else {
            Err(assigned)
        }
    })
    .await;
    let before = world.assigned();
    // Copied while it is open: nothing was closed, flushed or told.
    let copy = killed(directory.path());

    let plane = Plane::start(copy.path(), &world).await;
    assert_eq!(*plane.handle.services().borrow(), ["dev/blog"]);
    let events = plane.up(&blog("dev", 1)).await.expect("accepted");
    assert_eq!(words(&events), ["mysql unchanged", "wordpress unchanged", "done at 1"]);
    let after = world.assigned();
    assert_eq!((after.cluster, world.model().started), (before.cluster, 2));
    assert!(after.revision >= before.revision);
    let password = |it: &scs_api::agent::Assignments| it.assignments[0].secrets["db"].expose().to_owned();
    assert_eq!(password(&world.assigned()), before.assignments[0].secrets["db"].expose());
    assert!(after.assignments[0].volumes["data"].known, "a missing volume is an error from now on");
}

#[tokio::test]
async fn no_secret_is_on_disk_in_the_clear() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let password = plane.world.assigned().assignments[0].secrets["db"].expose().to_owned();
    assert_eq!(password.len(), 32);
    for entry in std::fs::read_dir(directory.path()).expect("readable") {
        let path = entry.expect("readable").path();
        let bytes = std::fs::read(&path).expect("readable");
        let found = bytes.windows(password.len()).any(|it| it == password.as_bytes());
        assert!(!found, "{} holds the password", path.display());
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("there").permissions());
        assert_eq!(mode & 0o077, 0, "{} is open to others", path.display());
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_the_first_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = Embedded::open(directory.path()).expect("open");
    assert!(matches!(Embedded::open(directory.path()), Err(Error::InUse { .. })));
    drop(first);
    assert!(Embedded::open(directory.path()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_stopped_has_let_go_of_its_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new();
    for change in 1..=8 {
        let plane = Plane::start(directory.path(), &world).await;
        // Ended while what the host says of the change is still being taken in.
        plane.up(&blog("dev", change)).await.expect("accepted");
        plane.stop().await;
        drop(Embedded::open(directory.path()).expect("nobody has it open"));
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.redb");
    let store = Embedded::open(directory.path()).expect("open");
    for at in 0..200 {
        store.commit(&put(&format!("key/{at}"), &"x".repeat(1000))).await.expect("committed");
    }
    drop(store);
    let whole = std::fs::read(&path).expect("readable");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 3;
    flipped[middle..middle + 4096].fill(0x5a);
    let damages: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("a few bytes", whole[..100].to_vec()),
        ("something else", b"#!/bin/sh\n".repeat(1000)),
        ("zeroes", vec![0; whole.len()]),
        ("overwritten", flipped),
    ];
    for (what, bytes) in damages {
        std::fs::write(&path, &bytes).expect("written");
        match Embedded::open(directory.path()) {
            Err(Error::Damaged { .. }) => {}
            Err(other) => panic!("{what}: {other}"),
            // What no page of the current state was in may be lost without harm, and only that.
            Ok(store) => {
                assert_eq!(what, "overwritten", "was opened");
                assert_eq!(store.list("key/").await.expect("readable").0.len(), 200);
                continue;
            }
        }
        assert_eq!(std::fs::read(&path).expect("readable"), bytes, "{what}: was changed");
    }
    std::fs::write(&path, &whole).expect("written");
    let store = Embedded::open(directory.path()).expect("the copy is good");
    assert_eq!(store.list("key/").await.expect("readable").0.len(), 200);
}

#[tokio::test]
async fn a_newer_format_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(directory.path()).expect("open");
    store.commit(&put("cluster", r#"{"format": 7, "shape": "unknown"}"#)).await.expect("committed");
    drop(store);
    let error = open(directory.path(), &World::new()).await.expect_err("refused");
    assert!(error.contains("newer version (format 7"), "{error}");

    let path = directory.path().join("state.redb");
    let database = redb::Database::open(&path).expect("open");
    let write = database.begin_write().expect("a transaction");
    write
        .open_table(redb::TableDefinition::<&str, u64>::new("meta"))
        .expect("a table")
        .insert("format", 2)
        .expect("written");
    write.commit().expect("committed");
    drop(database);
    let before = std::fs::read(&path).expect("readable");
    assert!(matches!(Embedded::open(directory.path()), Err(Error::Newer { found: 2, .. })));
    assert_eq!(std::fs::read(&path).expect("readable"), before);
}

#[tokio::test]
async fn a_creation_that_was_interrupted_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("state.redb.new"), b"half").expect("written");
    let store = Embedded::open(directory.path()).expect("open");
    assert_eq!(store.list("").await.expect("readable"), (Vec::new(), 0));
}
