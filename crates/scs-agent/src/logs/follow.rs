//! Follows the log files that the image of a container declares, from its start to its end, and keeps their lines.

use super::archive::Archive;
use super::set::{Line, Origin, Place, Writer};
use crate::files::HELPER;
use futures_util::StreamExt as _;
use scs_manifest::compiled::{LogFile, Role};
use scs_plan::slot::Slot;
use scs_ports::engine::{Engine, Error, Exec, State, Stream};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Pauses before the files are looked at again where that failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long the container before this one may take to hand over what it wrote last.
const HANDOVER: Duration = Duration::from_secs(10);
/// How long the engine may take to hand out the rest of the files of a container that has ended. It sends them whole.
const REST: Duration = Duration::from_secs(30);
/// Bytes after which a line is kept in parts; more than the helper prints of one.
const LONGEST: usize = 2 << 20;

/// The files of a container that are followed; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) files: Vec<LogFile>,
    /// Changes with every line that was kept; closed once there will be no more.
    pub(crate) grown: watch::Receiver<()>,
    _stop: DropGuard,
}

/// Whose files are followed.
pub(crate) struct Follow {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) archive: Archive,
    pub(crate) slot: Slot,
    pub(crate) instance: String,
    pub(crate) container: String,
    pub(crate) started: SystemTime,
    /// Those who have to be done before, as they may read the same file.
    pub(crate) after: Vec<watch::Receiver<()>>,
}

impl Follow {
    /// Follows the files of this role in a task of its own.
    pub(crate) fn begin(self, role: &Role) -> Following {
        let (grow, grown) = watch::channel(());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let files = role.logs.clone();
        let outlives = |path: &str| role.volumes.values().any(|volume| Path::new(path).starts_with(&volume.path));
        let outlive: Vec<bool> = files.iter().map(|file| outlives(&file.path)).collect();
        let files_ = files.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = self.run(&files_, &outlive, &grow) => {}
            }
        });
        Following { files, grown, _stop: stop.drop_guard() }
    }

    async fn run(&self, files: &[LogFile], outlive: &[bool], grow: &watch::Sender<()>) {
        let before = async {
            for before in self.after.clone() {
                closed(before).await;
            }
        };
        let _ = tokio::time::timeout(HANDOVER, before).await;
        let mut pause = PAUSE.0;
        loop {
            match self.pass(files, outlive, grow).await {
                Ok(true) => return,
                Ok(false) => pause = PAUSE.0,
                Err(error) => {
                    let (slot, path) = (&self.slot, "the state directory");
                    tracing::warn!(%slot, path, %error, "lines of log files cannot be kept; it is tried again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Keeps lines until the container or the way to it ends; whether there will be no more.
    async fn pass(&self, files: &[LogFile], outlive: &[bool], grow: &watch::Sender<()>) -> io::Result<bool> {
        let mut writer = self.writer(files, outlive)?;
        match self.engine.exec(&self.container, &self.command(&writer, files)).await {
            Ok(mut process) => {
                let mut open = Vec::new();
                while let Some(Ok(chunk)) = process.output.next().await {
                    if chunk.stream == Stream::Stdout {
                        open.extend_from_slice(&chunk.bytes);
                        keep(&mut writer, &take_lines(&mut open, parse), grow)?;
                    }
                }
            }
            Err(Error::NotFound { .. }) => return Ok(true),
            Err(error) => tracing::debug!(slot = %self.slot, %error, "the log files cannot be followed"),
        }
        match self.engine.container(&self.container).await {
            Ok(Some(container)) if matches!(container.state, State::Exited(_)) => {}
            Ok(None) => return Ok(true),
            _ => return Ok(false),
        }
        match tokio::time::timeout(REST, self.rest(&mut writer, grow)).await {
            Ok(done) => done?,
            Err(_) => tracing::warn!(slot = %self.slot, "the last lines of its log files took too long to read"),
        }
        Ok(true)
    }

    fn writer(&self, files: &[LogFile], outlive: &[bool]) -> io::Result<Writer> {
        let kept = self.archive.open(&self.slot, &self.instance, &self.container, self.started)?;
        let before = self.archive.before(&self.slot, &self.instance);
        let origins = files.iter().zip(outlive).map(|(file, outlives)| {
            let known = before.iter().find(|known| *outlives && known.path == file.path);
            Origin { path: file.path.clone(), r#type: file.r#type.clone(), read: known.and_then(|known| known.read) }
        });
        Writer::open(&kept.files(), origins.collect())
    }

    fn command(&self, writer: &Writer, files: &[LogFile]) -> Exec {
        let mut command: Vec<String> = [HELPER, "tail", "--follow", "--until-eof"].map(str::to_owned).into();
        for (index, origin) in writer.origins().iter().enumerate() {
            command.extend(origin.read.into_iter().flat_map(|place| ["--from".to_owned(), format!("{index}:{place}")]));
        }
        command.extend(files.iter().map(|file| file.path.clone()));
        // Its input stays open as long as somebody reads; when it closes, the helper ends.
        Exec { command, stdin: true, user: Some("0".to_owned()), ..Exec::default() }
    }

    /// What a container wrote between the last look at its files and its end.
    async fn rest(&self, writer: &mut Writer, grow: &watch::Sender<()>) -> io::Result<()> {
        for index in 0..writer.origins().len() {
            let Origin { path, read, .. } = writer.origins()[index].clone();
            let from = read.map_or(0, |place| place.end);
            let Ok(Some(mut rest)) = self.engine.rest_of_file(&self.container, &path, from).await else { continue };
            let mut place = read.unwrap_or(Place { device: 0, inode: 0, end: 0 });
            let mut open = Vec::new();
            let mut read = |piece: &[u8]| {
                place.end += piece.len() as u64;
                Some(line(index, place, piece))
            };
            while let Some(Ok(bytes)) = rest.next().await {
                open.extend_from_slice(&bytes);
                keep(writer, &take_lines(&mut open, &mut read), grow)?;
            }
            if !open.is_empty() {
                keep(writer, read(&open).as_slice(), grow)?;
            }
        }
        Ok(())
    }
}

/// Waits until nothing more comes.
pub(crate) async fn closed(mut grown: watch::Receiver<()>) {
    while grown.changed().await.is_ok() {}
}

fn keep(writer: &mut Writer, lines: &[Line], grow: &watch::Sender<()>) -> io::Result<()> {
    if !lines.is_empty() {
        writer.append(lines)?;
        let _ = grow.send(());
    }
    Ok(())
}

fn line(origin: usize, place: Place, text: &[u8]) -> Line {
    let text = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
    Line { time: SystemTime::now(), origin, place: Some(place), text }
}

/// `INDEX DEVICE:INODE:END TEXT`, as the helper prints it.
fn parse(printed: &[u8]) -> Option<Line> {
    let mut parts = printed.splitn(3, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(parts.next()?).ok();
    let (index, place) = (word()?.parse().ok()?, Place::parse(word()?)?);
    Some(line(index, place, parts.next()?))
}

/// Takes whole lines away, and what is too long to wait for its end.
fn take_lines(open: &mut Vec<u8>, mut read: impl FnMut(&[u8]) -> Option<Line>) -> Vec<Line> {
    let ended = open.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let end = if ended == 0 && open.len() > LONGEST { open.len() } else { ended };
    let lines = open[..end].split_inclusive(|byte| *byte == b'\n').filter_map(&mut read).collect();
    open.drain(..end);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_helper_prints_is_taken_apart_line_by_line() {
        let mut open = b"0 1:2:3 one\n1 1:3:9  two words\nnonsense\n0 1:2:".to_vec();
        let lines = take_lines(&mut open, parse);
        let told: Vec<_> = lines.iter().map(|it| (it.origin, it.place.unwrap().end, &it.text[..])).collect();
        assert_eq!(told, [(0, 3, &b"one"[..]), (1, 9, b" two words")]);
        assert_eq!(open, b"0 1:2:");
    }
}
