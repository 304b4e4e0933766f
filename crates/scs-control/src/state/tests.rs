//! Desired state over the fake store.

use super::{Error, ServiceKey, State, TombstoneRecord};
use scs_ports::fake;
use scs_ports::state::{StateStore, Transaction};
use std::sync::Arc;

#[tokio::test]
async fn a_new_store_gets_an_id_that_stays() {
    let store = Arc::new(fake::State::new());
    let first = State::open(store.clone()).await.expect("open").cluster().await.expect("readable");
    let second = State::open(store).await.expect("open").cluster().await.expect("readable");
    assert_eq!(first, second);
    assert_eq!((first.id.len(), first.revision), (32, 1));
}

#[tokio::test]
async fn a_newer_format_and_a_damaged_record_are_refused() {
    for (value, expected) in [(r#"{"format": 2, "other": []}"#, "newer version"), (r#"{"format": 1}"#, "damaged")] {
        let store = Arc::new(fake::State::new());
        let put = vec![("cluster".to_owned(), value.into())];
        store.commit(&Transaction { put, ..Transaction::default() }).await.expect("written");
        let error = State::open(store.clone()).await.expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(store.get("cluster").await.expect("readable").expect("there").value, value, "left as it was");
    }
}

#[tokio::test]
async fn a_change_that_somebody_else_made_meanwhile_is_not_overwritten() {
    let store = Arc::new(fake::State::new());
    let (ours, theirs) = (State::open(store.clone()).await.expect("open"), State::open(store).await.expect("open"));
    let mut draft = ours.draft().await;
    draft.raise().await.expect("readable");
    let mut other = theirs.draft().await;
    other.raise().await.expect("readable");
    other.commit().await.expect("first");
    let error = draft.commit().await.expect_err("second");
    assert!(matches!(error, Error::Store(scs_ports::state::Error::Conflict { .. })), "{error}");
}

#[tokio::test]
async fn tombstones_are_found_by_service() {
    let state = State::open(Arc::new(fake::State::new())).await.expect("open");
    let (blog, other) = (ServiceKey::new("dev", "blog"), ServiceKey::new("dev", "blog-2"));
    let mut draft = state.draft().await;
    for service in [&blog, &other] {
        draft.put_tombstone(&service.slot("web", 1), &TombstoneRecord { host: "here".to_owned(), revision: 7 });
    }
    draft.commit().await.expect("committed");
    let found = state.tombstones(Some(&blog)).await.expect("readable");
    assert_eq!(found.into_iter().map(|(slot, _)| slot).collect::<Vec<_>>(), [blog.slot("web", 1)]);
    assert_eq!(state.tombstones(None).await.expect("readable").len(), 2);
}
