//! A state store in memory.

use super::lock;
use crate::state::{Change, Entry, Error, StateStore, Transaction};
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// A state store in memory, with compare-and-swap and watches like a real one.
#[derive(Debug, Clone, Default)]
pub struct State {
    model: Arc<Mutex<Model>>,
}

#[derive(Debug, Default)]
struct Model {
    revision: u64,
    entries: BTreeMap<String, Entry>,
    watchers: Vec<(String, mpsc::UnboundedSender<Change>)>,
    fail: Option<Error>,
    commits: Vec<Transaction>,
}

impl State {
    /// An empty store at revision 0.
    #[must_use]
    pub fn new() -> Self {
        State::default()
    }

    /// Makes the next call of any method fail, once.
    pub fn fail_next(&self, error: Error) {
        lock(&self.model).fail = Some(error);
    }

    /// Every transaction that was carried out.
    #[must_use]
    pub fn commits(&self) -> Vec<Transaction> {
        lock(&self.model).commits.clone()
    }
}

impl Model {
    fn enter(&mut self) -> Result<(), Error> {
        self.fail.take().map_or(Ok(()), Err)
    }

    fn tell(&mut self, change: &Change) {
        self.watchers
            .retain(|(prefix, watcher)| !change.key.starts_with(prefix) || watcher.send(change.clone()).is_ok());
    }
}

#[async_trait]
impl StateStore for State {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let mut model = lock(&self.model);
        model.enter()?;
        Ok(model.entries.get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<(Vec<Entry>, u64), Error> {
        let mut model = lock(&self.model);
        model.enter()?;
        let entries = model.entries.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok((entries.map(|(_, entry)| entry.clone()).collect(), model.revision))
    }

    async fn commit(&self, transaction: &Transaction) -> Result<u64, Error> {
        let mut model = lock(&self.model);
        model.enter()?;
        for (key, revision) in &transaction.expect {
            if model.entries.get(key).map_or(0, |entry| entry.revision) != *revision {
                return Err(Error::Conflict { key: key.clone() });
            }
        }
        model.revision += 1;
        let revision = model.revision;
        model.commits.push(transaction.clone());
        for (key, value) in &transaction.put {
            let entry = Entry { key: key.clone(), value: value.clone(), revision };
            model.entries.insert(key.clone(), entry.clone());
            model.tell(&Change { key: key.clone(), entry: Some(entry), revision });
        }
        for key in &transaction.delete {
            if model.entries.remove(key).is_some() {
                model.tell(&Change { key: key.clone(), entry: None, revision });
            }
        }
        Ok(revision)
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Change>, Error> {
        let mut model = lock(&self.model);
        model.enter()?;
        let (sender, receiver) = mpsc::unbounded_channel();
        model.watchers.push((prefix.to_owned(), sender));
        Ok(stream::unfold(receiver, |mut it| async { Some((it.recv().await?, it)) }).boxed())
    }
}
