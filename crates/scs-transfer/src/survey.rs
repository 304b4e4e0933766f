//! What a directory holds, before it is copied.

use crate::mapped;
use scs_api::transfer::Survey;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Looks at all of a directory. Blocks on the disk. What vanishes meanwhile is not counted.
///
/// # Errors
/// When the directory itself cannot be read.
pub fn survey(directory: &Path) -> io::Result<Survey> {
    let mapped = mapped::inodes();
    let mut found = Survey { mapped: Some(Vec::new()), ..Survey::default() };
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let entries = match fs::read_dir(&path) {
            Err(error) if path == directory => return Err(error),
            Err(_) => continue,
            Ok(entries) => entries,
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let bytes = metadata.blocks() * 512;
            found.files += 1;
            found.bytes += bytes;
            if metadata.is_dir() {
                left.push(entry.path());
                continue;
            }
            found.largest = found.largest.max(bytes);
            found.linked |= metadata.nlink() > 1;
            if mapped.contains(&metadata.ino()) {
                let path = entry.path();
                let name = path.strip_prefix(directory).ok().and_then(Path::to_str).map(str::to_owned);
                match (&mut found.mapped, name) {
                    (Some(mapped), Some(name)) => mapped.push(name),
                    (mapped, _) => *mapped = None,
                }
            }
        }
    }
    Ok(found)
}
