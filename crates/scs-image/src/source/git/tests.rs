//! Repositories on this disk.

use super::*;
use std::fs;

fn git(directory: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=x", "-c", "user.email=x@example", "-c", "init.defaultBranch=main"];
    let output = std::process::Command::new("git")
        .current_dir(directory)
        .args(identity)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is there");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn repository() -> (tempfile::TempDir, String, String) {
    let place = tempfile::tempdir().expect("made");
    let directory = place.path().join("repo");
    fs::create_dir(&directory).expect("made");
    git(&directory, &["init", "--quiet"]);
    fs::write(directory.join("a"), "one").expect("written");
    git(&directory, &["add", "."]);
    git(&directory, &["commit", "--quiet", "-m", "one"]);
    git(&directory, &["tag", "v1"]);
    let first = git(&directory, &["rev-parse", "HEAD"]);
    fs::write(directory.join("a"), "two").expect("written");
    git(&directory, &["commit", "--quiet", "-am", "two"]);
    let url = format!("file://{}", directory.display());
    (place, url, first)
}

const SILENT: fn(&str) = |_| {};

#[tokio::test]
async fn branches_tags_and_commits_are_checked_out() {
    let (place, url, first) = repository();
    let cache = place.path().join("cache");
    let newest = checkout(&cache, &url, None, &SILENT).await.expect("fetched");
    assert_eq!(fs::read_to_string(newest.directory.join("a")).expect("read"), "two");
    for reference in ["v1", &first, &first[..10]] {
        let old = checkout(&cache, &url, Some(reference), &SILENT).await.expect(reference);
        assert_eq!(old.commit, first);
        assert_eq!(fs::read_to_string(old.directory.join("a")).expect("read"), "one");
    }
    let main = checkout(&cache, &url, Some("main"), &SILENT).await.expect("fetched");
    assert_eq!(main, newest);
}

#[tokio::test]
async fn a_known_commit_needs_no_repository_any_more() {
    let (place, url, first) = repository();
    let cache = place.path().join("cache");
    checkout(&cache, &url, Some("v1"), &SILENT).await.expect("fetched");
    fs::remove_dir_all(place.path().join("repo")).expect("removed");
    assert_eq!(checkout(&cache, &url, Some(&first), &SILENT).await.expect("known").commit, first);
    let error = checkout(&cache, &url, Some("main"), &SILENT).await.expect_err("it is gone").to_string();
    assert!(error.starts_with("git could not fetch main of file://"), "{error}");
}

#[tokio::test]
async fn what_could_be_an_option_or_a_command_is_refused() {
    let place = tempfile::tempdir().expect("made");
    for (url, reference) in
        [("--upload-pack=x", None), ("ext::sh -c true", None), ("file:///nowhere", Some("--x")), ("x", Some("a:b"))]
    {
        let error = checkout(place.path(), url, reference, &SILENT).await.expect_err(url);
        assert!(matches!(error, Error::Git { .. }), "{error}");
    }
}

#[test]
fn passwords_are_not_shown() {
    assert_eq!(shown("https://me:secret@git.example/a@b.git"), "https://git.example/a@b.git");
    assert_eq!(shown("git@git.example:a.git"), "git@git.example:a.git");
}
