//! Scans of real directories.

use super::*;
use std::os::unix::fs::symlink;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("made");
        fs::write(path, content).expect("written");
    }
    directory
}

fn paths(root: &Path, options: &Options) -> Vec<String> {
    scan(root, options).expect("it can be read").entries.into_iter().map(|entry| entry.path).collect()
}

const FILES: &[(&str, &str)] = &[("run.sh", "echo\n"), ("conf/a.txt", "a"), ("conf.d/b", "b"), ("conf/z/c", "c")];

#[test]
fn the_same_tree_elsewhere_has_the_same_digest_and_times_do_not_count() {
    let (one, two) = (tree(FILES), tree(FILES));
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
    File::options().write(true).open(two.path().join("run.sh")).expect("open").set_modified(old).expect("set");
    fs::create_dir(two.path().join("empty")).expect("made");
    fs::set_permissions(two.path().join("conf/a.txt"), fs::Permissions::from_mode(0o600)).expect("set");
    let (one, two) = (scan(one.path(), &Options::default()), scan(two.path(), &Options::default()));
    assert_eq!(one.expect("read").digest, two.expect("read").digest);
}

#[test]
fn the_executable_bit_counts() {
    let directory = tree(FILES);
    let before = scan(directory.path(), &Options::default()).expect("read").digest;
    fs::set_permissions(directory.path().join("run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
    assert_ne!(scan(directory.path(), &Options::default()).expect("read").digest, before);
}

#[test]
fn entries_are_sorted_by_bytes() {
    let directory = tree(FILES);
    assert_eq!(paths(directory.path(), &Options::default()), ["conf.d/b", "conf/a.txt", "conf/z/c", "run.sh"]);
}

#[test]
fn repository_manifest_and_named_files_are_left_out() {
    let directory = tree(FILES);
    for path in ["image.yaml", ".git/HEAD", "sub/.git/HEAD", "sub/image.yaml", "secret/key", "deployment.yaml"] {
        fs::create_dir_all(directory.path().join(path).parent().expect("a parent")).expect("made");
        fs::write(directory.path().join(path), "x").expect("written");
    }
    let exclude = vec![directory.path().join("secret"), "deployment.yaml".into(), "not/there".into()];
    let options = Options { exclude, ..Options::default() };
    let expected = ["conf.d/b", "conf/a.txt", "conf/z/c", "run.sh", "sub/image.yaml"];
    assert_eq!(paths(directory.path(), &options), expected);
}

#[test]
fn dockerignore_is_followed_into_excluded_directories_that_hold_something() {
    let directory = tree(FILES);
    fs::write(directory.path().join(".dockerignore"), "*\n!conf/z\n").expect("written");
    assert_eq!(paths(directory.path(), &Options::default()), ["conf/z/c"]);
    let options = Options { keep: vec!["run.sh".to_owned()], ..Options::default() };
    assert_eq!(paths(directory.path(), &options), ["conf/z/c", "run.sh"]);
}

#[test]
fn a_bad_pattern_names_file_and_line() {
    let directory = tree(&[(".dockerignore", "ok\n[\n")]);
    let error = scan(directory.path(), &Options::default()).expect_err("it is malformed").to_string();
    assert!(error.ends_with(".dockerignore:2: `[` is never closed: `[`"), "{error}");
}

#[test]
fn links_are_kept_and_may_not_lead_outside() {
    let directory = tree(FILES);
    symlink("../run.sh", directory.path().join("conf/run")).expect("linked");
    let entries = scan(directory.path(), &Options::default()).expect("read").entries;
    assert!(entries.iter().any(|entry| entry.kind == Kind::Link { target: "../run.sh".to_owned() }));
    for target in ["/etc/passwd", "../../x", "a/../../../x"] {
        let link = directory.path().join("conf/bad");
        symlink(target, &link).expect("linked");
        let error = scan(directory.path(), &Options::default()).expect_err(target).to_string();
        assert!(error.contains("conf/bad") && error.contains(target), "{error}");
        fs::remove_file(link).expect("removed");
    }
}

#[test]
fn special_files_are_named_unless_ignored() {
    let directory = tree(FILES);
    let socket = directory.path().join("s.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let error = scan(directory.path(), &Options::default()).expect_err("a socket is special").to_string();
    assert!(error.contains("s.sock is a socket"), "{error}");
    fs::write(directory.path().join(".dockerignore"), "*.sock\n").expect("written");
    scan(directory.path(), &Options::default()).expect("the socket is ignored");
}

#[test]
fn a_source_that_is_not_there_or_a_file_is_named() {
    let directory = tree(FILES);
    let error = scan(&directory.path().join("gone"), &Options::default()).expect_err("not there").to_string();
    assert!(error.contains("gone"), "{error}");
    let error = scan(&directory.path().join("run.sh"), &Options::default()).expect_err("a file");
    assert!(matches!(error, Error::NotDirectory { .. }), "{error}");
}
