//! The static program, run on this host.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Installed once for all tests of this process.
fn program() -> &'static Path {
    static PROGRAM: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let program = scs_helper::install(directory.path()).unwrap();
        (directory, program)
    });
    &PROGRAM.1
}

fn run(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ends a child whatever becomes of the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(arguments: &[&str]) -> Guard {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Guard(command.spawn().unwrap())
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 10 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs (a zombie does not).
fn alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|it| !it.contains(") Z "))
}

#[test]
fn output_and_exit_code_of_a_command_pass_through() {
    let output = run(&["exec", "--", "/bin/sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(7), "out\n".into(), "err\n".into())
    );
}

#[test]
fn a_command_that_is_not_there_or_not_executable_is_told_apart() {
    let output = run(&["exec", "--", "/nothing/here"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("no program `/nothing/here`"), "{}", text(&output.stderr));
    assert_eq!(run(&["exec", "--", "/etc/passwd"]).status.code(), Some(126));
}

#[test]
fn at_the_timeout_the_whole_group_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let script =
        format!("trap '' TERM; (trap '' TERM; sleep 60) & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
    let started = Instant::now();
    let output = run(&["exec", "--timeout", "300ms", "--", "/bin/sh", "-c", &script]);
    assert_eq!(output.status.code(), Some(124));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let pid = fs::read_to_string(pid).unwrap();
    wait_for("the grandchild's end", || !alive(&pid));
}

#[test]
fn told_to_end_it_ends_the_command_with_it() {
    let mut helper = spawn(&["exec", "--", "/bin/sh", "-c", "echo $$; exec sleep 60"]);
    let mut pid = String::new();
    BufReader::new(helper.0.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    assert!(Command::new("/bin/kill").arg(helper.0.id().to_string()).status().unwrap().success());
    assert_eq!(helper.0.wait().unwrap().code(), Some(128 + 15));
    wait_for("the command's end", || !alive(&pid));
}

#[test]
fn a_process_left_behind_does_not_hold_the_caller() {
    let started = Instant::now();
    let output = run(&["exec", "--", "/bin/sh", "-c", "sleep 5 & echo done"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "done\n".into()));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn two_with_one_lock_run_one_after_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let (lock, log) = (directory.path().join("lock"), directory.path().join("log"));
    let script = format!("echo begin >> {0}; sleep 0.2; echo end >> {0}", log.display());
    let arguments = ["exec", "--lock", lock.to_str().unwrap(), "--", "/bin/sh", "-c", &script];
    let mut both = [spawn(&arguments), spawn(&arguments)];
    for helper in &mut both {
        assert!(helper.0.wait().unwrap().success());
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "begin\nend\nbegin\nend\n");
}

#[test]
fn a_helper_that_was_killed_leaves_the_lock_with_its_command() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let lock = lock.to_str().unwrap();
    let mut first = spawn(&["exec", "--lock", lock, "--", "/bin/sh", "-c", "echo $$; exec sleep 60"]);
    let mut pid = String::new();
    BufReader::new(first.0.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let second = run(&["exec", "--timeout", "200ms", "--lock", lock, "--", "/bin/true"]);
    assert_eq!(second.status.code(), Some(124), "{}", text(&second.stderr));
    assert!(Command::new("/bin/kill").arg(pid.trim()).status().unwrap().success());
    assert_eq!(run(&["exec", "--timeout", "10s", "--lock", lock, "--", "/bin/true"]).status.code(), Some(0));
}

#[test]
fn the_lock_does_not_stay_with_a_process_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let lock = lock.to_str().unwrap();
    assert!(run(&["exec", "--lock", lock, "--", "/bin/sh", "-c", "sleep 5 >/dev/null 2>&1 &"]).status.success());
    assert_eq!(run(&["exec", "--timeout", "1s", "--lock", lock, "--", "/bin/true"]).status.code(), Some(0));
}

#[test]
fn mode_and_owner_are_set_on_the_directory_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("file");
    fs::write(&inner, "x").unwrap();
    let (uid, gid) = (fs::metadata(&inner).unwrap().uid(), fs::metadata(&inner).unwrap().gid());
    let before = fs::metadata(&inner).unwrap().mode();
    let owner = format!("{uid}:{gid}");
    let output = run(&["own", "--owner", &owner, "--mode", "0750", directory.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::metadata(directory.path()).unwrap().permissions().mode() & 0o7777, 0o750);
    assert_eq!(fs::metadata(&inner).unwrap().mode(), before);
    let output = run(&["own", "--owner", "nobody-of-this-name", directory.path().to_str().unwrap()]);
    assert!(text(&output.stderr).contains("no user `nobody-of-this-name`"), "{}", text(&output.stderr));
}

#[test]
fn removal_does_not_follow_links() {
    let directory = tempfile::tempdir().unwrap();
    let (kept, gone) = (directory.path().join("kept"), directory.path().join("gone"));
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("file"), "x").unwrap();
    fs::create_dir(&gone).unwrap();
    std::os::unix::fs::symlink(&kept, gone.join("link")).unwrap();
    assert!(run(&["remove", "--contents", gone.to_str().unwrap()]).status.success());
    assert_eq!(fs::read_dir(&gone).unwrap().count(), 0);
    assert!(run(&["remove", gone.to_str().unwrap(), "/nothing/here"]).status.success());
    assert!(!gone.exists() && kept.join("file").exists());
}

/// Index, end and text of each line that `tail` printed.
fn told(line: &str) -> (String, u64, String) {
    let mut parts = line.splitn(3, ' ');
    let mut next = || parts.next().unwrap_or_else(|| panic!("{line}")).to_owned();
    let (index, place, text) = (next(), next(), next());
    (index, place.rsplit(':').next().unwrap().parse().unwrap(), text)
}

#[test]
fn lines_of_several_files_carry_their_index_and_where_they_end() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (directory.path().join("a"), directory.path().join("b"));
    fs::write(&a, "1\n22\n").unwrap();
    fs::write(&b, "x\ny without an end").unwrap();
    // Neither is a file: who reads one waits for ever.
    let (pipe, output) = ("/dev/stdin", "/dev/stdout");
    let all = run(&["tail", a.to_str().unwrap(), "/nothing/here", b.to_str().unwrap(), pipe, output]);
    let all: Vec<_> = text(&all.stdout).lines().map(told).collect();
    let expected = [("0", 2, "1"), ("0", 5, "22"), ("2", 2, "x"), ("2", 18, "y without an end")];
    assert_eq!(all, expected.map(|(index, end, text)| (index.to_owned(), end, text.to_owned())));
}

#[test]
fn reading_goes_on_where_it_ended_also_in_a_file_that_was_rotated_since() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let append = |path: &Path, text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append(&path, "first\n");
    let first = text(&run(&["tail", path.to_str().unwrap()]).stdout);
    let from = format!("0:{}", first.split(' ').nth(1).unwrap());
    let read = || {
        let output = text(&run(&["tail", "--from", &from, path.to_str().unwrap()]).stdout);
        output.lines().map(|line| told(line).2).collect::<Vec<_>>()
    };
    assert_eq!(read(), [""; 0]);
    append(&path, "second\n");
    assert_eq!(read(), ["second"]);
    let rotated = directory.path().join("log.1");
    fs::rename(&path, &rotated).unwrap();
    append(&rotated, "late\n");
    append(&path, "third\n");
    assert_eq!(read(), ["second", "late", "third"]);
    fs::remove_file(&rotated).unwrap();
    assert_eq!(read(), ["third"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(read(), [""; 0]);
}

#[test]
fn following_survives_rotation_truncation_and_a_file_not_yet_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut helper = spawn(&["tail", "--follow", "--until-eof", path.to_str().unwrap()]);
    let mut lines = BufReader::new(helper.0.stdout.take().unwrap()).lines();
    let mut next = || told(&lines.next().unwrap().unwrap()).2;
    fs::write(&path, "first\n").unwrap();
    assert_eq!(next(), "first");
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"second\n").unwrap();
    assert_eq!(next(), "second");
    fs::rename(&path, directory.path().join("log.1")).unwrap();
    fs::OpenOptions::new().append(true).open(directory.path().join("log.1")).unwrap().write_all(b"late\n").unwrap();
    fs::write(&path, "rotated\n").unwrap();
    assert_eq!((next(), next()), ("late".to_owned(), "rotated".to_owned()));
    fs::write(&path, "cut\n").unwrap();
    assert_eq!(next(), "cut");
    drop(helper.0.stdin.take());
    assert!(helper.0.wait().unwrap().success());
}

#[test]
fn the_server_answers_with_its_body() {
    // A port that was free a moment ago; another try when somebody was faster.
    for _ in 0..5 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut helper = spawn(&["serve", "--port", &port.to_string(), "--body", "hello"]);
        let mut line = String::new();
        BufReader::new(helper.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
        return;
    }
    panic!("no free port in five tries");
}

#[test]
fn a_directory_is_packed_and_unpacked_in_place_of_another_and_a_cut_archive_changes_nothing() {
    let base = tempfile::tempdir().unwrap();
    let (from, to) = (base.path().join("from"), base.path().join("to"));
    fs::create_dir_all(from.join("deep")).unwrap();
    fs::write(from.join("deep/new"), "new").unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(to.join("old"), "old").unwrap();
    let packed = run(&["pack", from.to_str().unwrap()]);
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let unpack = |archive: &[u8]| {
        let mut helper = spawn(&["unpack", to.to_str().unwrap()]);
        let mut stdin = helper.0.stdin.take().unwrap();
        // What fails may not take all of it.
        let _ = stdin.write_all(archive);
        drop(stdin);
        let mut said = String::new();
        helper.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (helper.0.wait().unwrap().code(), said)
    };
    let names = || -> Vec<_> { fs::read_dir(&to).unwrap().map(|it| it.unwrap().file_name()).collect() };
    for length in [0, 700, 1024] {
        let (code, said) = unpack(&packed.stdout[..length]);
        assert!(code == Some(1) && said.contains("the archive cannot be unpacked"), "{length}: {code:?} {said}");
        assert_eq!(names(), ["old"]);
    }
    assert_eq!(unpack(&packed.stdout).0, Some(0));
    assert_eq!(names(), ["deep"]);
    assert_eq!(fs::read_to_string(to.join("deep/new")).unwrap(), "new");
}
