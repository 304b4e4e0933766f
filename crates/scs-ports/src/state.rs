//! The state port: desired state, permits and history; always durable. Values are opaque bytes under text keys.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

/// A durable store with compare-and-swap transactions.
#[async_trait]
pub trait StateStore: Send + Sync + std::fmt::Debug {
    /// The value of a key with the revision of its last change.
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error>;
    /// All entries whose key starts so, in key order, and the store's revision they are true at.
    async fn list(&self, prefix: &str) -> Result<(Vec<Entry>, u64), Error>;
    /// Carries out all operations or none; durable when it returns. Gives the store's new revision.
    async fn commit(&self, transaction: &Transaction) -> Result<u64, Error>;
    /// Changes of keys that start so, from now on; a slow reader gets fewer, newer ones.
    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Change>, Error>;
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: Bytes,
    /// Store revision of its last change.
    pub revision: u64,
}

/// A key that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Key.
    pub key: String,
    /// Its new value; `None` when it was removed.
    pub entry: Option<Entry>,
    /// Store revision of the change.
    pub revision: u64,
}

/// Conditions and the operations they guard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Keys whose last change must have this revision; 0 means that the key must not be there.
    pub expect: Vec<(String, u64)>,
    /// Keys to set.
    pub put: Vec<(String, Bytes)>,
    /// Keys to remove.
    pub delete: Vec<String>,
}

/// Why the store did not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A condition did not hold.
    #[error("`{key}` was changed by somebody else")]
    Conflict {
        /// The key whose revision differs.
        key: String,
    },
    /// The store does not answer or cannot write.
    #[error("cannot {action} the state store")]
    Failed {
        /// What was tried, e.g. `write to`.
        action: String,
        /// Why it failed.
        #[source]
        source: crate::engine::BoxError,
    },
}
