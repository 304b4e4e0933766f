//! The content of volumes as tar streams: by the `tar` of this host, as root. Where we are not root, the helper runs it in a
//! container of its own, so that nobody needs more than a user of the engine already has.

use crate::wiring::engine_problem;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scs_api::error::{Code, Problem};
use scs_control::agents::ByteStream;
use scs_helper::archive::{self, Words};
use scs_ports::engine::{Engine, LogChunk, Mount, MountSource, Stream};
use scs_provision::helper::{self, Running};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::runtime;
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

/// Where the helper's container has the volume.
const VOLUME: &str = "/volume";

/// Exit code of the helper where there is no `tar`.
const NO_PROGRAM: i64 = 127;

/// Nothing was changed.
const UNCHANGED: &str = "the volume is as it was";

/// Where the files are on this host, if they can be reached there.
pub(super) async fn place(engine: &dyn Engine, source: &MountSource) -> Result<Option<PathBuf>, Problem> {
    match source {
        MountSource::Host(path) => Ok(Some(path.clone())),
        MountSource::Named(name) => {
            let info = engine.info().await.map_err(|error| engine_problem(&error))?;
            let path = info.root.join("volumes").join(name).join("_data");
            Ok(path.is_dir().then_some(path))
        }
    }
}

/// Where we may read and write all of the files, whoever owns them.
async fn ours(engine: &dyn Engine, source: &MountSource) -> Result<Option<PathBuf>, Problem> {
    if rustix::process::geteuid().is_root() { place(engine, source).await } else { Ok(None) }
}

/// All that is in a volume, as an archive. It ends with an error where it is not whole.
pub(super) async fn pack(engine: &Arc<dyn Engine>, source: MountSource) -> Result<ByteStream, Problem> {
    match ours(&**engine, &source).await? {
        Some(directory) => pack_here(&directory),
        None => pack_in_container(engine, source).await,
    }
}

fn pack_here(directory: &Path) -> Result<ByteStream, Problem> {
    let mut child = Command::from(archive::pack(directory))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| no_tar(error.to_string()))?;
    let words = words(&mut child);
    let stdout = child.stdout.take().expect("it was piped");
    let bytes = ReaderStream::with_capacity(stdout, 256 << 10);
    // An archive that `tar` did not finish must not look whole.
    let end = stream::once(async move { finish(child, words).await.map_err(io::Error::other) });
    Ok(bytes.chain(end.try_filter_map(|()| async { Ok(None) })).boxed())
}

/// What `tar` has to say, read while it works: a pipe that nobody empties would bring it to a halt.
fn words(child: &mut Child) -> JoinHandle<String> {
    let mut stderr = child.stderr.take().expect("it was piped");
    tokio::spawn(async move {
        let (mut words, mut buffer) = (Words::default(), [0; 4096]);
        while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
            words.hear(&buffer[..length]);
        }
        words.last()
    })
}

/// Waits for `tar`; its last words where it failed.
async fn finish(mut child: Child, words: JoinHandle<String>) -> Result<(), String> {
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(words.await.unwrap_or_default()) }
}

/// The helper's container, and what it has said so far.
struct Helper {
    running: Running,
    words: Words,
}

impl Helper {
    async fn begin(engine: &Arc<dyn Engine>, source: MountSource, command: &str) -> Result<Self, Problem> {
        let mut mounts = helper::programs();
        mounts.push(Mount { source, target: VOLUME.to_owned(), read_only: command == "pack" });
        let running = Running::begin(engine, &mounts, &[command, VOLUME]).await;
        let running = running.map_err(|error| engine_problem(&error).hint(UNCHANGED))?;
        Ok(Helper { running, words: Words::default() })
    }

    /// What it writes next; `None` once it has ended.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while let Some(chunk) = self.running.output.next().await {
            match chunk.map_err(|error| engine_problem(&error))? {
                LogChunk { stream: Stream::Stdout, bytes, .. } => return Ok(Some(bytes)),
                LogChunk { bytes, .. } => self.words.hear(&bytes),
            }
        }
        Ok(None)
    }

    /// What came of it.
    async fn end(self) -> Result<(), Problem> {
        let exit = self.running.end().await.map_err(|error| engine_problem(&error))?;
        let words = self.words.last();
        match exit.code {
            0 => Ok(()),
            NO_PROGRAM => Err(no_tar(words)),
            _ => Err(Problem::new(Code::Failed, words).hint(UNCHANGED)),
        }
    }
}

async fn pack_in_container(engine: &Arc<dyn Engine>, source: MountSource) -> Result<ByteStream, Problem> {
    let mut helper = Helper::begin(engine, source, "pack").await?;
    // What fails at once is said before the first byte: an archive that breaks off says nothing of the reason.
    let Some(first) = helper.next().await? else {
        helper.end().await?;
        return Err(Problem::new(Code::Failed, "the helper container wrote no archive").hint(UNCHANGED));
    };
    let rest = stream::try_unfold(helper, |mut helper| async move {
        match helper.next().await {
            Ok(Some(bytes)) => Ok(Some((bytes, helper))),
            Ok(None) => helper.end().await.map(|()| None).map_err(io::Error::other),
            Err(problem) => Err(io::Error::other(problem)),
        }
    });
    Ok(stream::iter([Ok(first)]).chain(rest).boxed())
}

/// Puts an archive's files in place of all that is in a volume. Until all of them are there, the old ones stay.
pub(super) async fn unpack(engine: &Arc<dyn Engine>, source: MountSource, content: ByteStream) -> Result<(), Problem> {
    let ours = ours(&**engine, &source).await?;
    let engine = engine.clone();
    // In a task of its own: it tidies up also where whoever sends the archive goes away, which ends the archive.
    let work = tokio::spawn(async move {
        match ours {
            Some(directory) => unpack_here(directory, content).await,
            None => unpack_in_container(&engine, source, content).await,
        }
    });
    work.await.map_err(|error| Problem::of(Code::Failed, &error).hint(UNCHANGED))?
}

async fn unpack_here(directory: PathBuf, content: ByteStream) -> Result<(), Problem> {
    let mut content = Blocking { content, rest: Bytes::new(), runtime: runtime::Handle::current() };
    let work = tokio::task::spawn_blocking(move || archive::unpack(&directory, &mut content));
    let done = work.await.map_err(|error| Problem::of(Code::Failed, &error).hint(UNCHANGED))?;
    done.map_err(|error| match error {
        archive::Error::NoTar(error) => no_tar(error.to_string()),
        other => Problem::new(Code::Failed, other.to_string()).hint(UNCHANGED),
    })
}

async fn unpack_in_container(
    engine: &Arc<dyn Engine>,
    source: MountSource,
    mut content: ByteStream,
) -> Result<(), Problem> {
    let mut helper = Helper::begin(engine, source, "unpack").await?;
    let input = helper.running.input.take();
    let feed = async move {
        let Some(mut input) = input else { return };
        // What does not come, or is not taken, leaves the archive without its end: the helper sees that, and tidies up.
        while let Some(Ok(bytes)) = content.next().await {
            if input.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = input.shutdown().await;
    };
    let listen = async {
        while helper.next().await?.is_some() {}
        helper.end().await
    };
    tokio::pin!(feed, listen);
    // Where the helper ends first, nobody takes what is still to come.
    tokio::select! {
        ended = &mut listen => ended,
        () = &mut feed => listen.await,
    }
}

/// A stream as a blocking reader, for a thread of its own.
struct Blocking {
    content: ByteStream,
    rest: Bytes,
    runtime: runtime::Handle,
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.content.try_next())? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let length = self.rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

fn no_tar(cause: String) -> Problem {
    let mut problem = Problem::new(Code::Failed, "cannot run `tar`");
    problem.causes.push(cause);
    problem.hint("the volume is as it was; on the host that has it: `apt-get install tar`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_with_more_to_say_than_a_pipe_holds_comes_to_its_end() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo file $i: cannot be read >&2; i=$((i + 1)); done; exit 2";
        let mut child = Command::new("sh").args(["-c", script]).stderr(Stdio::piped()).spawn().unwrap();
        let words = words(&mut child);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), finish(child, words)).await;
        assert_eq!(ended.expect("it ends"), Err("file 19999: cannot be read".to_owned()));
    }
}
