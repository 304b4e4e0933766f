//! A user who may use the engine and is not root: whose containers' files belong to other users all the same.

use super::volumes::{FILL, GET, LIST, SET, attribute, place, project, shell};
use scs_e2e::Scs;
use scs_e2e::docker::docker;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Nobody on this machine.
const USER: u32 = 54_321;

/// The whole before its part, which lies where the whole's user lets nobody else.
const NAMES: [&str; 3] = ["data", "part", "named"];

fn id(name: &str) -> String {
    format!("dev/shop/store/{name}")
}

fn export(scs: &Scs, into: &Path, name: &str) -> String {
    let archive = into.join(format!("{name}.tar")).display().to_string();
    let _ = scs.ok(&["volume", "export", &id(name), "--to", &archive]);
    std::fs::set_permissions(&archive, Permissions::from_mode(0o644)).expect("anybody may read it");
    archive
}

fn remove_all(scs: &Scs) {
    let _ = scs.ok(&["down"]);
    for name in ["part", "data", "named"] {
        let _ = scs.ok(&["volume", "rm", "--yes", &id(name)]);
    }
}

#[test]
fn what_root_exports_a_user_imports_and_the_other_way_round_and_nothing_of_the_files_is_lost() {
    // Root builds the images, so that the user has them from the engine.
    let (roots, users) = (project(), project());
    let user = Scs::of_user(users.path(), USER);
    let root = Scs::new(roots.path());
    let _ = root.ok(&["up", "-d"]);
    let store = root.container("store");
    let mut before = Vec::new();
    for name in NAMES {
        let _ = shell(&store, FILL, &format!("/{name}"));
        before.push(shell(&store, LIST, &format!("/{name}")));
    }
    let local = place(&root, "data");
    for path in [Path::new(&local).join("file"), Path::new(&local).to_owned()] {
        let _ = attribute(&path, &["-c", SET]);
    }
    let _ = root.ok(&["stop", "store"]);
    let archives: Vec<_> = NAMES.iter().map(|name| export(&root, users.path(), name)).collect();
    remove_all(&root);

    let came_back = |scs: &Scs| {
        let store = scs.container("store");
        for (name, before) in NAMES.iter().zip(&before) {
            assert_eq!(&shell(&store, LIST, &format!("/{name}")), before, "{name}");
        }
        let local = place(scs, "data");
        for path in [Path::new(&local).join("file"), Path::new(&local).to_owned()] {
            assert_eq!(attribute(&path, &["-c", GET]), "blue", "{}", path.display());
        }
    };
    let import = |scs: &Scs, archives: &[String]| {
        for (name, archive) in NAMES.iter().zip(archives) {
            let _ = scs.ok(&["volume", "import", "--yes", &id(name), "--from", archive]);
        }
    };
    let _ = user.ok(&["up", "-d"]);
    let _ = user.ok(&["stop", "store"]);
    import(&user, &archives);
    let _ = user.ok(&["up", "-d"]);
    came_back(&user);
    let listed = user.ok(&["ps"]);
    assert!(listed.contains("store") && listed.contains("running"), "{listed}");

    let _ = user.ok(&["stop", "store"]);
    let archives: Vec<_> = NAMES.iter().map(|name| export(&user, users.path(), name)).collect();
    remove_all(&user);
    assert!(!user.state().join("volumes/dev/shop/store/data").exists(), "nothing is left of them");

    import(&root, &archives);
    let _ = root.ok(&["up", "-d"]);
    came_back(&root);
    remove_all(&root);
}

#[test]
fn a_user_runs_a_service_with_a_volume_and_a_broken_archive_leaves_it_as_it_was() {
    let project = project();
    let _ = Scs::new(project.path()).ok(&["build"]);
    let scs = Scs::of_user(project.path(), USER);
    let _ = scs.ok(&["up", "-d"]);
    let store = scs.container("store");
    let _ = docker(&["exec", &store, "sh", "-c", "echo precious > /data/file; chmod 600 /data/file"]);
    assert_eq!(scs.json(&["ps", "-o", "json"]).as_array().map(Vec::len), Some(1));
    let _ = scs.ok(&["logs", "store"]);
    let _ = scs.ok(&["stop", "store"]);
    let archive = Path::new(&export(&scs, project.path(), "data")).to_owned();
    let whole = std::fs::read(&archive).expect("it was written");
    for length in [700, 1024] {
        std::fs::write(&archive, &whole[..length]).expect("written");
        let from = archive.display().to_string();
        let run = scs.run(&["volume", "import", "--yes", &id("data"), "--from", &from]);
        assert_eq!(run.code(), 1, "{}", run.shown());
        assert!(run.stderr().contains("cannot be unpacked") && run.stderr().contains("as it was"), "{}", run.shown());
    }
    let local = place(&scs, "data");
    let left: Vec<_> = std::fs::read_dir(&local).expect("it is there").flatten().map(|it| it.file_name()).collect();
    assert!(left.iter().all(|it| it == "file" || it == "inner"), "nothing of the attempt is left: {left:?}");
    assert_eq!(std::fs::read_to_string(Path::new(&local).join("file")).expect("it is there"), "precious\n");

    // One that was not there is not there after an import that failed.
    remove_all(&scs);
    let from = archive.display().to_string();
    let run = scs.run(&["volume", "import", "--yes", &id("data"), "--from", &from]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(!scs.state().join("volumes/dev/shop/store/data").exists(), "nothing is left of it");
    let helpers = docker(&["ps", "--all", "--no-trunc", "--filter", "label=scs.helper", "--format", "{{.Mounts}}"]);
    assert!(!helpers.contains(&*scs.state().to_string_lossy()), "no helper is left: {helpers}");
}
