//! Walks a source directory. Blocking: call it off the runtime.

use super::Error;
use super::entry::{Entry, Hash, Kind, source_digest};
use super::ignore::Ignore;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Never part of a source, at any depth.
const NEVER: &str = ".git";
/// The image manifest: read by the manifests, part of the image digest by what it says.
const MANIFEST: &str = "image.yaml";

/// What a scan leaves out or keeps beside what `.dockerignore` says.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files or directories left out, absolute or relative to the source: the deployment's own files and its secrets.
    pub exclude: Vec<PathBuf>,
    /// Files kept though `.dockerignore` names them, relative to the source: the Dockerfile, as in Docker.
    pub keep: Vec<String>,
}

/// A source directory that was read.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The directory, free of links.
    pub root: PathBuf,
    /// Its files and links in byte order of their paths.
    pub entries: Vec<Entry>,
    /// The source digest.
    pub digest: String,
}

/// Reads a source directory. Follows no link; excluded files are neither read nor judged.
pub fn scan(root: &Path, options: &Options) -> Result<Tree, Error> {
    let root = root.canonicalize().map_err(Error::io("find the source", root))?;
    if !root.is_dir() {
        return Err(Error::NotDirectory { path: root });
    }
    let exclude = options.exclude.iter().filter_map(|path| absolute(&root, path)).collect();
    let mut walk = Walk { ignore: rules(&root)?, exclude, keep: &options.keep, entries: Vec::new() };
    walk.directory(&root, "")?;
    let mut entries = walk.entries;
    entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    let digest = source_digest(&entries);
    Ok(Tree { root, entries, digest })
}

/// Where a path given by the caller really lies; `None` if it is not there, so that nothing has to be left out.
fn absolute(root: &Path, path: &Path) -> Option<PathBuf> {
    let path = root.join(path);
    // Only the parents are resolved: a link is left out itself, not what it leads to.
    let parent = path.parent()?.canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}

fn rules(root: &Path) -> Result<Ignore, Error> {
    let path = root.join(".dockerignore");
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ignore::default()),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    Ignore::parse(&text).map_err(|bad| Error::Ignore {
        path,
        line: bad.line,
        pattern: bad.pattern,
        message: bad.message,
    })
}

struct Walk<'a> {
    ignore: Ignore,
    exclude: Vec<PathBuf>,
    keep: &'a [String],
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Path, prefix: &str) -> Result<(), Error> {
        for entry in fs::read_dir(directory).map_err(Error::io("read", directory))? {
            let entry = entry.map_err(Error::io("read", directory))?;
            let path = entry.path();
            let name = entry.file_name();
            let relative = format!("{prefix}{}", name.to_string_lossy());
            if name == NEVER || relative == MANIFEST || self.exclude.contains(&path) {
                continue;
            }
            let excluded = self.ignore.excludes(&relative) && !self.keep.contains(&relative);
            let kind = entry.file_type().map_err(Error::io("look at", &path))?;
            if kind.is_dir() {
                if name.to_str().is_none() && !excluded {
                    return Err(Error::NotUtf8 { path });
                }
                if !excluded || self.holds_kept(&relative) {
                    self.directory(&path, &format!("{relative}/"))?;
                }
            } else if !excluded {
                if name.to_str().is_none() {
                    return Err(Error::NotUtf8 { path });
                }
                let kind = read(&path, &relative, kind)?;
                self.entries.push(Entry { path: relative, kind });
            }
        }
        Ok(())
    }

    /// Whether something below an excluded directory may be part of the source all the same.
    fn holds_kept(&self, directory: &str) -> bool {
        self.ignore.includes_again()
            || self.keep.iter().any(|kept| kept.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/')))
    }
}

fn read(path: &Path, relative: &str, kind: fs::FileType) -> Result<Kind, Error> {
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(Error::io("read the link", path))?;
        let Some(target) = target.to_str() else { return Err(Error::NotUtf8 { path: path.to_owned() }) };
        if leads_outside(relative, target) {
            return Err(Error::Outside { path: path.to_owned(), target: target.to_owned() });
        }
        return Ok(Kind::Link { target: target.to_owned() });
    }
    if !kind.is_file() {
        let what = match kind {
            kind if kind.is_fifo() => "named pipe",
            kind if kind.is_socket() => "socket",
            kind if kind.is_block_device() || kind.is_char_device() => "device",
            _ => "special file",
        };
        return Err(Error::Special { path: path.to_owned(), what });
    }
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mode = file.metadata().map_err(Error::io("look at", path))?.permissions().mode();
    let (size, content) = hash(&mut file).map_err(Error::io("read", path))?;
    Ok(Kind::File { executable: mode & 0o100 != 0, size, content })
}

/// Bytes and hash of what a reader has left.
pub(super) fn hash(reader: &mut impl Read) -> std::io::Result<(u64, Hash)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((size, hash.finalize().into())),
            Ok(count) => {
                hash.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a link at `path` leads above the root, by the text of its target alone.
pub(super) fn leads_outside(path: &str, target: &str) -> bool {
    if target.starts_with('/') {
        return true;
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests;
