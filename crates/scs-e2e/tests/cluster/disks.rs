//! Disks that are full, and disks that are not there.

use super::ledger::{Ledger, VOLUMES};

#[test]
fn a_full_disk_calls_a_move_off_and_a_missing_one_is_never_taken_for_an_empty_one() {
    let ledger = Ledger::new();
    let hosts = &ledger.hosts;
    let on_h3 = |script: &str| hosts.on("h3", "sh", &["-c", script]);
    let _ = on_h3(&format!("mkdir -p {VOLUMES} && mount -t tmpfs -o size=96m,mode=711 disk {VOLUMES}"));

    // There is room when it begins.
    let before = hosts.all_containers();
    let full = ledger.moves("h3", "while it runs", || {
        let _ = on_h3(&format!("dd if=/dev/zero of={VOLUMES}/filler bs=1M 2>/dev/null || true"));
    });
    assert_eq!(full.code, 1, "{}", full.said);
    for word in ["the disk at", VOLUMES, "is full", "it is on host h2 as before"] {
        assert!(full.said.contains(word), "says `{word}`: {}", full.said);
    }
    assert_eq!(hosts.all_containers(), before, "it ran all the while");
    assert_eq!(ledger.proved(), "h2");

    // There is none.
    let none = ledger.moves("h3", "there is no room", || {});
    assert_eq!(none.code, 1, "{}", none.said);
    assert!(none.said.contains("it is on host h2 as before"), "{}", none.said);
    assert_eq!(ledger.proved(), "h2");

    let _ = on_h3(&format!("rm {VOLUMES}/filler"));
    let moved = ledger.moves("h3", "starting on", || {});
    assert_eq!(moved.code, 0, "{}", moved.said);
    assert_eq!(ledger.proved(), "h3");

    // The disk is taken out while it is stopped.
    let _ = hosts.ok(&["stop", "ledger"]);
    let _ = on_h3(&format!("mkdir -p /run/aside && mount --move {VOLUMES} /run/aside"));
    let refused = hosts.run(&["start", "ledger"]);
    assert_eq!(refused.code(), 1, "{}{}", refused.shown(), ledger.words());
    for word in ["volume prod/books/ledger/data", VOLUMES, "is not there"] {
        assert!(refused.stderr().contains(word), "says `{word}`: {}", refused.shown());
    }
    assert!(hosts.all_containers().is_empty(), "nothing started without its data");
    let found = on_h3(&format!("find {VOLUMES} -type f"));
    assert_eq!(found, "", "nothing was made in place of it");
    let _ = on_h3(&format!("mount --move /run/aside {VOLUMES}"));
    assert_eq!(ledger.proved(), "h3");
}
