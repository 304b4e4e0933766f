//! `tail`: the lines of several files, each with its file's index. Looks at the files again and again rather than being
//! told by the kernel: that sees rotation and truncation alike, on every file system.

use crate::arguments::{Arguments, unknown};
use crate::{Failure, sys};
use std::fs::{self, File};
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

pub(crate) fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut lines, mut follow, mut until_eof) = (None, false, false);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--lines" => lines = Some(arguments.value("--lines", |it| it.parse().ok())?),
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
    for tail in &mut tails {
        tail.open(lines);
        tail.read(&mut out)?;
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
    /// Device and inode: another one at the same path means that the file was rotated.
    identity: (u64, u64),
    position: u64,
}

impl Tail {
    fn new(index: usize, path: PathBuf) -> Self {
        Tail { index, path, open: None, begun: Vec::new() }
    }

    /// Opens the file if it is there, at its last lines or at its beginning. Whoever may not read it gets nothing.
    fn open(&mut self, lines: Option<u64>) {
        let Ok(mut file) = File::open(&self.path) else { return };
        let Ok(metadata) = file.metadata() else { return };
        if metadata.is_dir() {
            return;
        }
        let position = lines.map_or(0, |lines| last_lines(&mut file, metadata.len(), lines).unwrap_or(metadata.len()));
        if file.seek(SeekFrom::Start(position)).is_ok() {
            self.open = Some(Open { file, identity: (metadata.dev(), metadata.ino()), position });
        }
    }

    fn catch_up(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.open.is_none() {
            self.open(None);
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
        let replaced = fs::metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) != open.identity);
        if replaced {
            self.read(out)?;
            self.end_line(out)?;
            self.open = None;
            self.open(None);
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
            open.position += read as u64;
            for part in buffer[..read].split_inclusive(|it| *it == b'\n') {
                self.begun.extend_from_slice(part);
                if part.ends_with(b"\n") || self.begun.len() >= LONGEST {
                    write_line(self.index, &mut self.begun, out)?;
                }
            }
        }
    }

    fn end_line(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.begun.is_empty() { Ok(()) } else { write_line(self.index, &mut self.begun, out) }
    }
}

fn write_line(index: usize, line: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    write!(out, "{index} ")?;
    out.write_all(line)?;
    out.write_all(b"\n")?;
    line.clear();
    Ok(())
}

/// Where the last lines of a file begin.
fn last_lines(file: &mut File, length: u64, lines: u64) -> io::Result<u64> {
    if lines == 0 {
        return Ok(length);
    }
    let mut missing = lines;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let mut block = Vec::with_capacity(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut block)?;
        for (offset, byte) in block.iter().enumerate().rev() {
            let after = start + offset as u64 + 1;
            // The end of the last line does not begin another one.
            if *byte == b'\n' && after < length {
                missing -= 1;
                if missing == 0 {
                    return Ok(after);
                }
            }
        }
        end = start;
    }
    Ok(0)
}
