//! Maps merge, scalars and lists replace, `null` removes.

use super::load;
use crate::source::File;
use crate::tree::Node;
use serde_json::{Value, json};

fn merged(files: &[&str]) -> Node {
    let files: Vec<File> = files.iter().enumerate().map(|(n, text)| File::new(format!("{n}.yaml"), *text)).collect();
    load(&files).expect("fine files").root
}

fn check(files: &[&str], expected: &Value) {
    assert_eq!(merged(files).to_json(), *expected, "{files:?}");
}

#[test]
fn maps_merge_and_the_rest_replaces() {
    check(&["a: {x: 1, y: 2}", "a: {y: 3, z: 4}"], &json!({"a": {"x": 1, "y": 3, "z": 4}}));
    check(&["a: [1, 2]", "a: [3]"], &json!({"a": [3]}));
    check(&["a: {x: 1}", "a: text"], &json!({"a": "text"}));
    check(&["a: text", "a: {x: 1}"], &json!({"a": {"x": 1}}));
    check(&["a: 1", "b: 2", "a: 3"], &json!({"a": 3, "b": 2}));
}

#[test]
fn null_removes_what_is_below_and_is_nothing_where_nothing_is() {
    check(&["a: {x: 1, y: 2}", "a: {x: null}"], &json!({"a": {"y": 2}}));
    check(&["a: 1", "b: null"], &json!({"a": 1}));
    check(&["a: 1", "b: {c: ~, d: 2}"], &json!({"a": 1, "b": {"d": 2}}));
    check(&["a: {x: 1}", "a: null", "a: {y: 2}"], &json!({"a": {"y": 2}}));
    // In the base it is a value like others.
    check(&["a: null"], &json!({"a": null}));
}

#[test]
fn what_a_role_takes_back_from_its_image_stays_said() {
    let taken = json!({"containers": {"web": {"provide": {"http": null}}}});
    let base = "containers: {web: {provide: {http: {publish: {port: 80}}}}}";
    let overlay = "containers: {web: {provide: {http: null}}}";
    check(&[base, overlay], &taken);
    check(&["containers: {web: {}}", overlay], &taken);
    check(
        &[overlay, "containers: {web: {provide: {http: {method: static}}}}"],
        &json!({
            "containers": {"web": {"provide": {"http": {"method": "static"}}}}
        }),
    );
    // Left empty it goes back to what the image and `global` say.
    check(&[base, "containers: {web: {provide: {http: }}}"], &json!({"containers": {"web": {"provide": {}}}}));
    // A parameter of that name is a parameter.
    let config = "containers: {web: {image: {config: {provide: {http: null}}}}}";
    check(&["{}", config], &json!({"containers": {"web": {"image": {"config": {"provide": {}}}}}}));
}

#[test]
fn every_value_keeps_the_file_and_line_it_came_from() {
    let root = merged(&["a:\n  x: 1\n  y: 2\n", "a:\n  y: 3\n  z: 4\n"]);
    let place = |key: &str| root.get("a").and_then(|a| a.get(key)).expect("there").span.to_string();
    assert_eq!([place("x"), place("y"), place("z")], ["0.yaml:2:6", "1.yaml:2:6", "1.yaml:3:6"]);
}

#[test]
fn the_order_of_the_base_stays() {
    let root = merged(&["c: 1\nb: 2\na: 3\n", "a: 4\nd: 5\nc: 6\n"]);
    let keys: Vec<&String> = root.map().expect("a map").keys().collect();
    assert_eq!(keys, ["c", "b", "a", "d"]);
}

#[test]
fn the_overlay_of_an_environment_has_its_name_before_the_extension() {
    assert_eq!(super::overlay_name("deployment.yaml", "prod"), "deployment.prod.yaml");
    assert_eq!(super::overlay_name("a.b/deployment", "prod"), "a.b/deployment.prod");
}
