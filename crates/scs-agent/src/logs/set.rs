//! A bounded set of files that lines are appended to, and their reader. Knows nothing of containers.
//!
//! A segment begins with a header, a line of JSON: of which files its lines are, and how far each had been read before. A line is its
//! time in nanoseconds, the number of its file with where in that it ended, and the text. So the last segment says where to go
//! on reading, and a line and its place are written at once or not at all: none is read twice, and none is left out.

use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes after which another segment is begun, and segments that are kept: 16 MiB, of which at least 12 are the latest lines.
const SEGMENT: u64 = 4 << 20;
const KEPT: usize = 4;

/// How far a file has been read: which file it was, and where the last line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) end: u64,
}

impl Place {
    /// Reads `DEVICE:INODE:END`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(':').map(|it| it.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { device: next()?, inode: next()?, end: next()? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.device, self.inode, self.end)
    }
}

/// One of the files whose lines are in a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) path: String,
    pub(crate) r#type: String,
    pub(crate) read: Option<Place>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) time: SystemTime,
    /// Number of its file.
    pub(crate) origin: usize,
    pub(crate) place: Option<Place>,
    pub(crate) text: Vec<u8>,
}

impl Line {
    fn write(&self, out: &mut Vec<u8>) {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let place = self.place.map(|place| format!(":{place}")).unwrap_or_default();
        out.extend_from_slice(format!("{} {}{place} ", since.as_nanos(), self.origin).as_bytes());
        out.extend(self.text.iter().filter(|byte| **byte != b'\n'));
        out.push(b'\n');
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut parts = line.strip_suffix(b"\n")?.splitn(3, |byte| *byte == b' ');
        let mut word = || std::str::from_utf8(parts.next()?).ok();
        let (nanos, from) = (word()?.parse().ok()?, word()?);
        let (origin, place) =
            from.split_once(':').map_or((from, None), |(origin, place)| (origin, Place::parse(place)));
        let time = UNIX_EPOCH + Duration::from_nanos(nanos);
        Some(Self { time, origin: origin.parse().ok()?, place, text: parts.next()?.to_vec() })
    }
}

fn segments(directory: &Path) -> Vec<u64> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

fn segment(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}"))
}

/// How far each file has been read, as the set in this directory says.
pub(crate) fn origins(directory: &Path) -> Vec<Origin> {
    // A segment without a header was being begun when the machine went down.
    segments(directory)
        .into_iter()
        .rev()
        .find_map(|number| last(&segment(directory, number)))
        .map_or(Vec::new(), |it| it.0)
}

/// Origins as they are after the last whole line of a segment, and where that ends.
fn last(path: &Path) -> Option<(Vec<Origin>, u64)> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let mut line = Vec::new();
    let mut end = reader.read_until(b'\n', &mut line).ok()? as u64;
    let mut origins: Vec<Origin> = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).ok()?;
        if !line.ends_with(b"\n") {
            return Some((origins, end));
        }
        end += read as u64;
        if let Some(Line { origin, place: Some(place), .. }) = Line::parse(&line)
            && let Some(origin) = origins.get_mut(origin)
        {
            origin.read = Some(place);
        }
    }
}

/// Appends lines.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: PathBuf,
    origins: Vec<Origin>,
    number: u64,
    file: File,
    size: u64,
}

impl Writer {
    /// Goes on where the set ends, or makes it. Files that it knows keep the place up to which they were read.
    pub(crate) fn open(directory: &Path, mut origins: Vec<Origin>) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let number = segments(directory).last().copied().unwrap_or(0);
        let before = self::origins(directory);
        for origin in &mut origins {
            let known = before.iter().find(|known| known.path == origin.path);
            origin.read = known.and_then(|known| known.read).or(origin.read);
        }
        let path = segment(directory, number);
        if let Some((there, end)) = last(&path)
            && there == origins
        {
            let file = OpenOptions::new().append(true).open(&path)?;
            // A line that was being written when the machine went down.
            file.set_len(end)?;
            return Ok(Self { directory: directory.to_owned(), origins, number, file, size: end });
        }
        let (file, size) = begin(directory, number + 1, &origins)?;
        Ok(Self { directory: directory.to_owned(), origins, number: number + 1, file, size })
    }

    /// The files, with how far each has been read.
    pub(crate) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Appends all of them, or none where it fails.
    pub(crate) fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        if self.size > SEGMENT {
            let (file, size) = begin(&self.directory, self.number + 1, &self.origins)?;
            (self.number, self.file, self.size) = (self.number + 1, file, size);
        }
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| line.write(&mut bytes));
        if let Err(error) = self.file.write_all(&bytes) {
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.size += bytes.len() as u64;
        for line in lines {
            if let (Some(origin), Some(place)) = (self.origins.get_mut(line.origin), line.place) {
                origin.read = Some(place);
            }
        }
        Ok(())
    }
}

/// Makes a segment with its header, and removes those that are too many with it.
fn begin(directory: &Path, number: u64, origins: &[Origin]) -> io::Result<(File, u64)> {
    let path = segment(directory, number);
    let mut header = serde_json::to_vec(origins).map_err(io::Error::other)?;
    header.push(b'\n');
    let mut file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path)?;
    if let Err(error) = file.write_all(&header) {
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    let all = segments(directory);
    for old in &all[..all.len().saturating_sub(KEPT)] {
        fs::remove_file(segment(directory, *old))?;
    }
    Ok((file, header.len() as u64))
}

/// Reads what a set holds, and may be asked again when it has grown.
#[derive(Debug)]
pub(crate) struct Reader {
    directory: PathBuf,
    number: u64,
    open: Option<BufReader<File>>,
    /// A later segment that was there before the open one was read to its end.
    successor: Option<u64>,
    origins: Vec<Origin>,
    begun: Vec<u8>,
}

impl Reader {
    /// From the oldest line on; a set that is not there is empty.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, number: 0, open: None, successor: None, origins: Vec::new(), begun: Vec::new() }
    }

    /// The next segment, once the open one gets no more: one writer writes one after another.
    fn advance(&mut self) -> Option<()> {
        let Some(number) = self.successor.take() else {
            self.successor = Some(segments(&self.directory).into_iter().find(|number| *number > self.number)?);
            return Some(());
        };
        let file = File::open(segment(&self.directory, number)).ok();
        (self.number, self.open) = (number, file.map(BufReader::new));
        self.origins.clear();
        self.begun.clear();
        Some(())
    }

    fn take_in(&mut self, line: &[u8]) -> Option<(Line, String)> {
        if self.origins.is_empty() {
            self.origins = serde_json::from_slice(line).unwrap_or_default();
            return None;
        }
        let line = Line::parse(line)?;
        let kind = self.origins.get(line.origin)?.r#type.clone();
        Some((line, kind))
    }
}

/// Its end is not the end for ever.
impl Iterator for Reader {
    /// A line with the type of its file.
    type Item = (Line, String);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(open) = &mut self.open {
                let read = open.read_until(b'\n', &mut self.begun).unwrap_or(0);
                if read > 0 && self.begun.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.begun);
                    if let Some(line) = self.take_in(&line) {
                        return Some(line);
                    }
                    continue;
                }
            }
            self.advance()?;
        }
    }
}

#[cfg(test)]
mod tests;
