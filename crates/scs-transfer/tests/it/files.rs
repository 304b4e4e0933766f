//! What a copy keeps, and what it sees.

use crate::support::Pair;
use scs_api::transfer::Compare;
use scs_transfer::survey;
use std::fs::{self, File, FileTimes};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::process::{Command, Stdio};

fn times(path: &std::path::Path, of: &fs::Metadata) {
    let times = FileTimes::new().set_modified(of.modified().unwrap());
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

#[tokio::test]
async fn everything_that_makes_a_file_arrives() {
    let pair = Pair::new();
    let plain = pair.write("a/plain", b"text");
    pair.write("a/naïve name\nwith a line", b"odd");
    pair.write("empty", b"");
    symlink("a/plain", pair.source.join("link")).unwrap();
    symlink("/nowhere", pair.source.join("broken")).unwrap();
    fs::hard_link(&plain, pair.source.join("second name")).unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o4750)).unwrap();
    rustix::fs::setxattr(&plain, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
    if rustix::process::geteuid().is_root() {
        lchown(pair.source.join("empty"), Some(12345), Some(54321)).unwrap();
        lchown(pair.source.join("broken"), Some(999), Some(999)).unwrap();
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        pair.source.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let holes = File::create(pair.source.join("holes")).unwrap();
    holes.set_len(64 << 20).unwrap();
    holes.write_all_at(b"in the middle", 32 << 20).unwrap();
    fs::set_permissions(&pair.source, fs::Permissions::from_mode(0o711)).unwrap();
    pair.copy(Compare::Times).await;
    pair.is_same();
    let blocks = fs::metadata(pair.target.join("holes")).unwrap().blocks();
    assert!(blocks * 512 < 1 << 20, "holes stay holes: {blocks} blocks");
    let again = pair.copy(Compare::Times).await;
    assert_eq!(again.bytes, 0);
}

#[tokio::test]
async fn what_was_deleted_or_became_something_else_is_followed() {
    let pair = Pair::new();
    for name in ["stays", "goes", "sub/goes too", "becomes a directory"] {
        pair.write(name, b"x");
    }
    let other = pair.write("linked", b"shared");
    fs::hard_link(&other, pair.source.join("twin")).unwrap();
    pair.copy(Compare::Times).await;
    fs::remove_file(pair.source.join("goes")).unwrap();
    fs::remove_dir_all(pair.source.join("sub")).unwrap();
    fs::remove_file(pair.source.join("becomes a directory")).unwrap();
    pair.write("becomes a directory/file", b"y");
    // No longer one file with two names.
    fs::remove_file(pair.source.join("twin")).unwrap();
    pair.write("twin", b"of its own");
    pair.copy(Compare::Times).await;
    pair.is_same();
}

#[tokio::test]
async fn a_write_within_the_second_of_the_last_pass_is_seen() {
    let pair = Pair::new();
    let path = pair.write("file", b"before");
    let before = fs::metadata(&path).unwrap();
    pair.copy(Compare::Times).await;
    pair.write("file", b"after!");
    let second = before.modified().unwrap() + std::time::Duration::from_nanos(20_000);
    File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(second)).unwrap();
    pair.copy(Compare::Times).await;
    pair.is_same();
}

#[tokio::test]
async fn a_file_whose_times_lie_is_found_by_its_content() {
    let pair = Pair::new();
    let path = pair.write("table", &[b'-'; 8192]);
    pair.write("other", b"not mapped");
    let script = "import mmap, sys\n\
        f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0)\n\
        print('mapped', flush=True); sys.stdin.readline()\n\
        m[5000:5005] = b'lying'; m.flush()\n\
        print('written', flush=True); sys.stdin.readline()\n";
    let mut writer = Command::new("python3")
        .args(["-c", script, path.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    let mut output = BufReader::new(writer.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let mapped = survey(&pair.source).unwrap().mapped;
    assert_eq!(mapped, Some(vec!["table".to_owned()]));
    let before = fs::metadata(&path).unwrap();
    pair.copy(Compare::Times).await;
    input.write_all(b"\n").unwrap();
    output.read_line(&mut line).unwrap();
    drop(input);
    writer.wait().unwrap();
    times(&path, &before);
    let last = pair.copy(Compare::Times).await;
    assert_eq!(last.bytes, 0, "its time does not tell");
    pair.write("other", b"not compared");
    let last = pair.copy(Compare::These(mapped.unwrap())).await;
    assert_eq!(last.bytes, 8192);
    assert_eq!(fs::read(pair.target.join("table")).unwrap()[5000..5005], *b"lying");
    assert_eq!(fs::read(pair.target.join("other")).unwrap(), b"not mapped");
    pair.copy(Compare::Times).await;
    pair.is_same();
}

#[tokio::test]
async fn a_file_that_was_mapped_and_is_gone_since_is_no_error() {
    let pair = Pair::new();
    pair.write("table", b"of the last minute");
    pair.write("table-shm", b"shared memory");
    pair.write("log/1", b"rotated away");
    pair.copy(Compare::Times).await;
    fs::remove_file(pair.source.join("table-shm")).unwrap();
    fs::remove_dir_all(pair.source.join("log")).unwrap();
    pair.copy(Compare::Times).await;
    let mapped = ["table-shm", "table", "log/1"].map(str::to_owned).to_vec();
    fs::write(pair.target.join("table"), b"of an old minute..").unwrap();
    let copied = pair.copy(Compare::These(mapped)).await;
    assert_eq!(copied.bytes, 18);
    pair.is_same();
    assert_eq!(pair.copy(Compare::These(vec!["table-shm".to_owned()])).await.bytes, 0);
}

#[tokio::test]
async fn verifying_repairs_what_rotted() {
    let pair = Pair::new();
    pair.write("file", b"right");
    pair.copy(Compare::Times).await;
    let copy = pair.target.join("file");
    let before = fs::metadata(&copy).unwrap();
    fs::write(&copy, b"wrong").unwrap();
    times(&copy, &before);
    assert_eq!(pair.copy(Compare::Content).await.bytes, 5);
    pair.is_same();
}
