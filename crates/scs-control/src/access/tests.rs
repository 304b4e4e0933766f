//! Who may ask for what, route by route.

use super::{Access, Need, Who, need};
use scs_api::person::Role;

fn person(role: Role, environments: &[&str]) -> Access {
    let environments = environments.iter().map(|it| (*it).to_owned()).collect();
    Access { who: Who::Person("bob".to_owned()), role: Some(role), environments }
}

fn machine() -> Access {
    Access { who: Who::Host("h1".to_owned()), role: None, environments: Vec::new() }
}

fn nobody() -> Access {
    Access { who: Who::Nobody, role: None, environments: Vec::new() }
}

/// Who of nobody, a host, `read`, `deploy` (both in dev), `admin` and the owner may.
fn may(method: &str, path: &str) -> String {
    let need = need(method, path);
    let all = [
        ("n", nobody()),
        ("h", machine()),
        ("r", person(Role::Read, &["dev"])),
        ("d", person(Role::Deploy, &["dev"])),
        ("a", person(Role::Admin, &[])),
        ("o", Access::owner()),
    ];
    all.iter().filter(|(_, access)| access.permit(&need).is_ok()).map(|(letter, _)| *letter).collect()
}

#[test]
fn every_route_takes_what_it_should() {
    let table = [
        ("POST", "/v1/join", "nhrdao"),
        ("POST", "/v1/renew", "hrda"),
        ("GET", "/v1/version", "hrdao"),
        ("GET", "/v1/bundles/abc", "hrdao"),
        ("HEAD", "/v1/bundles/abc", "hrdao"),
        ("PUT", "/v1/bundles/abc", "dao"),
        ("POST", "/v1/services/dev/blog/plan", "rdao"),
        ("GET", "/v1/services/dev/blog/history", "rdao"),
        ("GET", "/v1/services/dev/blog/secrets", "rdao"),
        ("GET", "/v1/services/dev/blog/roles/web/requirements/db", "rdao"),
        ("POST", "/v1/services/dev/blog/up", "dao"),
        ("POST", "/v1/services/dev/blog/down", "dao"),
        ("POST", "/v1/services/dev/blog/build", "dao"),
        ("POST", "/v1/services/dev/blog/rollback", "dao"),
        ("POST", "/v1/services/dev/blog/roles/web/restart", "dao"),
        ("POST", "/v1/services/dev/blog/roles/web/move", "dao"),
        ("PUT", "/v1/services/dev/blog/secrets/db", "dao"),
        ("POST", "/v1/services/prod/blog/plan", "ao"),
        ("POST", "/v1/services/prod/blog/up", "ao"),
        ("POST", "/v1/services/%64ev/blog/up", "ao"),
        ("GET", "/v1/environments", "rdao"),
        ("GET", "/v1/instances", "rdao"),
        ("GET", "/v1/instances/run-1/exec", "dao"),
        ("GET", "/v1/logs", "rdao"),
        ("GET", "/v1/volumes", "rdao"),
        ("GET", "/v1/volumes/dev/blog/db/data/data", "dao"),
        ("PUT", "/v1/volumes/dev/blog/db/data/data", "dao"),
        ("PUT", "/v1/volumes/prod/blog/db/data/data", "ao"),
        ("GET", "/v1/disco", "rdao"),
        ("GET", "/v1/disco/watch", "rdao"),
        ("POST", "/v1/disco/resolve", "rdao"),
        ("GET", "/v1/hosts", "rdao"),
        ("GET", "/v1/hosts/h1", "rdao"),
        ("DELETE", "/v1/hosts/h1", "ao"),
        ("POST", "/v1/hosts/h1/labels", "ao"),
        ("POST", "/v1/hosts/h1/drain", "ao"),
        ("POST", "/v1/tokens", "ao"),
        ("GET", "/v1/people", "ao"),
        ("PUT", "/v1/people/bob", "ao"),
        ("GET", "/v1/audit", "ao"),
        ("POST", "/v1/prune", "ao"),
        ("POST", "/v1/shutdown", "ao"),
        ("GET", "/v1/whatever/comes", "ao"),
        ("GET", "/", "ao"),
    ];
    for (method, path, expected) in table {
        assert_eq!(may(method, path), expected, "{method} {path}");
    }
}

#[test]
fn deleting_data_takes_an_administrator_even_where_a_volume_is_called_data() {
    assert_eq!(may("DELETE", "/v1/volumes/dev/blog/db/files"), "ao");
    assert_eq!(may("DELETE", "/v1/volumes/dev/blog/db/data"), "ao");
}

#[test]
fn a_refusal_says_what_is_missing_and_who_can_give_it() {
    let refusal = |access: Access, role, environment| access.may(role, environment).expect_err("refused");
    let short = refusal(person(Role::Read, &["dev", "test"]), Role::Deploy, Some("prod"));
    assert_eq!(short.message, "this takes the role deploy in environment prod; bob has read in dev, test");
    assert!(short.hint.expect("a hint").ends_with("`scs person set bob --role deploy --env prod`"));
    let admin = refusal(person(Role::Deploy, &["*"]), Role::Admin, None);
    assert_eq!(admin.message, "this takes an administrator; bob has deploy in *");
    assert!(refusal(machine(), Role::Read, None).message.ends_with("and host h1 is a machine"));
    assert!(refusal(nobody(), Role::Read, None).message.ends_with("you have shown no certificate"));
}

#[test]
fn environments_of_others_are_not_seen() {
    let bob = person(Role::Deploy, &["dev"]);
    assert!(bob.sees("dev") && !bob.sees("prod"));
    assert!(person(Role::Read, &["*"]).sees("prod") && person(Role::Admin, &[]).sees("prod"));
    assert!(bob.permit(&Need::Role(Role::Read, Some(String::new()))).is_err());
}

#[test]
fn the_history_names_the_certificates_holder() {
    assert_eq!(person(Role::Deploy, &["dev"]).name("root@laptop".to_owned()), "bob");
    assert_eq!(Access::owner().name("root@laptop".to_owned()), "root@laptop");
}
