//! Contexts in a directory of their own.

use super::{Contexts, LOCAL, Record};

fn record(environments: &[&str]) -> Record {
    let environments = environments.iter().map(|&it| it.to_owned()).collect();
    Record { server: "https://198.51.100.11:9641".parse().expect("an address"), environments }
}

#[test]
fn one_is_added_chosen_and_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let contexts = Contexts::new(directory.path());
    assert_eq!(contexts.current().expect("readable"), LOCAL);
    assert!(contexts.list().expect("readable").is_empty());
    let added = contexts.add("prod", record(&["prod"])).expect("added");
    assert_eq!(contexts.list().expect("readable"), [added]);
    contexts.choose("prod").expect("chosen");
    assert_eq!(contexts.current().expect("readable"), "prod");
    assert!(contexts.add("prod", record(&[])).is_err(), "the name is taken");
    contexts.remove("prod").expect("removed");
    assert_eq!(contexts.current().expect("readable"), LOCAL);
    assert!(contexts.get("prod").is_err());
}

#[test]
fn names_that_lead_elsewhere_or_mean_something_else_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let contexts = Contexts::new(directory.path());
    for name in ["../x", "", LOCAL, "a/b"] {
        assert!(contexts.add(name, record(&[])).is_err(), "{name}");
    }
    assert!(contexts.choose("nobody").is_err());
}

#[test]
fn a_context_is_bound_to_its_environments() {
    let directory = tempfile::tempdir().expect("a directory");
    let contexts = Contexts::new(directory.path());
    let one = contexts.add("one", record(&["prod"])).expect("added");
    let two = contexts.add("two", record(&["prod", "staging"])).expect("added");
    let any = contexts.add("any", record(&[])).expect("added");
    assert_eq!(one.environment(None).expect("the only one").as_deref(), Some("prod"));
    assert!(one.environment(Some("dev")).is_err());
    assert!(two.environment(None).is_err());
    assert_eq!(two.environment(Some("staging")).expect("bound").as_deref(), Some("staging"));
    assert_eq!(any.environment(None).expect("any"), None);
}
