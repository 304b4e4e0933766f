//! The certificate authority, as an operator meets it.

use crate::support::Place;

#[test]
fn an_authority_is_made_issues_and_is_replaced() {
    let place = Place::new();
    let refused = place.shown(&["ca", "issue", "host", "web1"]);
    assert!(refused.starts_with("exit 1\n") && refused.contains("hint: `scs ca init` makes one"), "{refused}");

    assert!(place.stdout(&["ca", "init", "--name", "prod"]).trim_end().ends_with("state/ca"));
    let again = place.shown(&["ca", "init"]);
    assert!(again.starts_with("exit 1\n") && again.contains("already"), "{again}");

    let directory = place.stdout(&["ca", "issue", "host", "web1", "--provide", "prod/blog", "--require", "prod/*"]);
    let shown = place.stdout(&["ca", "show", directory.trim_end()]);
    for line in ["holder     host web1", "issuer     scs prod authority 1", "provides   prod/blog", "requires   prod/*"]
    {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }

    assert_eq!(place.stdout(&["ca", "rotate"]), "host web1\n", "who is to get a new one");
    let early = place.shown(&["ca", "rotate", "--finish"]);
    assert!(early.starts_with("exit 1\n") && early.contains("host web1"), "{early}");
    place.stdout(&["ca", "issue", "host", "web1"]);
    place.stdout(&["ca", "rotate", "--finish"]);
    let listed: serde_json::Value = serde_json::from_str(&place.stdout(&["ca", "ls", "-o", "json"])).unwrap();
    assert_eq!(listed["authorities"].as_array().unwrap().len(), 1);
    assert_eq!(listed["certificates"].as_array().unwrap().len(), 2);
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let place = Place::new();
    place.stdout(&["ca", "init"]);
    for arguments in [
        ["ca", "issue", "host", "No name"].as_slice(),
        &["ca", "issue", "host", "web1", "--provide", "prod"],
        &["ca", "issue", "host", "web1", "--valid", "tomorrow"],
        &["ca", "issue", "person", "ann", "--address", "web1"],
        &["ca", "issue", "server", "disco1"],
        &["ca", "rotate", "--anyway"],
    ] {
        assert_eq!(place.code(arguments), 64, "{arguments:?}");
    }
    assert!(!place.path().join("state/ca/issued.jsonl").exists(), "nothing was issued");
}
