//! Names of bases.

use super::*;

#[test]
fn a_base_is_called_by_suite_and_snapshot() {
    assert_eq!(reference("bookworm", None), "scs-base:bookworm");
    assert_eq!(reference("bookworm", Some("20250520T000000Z")), "scs-base:bookworm-20250520T000000Z");
}
