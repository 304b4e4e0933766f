//! Stop order of small services.

use super::{stop_waves, waits_for};
use crate::fixture::{deployment, provide, require, role};
use scs_manifest::compiled::Role;
use serde_json::{Value, json};

fn user(name: &str, of: &[&str], min: u32) -> Role {
    let requirements: serde_json::Map<String, Value> = of
        .iter()
        .map(|role| {
            let mut require = require(role, "tcp");
            require["min"] = json!(min);
            ((*role).to_owned(), require)
        })
        .collect();
    role(name, &json!({"provide": {"tcp": provide(1)}, "require": requirements}))
}

#[test]
fn users_stop_before_the_providers_they_use() {
    let blog = deployment([
        user("mysql-master", &[], 1),
        user("mysql-backup", &["mysql-master"], 1),
        user("wordpress", &["mysql-master"], 1),
        user("proxy", &["wordpress"], 1),
    ]);
    assert_eq!(stop_waves(&blog), [vec!["mysql-backup", "proxy"], vec!["wordpress"], vec!["mysql-master"]]);
}

#[test]
fn a_cycle_is_cut_where_it_is_optional() {
    let ring = deployment([user("a", &["b"], 1), user("b", &["a"], 0)]);
    assert_eq!(stop_waves(&ring), [["a"], ["b"]]);
    let knot = deployment([user("a", &["b"], 1), user("b", &["a"], 1), user("c", &["a"], 1)]);
    assert_eq!(stop_waves(&knot), [vec!["c"], vec!["a", "b"]]);
}

#[test]
fn any_role_means_all_that_provide_it_but_oneself() {
    let all = deployment([user("a", &[], 1), user("b", &["*"], 1), user("c", &[], 1)]);
    assert_eq!(stop_waves(&all), [vec!["b"], vec!["a", "c"]]);
    assert_eq!(waits_for(&all)["b"].iter().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn what_another_service_provides_orders_nothing() {
    let mut elsewhere = require("a", "tcp");
    elsewhere["method"]["disco"]["service"] = json!("other");
    let both = deployment([
        role("a", &json!({"provide": {"tcp": provide(1)}})),
        role("b", &json!({"require": {"tcp": elsewhere}})),
    ]);
    assert_eq!(stop_waves(&both), [["a", "b"]]);
}

#[test]
fn a_long_chain_has_a_wave_for_each() {
    let names: Vec<String> = (0..1000).map(|at| format!("r{at}")).collect();
    let roles =
        (0..1000).map(|at| user(&names[at], if at == 0 { vec![] } else { vec![names[at - 1].as_str()] }.as_slice(), 1));
    let waves = stop_waves(&deployment(roles));
    assert_eq!((waves.len(), waves[0][0].as_str(), waves[999][0].as_str()), (1000, "r999", "r0"));
}
