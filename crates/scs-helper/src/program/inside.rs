//! A directory inside another one, to which no link may lead: containers write there, and could point it anywhere.
//!
//! Used by scs itself, and by the helper in a container of its own where the outer directory is closed to us.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// A directory with nothing in it.
    Empty,
    /// A directory with something in it.
    Full,
    /// On the way, or at its end, is something that is no directory, a link perhaps.
    Blocked,
}

/// Looks for the directory `path` inside `parent`; makes it, with those on the way, if asked to and nothing is there.
///
/// # Errors
/// What the file system says.
pub fn look(parent: &Path, path: &Path, make: bool) -> io::Result<Found> {
    let mut place = parent.to_owned();
    for part in path.components() {
        place.push(part);
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Ok(Found::Blocked),
            Err(error) if error.kind() == ErrorKind::NotFound && make => {
                fs::create_dir_all(parent.join(path))?;
                return Ok(Found::Empty);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Missing),
            Err(error) => return Err(error),
        }
    }
    Ok(if fs::read_dir(&place)?.next().is_some() { Found::Full } else { Found::Empty })
}

/// Exit codes of the helper for what it finds, which no other outcome has.
pub const CODES: [(Found, u8); 4] = [(Found::Missing, 10), (Found::Empty, 11), (Found::Full, 12), (Found::Blocked, 13)];
