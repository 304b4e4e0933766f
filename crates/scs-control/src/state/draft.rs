//! One change of desired state: everything it read must still be so when it is committed.

use super::keys::{self, ServiceKey};
use super::records::{
    Cluster, HostRecord, PersonRecord, RevisionRecord, RevokedRecord, SecretRecord, ServiceRecord, TokenRecord,
    TombstoneRecord, VolumeRecord,
};
use super::{Error, decode};
use scs_plan::movement;
use scs_plan::slot::Slot;
use scs_ports::state::{StateStore, Transaction};
use scs_ports::volume::VolumeId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use tokio::sync::MutexGuard;

/// A change in the making. Dropped without a commit it changes nothing.
pub(crate) struct Draft<'a> {
    store: &'a dyn StateStore,
    expect: BTreeMap<String, u64>,
    transaction: Transaction,
    _turn: MutexGuard<'a, ()>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(store: &'a dyn StateStore, turn: MutexGuard<'a, ()>) -> Self {
        Self { store, expect: BTreeMap::new(), transaction: Transaction::default(), _turn: turn }
    }

    pub(super) async fn get<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Error> {
        let entry = self.store.get(key).await?;
        self.expect.insert(key.to_owned(), entry.as_ref().map_or(0, |it| it.revision));
        entry.map(|it| decode(key, &it.value)).transpose()
    }

    pub(super) fn put(&mut self, key: &str, value: &impl Serialize) {
        let bytes = serde_json::to_vec(value).expect("records have text keys only");
        self.transaction.put.push((key.to_owned(), bytes.into()));
    }

    pub(crate) async fn service(&mut self, service: &ServiceKey) -> Result<Option<ServiceRecord>, Error> {
        self.get(&service.record()).await
    }

    pub(crate) fn put_service(&mut self, service: &ServiceKey, record: &ServiceRecord) {
        self.put(&service.record(), record);
    }

    pub(crate) fn put_revision(&mut self, service: &ServiceKey, record: &RevisionRecord) {
        self.put(&service.revision(record.revision), record);
    }

    pub(crate) fn delete_revision(&mut self, service: &ServiceKey, number: u64) {
        self.transaction.delete.push(service.revision(number));
    }

    pub(crate) async fn tombstone(&mut self, slot: &Slot, host: &str) -> Result<Option<TombstoneRecord>, Error> {
        self.get(&keys::tombstone(slot, host)).await
    }

    pub(crate) fn put_tombstone(&mut self, slot: &Slot, record: &TombstoneRecord) {
        self.put(&keys::tombstone(slot, &record.host), record);
    }

    pub(crate) fn delete_tombstone(&mut self, slot: &Slot, host: &str) {
        self.transaction.delete.push(keys::tombstone(slot, host));
    }

    pub(crate) async fn movement(&mut self, slot: &Slot) -> Result<Option<movement::Record>, Error> {
        self.get(&keys::movement(slot)).await
    }

    pub(crate) fn put_movement(&mut self, record: &movement::Record) {
        self.put(&keys::movement(&record.slot), record);
    }

    pub(crate) fn delete_movement(&mut self, slot: &Slot) {
        self.transaction.delete.push(keys::movement(slot));
    }

    pub(crate) async fn volume(&mut self, id: &VolumeId) -> Result<Option<VolumeRecord>, Error> {
        self.get(&keys::volume(id)).await
    }

    pub(crate) fn put_volume(&mut self, record: &VolumeRecord) {
        self.put(&keys::volume(&record.id), record);
    }

    pub(crate) fn delete_volume(&mut self, id: &VolumeId) {
        self.transaction.delete.push(keys::volume(id));
    }

    pub(crate) async fn secret(&mut self, service: &ServiceKey, name: &str) -> Result<Option<SecretRecord>, Error> {
        self.get(&service.secret(name)).await
    }

    pub(crate) fn put_secret(&mut self, service: &ServiceKey, record: &SecretRecord) {
        self.put(&service.secret(&record.name), record);
    }

    pub(crate) async fn host(&mut self, name: &str) -> Result<Option<HostRecord>, Error> {
        self.get(&keys::host(name)).await
    }

    pub(crate) fn put_host(&mut self, record: &HostRecord) {
        self.put(&keys::host(&record.name), record);
    }

    pub(crate) fn delete_host(&mut self, name: &str) {
        self.transaction.delete.push(keys::host(name));
    }

    pub(crate) async fn person(&mut self, name: &str) -> Result<Option<PersonRecord>, Error> {
        self.get(&keys::person(name)).await
    }

    pub(crate) fn put_person(&mut self, record: &PersonRecord) {
        self.put(&keys::person(&record.name), record);
    }

    pub(crate) fn delete_person(&mut self, name: &str) {
        self.transaction.delete.push(keys::person(name));
    }

    pub(crate) async fn token(&mut self, digest: &str) -> Result<Option<TokenRecord>, Error> {
        self.get(&keys::token(digest)).await
    }

    pub(crate) fn put_token(&mut self, digest: &str, record: &TokenRecord) {
        self.put(&keys::token(digest), record);
    }

    pub(crate) fn delete_token(&mut self, digest: &str) {
        self.transaction.delete.push(keys::token(digest));
    }

    pub(crate) fn delete_revoked(&mut self, serial: &str) {
        self.transaction.delete.push(keys::revoked(serial));
    }

    pub(crate) fn put_revoked(&mut self, serial: &str, record: &RevokedRecord) {
        self.put(&keys::revoked(serial), record);
    }

    /// Raises the revision of assignments, which makes agents look; gives the new one.
    pub(crate) async fn raise(&mut self) -> Result<u64, Error> {
        self.raise_above(0).await
    }

    /// Raises it above one that hosts have seen, so that they take in desired state though it was restored from an older copy.
    pub(crate) async fn raise_above(&mut self, seen: u64) -> Result<u64, Error> {
        let mut cluster: Cluster = self.get(keys::CLUSTER).await?.unwrap_or_default();
        cluster.revision = cluster.revision.max(seen) + 1;
        self.put(keys::CLUSTER, &cluster);
        Ok(cluster.revision)
    }

    /// Whether anything would change.
    pub(crate) fn is_empty(&self) -> bool {
        self.transaction.put.is_empty() && self.transaction.delete.is_empty()
    }

    /// Commits, durably.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        self.transaction.expect = self.expect.into_iter().collect();
        self.store.commit(&self.transaction).await?;
        Ok(())
    }
}
