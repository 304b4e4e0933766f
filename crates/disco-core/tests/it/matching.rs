//! What a requirement is given, against the rules said once more in the plainest way, for whatever is provided in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use disco_core::Verdict;
use disco_proto::{Condition, Health, Method, Provision, Query, Reason, message::Change};
use proptest::prelude::*;

use crate::script::{SECOND, Script, mysql, mysql_query, name, withdraw};

/// Instances that come and go.
const INSTANCES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Attributes, and what they can be: few, so that they meet.
const ATTRIBUTES: [&str; 3] = ["dc", "zone", "disk"];
const VALUES: [&str; 2] = ["x", "y"];

/// One thing that happens to an endpoint.
#[derive(Debug, Clone)]
enum Step {
    Provide(Provision),
    Withdraw(&'static str, Reason),
}

/// Most of the attributes, so that endpoints and subscriber often agree in several.
fn attributes() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = || prop::option::weighted(0.8, prop::sample::select(&VALUES[..]));
    [value(), value(), value()].prop_map(|values| {
        let pairs = ATTRIBUTES.iter().zip(values);
        pairs.filter_map(|(name, value)| Some(((*name).to_owned(), value?.to_owned()))).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let instance = || prop::sample::select(&INSTANCES[..]);
    let health = prop::sample::select(vec![Health::Passing, Health::Passing, Health::Draining, Health::Failing]);
    let role = prop::sample::select(vec!["mysql", "mysql", "other"]);
    let provide = (instance(), role, health, attributes()).prop_map(|(instance, role, health, attributes)| {
        let name = name(&format!("dev/blog/{role}/mysql"));
        Step::Provide(Provision { name, health, attributes, ..mysql(instance) })
    });
    let gone = prop::sample::select(vec![Reason::Left, Reason::Died]);
    let withdraw = (instance(), gone).prop_map(|(instance, reason)| Step::Withdraw(instance, reason));
    prop_oneof![3 => provide, 1 => withdraw]
}

fn condition() -> impl Strategy<Value = Condition> {
    let values = || prop::collection::vec(prop::sample::select(&VALUES[..]).prop_map(str::to_owned), 0..3);
    prop_oneof![
        values().prop_map(Condition::In),
        values().prop_map(Condition::Not),
        any::<bool>().prop_map(Condition::Exists)
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let attribute = || prop::sample::select(&ATTRIBUTES[..]).prop_map(str::to_owned);
    let role = prop::sample::select(vec!["mysql", "*"]);
    let own = prop::option::of(prop::sample::select(&INSTANCES[..]).prop_map(str::to_owned));
    let conditions = prop::collection::btree_map(attribute(), condition(), 0..2);
    let prefer = prop::sample::subsequence(&ATTRIBUTES[..], 0..=3).prop_shuffle();
    let prefer = prefer.prop_map(|names| names.into_iter().map(str::to_owned).collect());
    (role, conditions, prefer, own).prop_map(|(role, r#match, prefer, instance)| Query {
        role: role.to_owned(),
        r#match,
        prefer,
        instance,
        ..mysql_query()
    })
}

/// Who is provided: `role/instance`.
type Provided = BTreeMap<String, Provision>;

fn key(provision: &Provision) -> String {
    format!("{}/{}", provision.name.role, provision.instance)
}

/// The rules: the hard conditions; of those the best health; of those the nearest.
fn chosen(provided: &Provided, query: &Query, own: &BTreeMap<String, String>) -> BTreeSet<String> {
    let admitted = provided.values().filter(|provision| {
        let holds = |(name, condition): (&String, &Condition)| match (condition, provision.attributes.get(name)) {
            (Condition::In(values), Some(value)) => values.contains(value),
            (Condition::In(_), None) => false,
            (Condition::Not(values), Some(value)) => !values.contains(value),
            (Condition::Not(_), None) => true,
            (Condition::Exists(wanted), value) => *wanted == value.is_some(),
        };
        let role = query.role == "*" || query.role == provision.name.role;
        role && query.instance.as_ref() != Some(&provision.instance) && query.r#match.iter().all(holds)
    });
    let standing = |provision: &Provision| {
        let near = |name: &String| own.get(name).is_some_and(|own| provision.attributes.get(name) == Some(own));
        (provision.health, query.prefer.iter().position(near).unwrap_or(usize::MAX))
    };
    let all: Vec<_> = admitted.map(|provision| (standing(provision), key(provision))).collect();
    let best = all.iter().map(|(standing, _)| *standing).min();
    all.into_iter().filter(|(standing, _)| Some(*standing) == best).map(|(_, key)| key).collect()
}

/// Takes in what a subscriber is told, which must fit what it has.
fn take_in(set: &mut BTreeSet<String>, change: &Change) {
    for endpoint in &change.add {
        assert!(set.insert(format!("{}/{}", endpoint.name.role, endpoint.instance)), "added twice: {endpoint:?}");
    }
    for endpoint in &change.update {
        let key = format!("{}/{}", endpoint.name.role, endpoint.instance);
        assert!(set.contains(&key), "updated, and not there: {endpoint:?}");
    }
    for gone in &change.drop {
        assert!(set.remove(&gone.key), "dropped, and not there: {gone:?}");
    }
}

proptest! {
    #[test]
    fn a_subscriber_gets_the_nearest_of_the_best_whatever_happened_before(
        steps in prop::collection::vec(step(), 1..25),
        query in query(),
        own in attributes(),
    ) {
        let mut script = Script::new();
        let provider = script.client("provider");
        let own: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let subscriber = script.client_with("subscriber", &own);
        let own = crate::script::texts(&own);
        let mut told = BTreeSet::new();
        take_in(&mut told, &script.require(subscriber, "all along", query.clone()));

        let mut provided = Provided::new();
        for step in steps {
            match step {
                Step::Provide(provision) => {
                    provided.insert(key(&provision), provision.clone());
                    script.provide(provider, provision);
                }
                Step::Withdraw(instance, reason) => {
                    provided.remove(&format!("mysql/{instance}"));
                    script.ask(provider, Method::Withdraw(withdraw(instance, reason))).unwrap();
                }
            }
            while let Some(change) = script.changed(subscriber) {
                take_in(&mut told, &change);
            }
            // It may stay with what it has until the nearer ones have proved stable, but it never has nothing while there is something.
            prop_assert_eq!(told.is_empty(), chosen(&provided, &query, &own).is_empty());
        }
        script.pass_pinging(11 * SECOND, &[provider, subscriber]);
        while let Some(change) = script.changed(subscriber) {
            take_in(&mut told, &change);
        }
        let expected = chosen(&provided, &query, &own);
        prop_assert_eq!(&told, &expected, "told all along");

        // Whoever comes now gets the same at once.
        let mut fresh = BTreeSet::new();
        take_in(&mut fresh, &script.require(subscriber, "now", query));
        prop_assert_eq!(&fresh, &expected, "asked now");

        // And the explanation says so, of everyone.
        let view = script.core.view();
        for requirement in &view.requirements {
            let explained: BTreeSet<String> = requirement.verdicts.iter()
                .filter(|(_, verdict)| *verdict == Verdict::Chosen)
                .map(|(endpoint, _)| format!("{}/{}", endpoint.name.role, endpoint.instance))
                .collect();
            prop_assert_eq!(&explained, &expected, "explained: {:?}", requirement.verdicts);
            prop_assert_eq!(requirement.verdicts.len(), provided.len());
        }
    }
}
