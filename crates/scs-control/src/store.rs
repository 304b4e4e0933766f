//! The embedded state store: one redb file, every commit on disk before it is answered.
//!
//! A file that cannot be trusted is never opened for writing. It is read into memory and checked there first, so that a
//! truncated or foreign file, or one that a newer version wrote, is refused and left byte for byte as it was.

mod check;
mod watchers;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use scs_ports::state::{Change, Entry, Error as StateError, StateStore, Transaction};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use watchers::Watchers;

/// Key → revision of its last change, value.
const ENTRIES: TableDefinition<'static, &str, (u64, &[u8])> = TableDefinition::new("entries");
/// `format` and `revision`.
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// Version of the tables above.
const FORMAT: u64 = 1;
/// Desired state is small; redb's own default of 1 GiB would be the largest part of the process.
const CACHE_BYTES: usize = 4 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not be opened. The file was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error("{} was written by a newer version (format {found}, this version knows {known})", path.display(), known = FORMAT)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// It is not a state store, or damaged.
    #[error("{} is damaged; it was left as it is: move it away or put a copy back", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A state store in one file.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// `None` where it could not be opened again after an error of the disk.
    database: RwLock<Option<Database>>,
    watchers: Mutex<Watchers>,
    /// Held locked as long as the store is open, so that two processes never even look at the file at the same time.
    _lock: File,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the store in `directory`, making it (and the directory, 0700) if it was never there.
    ///
    /// Blocks on the disk for some milliseconds.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let at = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action, path, source }
        };
        make_directory(directory).map_err(at("make", directory))?;
        let path = directory.join("state.redb");
        let lock_path = directory.join("state.lock");
        let lock = private().open(&lock_path).map_err(at("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(Error::InUse { path }),
            Err(std::fs::TryLockError::Error(source)) => return Err(at("lock", &lock_path)(source)),
        }
        if path.try_exists().map_err(at("look for", &path))? {
            check::file(&path)?;
        } else {
            create(directory, &path)?;
        }
        let database = builder().open(&path).map_err(|source| Error::of(source, &path))?;
        let database = RwLock::new(Some(database));
        let shared = Shared { path, database, watchers: Mutex::default(), _lock: lock };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs `work` where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &str,
        work: impl FnOnce(&Shared) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, StateError> {
        let shared = self.shared.clone();
        let failed = |source: BoxError| StateError::Failed { action: action.to_owned(), source };
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Refused::Conflict(key))) => Err(StateError::Conflict { key }),
            Ok(Err(Refused::Failed(source))) => Err(failed(source)),
            Err(stopped) => Err(failed(Box::new(stopped))),
        }
    }
}

impl Error {
    fn of(error: redb::DatabaseError, path: &Path) -> Self {
        let path = path.to_owned();
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::InUse { path },
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) => Error::Io { action: "open", path, source },
            other => Error::Damaged { path, source: Box::new(other) },
        }
    }
}

/// Why an operation did not take place.
enum Refused {
    Conflict(String),
    Failed(BoxError),
}

impl<E: Into<redb::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Refused::Failed(Box::new(error.into()))
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes a new store under another name first: a crash in the middle leaves nothing that looks like a damaged one.
fn create(directory: &Path, path: &Path) -> Result<(), Error> {
    let new = directory.join("state.redb.new");
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    let damaged = |source: BoxError| Error::Damaged { path: new.clone(), source };
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove", &new)(error)),
        _ => {}
    }
    // Made here so that it is private from the first moment; an empty file becomes a new database.
    drop(private().open(&new).map_err(io("create", &new))?);
    let database = builder().create(&new).map_err(|error| Error::of(error, &new))?;
    let fill = || -> Result<(), redb::Error> {
        let write = database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert("revision", 0)?;
            write.open_table(ENTRIES)?;
        }
        write.commit()?;
        Ok(())
    };
    fill().map_err(|error| damaged(Box::new(error)))?;
    database.close().map_err(|error| Error::of(error, &new))?;
    std::fs::rename(&new, path).map_err(io("create", path))?;
    File::open(directory).and_then(|it| it.sync_all()).map_err(io("sync", directory))
}

#[async_trait]
impl StateStore for Embedded {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        let key = key.to_owned();
        self.blocking("read", move |shared| {
            shared.with(|database| {
                let entries = database.begin_read()?.open_table(ENTRIES)?;
                Ok(entries.get(key.as_str())?.map(|found| entry(&key, found.value())))
            })
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<(Vec<Entry>, u64), StateError> {
        let prefix = prefix.to_owned();
        self.blocking("read", move |shared| {
            shared.with(|database| {
                let read = database.begin_read()?;
                let revision = read.open_table(META)?.get("revision")?.map_or(0, |it| it.value());
                let entries = read.open_table(ENTRIES)?;
                let mut found = Vec::new();
                for item in entries.range(prefix.as_str()..)? {
                    let (key, value) = item?;
                    if !key.value().starts_with(&prefix) {
                        break;
                    }
                    found.push(entry(key.value(), value.value()));
                }
                Ok((found, revision))
            })
        })
        .await
    }

    async fn commit(&self, transaction: &Transaction) -> Result<u64, StateError> {
        let transaction = transaction.clone();
        self.blocking("write to", move |shared| shared.with(|database| shared.commit(database, &transaction))).await
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Change>, StateError> {
        Ok(self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner).add(prefix))
    }
}

impl Shared {
    /// Works with the database. After an error of the disk, such as a full one, it refuses everything until it is opened again, which
    /// takes it back to the last commit: that is done here, as soon as somebody asks for something.
    fn with<T>(&self, work: impl Fn(&Database) -> Result<T, Refused>) -> Result<T, Refused> {
        if let Some(database) = &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            match work(database) {
                Err(Refused::Failed(error)) if is_spent(&*error) => {}
                done => return done,
            }
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Two of one file are never open.
        *database = None;
        work(database.insert(builder().open(&self.path)?))
    }

    fn commit(&self, database: &Database, transaction: &Transaction) -> Result<u64, Refused> {
        // One write transaction at a time: redb lets the second one wait here.
        let write = database.begin_write()?;
        let mut changes = Vec::new();
        let revision;
        {
            let mut meta = write.open_table(META)?;
            let mut entries = write.open_table(ENTRIES)?;
            for (key, expected) in &transaction.expect {
                let found = entries.get(key.as_str())?.map_or(0, |it| it.value().0);
                if found != *expected {
                    return Err(Refused::Conflict(key.clone()));
                }
            }
            revision = meta.get("revision")?.map_or(0, |it| it.value()) + 1;
            meta.insert("revision", revision)?;
            for (key, value) in &transaction.put {
                entries.insert(key.as_str(), (revision, value.as_ref()))?;
                let entry = Entry { key: key.clone(), value: value.clone(), revision };
                changes.push(Change { key: key.clone(), entry: Some(entry), revision });
            }
            for key in &transaction.delete {
                if entries.remove(key.as_str())?.is_some() {
                    changes.push(Change { key: key.clone(), entry: None, revision });
                }
            }
        }
        // Told under the lock that was taken before the commit, so that watchers see commits in their order.
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        write.commit()?;
        watchers.tell(&changes);
        Ok(revision)
    }
}

fn entry(key: &str, (revision, value): (u64, &[u8])) -> Entry {
    Entry { key: key.to_owned(), value: Bytes::copy_from_slice(value), revision }
}

fn is_spent(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(redb::Error::PreviousIo))
}
