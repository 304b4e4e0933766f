//! Copies that are killed, refused, or find no room.

use crate::support::Pair;
use async_trait::async_trait;
use scs_api::transfer::{Compare, Progress, Survey};
use scs_testkit::wait_for;
use scs_transfer::{Channel, Error, Open};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

/// Rsyncs that have to do with a directory: those that stand in it, or name it.
fn rsyncs(of: &Path) -> Vec<i32> {
    let name = of.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let stands = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == of);
        if command.starts_with("rsync\0") && (stands || command.contains(&name)) {
            found.push(pid);
        }
    }
    found
}

async fn killed(of: impl Fn(&Pair) -> &Path) {
    let pair = Pair::new();
    let noise: Vec<u8> = (0..8u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    pair.write("large", &noise);
    pair.write("small", b"x");
    let mut slow = pair.pull(Compare::Times);
    slow.bandwidth = Some(1 << 20);
    let (progress, mut seen) = watch::channel(Progress::default());
    let copy = slow.run(&pair, &progress);
    let kill = async {
        seen.wait_for(|progress| progress.bytes > 100_000).await.unwrap();
        let found = rsyncs(of(&pair));
        assert!(!found.is_empty(), "nothing to kill");
        for pid in found {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).unwrap(),
                rustix::process::Signal::KILL,
            );
        }
    };
    let (copied, ()) = tokio::join!(copy, kill);
    let error = copied.expect_err("it was killed");
    assert!(!error.is_fatal(), "{error}");
    wait_for("no rsync is left", Duration::from_secs(20), || async {
        let left = [rsyncs(&pair.source), rsyncs(&pair.target)].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    pair.copy(Compare::Times).await;
    pair.is_same();
}

#[tokio::test]
async fn a_copy_whose_source_is_killed_goes_on_from_there() {
    killed(|pair| &pair.source).await;
}

#[tokio::test]
async fn a_copy_whose_target_is_killed_goes_on_from_there() {
    killed(|pair| &pair.target).await;
}

#[tokio::test]
async fn a_copy_that_nobody_waits_for_ends() {
    let pair = Pair::new();
    pair.write("large", &vec![7; 8 << 20]);
    let mut slow = pair.pull(Compare::Times);
    slow.bandwidth = Some(1 << 20);
    let (progress, mut seen) = watch::channel(Progress::default());
    tokio::select! {
        done = slow.run(&pair, &progress) => panic!("too quick: {done:?}"),
        _ = seen.wait_for(|progress| progress.bytes > 0) => {}
    }
    wait_for("no rsync is left", Duration::from_secs(20), || async {
        let left = [rsyncs(&pair.source), rsyncs(&pair.target)].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_volume_that_does_not_fit_is_refused_before_anything_is_copied() {
    let pair = Pair::new();
    pair.write("file", b"x");
    let mut pull = pair.pull(Compare::Times);
    pull.source = Survey { bytes: 1 << 60, ..pull.source };
    let error = pair.run(&pull).await.expect_err("refused");
    assert!(matches!(error, Error::NoRoom { .. }) && error.is_fatal(), "{error}");
    assert_eq!(std::fs::read_dir(&pair.target).unwrap().count(), 0);
}

struct Unreachable;

#[async_trait]
impl Open for Unreachable {
    async fn open(&self) -> io::Result<Channel> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_reached_is_said_to_be() {
    let pair = Pair::new();
    let error =
        pair.pull(Compare::Times).run(&Unreachable, &watch::Sender::new(Progress::default())).await.expect_err("no");
    assert_eq!(error.to_string(), "cannot reach the source");
    assert!(!error.is_fatal());
}

#[tokio::test]
async fn a_source_gives_nothing_but_its_directory() {
    let pair = Pair::new();
    let (mut here, there) = tokio::io::duplex(1024);
    let text = ["peer", "rsync", "--server", "--sender", "-re.", ".", "/etc/"].join("\0");
    here.write_u32(u32::try_from(text.len()).unwrap()).await.unwrap();
    here.write_all(text.as_bytes()).await.unwrap();
    let refused = scs_transfer::serve(&pair.source, Box::new(there)).await.expect_err("refused");
    assert!(matches!(&refused, Error::Refused { argument } if argument == "/etc/"), "{refused}");
}
