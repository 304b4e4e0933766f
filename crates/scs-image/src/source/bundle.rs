//! Bundles: a source as one tar, named by its source digest. Blocking: call it off the runtime.
//!
//! The bytes follow from the entries alone (sorted, times and owners zero, modes 0644 and 0755), so equal sources give
//! equal bundles. A bundle proves itself: read back, its entries must give the digest it is named by.

use super::Error;
use super::entry::{Entry, Kind, source_digest};
use super::walk::{self, Tree};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A directory of bundles. Any number of processes may use it at once.
#[derive(Debug, Clone)]
pub struct BundleStore {
    directory: PathBuf,
}

impl BundleStore {
    /// The store in this directory, which is made when first written to.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        BundleStore { directory: directory.into() }
    }

    /// Where the bundle of a source digest lies, or would.
    #[must_use]
    pub fn path(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}.tar"))
    }

    /// Stores a source that was scanned; one that is there already is left as it is. [`Error::Changed`] when a file is no
    /// longer what the scan saw.
    pub fn put(&self, tree: &Tree) -> Result<PathBuf, Error> {
        let path = self.path(&tree.digest);
        if path.exists() {
            return Ok(path);
        }
        fs::create_dir_all(&self.directory).map_err(Error::io("make", &self.directory))?;
        let failed = |error| Error::io("write to", &self.directory)(error);
        let temporary = tempfile::Builder::new().prefix(".put-").tempfile_in(&self.directory).map_err(failed)?;
        write(tree, temporary.as_file())?;
        temporary.as_file().sync_all().map_err(failed)?;
        temporary.persist(&path).map_err(|error| failed(error.error))?;
        // The rename itself has to outlive a crash too.
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        Ok(path)
    }

    /// The path of a bundle, after its content was compared with its name. A damaged one is moved aside.
    pub fn get(&self, digest: &str) -> Result<PathBuf, Error> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { digest: digest.to_owned(), store: self.directory.clone() });
            }
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        if entries(&file).is_ok_and(|entries| source_digest(&entries) == digest) {
            return Ok(path);
        }
        let moved = path.with_extension("tar.corrupt");
        fs::rename(&path, &moved).map_err(Error::io("move aside", path))?;
        Err(Error::Corrupt { digest: digest.to_owned(), moved })
    }

    /// A bundle opened for reading; `None` if it does not hold the file `path`.
    pub fn open(&self, digest: &str, path: &str) -> Result<Option<File>, Error> {
        let place = self.get(digest)?;
        let file = File::open(&place).map_err(Error::io("read", &place))?;
        let listed = entries(&file).map_err(Error::io("read", &place))?;
        (&file).rewind().map_err(Error::io("read", &place))?;
        Ok(listed.iter().any(|entry| entry.path == path).then_some(file))
    }

    /// Unpacks a bundle into a directory that is made for it, readable by everybody: an engine may run containers as a
    /// user of its own.
    pub fn unpack(&self, digest: &str, into: &Path) -> Result<(), Error> {
        let path = self.get(digest)?;
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        unpack(&file, into)
    }

    /// Removes the bundles of all other source digests; gives how many there were.
    pub fn prune(&self, keep: &BTreeSet<String>) -> Result<usize, Error> {
        let listing = match fs::read_dir(&self.directory) {
            Ok(listing) => listing,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(Error::io("read", &self.directory)(error)),
        };
        let mut removed = 0;
        for entry in listing {
            let path = entry.map_err(Error::io("read", &self.directory))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let stale = match name.split_once('.') {
                Some((digest, "tar")) => !keep.contains(digest),
                Some((_, "tar.corrupt")) => true,
                _ => false,
            };
            if stale {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn write(tree: &Tree, into: &File) -> Result<(), Error> {
    let failed = |error| Error::io("write a bundle of", &tree.root)(error);
    let mut tar = tar::Builder::new(BufWriter::with_capacity(256 * 1024, into));
    let mut made: BTreeSet<&str> = BTreeSet::new();
    for entry in &tree.entries {
        for (end, _) in entry.path.match_indices('/') {
            let directory = &entry.path[..end];
            if made.insert(directory) {
                let mut header = header(tar::EntryType::Directory, 0o755, 0);
                tar.append_data(&mut header, format!("{directory}/"), std::io::empty()).map_err(failed)?;
            }
        }
        match &entry.kind {
            Kind::Link { target } => {
                let mut header = header(tar::EntryType::Symlink, 0o777, 0);
                tar.append_link(&mut header, &entry.path, target).map_err(failed)?;
            }
            Kind::File { executable, size, content } => {
                let path = tree.root.join(&entry.path);
                let file = File::open(&path).map_err(Error::io("read", &path))?;
                let mode = if *executable { 0o755 } else { 0o644 };
                let mut header = header(tar::EntryType::Regular, mode, *size);
                let mut reader = Checked { inner: file.take(size + 1), hash: sha2::Digest::new(), count: 0 };
                let appended = tar.append_data(&mut header, &entry.path, (&mut reader).take(*size));
                let mut rest = [0; 1];
                let longer = reader.read(&mut rest).map_err(Error::io("read", &path))? > 0;
                // A shorter file would have shifted everything after it in the tar.
                if longer || reader.count != *size || reader.finish() != *content {
                    return Err(Error::Changed { path });
                }
                appended.map_err(failed)?;
            }
        }
    }
    tar.into_inner().and_then(|mut writer| writer.flush()).map_err(failed)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Hashes what passes through.
struct Checked<R> {
    inner: R,
    hash: sha2::Sha256,
    count: u64,
}

impl<R> Checked<R> {
    fn finish(self) -> super::entry::Hash {
        sha2::Digest::finalize(self.hash).into()
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        sha2::Digest::update(&mut self.hash, &buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

/// The entries of a bundle.
fn entries(file: &File) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for item in tar::Archive::new(std::io::BufReader::with_capacity(256 * 1024, file)).entries()? {
        let mut item = item?;
        let path = text(&item.path_bytes())?;
        let kind = match item.header().entry_type() {
            tar::EntryType::Directory => continue,
            tar::EntryType::Symlink => Kind::Link { target: text(&item.link_name_bytes().unwrap_or_default())? },
            tar::EntryType::Regular => {
                let executable = item.header().mode()? & 0o100 != 0;
                let (size, content) = walk::hash(&mut item)?;
                Kind::File { executable, size, content }
            }
            _ => return Err(std::io::Error::other("an entry that no bundle holds")),
        };
        entries.push(Entry { path, kind });
    }
    Ok(entries)
}

fn text(bytes: &[u8]) -> std::io::Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(std::io::Error::other)
}

fn unpack(file: &File, into: &Path) -> Result<(), Error> {
    let failed = |error| Error::io("unpack a bundle into", into)(error);
    directory(into).map_err(failed)?;
    let mut links = Vec::new();
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(256 * 1024, file));
    for item in archive.entries().map_err(failed)? {
        let mut item = item.map_err(failed)?;
        let relative = text(&item.path_bytes()).map_err(failed)?;
        let path = inside(into, &relative).map_err(failed)?;
        match item.header().entry_type() {
            tar::EntryType::Directory => directory(&path).map_err(failed)?,
            tar::EntryType::Symlink => {
                let target = text(&item.link_name_bytes().unwrap_or_default()).map_err(failed)?;
                links.push((path, relative, target));
            }
            _ => {
                let mode = item.header().mode().map_err(failed)? & 0o777;
                let mut file = File::create_new(&path).map_err(failed)?;
                std::io::copy(&mut item, &mut file).map_err(failed)?;
                file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
            }
        }
    }
    // Links last, so that no file is ever written through one.
    for (path, relative, target) in links {
        if walk::leads_outside(&relative, &target) {
            return Err(Error::Outside { path, target });
        }
        symlink(target, &path).map_err(failed)?;
    }
    Ok(())
}

fn inside(root: &Path, relative: &str) -> std::io::Result<PathBuf> {
    let path = Path::new(relative.trim_end_matches('/'));
    if path.components().all(|component| matches!(component, std::path::Component::Normal(_))) {
        Ok(root.join(path))
    } else {
        Err(std::io::Error::other(format!("an entry leads outside: {relative}")))
    }
}

fn directory(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)?;
    // Whatever the umask of whoever runs us.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests;
