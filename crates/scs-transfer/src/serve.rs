//! The source's side: rsync's sending half for one directory.

use crate::{Channel, Error, arguments, bridge};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Sends the directory over the channel to whoever pulls it, and nothing but this directory. Dropping it ends rsync.
///
/// # Errors
/// When what is asked for is refused, rsync is not there, or it fails.
pub async fn serve(directory: &Path, mut channel: Channel) -> Result<(), Error> {
    let asked = bridge::decode(&mut channel).await.map_err(Error::io("read what is asked for"))?;
    let arguments = arguments::sender(&asked)?;
    let mut child = Command::new("rsync")
        .args(arguments)
        // The only path it knows is the one it stands in.
        .current_dir(directory)
        .env_remove("RSYNC_PROTECT_ARGS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::NoRsync)?;
    let (Some(mut input), Some(mut output), Some(mut words)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Error::Rsync { code: -1, words: "it has no input or output".to_owned() });
    };
    let (mut from, mut to) = tokio::io::split(channel);
    let inwards = async {
        let _ = tokio::io::copy(&mut from, &mut input).await;
        drop(input);
    };
    let outwards = async {
        let _ = tokio::io::copy(&mut output, &mut to).await;
        // Where nobody reads any more, rsync must not wait for a reader.
        drop(output);
        let _ = to.shutdown().await;
    };
    // What comes in may stay open after rsync has ended; what goes out ends with it.
    let ended = async {
        let mut said = Vec::new();
        let (_, _, status) = tokio::join!(outwards, words.read_to_end(&mut said), child.wait());
        (said, status)
    };
    tokio::pin!(inwards, ended);
    let (said, status) = tokio::select! {
        done = &mut ended => done,
        () = &mut inwards => ended.await,
    };
    let status = status.map_err(Error::io("wait for rsync"))?;
    match status.code() {
        // Files that vanish while a volume is in use are the client's to judge.
        Some(0 | 24) => Ok(()),
        code => Err(Error::Rsync { code: code.unwrap_or(-1), words: last_words(&said) }),
    }
}

/// The last lines of what a program said, as one.
pub(crate) fn last_words(said: &[u8]) -> String {
    const LINES: usize = 5;
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(LINES)).copied().collect::<Vec<_>>().join("; ")
}
