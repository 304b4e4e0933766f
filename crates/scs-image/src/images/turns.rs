//! One build at a time for each digest, within a process. Those who waited while it failed get that failure, instead of
//! failing again one after the other.

use crate::Error;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::OwnedMutexGuard;

#[derive(Debug, Default)]
pub(super) struct Turns {
    slots: Mutex<HashMap<String, Weak<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    gate: Arc<tokio::sync::Mutex<()>>,
    /// How many builds have failed, and the last failure.
    failed: Mutex<(u64, Option<Error>)>,
}

pub(super) struct Turn {
    slot: Arc<Slot>,
    /// Failures before the wait began.
    before: u64,
    _gate: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for those who asked for the digest before.
    pub(super) async fn take(&self, digest: &str) -> Turn {
        let slot = self.slot(digest);
        let before = slot.failed.lock().expect("no holder of this lock panics").0;
        let gate = Arc::clone(&slot.gate).lock_owned().await;
        Turn { slot, before, _gate: gate }
    }

    fn slot(&self, digest: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().expect("no holder of this lock panics");
        if let Some(slot) = slots.get(digest).and_then(Weak::upgrade) {
            return slot;
        }
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::new(Slot::default());
        slots.insert(digest.to_owned(), Arc::downgrade(&slot));
        slot
    }
}

impl Turn {
    /// The failure of a build that began after we started to wait.
    pub(super) fn failure(&self) -> Option<Error> {
        let failed = self.slot.failed.lock().expect("no holder of this lock panics");
        (failed.0 > self.before).then(|| failed.1.as_ref().map(Error::shared)).flatten()
    }

    /// Leaves our failure to those who wait.
    pub(super) fn fail(&self, error: &Error) {
        let mut failed = self.slot.failed.lock().expect("no holder of this lock panics");
        *failed = (failed.0 + 1, Some(error.shared()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waited_shares_a_failure_and_who_comes_later_tries_again() {
        let turns = Turns::default();
        let first = turns.take("d").await;
        let error = Error::Invalid { title: "web".to_owned(), message: "is wrong" };
        // Polled once, so that it waits before the first one fails.
        let mut second = std::pin::pin!(turns.take("d"));
        assert!(futures_util::poll!(&mut second).is_pending());
        first.fail(&error);
        drop(first);
        let second = second.await;
        assert_eq!(second.failure().expect("it waited").to_string(), "the image of web is wrong");
        drop(second);
        assert!(turns.take("d").await.failure().is_none());
    }

    #[tokio::test]
    async fn digests_do_not_wait_for_each_other() {
        let turns = Turns::default();
        let _one = turns.take("1").await;
        assert!(turns.take("2").await.failure().is_none());
    }
}
