//! Keeps what a container wrote itself, before the engine forgets it.

use super::archive::{Archive, Kept};
use super::set::{Line, Origin, Writer};
use futures_util::StreamExt as _;
use scs_ports::engine::{Engine, Error, LogChunk, Logs, Stream};
use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

/// How long the engine may take to hand out the output of a container: 30 MB of it take a second.
const LIMIT: Duration = Duration::from_secs(30);
/// Lines that are written at once, at most.
const BATCH: usize = 256;

/// Keeps it. A second time changes nothing; what an interrupted one left is done anew.
pub(crate) async fn save(engine: &dyn Engine, kept: &Kept) -> io::Result<()> {
    if kept.output().exists() {
        return Ok(());
    }
    let Some(container) = kept.container() else { return Ok(()) };
    let saved = tokio::time::timeout(LIMIT, copy(engine, kept, &container)).await;
    let saved = saved.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
    match saved {
        Ok(true) => fs::rename(kept.unfinished(), kept.output()),
        Ok(false) => Ok(()),
        Err(error) => {
            let _ = fs::remove_dir_all(kept.unfinished());
            Err(error)
        }
    }
}

/// Whether there was anything to be copied from.
async fn copy(engine: &dyn Engine, kept: &Kept, container: &str) -> io::Result<bool> {
    let chunks = match engine.logs(container, &Logs::default()).await {
        Ok(chunks) => chunks,
        Err(Error::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(io::Error::other(error)),
    };
    let _ = fs::remove_dir_all(kept.unfinished());
    let origin = |name: &str| Origin { path: name.to_owned(), r#type: name.to_owned(), read: None };
    let mut writer = Writer::open(&kept.unfinished(), vec![origin("stdout"), origin("stderr")])?;
    let mut batches = chunks.ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let lines: Result<Vec<Line>, Error> = batch.into_iter().map(|chunk| chunk.map(line)).collect();
        writer.append(&lines.map_err(io::Error::other)?)?;
    }
    Ok(true)
}

fn line(chunk: LogChunk) -> Line {
    let origin = usize::from(chunk.stream == Stream::Stderr);
    let time = chunk.time.unwrap_or_else(SystemTime::now);
    Line { time, origin, place: None, text: chunk.bytes.into() }
}

/// The place for what a container wrote; `None` where it cannot be made, which has been said then.
pub(crate) fn place(
    archive: &Archive,
    slot: &scs_plan::slot::Slot,
    instance: &str,
    id: &str,
    started: SystemTime,
) -> Option<Kept> {
    let opened = archive.open(slot, instance, id, started);
    opened
        .inspect_err(|error| tracing::warn!(%slot, %instance, %error, "the lines of a removed container are lost"))
        .ok()
}
