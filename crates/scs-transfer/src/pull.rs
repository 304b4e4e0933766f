//! The target's side: rsync's client, which pulls what differs.

use crate::serve::last_words;
use crate::{Channel, Error, arguments, progress, room, survey};
use async_trait::async_trait;
use scs_api::transfer::{Compare, Copied, Progress, Survey};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio::sync::watch;

/// Opens channels to the source, at whose other end [`crate::serve`] is.
#[async_trait]
pub trait Open: Send + Sync {
    /// A new one; a pass needs one or two.
    async fn open(&self) -> io::Result<Channel>;
}

/// A pass of copying.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Directory that becomes like the source.
    pub into: PathBuf,
    /// What the source holds.
    pub source: Survey,
    /// How files are compared.
    pub compare: Compare,
    /// Whether files that vanish while they are copied are no error: the source is in use.
    pub warm: bool,
    /// Most bytes a second.
    pub bandwidth: Option<u64>,
    /// Program and arguments that end in [`crate::bridge::run`], given the socket and what rsync says.
    pub bridge: Vec<String>,
}

impl Pull {
    /// Copies. Dropping it ends rsync; what has been copied stays and is found by the next pass.
    ///
    /// # Errors
    /// When there is no room, the channel breaks, or rsync fails.
    pub async fn run(&self, source: &dyn Open, progress: &watch::Sender<Progress>) -> Result<Copied, Error> {
        let started = Instant::now();
        let into = self.into.clone();
        let there = tokio::task::spawn_blocking(move || survey(&into)).await;
        let there = there.unwrap_or_else(|error| Err(io::Error::other(error)));
        let there = there.map_err(Error::io(format!("look at {}", self.into.display())))?;
        let inplace = !self.source.linked && !there.linked;
        room::check(&self.into, &self.source, &there, inplace)?;
        let scratch = tempfile::Builder::new()
            .prefix("scs-copy-")
            .tempdir()
            .map_err(Error::io("make a directory for a socket"))?;
        let bytes = self.rsync(source, scratch.path(), inplace, progress).await?;
        Ok(Copied { bytes, took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX) })
    }

    async fn rsync(
        &self,
        source: &dyn Open,
        scratch: &Path,
        inplace: bool,
        progress: &watch::Sender<Progress>,
    ) -> Result<u64, Error> {
        let socket = scratch.join("rsync");
        // In a directory that only we can enter.
        let listener = UnixListener::bind(&socket).map_err(Error::io(format!("listen on {}", socket.display())))?;
        let mut command = Command::new("rsync");
        command.args(arguments::client(&self.compare, inplace, self.bandwidth));
        if let Compare::These(files) = &self.compare {
            let list = scratch.join("files");
            let written = std::fs::File::create(&list).and_then(|mut file| file.write_all(files.join("\0").as_bytes()));
            written.map_err(Error::io(format!("write {}", list.display())))?;
            command.arg(format!("--files-from={}", list.display()));
        }
        let mut shell: Vec<String> = self.bridge.iter().map(|word| quoted(word)).collect();
        shell.push(quoted(&socket.display().to_string()));
        let mut child = command
            .arg("-e")
            .arg(shell.join(" "))
            .arg(format!("{}:{}", arguments::PEER, arguments::VOLUME))
            .arg(self.into.join(""))
            .env_remove("RSYNC_PROTECT_ARGS")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::NoRsync)?;
        let mut group = Group(child.id());
        let (Some(output), Some(mut words)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::Rsync { code: -1, words: "it has no output".to_owned() });
        };
        let joined = join(listener, source);
        let ended = async {
            let mut said = Vec::new();
            let (bytes, _, status) = tokio::join!(read(output, progress), words.read_to_end(&mut said), child.wait());
            (bytes, said, status)
        };
        tokio::pin!(joined, ended);
        let (broken, (bytes, said, status)) = tokio::select! {
            done = &mut ended => (None, done),
            // Without a channel rsync has nothing to wait for, and ends as its shell does.
            joined = &mut joined => (joined.err(), ended.await),
        };
        let status = status.map_err(Error::io("wait for rsync"))?;
        let code = status.code();
        if code == Some(0) || code == Some(24) && self.warm {
            group.0 = None;
            return Ok(bytes);
        }
        if let Some(broken) = broken {
            return Err(broken);
        }
        match code {
            _ if String::from_utf8_lossy(&said).contains("No space left on device") => {
                Err(Error::Full { place: self.into.display().to_string() })
            }
            code => Err(Error::Rsync { code: code.unwrap_or(-1), words: last_words(&said) }),
        }
    }
}

/// All processes of a client that is not known to have ended well: rsync's receiving half is a child of it, and must not write a
/// file once the next pass has begun.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // Where they have all ended there is nobody to kill.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

/// Joins the socket that rsync's shell speaks to with a channel to the source.
async fn join(listener: UnixListener, source: &dyn Open) -> Result<(), Error> {
    let (mut stream, _) = listener.accept().await.map_err(Error::io("hear from rsync"))?;
    let mut channel = source.open().await.map_err(Error::io("reach the source"))?;
    // A channel that breaks in the middle is told by rsync, too.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut channel).await;
    Ok(())
}

/// Reads what rsync prints to its end; gives the bytes of files that differed.
async fn read(mut output: impl AsyncRead + Unpin, progress: &watch::Sender<Progress>) -> u64 {
    let (mut bytes, mut line, mut buffer) = (0, Vec::new(), vec![0; 4096]);
    loop {
        let count = match output.read(&mut buffer).await {
            Ok(0) | Err(_) => return bytes,
            Ok(count) => count,
        };
        for byte in buffer.get(..count).unwrap_or_default() {
            if !matches!(byte, b'\r' | b'\n') {
                // Nothing of interest is this long.
                if line.len() < 1000 {
                    line.push(*byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line);
            if let Some(seen) = progress::line(&text) {
                progress.send_replace(seen);
            } else if let Some(seen) = progress::transferred(&text) {
                bytes = seen;
            }
            line.clear();
        }
    }
}

/// As rsync takes a shell's command apart: at spaces outside of quotes, a quote within them doubled.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "''"))
}
