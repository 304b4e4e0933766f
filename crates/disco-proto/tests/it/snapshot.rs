//! What is written is read; anything else is refused whole.

use std::sync::Arc;

use disco_proto::{
    Endpoint, Name, Provision, Reason,
    snapshot::{SavedProvision, SavedSession, Snapshot, Unreadable, read, write},
};
use proptest::prelude::*;

fn provision() -> impl Strategy<Value = SavedProvision> {
    let attributes = prop::collection::btree_map("[a-z]{1,8}", "[^\\p{C}]{0,12}", 0..4);
    let leaving = prop::option::of((prop::sample::select(vec![Reason::Left, Reason::Draining]), any::<u64>()));
    ("[a-z][a-z0-9]{0,8}", "[a-zA-Z0-9._-]{1,12}", 1..=u16::MAX, attributes, any::<u64>(), leaving).prop_map(
        |(part, instance, port, attributes, incarnation, leaving)| {
            let name = Name::new(&part, "service", &part, "endpoint").unwrap();
            let mut provision = Provision::new(name, &instance, "192.0.2.1", port);
            provision.attributes = attributes;
            SavedProvision { endpoint: Arc::new(Endpoint::of(&provision)), incarnation, leaving }
        },
    )
}

fn session() -> impl Strategy<Value = SavedSession> {
    let attributes = prop::collection::btree_map("[a-z]{1,8}", "[a-z]{0,8}", 0..3);
    let provisions = prop::collection::vec(provision(), 0..5);
    ("[a-z0-9.]{1,20}", "[^\\p{C}]{1,20}", attributes, any::<u64>(), prop::option::of(any::<u64>()), provisions)
        .prop_map(|(session, agent, attributes, window, parked, provisions)| SavedSession {
            session,
            agent,
            attributes,
            window,
            parked,
            provisions,
        })
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    ("[a-f0-9]{0,16}", any::<u64>(), prop::collection::vec(session(), 0..5))
        .prop_map(|(epoch, rev, sessions)| Snapshot { epoch, rev, sessions })
}

fn written(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(snapshot, &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn what_was_written_is_read(snapshot in snapshot()) {
        prop_assert_eq!(read(&written(&snapshot)[..]).unwrap(), snapshot);
    }

    #[test]
    fn a_snapshot_that_was_cut_off_is_refused_wherever_it_was(snapshot in snapshot(), at in any::<prop::sample::Index>()) {
        let bytes = written(&snapshot);
        prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_snapshot_in_which_a_byte_changed_is_refused(
        snapshot in snapshot(), at in any::<prop::sample::Index>(), by in 1..=255u8
    ) {
        let mut bytes = written(&snapshot);
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(read(&bytes[..]).is_err(), "byte {at} is another and nobody noticed");
    }

    #[test]
    fn anything_else_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes[..]).is_err());
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let bytes = written(&Snapshot { epoch: "e".to_owned(), ..Snapshot::default() });
    assert!(matches!(read(&b""[..]), Err(Unreadable::Foreign)));
    assert!(matches!(read(&b"{\"name\":\"package\"}\n"[..]), Err(Unreadable::Foreign)));
    let newer = String::from_utf8(bytes.clone()).unwrap().replace("snapshot/1", "snapshot/2");
    assert!(matches!(read(newer.as_bytes()), Err(Unreadable::Foreign)));
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    assert!(matches!(read(&bytes[..=first]), Err(Unreadable::Short { lines: 1 })));
    let twice = [&bytes[..], &bytes[..]].concat();
    assert!(matches!(read(&twice[..]), Err(Unreadable::Line { .. })));
    let endless = [&bytes[..=first], &vec![b'x'; 3 * 1024 * 1024][..]].concat();
    assert!(matches!(read(&endless[..]), Err(Unreadable::Line { line: 2, .. })));
}
