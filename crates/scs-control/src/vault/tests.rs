//! Sealing and opening.

use super::{Error, Vault, generate};
use scs_api::secret::SecretValue;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_value_opens_under_its_own_name_and_key_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let vault = Vault::open(directory.path()).expect("a vault");
    let sealed = vault.seal("dev/blog/db", &SecretValue::new("hunter2".to_owned())).expect("sealed");
    assert!(!serde_json::to_string(&sealed).expect("serialisable").contains("hunter2"));

    let again = Vault::open(directory.path()).expect("the same vault");
    assert_eq!(again.unseal("dev/blog/db", &sealed).expect("opened").expose(), "hunter2");
    assert!(matches!(again.unseal("dev/blog/other", &sealed), Err(Error::Sealed { .. })));

    let elsewhere = tempfile::tempdir().expect("a directory");
    let other = Vault::open(elsewhere.path()).expect("another vault");
    assert!(matches!(other.unseal("dev/blog/db", &sealed), Err(Error::Sealed { .. })));
}

#[test]
fn the_key_is_private_and_a_key_that_is_not_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    Vault::open(directory.path()).expect("a vault");
    let path = directory.path().join("host.key");
    let mode = std::fs::metadata(&path).expect("the key").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("changed");
    assert!(matches!(Vault::open(directory.path()), Err(Error::Exposed { mode: 0o644, .. })));
}

#[test]
fn a_cut_off_key_is_damaged_and_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("host.key");
    std::fs::write(&path, [1; 31]).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("changed");
    assert!(matches!(Vault::open(directory.path()), Err(Error::Damaged { .. })));
    assert_eq!(std::fs::read(&path).expect("still there"), [1; 31]);
}

#[test]
fn generated_values_have_the_length_asked_for_and_differ() {
    let value = generate(32).expect("random");
    assert!(value.expose().len() == 32 && value.expose().bytes().all(|it| it.is_ascii_alphanumeric()));
    assert_ne!(value, generate(32).expect("random"));
}
