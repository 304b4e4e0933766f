//! The log file of `scs dev`: rotated when it starts, read when it did not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Older logs that are kept.
const KEPT: u32 = 3;
/// A log smaller than this is gone on with: a start and an end a minute should not push out what went before.
const ROTATE_AT: u64 = 1 << 20;
/// How much of the end is read for its last lines.
const TAIL: u64 = 16 << 10;

/// Opens the log for appending; a large one is moved aside first, and the oldest is dropped.
///
/// # Errors
/// Where the directory cannot be written.
pub fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() >= ROTATE_AT) {
        for number in (1..KEPT).rev() {
            let _ = fs::rename(numbered(path, number), numbered(path, number + 1));
        }
        fs::rename(path, numbered(path, 1))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("log.{number}"))
}

/// Size of the log, to tell old lines from new ones.
#[must_use]
pub fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The last lines that were written after `since` bytes.
#[must_use]
pub fn tail(path: &Path, since: u64, lines: usize) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let since = if since > length { 0 } else { since };
        file.seek(SeekFrom::Start(since.max(length.saturating_sub(TAIL))))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_large_log_is_moved_aside_and_the_oldest_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dev.log");
        for round in 0..6 {
            let mut file = open(&path).unwrap();
            writeln!(file, "round {round}").unwrap();
            file.set_len(ROTATE_AT).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["dev.log", "dev.log.1", "dev.log.2", "dev.log.3"]);
    }

    #[test]
    fn only_new_lines_are_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dev.log");
        fs::write(&path, "old\n").unwrap();
        let before = size(&path);
        writeln!(open(&path).unwrap(), "one\ntwo\nthree").unwrap();
        assert_eq!(tail(&path, before, 2), ["two", "three"]);
        assert_eq!(tail(&path, before, 9), ["one", "two", "three"]);
    }
}
