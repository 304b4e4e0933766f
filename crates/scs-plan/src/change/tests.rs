//! Every field of a role against what its change asks for.

use super::{ChangeKind, Obstacle, Strategy, classify, replace_strategy};
use crate::fixture::{live_update, provide, require, role, volume};
use serde_json::{Value, json};

fn base() -> Value {
    json!({
        "process": {"environment": {"A": "1"}},
        "provide": {"http": provide(80)},
        "require": {"mysql": require("mysql", "mysql")},
        "secrets": {
            "PASSWORD": {"from": "db", "as": "file", "liveupdate": live_update()},
            "TOKEN": {"from": "token", "as": "environment", "liveupdate": live_update()},
        },
        "volumes": {"data": volume("/data")},
    })
}

fn kind(change: &Value) -> ChangeKind {
    let old = role("web", &base());
    let mut with = base();
    merge(&mut with, change);
    classify(&old, &role("web", &with))
}

fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            over.iter().for_each(|(key, value)| merge(under.entry(key).or_insert(Value::Null), value));
        }
        (under, over) => *under = over.clone(),
    }
}

#[test]
fn the_same_role_needs_nothing() {
    assert_eq!(kind(&json!({})), ChangeKind::None);
}

#[test]
fn what_is_fixed_at_creation_needs_a_new_container() {
    for change in [
        json!({"image": {"parameters": {"host": "b"}}}),
        json!({"process": {"environment": {"A": "2"}}}),
        json!({"process": {"command": ["/other"]}}),
        json!({"process": {"memory": 1}}),
        json!({"process": {"cpus": 0.5}}),
        json!({"process": {"init": true}}),
        json!({"provide": {"http": {"port": 81}}}),
        json!({"provide": {"http": {"publish": {"port": 8080}}}}),
        json!({"provide": {"admin": provide(82)}}),
        json!({"require": {"cache": require("cache", "redis")}}),
        json!({"secrets": {"TOKEN": {"from": "other"}}}),
        json!({"secrets": {"TOKEN": {"as": "file"}}}),
        json!({"volumes": {"data": {"path": "/elsewhere"}}}),
        json!({"volumes": {"more": volume("/more")}}),
        json!({"network": {"method": "host"}}),
    ] {
        assert_eq!(kind(&change), ChangeKind::Replace, "{change}");
    }
}

#[test]
fn what_connects_it_is_changed_while_it_runs() {
    for change in [
        json!({"process": {"stop_grace_period": "20s"}}),
        json!({"provide": {"http": {"attributes": {"team": "web"}}}}),
        json!({"provide": {"http": {"method": "static"}}}),
        json!({"provide": {"http": {"health": {
            "probe": "tcp", "interval": "1s", "timeout": "1s", "start": "1s", "unhealthy": 3}}}}),
        json!({"require": {"mysql": require("mysql-backup", "mysql")}}),
        json!({"require": {"mysql": {"method": {"static": ["192.0.2.1:1"]}}}}),
        json!({"require": {"mysql": {"min": 2}}}),
        json!({"secrets": {"PASSWORD": {"from": "other"}}}),
        json!({"secrets": {"MORE": {"from": "db", "as": "file", "liveupdate": live_update()}}}),
        json!({"logs": [{"path": "/log", "type": "log"}]}),
        json!({"quiesce": {"command": ["/flush"], "release": null}}),
        json!({"restart": "never"}),
    ] {
        let change = if change["require"]["mysql"]["method"].get("static").is_some() {
            // A merge would leave both methods side by side.
            let mut with = base();
            with["require"]["mysql"]["method"] = change["require"]["mysql"]["method"].clone();
            assert_eq!(classify(&role("web", &base()), &role("web", &with)), ChangeKind::Live);
            continue;
        } else {
            change
        };
        assert_eq!(kind(&change), ChangeKind::Live, "{change}");
    }
}

#[test]
fn words_and_places_ask_for_nothing() {
    for change in [
        json!({"replicas": 3}),
        json!({"provide": {"http": {"description": "the site"}}}),
        json!({"placement": {"host": "h1"}}),
        json!({"on_host_loss": "elsewhere"}),
        json!({"volumes": {"data": {"owner": "www-data", "mode": 448}}}),
    ] {
        assert_eq!(kind(&change), ChangeKind::None, "{change}");
    }
    let mut titled = role("web", &base());
    titled.image.title = Some("Web".to_owned());
    titled.spec_digest = "other".to_owned();
    assert_eq!(classify(&role("web", &base()), &titled), ChangeKind::None);
}

#[test]
fn a_container_is_replaced_start_first_unless_both_need_the_same() {
    let plain = |with: Value| role("web", &with);
    let free = plain(json!({"provide": {"http": provide(80)}}));
    assert_eq!(replace_strategy(&free, &free), Strategy::StartFirst);

    let single = plain(json!({"volumes": {"data": volume("/data")}}));
    assert_eq!(replace_strategy(&single, &single), Strategy::StopFirst(Obstacle::Volume("data".to_owned())));
    assert_eq!(replace_strategy(&free, &single), Strategy::StartFirst, "the old one does not hold it");

    let port = |port: u16| {
        let mut http = provide(80);
        http["publish"]["port"] = json!(port);
        plain(json!({"provide": {"http": http}}))
    };
    assert_eq!(replace_strategy(&port(8080), &port(8080)), Strategy::StopFirst(Obstacle::Port(8080)));
    assert_eq!(replace_strategy(&port(8080), &port(8081)), Strategy::StartFirst);

    let host = plain(json!({"network": {"method": "host"}}));
    assert_eq!(replace_strategy(&free, &host), Strategy::StopFirst(Obstacle::Network("host".to_owned())));

    let mut shared = volume("/data");
    shared["access"] = json!("shared");
    let shared = plain(json!({"volumes": {"data": shared}}));
    assert_eq!(replace_strategy(&shared, &shared), Strategy::StartFirst);
}
