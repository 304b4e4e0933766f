//! Bundles in temporary stores.

use super::*;
use crate::source::{Options, scan};

struct Place {
    source: tempfile::TempDir,
    store: tempfile::TempDir,
}

fn place() -> (Place, BundleStore, Tree) {
    let (source, store) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let long = "d".repeat(90);
    fs::create_dir_all(source.path().join("a").join(&long)).expect("made");
    fs::write(source.path().join("a/run.sh"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(source.path().join("a/run.sh"), fs::Permissions::from_mode(0o700)).expect("set");
    fs::write(source.path().join("a").join(&long).join("file name ö"), vec![7; 300_000]).expect("written");
    symlink(format!("{long}/file name ö"), source.path().join("a/link")).expect("linked");
    let bundles = BundleStore::new(store.path().join("bundles"));
    let tree = scan(source.path(), &Options::default()).expect("read");
    (Place { source, store }, bundles, tree)
}

#[test]
fn what_is_put_is_got_and_unpacked() {
    let (place, bundles, tree) = place();
    assert!(matches!(bundles.get(&tree.digest), Err(Error::Missing { .. })));
    let path = bundles.put(&tree).expect("stored");
    assert_eq!(bundles.get(&tree.digest).expect("found"), path);
    let into = place.store.path().join("unpacked");
    bundles.unpack(&tree.digest, &into).expect("unpacked");
    assert_eq!(scan(&into, &Options::default()).expect("read").digest, tree.digest);
    let mode = fs::metadata(into.join("a/run.sh")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn the_bytes_follow_from_the_entries_alone() {
    let (place, bundles, tree) = place();
    let elsewhere = BundleStore::new(place.store.path().join("others"));
    let one = fs::read(bundles.put(&tree).expect("stored")).expect("read");
    let run = place.source.path().join("a/run.sh");
    File::options().write(true).open(run).expect("open").set_modified(std::time::UNIX_EPOCH).expect("set");
    let two = fs::read(elsewhere.put(&tree).expect("stored")).expect("read");
    assert_eq!(one, two);
}

#[test]
fn a_damaged_bundle_is_moved_aside_and_can_be_put_again() {
    let (_place, bundles, tree) = place();
    let path = bundles.put(&tree).expect("stored");
    let whole = fs::read(&path).expect("read");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 3], b"", b"nonsense"] {
        fs::write(&path, damaged).expect("written");
        let error = bundles.get(&tree.digest).expect_err("it is damaged");
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(!path.exists());
        bundles.put(&tree).expect("stored again");
        bundles.get(&tree.digest).expect("whole again");
    }
}

#[test]
fn a_file_that_changed_after_the_scan_is_named() {
    let (place, bundles, tree) = place();
    for content in ["#!/bin/sh\nmore", "#!/bin", "#!/bin/xx\n"] {
        fs::write(place.source.path().join("a/run.sh"), content).expect("written");
        let error = bundles.put(&tree).expect_err("it changed");
        assert!(matches!(&error, Error::Changed { path } if path.ends_with("a/run.sh")), "{error}");
    }
    let left: Vec<_> = fs::read_dir(place.store.path().join("bundles")).expect("read").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn many_writers_of_one_bundle_do_not_disturb_each_other() {
    let (_place, bundles, tree) = place();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                bundles.put(&tree).expect("stored");
                bundles.get(&tree.digest).expect("whole");
            });
        }
    });
}

#[test]
fn pruning_keeps_what_is_named() {
    let (_place, bundles, tree) = place();
    bundles.put(&tree).expect("stored");
    assert_eq!(bundles.prune(&BTreeSet::from([tree.digest.clone()])).expect("pruned"), 0);
    assert_eq!(bundles.prune(&BTreeSet::new()).expect("pruned"), 1);
    assert!(matches!(bundles.get(&tree.digest), Err(Error::Missing { .. })));
}
