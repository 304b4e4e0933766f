//! A directory as a tar archive, and an archive in place of what a directory holds: by the `tar` of the system, which knows
//! owners, links, holes, lists of access and attributes.
//!
//! Used by scs itself where it is root, and by the helper in a container of its own where it is not.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;

/// An archive ends with two blocks of zeros.
const END: usize = 1024;

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// How the directories begin that an unpacking works in, inside the directory itself.
const FRESH: &str = ".scs-import-";
const REPLACED: &str = ".scs-replaced-";

/// Why an archive was not unpacked. The directory holds what it held.
#[derive(Debug)]
pub enum Error {
    /// The program `tar` cannot be run.
    NoTar(io::Error),
    /// The archive is no good, or was not received whole.
    Archive(String),
    /// The file system refused something.
    Files(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoTar(error) => write!(f, "cannot run `tar`: {error}"),
            Error::Archive(why) => write!(f, "the archive cannot be unpacked: {why}"),
            Error::Files(error) => write!(f, "the archive's files cannot be put in place: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// The command that writes all of a directory to its standard output.
#[must_use]
pub fn pack(directory: &Path) -> Command {
    let mut command = tar(directory);
    command.args(["--create", "--file=-", "--sparse", "."]);
    command
}

fn tar(directory: &Path) -> Command {
    let mut command = Command::new("tar");
    command.args(["--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"]).arg("--directory").arg(directory);
    command
}

/// Puts an archive's files in place of all that a directory holds. Until all of them are there, the old ones stay.
///
/// # Errors
/// When the archive is not whole or the files cannot be written; the directory holds what it held.
pub fn unpack(directory: &Path, archive: &mut dyn Read) -> Result<(), Error> {
    // Inside the directory, which may be a mount of its own: files can be moved within one file system only.
    let fresh = Scratch::new(directory, FRESH).map_err(Error::Files)?;
    let mut tar = tar(&fresh.0);
    tar.args(["--extract", "--file=-", "--preserve-permissions"]);
    let tar = tar.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut tar = tar.map_err(Error::NoTar)?;
    let stderr = tar.stderr.take().expect("it was piped");
    // Read while it works: a pipe that nobody empties would bring it to a halt.
    let words = thread::spawn(move || hear(stderr));
    let fed = feed(archive, tar.stdin.take().expect("it was piped"));
    let status = tar.wait().map_err(Error::Files)?;
    let words = words.join().unwrap_or_default();
    // What `tar` says went wrong says more than the broken pipe it leaves.
    if !status.success() {
        return Err(Error::Archive(words));
    }
    // `tar` takes an archive that is cut short between two files for a whole one.
    if fed.map_err(|error| Error::Archive(error.to_string()))? < END {
        return Err(Error::Archive("it is cut short".to_owned()));
    }
    swap(directory, &fresh.0).map_err(Error::Files)
}

/// Gives `tar` the archive; the number of zeros it ends with.
fn feed(archive: &mut dyn Read, mut tar: ChildStdin) -> io::Result<usize> {
    let (mut zeros, mut buffer) = (0, vec![0; CHUNK]);
    loop {
        let bytes = match archive.read(&mut buffer) {
            Ok(0) => return Ok(zeros),
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        zeros = match bytes.iter().rposition(|byte| *byte != 0) {
            Some(at) => bytes.len() - at - 1,
            None => zeros + bytes.len(),
        };
        tar.write_all(bytes)?;
    }
}

fn hear(mut stderr: impl Read) -> String {
    let (mut words, mut buffer) = (Words::default(), [0; 4096]);
    while let Ok(length @ 1..) = stderr.read(&mut buffer) {
        words.hear(&buffer[..length]);
    }
    words.last()
}

/// Keeps the last line that says something of all that `tar` says.
#[derive(Debug, Default)]
pub struct Words {
    line: Vec<u8>,
    last: String,
}

impl Words {
    /// What it says next, in pieces of any size.
    pub fn hear(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim().trim_start_matches("scs-helper: ");
        if !line.is_empty() && !line.contains("Exiting with failure") {
            self.last = line.to_owned();
        }
        self.line.clear();
    }

    /// The last line, which is never empty.
    #[must_use]
    pub fn last(mut self) -> String {
        self.end_line();
        if self.last.is_empty() { "it gave no reason".to_owned() } else { self.last }
    }
}

/// Puts the entries of `fresh`, which lies in `directory`, in place of all others there. The directory itself stays: it may
/// be mounted.
fn swap(directory: &Path, fresh: &Path) -> io::Result<()> {
    let old = Scratch::new(directory, REPLACED)?;
    let entries =
        |of: &Path| -> io::Result<Vec<PathBuf>> { fs::read_dir(of)?.map(|entry| Ok(entry?.path())).collect() };
    let name = |path: &Path| path.file_name().map(OsStr::to_owned).unwrap_or_default();
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    let all = entries(directory)?
        .into_iter()
        .filter(|entry| entry != fresh && *entry != old.0)
        .map(|entry| (entry.clone(), old.0.join(name(&entry))))
        .chain(entries(fresh)?.into_iter().map(|entry| (entry.clone(), directory.join(name(&entry)))));
    for (from, to) in all {
        if let Err(error) = fs::rename(&from, &to) {
            for (from, to) in moved.into_iter().rev() {
                let _ = fs::rename(&to, &from);
            }
            return Err(error);
        }
        moved.push((from, to));
    }
    drop(old);
    // The archive's `.` carries owner, mode and attributes of the directory itself.
    let copied = Command::new("cp")
        .args(["--recursive", "--attributes-only", "--preserve=all", "--no-target-directory"])
        .args([fresh, directory])
        .output()?;
    if copied.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&copied.stderr).trim_end()))
    }
}

/// A directory that is removed with all that is in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(directory: &Path, prefix: &str) -> io::Result<Self> {
        // Another one of the name is left where somebody was killed.
        for number in 0_u32.. {
            let path = directory.join(format!("{prefix}{number}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.map(|()| Scratch(path)),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is lost where it stays: the next archive that is unpacked replaces it with the rest.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_directory_held_goes_only_when_all_of_the_new_is_there() {
        let base = std::env::temp_dir().join(format!("scs-archive-{}", std::process::id()));
        let volume = base.join("data");
        let fresh = volume.join(".scs-import-0");
        fs::create_dir_all(&fresh).expect("made");
        for (directory, file) in [(&volume, "old"), (&fresh, "new")] {
            fs::write(directory.join(file), file).expect("written");
        }
        swap(&volume, &fresh).expect("swapped");
        fs::remove_dir(&fresh).expect("it is empty");
        let names = |of: &Path| -> Vec<_> {
            fs::read_dir(of).expect("there").map(|entry| entry.expect("read").file_name()).collect()
        };
        assert_eq!(names(&volume), ["new"]);
        assert_eq!(names(&base), ["data"], "nothing is left beside");
        fs::remove_dir_all(&base).expect("removed");
    }

    #[test]
    fn the_last_line_that_says_something_is_kept() {
        let mut words = Words::default();
        for part in ["tar: a: Cannot open\ntar: b: Can", "not open\n\n", "tar: Exiting with failure status"] {
            words.hear(part.as_bytes());
        }
        assert_eq!(words.last(), "tar: b: Cannot open");
        assert_eq!(Words::default().last(), "it gave no reason");
    }
}
