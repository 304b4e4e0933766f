//! Who wants to hear of changed keys. A slow reader skips intermediate states and never loses the last one.

use futures_util::stream::{self, BoxStream, StreamExt};
use scs_ports::state::Change;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// All readers of a store.
#[derive(Debug, Default)]
pub(super) struct Watchers(Vec<Weak<Watcher>>);

#[derive(Debug)]
struct Watcher {
    prefix: String,
    /// The newest change of each key that the reader has not had.
    pending: Mutex<BTreeMap<String, Change>>,
    wake: Notify,
}

impl Watchers {
    pub(super) fn add(&mut self, prefix: &str) -> BoxStream<'static, Change> {
        let watcher = Arc::new(Watcher { prefix: prefix.to_owned(), pending: Mutex::default(), wake: Notify::new() });
        self.0.retain(|it| it.strong_count() > 0);
        self.0.push(Arc::downgrade(&watcher));
        stream::unfold(watcher, |watcher| async {
            loop {
                if let Some(change) = watcher.take() {
                    return Some((change, watcher));
                }
                watcher.wake.notified().await;
            }
        })
        .boxed()
    }

    pub(super) fn tell(&mut self, changes: &[Change]) {
        self.0.retain(|weak| {
            let Some(watcher) = weak.upgrade() else { return false };
            let wanted = changes.iter().filter(|it| it.key.starts_with(&watcher.prefix));
            let mut pending = watcher.pending.lock().unwrap_or_else(PoisonError::into_inner);
            for change in wanted {
                pending.insert(change.key.clone(), change.clone());
            }
            if !pending.is_empty() {
                watcher.wake.notify_one();
            }
            true
        });
    }
}

impl Watcher {
    /// The oldest of the changes that are left.
    fn take(&self) -> Option<Change> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let key = pending.values().min_by_key(|it| it.revision)?.key.clone();
        pending.remove(&key)
    }
}
