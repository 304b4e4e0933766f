//! The authority as an operator meets it.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::{Credentials, Identity, Kind, Request, Unusable};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn order(kind: Kind, name: &str) -> Order {
    let mut identity = Identity::new(kind, name).unwrap();
    identity.provide.push("prod/blog".parse().unwrap());
    let addresses =
        if kind == Kind::Server { vec!["disco.example.org".to_owned(), "::1".to_owned()] } else { Vec::new() };
    Order { identity, addresses, valid: DAY }
}

#[test]
fn what_it_issues_is_read_back_with_all_that_was_ordered() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::create(&place.path().join("ca"), "prod", now).unwrap();
    let order = order(Kind::Server, "disco1");
    let files = authority.issue(&order, now).unwrap().write(&place.path().join("disco1")).unwrap();
    let credentials = Credentials::read(&files, now).unwrap();
    assert_eq!(credentials.identity, order.identity);
    assert_eq!(credentials.certificate.addresses, order.addresses);
    assert_eq!(credentials.certificate.issuer, "scs prod authority 1");
    assert!(credentials.certificate.valid_at(now - BACKDATED / 2), "clocks may be apart");
    assert!(!credentials.certificate.valid_at(now + DAY + Duration::from_secs(1)));
    let listed = authority.issued().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].holder().as_str(), &listed[0].serial), ("server disco1", &credentials.certificate.serial));
}

#[test]
fn keys_are_their_owners_alone() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let directory = place.path().join("ca");
    let authority = Authority::create(&directory, "prod", now).unwrap();
    let files = authority.issue(&order(Kind::Host, "web1"), now).unwrap().write(&place.path().join("web1")).unwrap();
    for key in [&directory.join("1/ca.key"), &files.key] {
        let mode = fs::metadata(key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = Credentials::read(&files, now).unwrap_err();
    assert!(matches!(refused, Unusable::Exposed(_)), "{refused}");
}

#[test]
fn an_authority_is_never_overwritten_and_nor_is_the_certificate_of_another() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::create(place.path(), "prod", now).unwrap();
    let before = authority.trusted();
    assert!(matches!(Authority::create(place.path(), "prod", now), Err(Unissued::Exists(_))));
    assert_eq!(Authority::open(place.path()).unwrap().trusted(), before);

    let directory = place.path().join("web");
    authority.issue(&order(Kind::Host, "web1"), now).unwrap().write(&directory).unwrap();
    let refused = authority.issue(&order(Kind::Host, "web2"), now).unwrap().write(&directory).unwrap_err();
    assert!(refused.to_string().ends_with("is the certificate of host web1"), "{refused}");
    authority.issue(&order(Kind::Host, "web1"), now).unwrap().write(&directory).unwrap();
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::create(place.path(), "prod", now).unwrap();
    let refused = |order: Order| authority.issue(&order, now).unwrap_err().to_string();
    let no_address = Order { addresses: Vec::new(), ..order(Kind::Server, "disco1") };
    assert!(refused(no_address).starts_with("a server needs an address"));
    let person = Order { addresses: vec!["web1".to_owned()], ..order(Kind::Person, "ann") };
    assert!(refused(person).starts_with("nobody connects to a person"));
    let wrong = Order { addresses: vec!["not a name".to_owned()], ..order(Kind::Server, "disco1") };
    assert!(refused(wrong).contains("`not a name`"));
    assert!(refused(Order { valid: VALID + DAY, ..order(Kind::Host, "web1") }).contains("outlive"));
    assert!(authority.issued().unwrap().is_empty(), "nothing of it was issued");
}

#[test]
fn expired_early_and_foreign_certificates_are_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::create(&place.path().join("ca"), "prod", now).unwrap();
    let files = authority.issue(&order(Kind::Host, "web1"), now).unwrap().write(&place.path().join("web1")).unwrap();
    let code = |now| Credentials::read(&files, now).unwrap_err().code();
    assert_eq!(code(now + 2 * DAY), "certificate_expired");
    assert_eq!(code(now - DAY), "certificate_not_yet_valid");
    let other = Authority::create(&place.path().join("other"), "prod", now).unwrap();
    fs::write(&files.authorities, other.trusted()).unwrap();
    assert_eq!(code(now), "certificate_foreign");
    fs::remove_file(&files.authorities).unwrap();
    assert_eq!(code(now), "certificate_missing");
}

#[test]
fn during_a_rotation_old_and_new_trust_each_other_in_any_order() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let mut authority = Authority::create(&place.path().join("ca"), "prod", now).unwrap();
    let issue = |authority: &Authority, name: &str| {
        authority.issue(&order(Kind::Host, name), now).unwrap().write(&place.path().join(name)).unwrap()
    };
    let before = authority.trusted();
    let web1 = issue(&authority, "web1");
    authority.rotate(now).unwrap();
    assert!(matches!(authority.rotate(now), Err(Unissued::Rotating)));
    let web2 = issue(&authority, "web2");

    // Who has the list of before takes the certificate of after, by its cross certificate.
    fs::write(&web2.authorities, &before).unwrap();
    Credentials::read(&web2, now).unwrap();
    // And the other way about.
    fs::write(&web1.authorities, authority.trusted()).unwrap();
    Credentials::read(&web1, now).unwrap();

    let rotation = authority.rotation(now).unwrap();
    assert_eq!((rotation.older.len(), rotation.waiting), (1, vec!["host web1".to_owned()]));
    let refused = authority.retire(false, now).unwrap_err();
    assert!(refused.to_string().ends_with("host web1"), "{refused}");
    issue(&authority, "web1");
    authority.retire(false, now).unwrap();
    Credentials::read(&web1, now).unwrap();
    assert!(!authority.trusted().contains(&before), "the older one is trusted no more");
    assert!(matches!(authority.retire(false, now), Err(Unissued::NotRotating)));
    authority.rotate(now).unwrap();
    assert_eq!(authority.rotation(now).unwrap().current.subject, "scs prod authority 3");
}

#[test]
fn what_has_ended_does_not_hold_a_rotation_up() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let mut authority = Authority::create(place.path(), "prod", now).unwrap();
    authority.issue(&order(Kind::Host, "web1"), now).unwrap();
    authority.rotate(now).unwrap();
    assert!(authority.retire(false, now).is_err());
    authority.retire(false, now + 2 * DAY).unwrap();
}

#[test]
fn a_rotation_that_was_killed_half_way_never_happened() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let before = Authority::create(place.path(), "prod", now).unwrap().trusted();
    fs::create_dir(place.path().join("2.new")).unwrap();
    fs::write(place.path().join("2.new/ca.crt"), "half").unwrap();
    let mut authority = Authority::open(place.path()).unwrap();
    assert_eq!(authority.trusted(), before);
    authority.rotate(now).unwrap();
    assert!(authority.trusted().ends_with(&before));
}

#[test]
fn a_key_that_never_left_its_host_is_signed_as_ordered_and_not_as_asked() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let mut authority = Authority::create(&place.path().join("ca"), "prod", now).unwrap();
    let request = Request::new().unwrap();
    let order = Order { addresses: vec!["192.0.2.7".to_owned()], ..order(Kind::Host, "web1") };
    let signed = authority.sign(request.pem(), &order, now).unwrap();
    let directory = place.path().join("web1");
    let files = request.write(&signed.chain, &signed.trusted, &directory).unwrap();
    let credentials = Credentials::read(&files, now).unwrap();
    assert_eq!(credentials.identity, order.identity);
    assert_eq!(credentials.certificate, signed.certificate);
    assert_eq!(credentials.certificate.addresses, order.addresses);
    assert_eq!(authority.issued().unwrap()[0].serial, signed.certificate.serial);

    // A renewal, by the next authority: the same key, so that it never lies beside another's certificate.
    let key = fs::read(&files.key).unwrap();
    authority.rotate(now).unwrap();
    let renewal = Request::renewing(&files).unwrap();
    let signed = authority.sign(renewal.pem(), &order, now).unwrap();
    renewal.write(&signed.chain, &signed.trusted, &directory).unwrap();
    assert_eq!(fs::read(&files.key).unwrap(), key);
    assert_eq!(Credentials::read(&files, now).unwrap().certificate.issuer, "scs prod authority 2");

    // What a request asks for by itself is passed over.
    let mut greedy = params("greedy", 9, now);
    greedy.subject_alt_names.push(rcgen::SanType::URI("scs:server:disco1".try_into().unwrap()));
    greedy.not_before = CertificateParams::default().not_before;
    greedy.not_after = CertificateParams::default().not_after;
    let greedy = greedy.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let signed = authority.sign(&greedy, &order, now).unwrap();
    assert_eq!(signed.certificate.identity().unwrap(), order.identity);
    assert_eq!(signed.certificate.uris, order.identity.uris());
}

#[test]
fn requests_that_prove_nothing_are_refused_and_nothing_is_issued() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::create(place.path(), "prod", now).unwrap();
    let refused = |pem: &str| authority.sign(pem, &order(Kind::Host, "web1"), now).unwrap_err().to_string();
    assert!(refused("nonsense").ends_with("it is none"));
    assert!(refused(&"x".repeat(1 << 20)).ends_with("it is longer than any key"));
    // A key that did not sign it: one letter of the key is another.
    let mut forged = Request::new().unwrap().pem().to_owned();
    let place = forged.find('\n').unwrap() + 80;
    let letter = if &forged[place..=place] == "A" { "B" } else { "A" };
    forged.replace_range(place..=place, letter);
    assert!(refused(&forged).ends_with("whoever sent it does not have its key"), "{}", refused(&forged));
    assert!(authority.issued().unwrap().is_empty());
}

#[test]
fn an_answer_to_somebody_elses_request_is_not_written_down() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::create(&place.path().join("ca"), "prod", now).unwrap();
    let (mine, other) = (Request::new().unwrap(), Request::new().unwrap());
    let signed = authority.sign(other.pem(), &order(Kind::Host, "web1"), now).unwrap();
    let directory = place.path().join("web1");
    let refused = mine.write(&signed.chain, &signed.trusted, &directory).unwrap_err();
    assert!(refused.to_string().ends_with("the certificate is for another key"), "{refused}");
    assert!(mine.write("nothing", &signed.trusted, &directory).is_err());
    assert!(!directory.exists());
    other.write(&signed.chain, &signed.trusted, &directory).unwrap();
    let signed = authority.sign(mine.pem(), &order(Kind::Host, "web2"), now).unwrap();
    let refused = mine.write(&signed.chain, &signed.trusted, &directory).unwrap_err();
    assert!(refused.to_string().ends_with("is the certificate of host web1"), "{refused}");
}
