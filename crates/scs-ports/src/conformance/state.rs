//! The suite of the state port.

use super::soon;
use crate::state::{Entry, Error, StateStore, Transaction};
use bytes::Bytes;
use futures_util::StreamExt;

/// Makes a test of each function here, over a new, empty store from `$setup`: an async function that returns the store in an
/// `Arc`, and anything that is to live as long as the test.
#[macro_export]
macro_rules! state_conformance {
    ($setup:path) => {
        $crate::state_conformance!($setup;
            a_key_that_was_never_set_is_not_there,
            what_is_set_is_read_back_with_its_revision,
            revisions_only_grow,
            a_condition_on_a_revision_guards_a_change,
            revision_0_means_that_the_key_must_not_be_there,
            a_transaction_is_carried_out_whole_or_not_at_all,
            a_removed_key_may_be_made_again,
            a_prefix_lists_its_keys_in_order,
            a_watch_tells_the_changes_of_its_prefix,
            values_are_bytes_of_any_kind,
        );
    };
    ($setup:path; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (store, _guard) = $setup().await;
                $crate::conformance::state::$case(&*store).await;
            }
        )*
    };
}

fn put(key: &str, value: &str) -> Transaction {
    Transaction { put: vec![(key.to_owned(), Bytes::copy_from_slice(value.as_bytes()))], ..Transaction::default() }
}

fn delete(key: &str) -> Transaction {
    Transaction { delete: vec![key.to_owned()], ..Transaction::default() }
}

fn expecting(key: &str, revision: u64, transaction: Transaction) -> Transaction {
    Transaction { expect: vec![(key.to_owned(), revision)], ..transaction }
}

async fn commit(store: &dyn StateStore, transaction: &Transaction) -> u64 {
    let done = soon("a commit", store.commit(transaction)).await;
    done.unwrap_or_else(|error| panic!("{transaction:?}: {error:?}"))
}

async fn conflict(store: &dyn StateStore, transaction: &Transaction) -> String {
    match store.commit(transaction).await {
        Err(Error::Conflict { key }) => key,
        other => panic!("{transaction:?} should be a conflict, not {other:?}"),
    }
}

async fn get(store: &dyn StateStore, key: &str) -> Option<Entry> {
    store.get(key).await.unwrap_or_else(|error| panic!("reading {key}: {error:?}"))
}

async fn value(store: &dyn StateStore, key: &str) -> Option<String> {
    get(store, key).await.map(|it| String::from_utf8_lossy(&it.value).into_owned())
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_key_that_was_never_set_is_not_there(store: &dyn StateStore) {
    assert_eq!(get(store, "a").await, None);
    let (entries, _) = store.list("").await.expect("an empty store can be listed");
    assert_eq!(entries, []);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn what_is_set_is_read_back_with_its_revision(store: &dyn StateStore) {
    let revision = commit(store, &put("a", "1")).await;
    let expected = Entry { key: "a".to_owned(), value: Bytes::from_static(b"1"), revision };
    assert_eq!(get(store, "a").await, Some(expected));
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn revisions_only_grow(store: &dyn StateStore) {
    let first = commit(store, &put("a", "1")).await;
    let second = commit(store, &put("b", "1")).await;
    assert!(0 < first && first < second, "{first}, {second}");
    let a = get(store, "a").await.map(|it| it.revision);
    assert_eq!(a, Some(first), "a change of one key is none of another");
    let (_, revision) = store.list("").await.expect("it can be listed");
    assert_eq!(revision, second);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_condition_on_a_revision_guards_a_change(store: &dyn StateStore) {
    let first = commit(store, &put("a", "1")).await;
    let second = commit(store, &expecting("a", first, put("a", "2"))).await;
    assert_eq!(conflict(store, &expecting("a", first, put("a", "3"))).await, "a");
    assert_eq!(value(store, "a").await.as_deref(), Some("2"));
    commit(store, &expecting("a", second, delete("a"))).await;
    assert_eq!(value(store, "a").await, None);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn revision_0_means_that_the_key_must_not_be_there(store: &dyn StateStore) {
    commit(store, &expecting("a", 0, put("a", "1"))).await;
    assert_eq!(conflict(store, &expecting("a", 0, put("a", "2"))).await, "a");
    assert_eq!(value(store, "a").await.as_deref(), Some("1"));
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_transaction_is_carried_out_whole_or_not_at_all(store: &dyn StateStore) {
    let revision = commit(store, &put("a", "1")).await;
    let both = |expect| Transaction {
        expect,
        put: vec![("b".to_owned(), Bytes::from_static(b"1")), ("c".to_owned(), Bytes::from_static(b"1"))],
        delete: vec!["a".to_owned()],
    };
    conflict(store, &both(vec![("a".to_owned(), revision), ("b".to_owned(), 7)])).await;
    assert_eq!((value(store, "a").await.as_deref(), value(store, "b").await), (Some("1"), None));
    let revision = commit(store, &both(vec![("a".to_owned(), revision), ("b".to_owned(), 0)])).await;
    assert_eq!(value(store, "a").await, None);
    for key in ["b", "c"] {
        assert_eq!(get(store, key).await.map(|it| it.revision), Some(revision), "{key}");
    }
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_removed_key_may_be_made_again(store: &dyn StateStore) {
    commit(store, &put("a", "1")).await;
    let removed = commit(store, &delete("a")).await;
    let again = commit(store, &expecting("a", 0, put("a", "2"))).await;
    assert!(again > removed);
    // Removing what is not there is no error.
    commit(store, &delete("b")).await;
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_prefix_lists_its_keys_in_order(store: &dyn StateStore) {
    for key in ["b/2", "b/10", "a", "b/1", "c", "b"] {
        commit(store, &put(key, key)).await;
    }
    let (entries, _) = store.list("b/").await.expect("it can be listed");
    assert_eq!(entries.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["b/1", "b/10", "b/2"]);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_watch_tells_the_changes_of_its_prefix(store: &dyn StateStore) {
    commit(store, &put("b/old", "1")).await;
    let mut changes = store.watch("b/").await.expect("a prefix can be watched");
    commit(store, &put("a", "1")).await;
    let set = commit(store, &put("b/1", "1")).await;
    let change = soon("the first change", changes.next()).await.expect("the watch goes on");
    assert_eq!((change.key.as_str(), change.revision), ("b/1", set));
    assert_eq!(change.entry.map(|it| it.value), Some(Bytes::from_static(b"1")));
    let removed = commit(store, &delete("b/1")).await;
    let change = soon("the removal", changes.next()).await.expect("the watch goes on");
    assert_eq!((change.key.as_str(), change.entry, change.revision), ("b/1", None, removed));
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn values_are_bytes_of_any_kind(store: &dyn StateStore) {
    let all: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let transaction = Transaction {
        put: vec![("all".to_owned(), all.clone()), ("none".to_owned(), Bytes::new())],
        ..Transaction::default()
    };
    commit(store, &transaction).await;
    assert_eq!(get(store, "all").await.map(|it| it.value), Some(all));
    assert_eq!(get(store, "none").await.map(|it| it.value), Some(Bytes::new()));
}
