//! Volumes: copied out, deleted, copied in and used again, with all that the file system knows of their files.

use scs_e2e::docker::docker;
use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// One role with a volume of every method.
pub(super) fn project() -> Project {
    let project = Project::store_and_web();
    project.write(
        "deployment.yaml",
        "version: 1\nservice: shop\ncontainers:\n  store:\n    image: { source: { path: images/store }, config: { greeting: hello } }\n    \
         secrets: { TOKEN: token }\n    volume:\n      data: { method: local }\n      part: { method: sub, of: data, path: inner/part }\n      \
         named: { method: docker }\n      mine: { method: bind, from: ./mine }\nsecrets:\n  token: { generate: 24 }\n",
    );
    project.replace(
        "images/store/image.yaml",
        "  data: { path: /data, mode: 0750 }\n",
        "  data: { path: /data, mode: 0750, owner: games }\n  part: { path: /part, mode: 0700, owner: daemon }\n  \
         named: { path: /named, mode: 0710, owner: mail }\n  mine: { path: /mine }\n",
    );
    std::fs::create_dir(project.path().join("mine")).expect("made");
    project
}

/// Fills a directory of the container with files of many kinds.
pub(super) const FILL: &str = "set -e; cd $1; echo content > file; chown 1234:4321 file; chmod 4750 file; ln -s file link; ln file hard; \
                    mkdir -m 1777 shared; mkdir -p deep/er; echo x > deep/er/x; : > .hidden; truncate -s 64M sparse; touch -d @1000000000 file";

/// All of a tree that has to come back.
pub(super) const LIST: &str = "cd $1; find . ! -path './inner*' -printf '%p %y %m %U:%G %s %l %n\\n' | sort; stat -c %Y file; \
                    sha256sum file sparse; test $(du -k sparse | cut -f1) -lt 1000 && echo sparse";

pub(super) fn shell(container: &str, script: &str, directory: &str) -> String {
    docker(&["exec", container, "sh", "-c", script, "sh", directory])
}

pub(super) fn place(scs: &Scs, name: &str) -> String {
    let listed = scs.json(&["volume", "ls", "-o", "json"]);
    let all = listed.as_array().expect("a list");
    let found = all.iter().find(|it| it["id"] == format!("dev/shop/store/{name}")).expect("it is listed");
    found["place"].as_str().expect("it has a place").to_owned()
}

pub(super) fn attribute(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new("python3").args(arguments).arg(path).output().expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(super) const SET: &str = "import os,sys; os.setxattr(sys.argv[1], 'user.color', b'blue')";
pub(super) const GET: &str = "import os,sys; print(os.getxattr(sys.argv[1], 'user.color').decode())";

#[test]
fn a_volume_that_is_written_is_exported_whole_or_not_at_all_and_says_why() {
    let project = project();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let store = scs.container("store");
    // Large enough to be written while it is read.
    let write = "truncate -s 8M /data/log; while :; do echo line >> /data/log; done";
    let _ = docker(&["exec", "--detach", &store, "sh", "-c", write]);
    let log = Path::new(&place(&scs, "data")).join("log");
    wait_for("lines to be written", Duration::from_secs(30), || match std::fs::metadata(&log) {
        Ok(metadata) if metadata.len() > 8 << 20 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let archive = project.path().join("data.tar");
    for _ in 0..3 {
        let run = scs.run(&["volume", "export", "dev/shop/store/data", "--to", archive.to_str().expect("text")]);
        assert!(run.stderr().contains("is in use: what is written meanwhile may be torn"), "{}", run.shown());
        if run.code() == 0 {
            let listed = Command::new("tar").arg("--list").arg("--file").arg(&archive).output().expect("tar is there");
            assert!(listed.status.success(), "{listed:?}");
            std::fs::remove_file(&archive).expect("it is there");
        } else {
            assert!(run.code() == 1 && run.stderr().contains("changed while they were read"), "{}", run.shown());
            assert!(!archive.exists(), "half an archive is none");
        }
    }
}

#[test]
fn a_volume_is_exported_deleted_imported_and_used_again_with_all_its_files_are() {
    let project = project();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let store = scs.container("store");
    let names = ["data", "part", "named"];
    let local = place(&scs, "data");
    let mut before = Vec::new();
    for name in names {
        let _ = shell(&store, FILL, &format!("/{name}"));
        before.push(shell(&store, LIST, &format!("/{name}")));
    }
    // Of a file, and of the volume's own root.
    for path in [Path::new(&local).join("file"), Path::new(&local).to_owned()] {
        let _ = attribute(&path, &["-c", SET]);
    }
    // The whole holds its part.
    let whole = |container: &str| docker(&["exec", container, "cat", "/data/inner/part/deep/er/x"]);
    assert_eq!(whole(&store), "x");

    let refused = scs.run(&["volume", "import", "--yes", "dev/shop/store/data", "--from", "/dev/null"]);
    assert_eq!(refused.code(), 1, "{}", refused.shown());
    assert!(refused.stderr().contains("in use by dev/shop/store"), "{}", refused.shown());

    let _ = scs.ok(&["stop", "store"]);
    let archive = |name: &str| project.path().join(format!("{name}.tar")).display().to_string();
    for name in names {
        let _ = scs.ok(&["volume", "export", &format!("dev/shop/store/{name}"), "--to", &archive(name)]);
    }
    let _ = scs.ok(&["down"]);
    for name in ["part", "data", "named"] {
        let _ = scs.ok(&["volume", "rm", "--yes", &format!("dev/shop/store/{name}")]);
    }
    assert!(!Path::new(&local).exists(), "it is deleted");
    let mine = scs.run(&["volume", "rm", "--yes", "dev/shop/store/mine"]);
    assert_eq!(mine.code(), 1, "{}", mine.shown());
    assert!(mine.stderr().contains("nothing was deleted") && project.path().join("mine").exists(), "{}", mine.shown());

    let part = scs.run(&["volume", "import", "--yes", "dev/shop/store/part", "--from", &archive("part")]);
    assert_eq!(part.code(), 1, "a part comes after its whole: {}", part.shown());
    assert!(part.stderr().contains("import the whole first"), "{}", part.shown());
    for name in names {
        let _ = scs.ok(&["volume", "import", "--yes", &format!("dev/shop/store/{name}"), "--from", &archive(name)]);
    }
    let _ = scs.ok(&["up", "-d"]);
    let store = scs.container("store");
    for (name, before) in names.iter().zip(before) {
        assert_eq!(shell(&store, LIST, &format!("/{name}")), before, "{name}");
    }
    assert_eq!(whole(&store), "x");
    for path in [Path::new(&local).join("file"), Path::new(&local).to_owned()] {
        assert_eq!(attribute(&path, &["-c", GET]), "blue", "{}", path.display());
    }
    let _ = scs.ok(&["down"]);
    for name in ["part", "data", "named"] {
        let _ = scs.ok(&["volume", "rm", "--yes", &format!("dev/shop/store/{name}")]);
    }
}

#[test]
fn an_archive_that_is_broken_leaves_the_volume_as_it_was() {
    let project = project();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let _ = docker(&["exec", &scs.container("store"), "sh", "-c", "echo precious > /data/file"]);
    let local = place(&scs, "data");
    let _ = scs.ok(&["stop", "store"]);
    let archive = project.path().join("data.tar");
    let _ = scs.ok(&["volume", "export", "dev/shop/store/data", "--to", &archive.display().to_string()]);
    let whole = std::fs::read(&archive).expect("it was written");
    // In the middle of a file's header, and between two files, where `tar` itself sees nothing wrong.
    for length in [700, 1024] {
        std::fs::write(&archive, &whole[..length]).expect("written");
        let from = archive.display().to_string();
        let run = scs.run(&["volume", "import", "--yes", "dev/shop/store/data", "--from", &from]);
        assert_eq!(run.code(), 1, "{}", run.shown());
        assert!(run.stderr().contains("cannot be unpacked") && run.stderr().contains("as it was"), "{}", run.shown());
    }
    let left: Vec<_> = std::fs::read_dir(&local).expect("it is there").flatten().map(|it| it.file_name()).collect();
    assert!(left.iter().all(|it| it == "file" || it == "inner"), "nothing of the attempt is left: {left:?}");
    assert_eq!(std::fs::read_to_string(Path::new(&local).join("file")).expect("it is there"), "precious\n");
}

/// Does something to the volume while the service is down, and gives what the next `up` says.
fn refused_after(name: &str, change: impl FnOnce(&Path, &str) -> Box<dyn FnOnce()>) -> String {
    let project = project();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let _ = docker(&["exec", &scs.container("store"), "sh", "-c", &format!("echo precious > /{name}/file")]);
    let place = place(&scs, name);
    let _ = scs.ok(&["down"]);
    wait_for("its container to be gone", Duration::from_secs(20), || {
        let owner = std::fs::read_to_string(scs.state().join("owner")).expect("an installation has an id");
        let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("label=scs.owner={}", owner.trim())]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let undo = change(project.path(), &place);
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    undo();
    let _ = scs.ok(&["up", "-d"]);
    let kept = docker(&["exec", &scs.container("store"), "cat", &format!("/{name}/file")]);
    assert_eq!(kept, "precious", "once it is back, it is used as it was");
    let _ = scs.ok(&["down"]);
    let _ = scs.run(&["volume", "rm", "--yes", "dev/shop/store/named"]);
    run.stderr()
}

fn moved_aside(place: &str) -> Box<dyn FnOnce()> {
    let (place, aside) = (place.to_owned(), format!("{place}.aside"));
    std::fs::rename(&place, &aside).expect("it can be moved");
    Box::new(move || {
        assert!(!Path::new(&place).exists(), "nothing was made in its place");
        std::fs::rename(&aside, &place).expect("it can be moved back");
    })
}

#[test]
fn a_part_of_a_volume_that_is_gone_is_missed() {
    let said = refused_after("part", |_, place| moved_aside(place));
    assert!(said.contains("dev/shop/store/part") && said.contains("not there"), "{said}");
}

#[test]
fn a_directory_of_the_users_that_is_gone_is_missed() {
    let said = refused_after("mine", |_, place| moved_aside(place));
    assert!(said.contains("dev/shop/store/mine") && said.contains("not there"), "{said}");
}

#[test]
fn an_engine_volume_that_is_gone_is_missed() {
    let said = refused_after("named", |_, name| {
        let name = name.trim_start_matches("engine volume ").to_owned();
        let labels =
            docker(&["volume", "inspect", "--format", "{{range $k, $v := .Labels}}{{$k}}={{$v}}\n{{end}}", &name]);
        let kept = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &name]);
        let aside = tempfile::tempdir().expect("made");
        assert!(
            Command::new("cp")
                .args(["-a", &format!("{kept}/.")])
                .arg(aside.path())
                .status()
                .is_ok_and(|it| it.success())
        );
        let _ = docker(&["volume", "rm", &name]);
        Box::new(move || {
            let mut words = vec!["volume", "create"];
            for label in labels.lines() {
                words.extend(["--label", label]);
            }
            words.push(&name);
            let _ = docker(&words);
            let from = format!("{}/.", aside.path().display());
            assert!(Command::new("cp").args(["-a", &from, &kept]).status().is_ok_and(|it| it.success()));
        })
    });
    assert!(said.contains("dev/shop/store/named") && said.contains("not there"), "{said}");
}

#[test]
fn a_volume_of_another_installation_is_not_touched() {
    let said = refused_after("data", |_, place| {
        let marker = Path::new(place).parent().expect("it lies in its directory").join("volume.json");
        let mine = std::fs::read_to_string(&marker).expect("it has a marker");
        let value: serde_json::Value = serde_json::from_str(&mine).expect("JSON");
        let owner = value["owner"].as_str().expect("an owner").to_owned();
        std::fs::write(&marker, mine.replace(&owner, "somebody-else")).expect("written");
        Box::new(move || std::fs::write(&marker, mine).expect("written"))
    });
    assert!(said.contains("belongs to another installation") && said.contains("somebody-else"), "{said}");
}

#[test]
fn a_disk_that_is_not_mounted_is_missed_and_an_empty_mount_point_is_not_filled() {
    let said = refused_after("data", |_, place| {
        // What is seen when the disk below the volume's directory is not there: an empty directory, without the marker.
        let root = Path::new(place).parent().expect("it lies in its directory").to_owned();
        let aside = root.with_extension("disk");
        std::fs::rename(&root, &aside).expect("it can be moved");
        std::fs::create_dir(&root).expect("made");
        Box::new(move || {
            assert_eq!(std::fs::read_dir(&root).expect("it is there").count(), 0, "nothing was made in it");
            std::fs::remove_dir(&root).expect("it is empty");
            std::fs::rename(&aside, &root).expect("it can be moved back");
        })
    });
    assert!(said.contains("dev/shop/store/data") && said.contains("not there"), "{said}");
}
