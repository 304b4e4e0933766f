//! A small static program that scs puts into containers, and the image made of it.
//!
//! The program is in [`BYTES`]. It is put into a directory that containers mount with [`install`], or run by itself from
//! the image of [`helper_image`]. What it does is in its own help: `scs-helper help`.

#[path = "program/accounts.rs"]
pub mod accounts;
#[path = "program/archive.rs"]
pub mod archive;
#[path = "program/inside.rs"]
pub mod inside;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use scs_ports::engine::{Engine, Error, Labels};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The program, a static executable for Linux on the processor this was built for.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/scs-helper"));

/// Its file name.
pub const NAME: &str = "scs-helper";

/// Where it is in the image of [`helper_image`].
pub const PATH_IN_IMAGE: &str = "/scs-helper";

/// The label that the image of [`helper_image`] carries; its value is [`hash`].
pub const LABEL: &str = "scs.helper";

/// The first 16 hex digits of the SHA-256 of [`BYTES`].
#[must_use]
pub fn hash() -> &'static str {
    static HASH: LazyLock<String> =
        LazyLock::new(|| Sha256::digest(BYTES).iter().take(8).map(|byte| format!("{byte:02x}")).collect());
    &HASH
}

/// Puts the program into a directory (made if it is not there) as `scs-helper`, mode 0755, and returns its path. A file
/// with the same content is left alone; another one is replaced at once, so that a container sees the old or the new one.
///
/// # Errors
/// When the directory cannot be made or written; a file that was there is left as it was.
pub fn install(directory: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let path = directory.join(NAME);
    let there = fs::read(&path).is_ok_and(|it| it == BYTES);
    if there && fs::metadata(&path)?.permissions().mode() & 0o777 == 0o755 {
        return Ok(path);
    }
    // The numbers keep those that install at once apart; all write the same.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let new = directory.join(format!(".{NAME}.{}.{number}", std::process::id()));
    let written = write(&new).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map(|()| path)
}

fn write(path: &Path) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path)?;
    file.write_all(BYTES)?;
    // Not synced: a crash of the machine ends the containers that use it, and the next call looks at what is there.
    // The process's file mode mask may have taken something away.
    file.set_permissions(Permissions::from_mode(0o755))
}

/// The reference of an image that holds the program and nothing else, at [`PATH_IN_IMAGE`]; made in the engine if it is
/// not there. Its containers need a `command` that begins with [`PATH_IN_IMAGE`].
///
/// # Errors
/// What the engine says.
pub async fn helper_image(engine: &dyn Engine) -> Result<String, Error> {
    let reference = format!("{NAME}:{}", hash());
    if engine.image(&reference).await?.is_some() {
        return Ok(reference);
    }
    let labels = Labels::from([(LABEL.to_owned(), hash().to_owned())]);
    let tar = root_file_system().map_err(|error| Error::Refused {
        action: format!("import image `{reference}`"),
        message: format!("its content cannot be packed: {error}"),
    })?;
    engine.import(&reference, stream::iter([Ok(Bytes::from(tar))]).boxed(), &labels).await?;
    // Two imports of the same bytes are two images. Where another process was at it too, the name is with one of them, and
    // the other one is of no use to anybody.
    for image in engine.images(&labels).await?.into_iter().filter(|it| it.references.is_empty()) {
        match engine.remove_image(&image.id).await {
            // A container made of it in between keeps it.
            Err(Error::Conflict { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reference)
}

/// A tar of a root file system that holds the program alone.
///
/// # Errors
/// None in practice; it is written to memory.
pub fn root_file_system() -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(BYTES.len() as u64);
    header.set_mode(0o755);
    header.set_mtime(0);
    let mut tar = tar::Builder::new(Vec::with_capacity(BYTES.len() + 4096));
    tar.append_data(&mut header, NAME, BYTES)?;
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_installed_once_and_again_when_it_differs() {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("bin");
        let path = install(&bin).unwrap();
        let modified = || fs::metadata(&path).unwrap().modified().unwrap();
        let first = modified();
        install(&bin).unwrap();
        assert_eq!(modified(), first);
        fs::write(&path, "another one").unwrap();
        install(&bin).unwrap();
        assert_eq!(fs::read(&path).unwrap(), BYTES);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(&bin).unwrap().count(), 1);
    }

    #[test]
    fn the_program_needs_no_loader() {
        // A 64-bit ELF file: the program headers begin at the offset in byte 32, and each begins with its type; type 3
        // names a dynamic loader.
        let number =
            |at: usize, bytes: usize| BYTES[at..at + bytes].iter().rev().fold(0, |all, it| all << 8 | usize::from(*it));
        let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        assert!((0..count).all(|it| number(start + it * size, 4) != 3));
        assert!(BYTES.len() < 4 << 20, "{} bytes", BYTES.len());
    }
}
