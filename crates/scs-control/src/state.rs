//! Desired state, typed: what each key of the state store holds, and transactions over them.
//!
//! | key | holds |
//! |---|---|
//! | `cluster` | [`Cluster`]: format, id and the revision of assignments |
//! | `service/ENV/SERVICE` | [`ServiceRecord`] |
//! | `revision/ENV/SERVICE/NUMBER` | [`RevisionRecord`] |
//! | `tombstone/ENV/SERVICE/ROLE/INDEX/HOST` | [`TombstoneRecord`] |
//! | `move/ENV/SERVICE/ROLE/INDEX` | [`movement::Record`] |
//! | `volume/ENV/SERVICE/ROLE/INDEX/NAME` | [`VolumeRecord`] |
//! | `secret/ENV/SERVICE/NAME` | [`SecretRecord`] |
//! | `host/NAME` | [`HostRecord`] |
//! | `person/NAME` | [`PersonRecord`] |
//! | `token/DIGEST` | [`TokenRecord`]: of a one-time token |
//! | `revoked/SERIAL` | [`RevokedRecord`]: of a certificate that is turned away |

mod draft;
mod keys;
mod records;
#[cfg(test)]
mod tests;

pub(crate) use draft::Draft;
pub(crate) use keys::{ServiceKey, volume_id};
pub(crate) use records::{
    Cluster, HostRecord, IssuedRecord, LostRecord, MovedRecord, Permit, PersonRecord, RevisionRecord, RevokedRecord,
    SecretRecord, ServiceRecord, Status, TokenRecord, TombstoneRecord, UsedRecord, VolumeRecord, within,
};

use scs_plan::movement;
use scs_plan::slot::Slot;
use scs_ports::state::{Error as StoreError, StateStore};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// Format of the records.
const FORMAT: u32 = 1;

/// Why desired state could not be read or changed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A later version of this program wrote it.
    #[error("desired state was written by a newer version (format {found}, this version knows {known})", known = FORMAT)]
    Newer {
        /// Its format.
        found: u32,
    },
    /// A record makes no sense.
    #[error("`{key}` in the state store is damaged")]
    Damaged {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random id could be made.
    #[error("cannot make an id for the cluster")]
    Id(#[source] crate::vault::Error),
}

/// Desired state.
#[derive(Debug, Clone)]
pub(crate) struct State {
    store: Arc<dyn StateStore>,
    /// Changes of this process take turns; against those of others the store compares and swaps.
    turn: Arc<Mutex<()>>,
}

impl State {
    /// Opens desired state, giving it an id if it is new.
    pub(crate) async fn open(store: Arc<dyn StateStore>) -> Result<Self, Error> {
        let state = Self { store, turn: Arc::default() };
        state.check().await?;
        Ok(state)
    }

    async fn check(&self) -> Result<(), Error> {
        let mut draft = self.draft().await;
        // Read without its other fields, which a newer format may have renamed.
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
        }
        match draft.get::<Format>(keys::CLUSTER).await? {
            Some(Format { format }) if format > FORMAT => return Err(Error::Newer { found: format }),
            Some(_) => {
                draft.get::<Cluster>(keys::CLUSTER).await?;
            }
            None => {
                let id = crate::vault::token(16).map_err(Error::Id)?;
                draft.put(keys::CLUSTER, &Cluster { format: FORMAT, id, revision: 1 });
                draft.commit().await?;
            }
        }
        Ok(())
    }

    /// Starts a change: waits for its turn, reads what it depends on, and commits all or nothing.
    pub(crate) async fn draft(&self) -> Draft<'_> {
        let turn: MutexGuard<'_, ()> = self.turn.lock().await;
        Draft::new(&*self.store, turn)
    }

    pub(crate) async fn cluster(&self) -> Result<Cluster, Error> {
        // Made when desired state was opened, and never removed.
        Ok(self.get(keys::CLUSTER).await?.unwrap_or_default())
    }

    pub(crate) async fn service(&self, service: &ServiceKey) -> Result<Option<ServiceRecord>, Error> {
        self.get(&service.record()).await
    }

    pub(crate) async fn services(&self) -> Result<Vec<(ServiceKey, ServiceRecord)>, Error> {
        let found = self.list("service/").await?;
        Ok(found.into_iter().filter_map(|(key, record)| Some((ServiceKey::of_record(&key)?, record))).collect())
    }

    pub(crate) async fn revision(&self, service: &ServiceKey, number: u64) -> Result<Option<RevisionRecord>, Error> {
        self.get(&service.revision(number)).await
    }

    /// All revisions that are kept, the oldest first.
    pub(crate) async fn revisions(&self, service: &ServiceKey) -> Result<Vec<RevisionRecord>, Error> {
        Ok(self.list(&service.revisions()).await?.into_iter().map(|(_, record)| record).collect())
    }

    pub(crate) async fn tombstones(&self, service: Option<&ServiceKey>) -> Result<Vec<(Slot, TombstoneRecord)>, Error> {
        let prefix = service.map_or_else(|| "tombstone/".to_owned(), ServiceKey::tombstones);
        let found = self.list(&prefix).await?;
        Ok(found.into_iter().filter_map(|(key, record)| Some((keys::slot_of_tombstone(&key)?, record))).collect())
    }

    /// Moves that are under way.
    pub(crate) async fn moves(&self) -> Result<Vec<movement::Record>, Error> {
        Ok(self.list(keys::MOVES).await?.into_iter().map(|(_, record)| record).collect())
    }

    pub(crate) async fn volumes(&self, service: Option<&ServiceKey>) -> Result<Vec<VolumeRecord>, Error> {
        let prefix = service.map_or_else(|| "volume/".to_owned(), ServiceKey::volumes);
        Ok(self.list(&prefix).await?.into_iter().map(|(_, record)| record).collect())
    }

    pub(crate) async fn secrets(&self, service: &ServiceKey) -> Result<Vec<SecretRecord>, Error> {
        Ok(self.list(&service.secrets()).await?.into_iter().map(|(_, record)| record).collect())
    }

    pub(crate) async fn hosts(&self) -> Result<Vec<HostRecord>, Error> {
        Ok(self.list(keys::HOSTS).await?.into_iter().map(|(_, record)| record).collect())
    }

    pub(crate) async fn host(&self, name: &str) -> Result<Option<HostRecord>, Error> {
        self.get(&keys::host(name)).await
    }

    pub(crate) async fn is_revoked(&self, serial: &str) -> Result<bool, Error> {
        Ok(self.get::<RevokedRecord>(&keys::revoked(serial)).await?.is_some())
    }

    pub(crate) async fn person(&self, name: &str) -> Result<Option<PersonRecord>, Error> {
        self.get(&keys::person(name)).await
    }

    pub(crate) async fn people(&self) -> Result<Vec<PersonRecord>, Error> {
        Ok(self.list(keys::PEOPLE).await?.into_iter().map(|(_, record)| record).collect())
    }

    /// One-time tokens by digest.
    pub(crate) async fn tokens(&self) -> Result<Vec<(String, TokenRecord)>, Error> {
        self.list_named(keys::TOKENS).await
    }

    /// Certificates that are turned away, by serial.
    pub(crate) async fn revoked(&self) -> Result<Vec<(String, RevokedRecord)>, Error> {
        self.list_named(keys::REVOKED).await
    }

    async fn list_named<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(String, T)>, Error> {
        let found = self.list(prefix).await?.into_iter();
        Ok(found.filter_map(|(key, record)| Some((key.strip_prefix(prefix)?.to_owned(), record))).collect())
    }

    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.store.get(key).await?.map(|entry| decode(key, &entry.value)).transpose()
    }

    async fn list<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(String, T)>, Error> {
        let (entries, _) = self.store.list(prefix).await?;
        entries.into_iter().map(|it| Ok((it.key.clone(), decode(&it.key, &it.value)?))).collect()
    }
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|source| Error::Damaged { key: key.to_owned(), source })
}
