//! `tail`: the lines of several files, each with its file's index and with where it ends, so that whoever reads them can go on there
//! later. Looks at the files again and again rather than being told by the kernel: that sees rotation and truncation alike, on every
//! file system.

use crate::arguments::{Arguments, unknown};
use crate::{Failure, sys};
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How often the files are looked at. A fifth of a second is not noticed by people, and costs a few system calls a file.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes after which a line that does not end is passed on in parts.
const LONGEST: usize = 1 << 20;
/// Bytes read at once.
const BLOCK: usize = 64 << 10;

/// Device and inode: another one at the same path means that the file was rotated.
type Identity = (u64, u64);

pub(crate) fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut from, mut follow, mut until_eof) = (Vec::new(), false, false);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--from" => from.push(arguments.value("--from", place)?),
            "--follow" => follow = true,
            "--until-eof" => until_eof = true,
            other => return Err(unknown(other)),
        }
    }
    sys::leave_on_signals();
    if until_eof {
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            std::process::exit(0);
        });
    }
    let paths = arguments.paths()?;
    let mut tails: Vec<_> = paths.into_iter().enumerate().map(|(index, path)| Tail::new(index, path)).collect();
    let mut out = io::stdout().lock();
    for (index, identity, end) in from {
        let tail = tails.get_mut(index).ok_or_else(|| Failure::usage(format!("there is no file {index}")))?;
        tail.resume(identity, end);
    }
    for tail in &mut tails {
        tail.catch_up(&mut out)?;
    }
    if follow {
        loop {
            out.flush()?;
            thread::sleep(LOOK);
            for tail in &mut tails {
                tail.catch_up(&mut out)?;
            }
        }
    }
    for tail in &mut tails {
        tail.end_line(&mut out)?;
    }
    out.flush()?;
    Ok(0)
}

/// Reads `INDEX:DEVICE:INODE:END`.
fn place(text: &str) -> Option<(usize, Identity, u64)> {
    let mut numbers = text.split(':').map(|it| it.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let (index, device, inode, end) = (next()?, next()?, next()?, next()?);
    Some((usize::try_from(index).ok()?, (device, inode), end))
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// One file that is followed.
struct Tail {
    index: usize,
    path: PathBuf,
    open: Option<Open>,
    /// A line that has not ended yet.
    begun: Vec<u8>,
}

struct Open {
    file: File,
    identity: Identity,
    position: u64,
}

impl Open {
    /// Opens what is a file: a pipe would be waited for, and a terminal or our own output has no end. `None` for what may not be read.
    fn at(path: &std::path::Path) -> Option<(Self, u64)> {
        if !fs::metadata(path).ok()?.is_file() {
            return None;
        }
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok()?;
        Some((Open { file, identity: identity(&metadata), position: 0 }, metadata.len()))
    }
}

impl Tail {
    fn new(index: usize, path: PathBuf) -> Self {
        Tail { index, path, open: None, begun: Vec::new() }
    }

    /// Goes on in the file that it was, which may have been rotated since; else at the beginning of the one that is there.
    fn resume(&mut self, before: Identity, end: u64) {
        let beside = self.path.parent().and_then(|parent| fs::read_dir(parent).ok());
        let beside = beside.into_iter().flatten().flatten().map(|entry| entry.path());
        let same = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| identity(&it) == before);
        let found = [self.path.clone()].into_iter().chain(beside).find(same);
        let Some((mut open, length)) = found.and_then(|path| Open::at(&path)) else { return };
        // A shorter one was truncated.
        if length >= end && open.file.seek(SeekFrom::Start(end)).is_ok() {
            open.position = end;
        }
        self.open = Some(open);
    }

    fn catch_up(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Open::at(&self.path).map(|(open, _)| open);
        }
        self.read(out)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.file.metadata().is_ok_and(|it| it.len() < open.position) {
            // Truncated: what is in it now is new.
            open.file.seek(SeekFrom::Start(0))?;
            open.position = 0;
            self.begun.clear();
            return self.read(out);
        }
        // While nothing is at the path (between the two steps of a rotation) the old one is followed on.
        let replaced = fs::metadata(&self.path).is_ok_and(|it| identity(&it) != open.identity);
        if replaced {
            self.read(out)?;
            self.end_line(out)?;
            self.open = Open::at(&self.path).map(|(open, _)| open);
            return self.read(out);
        }
        Ok(())
    }

    /// Passes on the lines that have ended since.
    fn read(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut buffer = vec![0; BLOCK];
        loop {
            let read = match open.file.read(&mut buffer) {
                Ok(0) | Err(_) => return Ok(()),
                Ok(read) => read,
            };
            for part in buffer[..read].split_inclusive(|it| *it == b'\n') {
                open.position += part.len() as u64;
                self.begun.extend_from_slice(part);
                if part.ends_with(b"\n") || self.begun.len() >= LONGEST {
                    write_line(self.index, open, &mut self.begun, out)?;
                }
            }
        }
    }

    fn end_line(&mut self, out: &mut impl Write) -> io::Result<()> {
        match &self.open {
            Some(open) if !self.begun.is_empty() => write_line(self.index, open, &mut self.begun, out),
            _ => Ok(()),
        }
    }
}

fn write_line(index: usize, open: &Open, line: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    let (device, inode) = open.identity;
    write!(out, "{index} {device}:{inode}:{} ", open.position)?;
    out.write_all(line)?;
    out.write_all(b"\n")?;
    line.clear();
    Ok(())
}
