//! What a subscriber should have in the end, worked out in the simplest way.

use std::collections::{BTreeMap, BTreeSet};

use disco_proto::{Health, Provision, Query};

/// Keys of the endpoints that a query gets from these provisions, everyone connected and nobody leaving.
pub fn expected(query: &Query, own: &BTreeMap<String, String>, provisions: &[&Provision]) -> BTreeSet<String> {
    let mut matching: Vec<&Provision> = provisions
        .iter()
        .filter(|p| p.name.environment == query.environment && p.name.service == query.service)
        .filter(|p| p.name.endpoint == query.endpoint && (query.role == "*" || query.role == p.name.role))
        .filter(|p| {
            query.r#match.iter().all(|(name, condition)| condition.holds(p.attributes.get(name).map(String::as_str)))
        })
        .copied()
        .collect();
    for health in [Health::Passing, Health::Draining, Health::Failing] {
        if matching.iter().any(|p| p.health == health) {
            matching.retain(|p| p.health == health);
            break;
        }
    }
    for attribute in &query.prefer {
        let same = |p: &Provision| own.get(attribute).is_some_and(|value| p.attributes.get(attribute) == Some(value));
        if matching.iter().any(|p| same(p)) {
            matching.retain(|p| same(p));
            break;
        }
    }
    matching.iter().map(|p| p.key()).collect()
}
