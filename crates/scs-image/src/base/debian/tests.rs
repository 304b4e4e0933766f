//! Which program is chosen, and what becomes of one that fails; with programs of our own.

use super::*;
use std::fs;

fn tools(root: bool, programs: &[(&str, &str)]) -> (tempfile::TempDir, Tools) {
    let place = tempfile::tempdir().expect("made");
    for (name, text) in programs {
        let path = place.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    }
    let tools = Tools { path: vec![place.path().to_owned()], root, environment: Vec::new() };
    (place, tools)
}

/// A script of our own in the place of a program.
async fn run_script<T, F: Future<Output = T>>(
    script: &'static str,
    tail: &Tail<'_>,
    take: impl FnOnce(BoxStream<'static, std::io::Result<Bytes>>) -> F,
) -> Result<T, String> {
    let tools = Tools { path: Vec::new(), root: true, environment: Vec::new() };
    run(&Plan { program: "program".into(), script, arguments: Vec::new() }, &tools, tail, take).await
}

fn maker(snapshot: Option<&str>) -> Maker {
    Maker::new("bookworm", snapshot).expect("well-formed")
}

#[test]
fn mmdebstrap_is_preferred() {
    let (place, tools) = tools(true, &[("mmdebstrap", ""), ("debootstrap", ""), ("sh", "")]);
    let plan = maker(None).plan(&tools).expect("it is there");
    assert_eq!(plan.program, place.path().join("mmdebstrap"));
    assert_eq!(plan.arguments, ["--variant=minbase", "--mode=root", "--format=tar", "bookworm", "-"]);
}

#[test]
fn without_root_user_namespaces_are_used_or_uidmap_is_asked_for() {
    let (_place, with) = tools(false, &[("mmdebstrap", ""), ("newuidmap", "")]);
    assert!(maker(None).plan(&with).expect("it is there").arguments.contains(&"--mode=unshare".to_owned()));
    let (_place, without) = tools(false, &[("mmdebstrap", "")]);
    let error = maker(None).plan(&without).expect_err("uidmap is missing");
    assert!(error.hint().expect("there is one").contains("uidmap"), "{error}");
    let (_place, old) = tools(false, &[("debootstrap", "")]);
    let error = maker(None).plan(&old).expect_err("it needs root");
    assert!(error.hint().expect("there is one").contains("mmdebstrap uidmap"), "{error}");
}

#[test]
fn with_neither_program_it_says_what_to_install() {
    let (_place, none) = tools(true, &[]);
    let error = maker(None).plan(&none).expect_err("nothing is there");
    assert!(error.to_string().contains("neither mmdebstrap nor debootstrap"), "{error}");
    assert!(error.hint().expect("there is one").contains("apt-get install mmdebstrap"));
}

#[test]
fn a_snapshot_pins_all_sources() {
    let (_place, tools) = tools(true, &[("mmdebstrap", "")]);
    let arguments = maker(Some("2025-05-20")).plan(&tools).expect("it is there").arguments;
    let sources: Vec<&String> = arguments.iter().filter(|argument| argument.starts_with("deb ")).collect();
    assert_eq!(sources.len(), 3);
    assert!(sources.iter().all(|line| line.contains("/20250520T000000Z ")), "{sources:?}");
    assert!(sources[2].ends_with("debian-security/20250520T000000Z bookworm-security main"), "{sources:?}");
}

#[test]
fn names_that_could_be_options_or_paths_are_refused() {
    for suite in ["", "-x", "../x", "a b", "a/b"] {
        assert!(Maker::new(suite, None).is_err(), "{suite}");
    }
    for snapshot in ["", "yesterday", "2025", "20250520T1030Z", "20250520T103000", "-20250520 x"] {
        assert!(Maker::new("bookworm", Some(snapshot)).is_err(), "{snapshot}");
    }
    assert_eq!(timestamp("20250520T103000Z").as_deref(), Some("20250520T103000Z"));
}

async fn collect(mut tar: BoxStream<'static, std::io::Result<Bytes>>) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(piece) = tar.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

#[tokio::test]
async fn a_program_that_fails_breaks_its_tar_off() {
    let silent = |_: &str| {};
    let tail = Tail::new(&silent);
    let mut taken = None;
    let result = run_script("echo half; echo 'E: no mirror' >&2; exit 25", &tail, async |tar| {
        taken = Some(collect(tar).await);
    })
    .await;
    assert_eq!(result.expect_err("it failed"), "it ended with exit status: 25");
    assert!(taken.expect("it was read").is_err());
    assert_eq!(tail.take(), ["E: no mirror"]);
}

#[tokio::test]
async fn a_program_that_ends_well_gives_all_its_tar() {
    let silent = |_: &str| {};
    let tail = Tail::new(&silent);
    let result = run_script("echo I: hello >&2; echo whole", &tail, collect).await;
    assert_eq!(result.expect("it ended well").expect("it was read"), b"whole\n");
}

#[tokio::test]
async fn a_program_nobody_waits_for_any_more_is_ended_and_may_clean_up() {
    let (place, mut tools) = tools(true, &[]);
    let cleaned = place.path().join("cleaned");
    tools.environment.push(("CLEANED".to_owned(), cleaned.display().to_string()));
    let script =
        "trap '' PIPE; trap 'echo gone >\"$CLEANED\"; exit 1' TERM; echo I: ready >&2; while :; do sleep 0.05; done";
    let plan = Plan { program: "program".into(), script, arguments: Vec::new() };
    let ready = tokio::sync::Notify::new();
    let notify = |_: &str| ready.notify_one();
    let tail = Tail::new(&notify);
    tokio::select! {
        _ = run(&plan, &tools, &tail, collect) => panic!("it does not end by itself"),
        () = ready.notified() => {}
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !cleaned.exists() {
        assert!(std::time::Instant::now() < deadline, "it was not asked to end");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn debootstraps_directory_becomes_a_tar_and_goes() {
    let fill = "echo \"$@\" >&2; mkdir -p \"$3/etc\" \"$3/dev\" && echo content >\"$3/etc/file\" && : >\"$3/dev/node\"";
    for (end, whole) in [("", true), ("; echo broken >&2; exit 3", false)] {
        let program = format!("{fill}{end}");
        let (place, mut tools) = tools(true, &[("debootstrap", program.as_str())]);
        let scratch = place.path().join("scratch");
        fs::create_dir(&scratch).expect("made");
        tools.environment.push(("TMPDIR".to_owned(), scratch.display().to_string()));
        let plan = maker(Some("20250520")).plan(&tools).expect("it is there");
        let silent = |_: &str| {};
        let tail = Tail::new(&silent);
        let result = run(&plan, &tools, &tail, collect).await;
        let left: Vec<_> = fs::read_dir(&scratch).expect("read").collect();
        assert!(left.is_empty(), "{left:?}");
        let said = tail.take();
        assert!(said[0].ends_with("http://snapshot.debian.org/archive/debian/20250520T000000Z"), "{said:?}");
        assert!(said[0].starts_with("--variant=minbase bookworm "), "{said:?}");
        if whole {
            let tar = result.expect("it ended well").expect("it was read");
            let mut archive = tar::Archive::new(tar.as_slice());
            let paths: Vec<String> = archive
                .entries()
                .expect("a tar")
                .map(|entry| entry.expect("whole").path().expect("a path").display().to_string())
                .collect();
            assert!(paths.contains(&"./etc/file".to_owned()), "{paths:?}");
            assert!(!paths.contains(&"./dev/node".to_owned()), "{paths:?}");
        } else {
            assert_eq!(result.expect_err("it failed"), "it ended with exit status: 3");
        }
    }
}
