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

/// Through the shell: a program that was just written cannot always be started while other tests fork.
async fn run_script<T, F: Future<Output = T>>(
    script: &Path,
    tail: &Tail<'_>,
    take: impl FnOnce(BoxStream<'static, std::io::Result<Bytes>>) -> F,
) -> Result<T, String> {
    let tools = Tools { path: Vec::new(), root: true, environment: Vec::new() };
    run(Path::new("/bin/sh"), &[script.display().to_string()], &tools, tail, take).await
}

fn maker(snapshot: Option<&str>) -> Maker {
    Maker::new("bookworm", snapshot).expect("well-formed")
}

#[test]
fn mmdebstrap_is_preferred() {
    let (place, tools) = tools(true, &[("mmdebstrap", ""), ("debootstrap", ""), ("sh", "")]);
    let (program, arguments) = maker(None).command(&tools).expect("it is there");
    assert_eq!(program, place.path().join("mmdebstrap"));
    assert_eq!(arguments, ["--variant=minbase", "--mode=root", "--format=tar", "bookworm", "-"]);
}

#[test]
fn without_root_user_namespaces_are_used_or_uidmap_is_asked_for() {
    let (_place, with) = tools(false, &[("mmdebstrap", ""), ("newuidmap", "")]);
    assert!(maker(None).command(&with).expect("it is there").1.contains(&"--mode=unshare".to_owned()));
    let (_place, without) = tools(false, &[("mmdebstrap", "")]);
    let error = maker(None).command(&without).expect_err("uidmap is missing");
    assert!(error.hint().expect("there is one").contains("uidmap"), "{error}");
    let (_place, old) = tools(false, &[("debootstrap", "")]);
    let error = maker(None).command(&old).expect_err("it needs root");
    assert!(error.hint().expect("there is one").contains("mmdebstrap uidmap"), "{error}");
}

#[test]
fn with_neither_program_it_says_what_to_install() {
    let (_place, none) = tools(true, &[]);
    let error = maker(None).command(&none).expect_err("nothing is there");
    assert!(error.to_string().contains("neither mmdebstrap nor debootstrap"), "{error}");
    assert!(error.hint().expect("there is one").contains("apt-get install mmdebstrap"));
}

#[test]
fn a_snapshot_pins_all_sources() {
    let (_place, tools) = tools(true, &[("mmdebstrap", "")]);
    let (_, arguments) = maker(Some("2025-05-20")).command(&tools).expect("it is there");
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
    let (place, _tools) = tools(true, &[("mmdebstrap", "echo half; echo 'E: no mirror' >&2; exit 25")]);
    let silent = |_: &str| {};
    let tail = Tail::new(&silent);
    let mut taken = None;
    let result = run_script(&place.path().join("mmdebstrap"), &tail, async |tar| {
        taken = Some(collect(tar).await);
    })
    .await;
    assert_eq!(result.expect_err("it failed"), "it ended with exit status: 25");
    assert!(taken.expect("it was read").is_err());
    assert_eq!(tail.take(), ["E: no mirror"]);
}

#[tokio::test]
async fn a_program_that_ends_well_gives_all_its_tar() {
    let (place, _tools) = tools(true, &[("mmdebstrap", "echo I: hello >&2; echo whole")]);
    let silent = |_: &str| {};
    let tail = Tail::new(&silent);
    let result = run_script(&place.path().join("mmdebstrap"), &tail, collect).await;
    assert_eq!(result.expect("it ended well").expect("it was read"), b"whole\n");
}

#[tokio::test]
async fn a_program_nobody_waits_for_any_more_is_ended_and_may_clean_up() {
    let (place, _tools) = tools(true, &[]);
    let program = place.path().join("slow");
    let script = "#!/bin/sh\ntrap '' PIPE\ntrap 'echo gone >\"$0.cleaned\"; exit 1' TERM\necho I: ready >&2\nwhile :; do sleep 0.05; done\n";
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
    let ready = tokio::sync::Notify::new();
    let notify = |_: &str| ready.notify_one();
    let tail = Tail::new(&notify);
    tokio::select! {
        _ = run_script(&program, &tail, collect) => panic!("it does not end by itself"),
        () = ready.notified() => {}
    }
    let cleaned = place.path().join("slow.cleaned");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !cleaned.exists() {
        assert!(std::time::Instant::now() < deadline, "it was not asked to end");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
