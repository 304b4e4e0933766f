//! Files that some process has mapped for writing: their times do not change with what is written to them.

use std::collections::BTreeSet;
use std::fs;

/// Inodes of all files that any process shares a writable mapping of. Of which file system is left out: overlays give other
/// numbers, and a file too many only costs the time of comparing it.
pub(crate) fn inodes() -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !process.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process that has ended meanwhile maps nothing any more.
        let Ok(maps) = fs::read(process.path().join("maps")) else { continue };
        found.extend(String::from_utf8_lossy(&maps).lines().filter_map(inode));
    }
    found
}

/// `7f…-7f… rw-s 00000000 fe:01 1234  /path` → 1234.
fn inode(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    let permissions = words.nth(1)?.as_bytes();
    let inode = words.nth(2)?.parse().ok()?;
    (permissions.get(1) == Some(&b'w') && permissions.get(3) == Some(&b's') && inode > 0).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::inode;

    #[test]
    fn only_shared_and_writable_mappings_of_files_count() {
        assert_eq!(inode("7f10-7f20 rw-s 00000000 fe:01 1234  /data/x"), Some(1234));
        for other in
            ["7f10-7f20 rw-p 0 fe:01 1234 /x", "7f10-7f20 r--s 0 fe:01 1234 /x", "7f10-7f20 rw-s 0 00:00 0", ""]
        {
            assert_eq!(inode(other), None, "{other:?}");
        }
    }
}
