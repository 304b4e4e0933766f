//! What subscribers were told: lists of keys and versions, shared by all who know the same.

use std::{collections::BTreeMap, sync::Arc};

use disco_proto::Version;

/// What a subscriber has after the last difference sent, sorted by key. Cheap to copy; an empty one takes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told(Option<Arc<[Entry]>>);

/// One endpoint that it was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) version: Version,
}

impl Told {
    /// Of entries that are sorted by key.
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        debug_assert!(entries.is_sorted_by(|one, next| one.key < next.key));
        Self((!entries.is_empty()).then(|| entries.into()))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries().iter().map(|entry| &entry.key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Version> {
        let entries = self.entries();
        let place = entries.binary_search_by(|entry| (*entry.key).cmp(key)).ok()?;
        Some(entries[place].version)
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Tells one list from another without looking into it: two that are equal may still be two.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ref().map_or(0, |entries| Arc::as_ptr(entries).cast::<Entry>().addr())
    }

    /// Takes the other list for its own, if it says the same.
    pub(crate) fn share(&mut self, other: &Self) {
        if self.address() != other.address() && self == other {
            *self = other.clone();
        }
    }

    /// What remains of it, and what came to it.
    ///
    /// `put` is sorted.
    pub(crate) fn changed(&self, dropped: &[Arc<str>], put: Vec<(Arc<str>, Version)>) -> Self {
        if self.0.is_none() {
            return Self::of(put.into_iter().map(|(key, version)| Entry { key, version }).collect());
        }
        let mut entries: BTreeMap<Arc<str>, Version> =
            self.entries().iter().map(|entry| (Arc::clone(&entry.key), entry.version)).collect();
        for key in dropped {
            entries.remove(key);
        }
        entries.extend(put);
        Self::of(entries.into_iter().map(|(key, version)| Entry { key, version }).collect())
    }
}
