//! Whether there is room for a copy.

use crate::Error;
use scs_api::transfer::Survey;
use std::path::Path;

/// What a file system needs for itself beside the files, as a part of them.
const SLACK: u64 = 64;

/// Fails where `source` does not fit beside what `target` has of it already.
pub(crate) fn check(place: &Path, source: &Survey, target: &Survey, inplace: bool) -> Result<(), Error> {
    let found = rustix::fs::statvfs(place).map_err(|error| Error::Io {
        action: format!("see how much room there is at {}", place.display()),
        source: error.into(),
    })?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let needed = needed(source, target, inplace);
    if needed > free {
        return Err(Error::NoRoom { place: place.display().to_string(), free, needed });
    }
    Ok(())
}

fn needed(source: &Survey, target: &Survey, inplace: bool) -> u64 {
    let more = source.bytes.saturating_sub(target.bytes);
    // A file that changed is written beside the old one.
    let beside = if inplace || target.files == 0 { 0 } else { source.largest };
    more + more / SLACK + beside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_already_needs_no_room() {
        let of = |bytes, files| Survey { bytes, files, largest: bytes / 2, ..Survey::default() };
        assert_eq!(needed(&of(6400, 2), &of(0, 0), false), 6500);
        assert_eq!(needed(&of(6400, 2), &of(6400, 2), true), 0);
        assert_eq!(needed(&of(6400, 2), &of(6400, 2), false), 3200);
        assert_eq!(needed(&of(100, 2), &of(6400, 2), true), 0);
    }

    #[test]
    fn a_volume_that_does_not_fit_is_refused_with_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let source = Survey { bytes: 1 << 60, ..Survey::default() };
        let refused = check(directory.path(), &source, &Survey::default(), false).unwrap_err();
        assert!(refused.is_fatal() && refused.to_string().contains("are free at"), "{refused}");
    }
}
