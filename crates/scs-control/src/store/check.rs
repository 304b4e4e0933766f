//! Looks at a store's file without writing to it.

use super::{ENTRIES, Error, FORMAT, META, builder};
use redb::backends::InMemoryBackend;
use redb::{ReadableDatabase, StorageBackend};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Refuses a file that is damaged or that a newer version wrote. Works on a copy in memory, because opening a file for
/// writing may already change it; desired state is a few megabytes.
pub(super) fn file(path: &Path) -> Result<(), Error> {
    let damaged = |source: Box<dyn std::error::Error + Send + Sync>| Error::Damaged { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    if bytes.is_empty() {
        return Err(damaged("it is empty".into()));
    }
    // The database says that it reports damage it finds in this mode; the guard is for damage it does not expect.
    let found = catch_unwind(AssertUnwindSafe(|| format_of(&bytes)))
        .unwrap_or_else(|_| Err("its structure makes no sense".into()))
        .map_err(damaged)?;
    if found > FORMAT {
        return Err(Error::Newer { path: path.to_owned(), found });
    }
    Ok(())
}

fn format_of(bytes: &[u8]) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)?;
    copy.write(0, bytes)?;
    let database = builder().set_check_integrity_on_open(true).create_with_backend(copy)?;
    let read = database.begin_read()?;
    let format = read.open_table(META)?.get("format")?.map(|it| it.value()).ok_or("it does not say its format")?;
    if format <= FORMAT {
        read.open_table(ENTRIES)?;
    }
    Ok(format)
}
