//! The merged manifest with its places.

use super::{show, to_json};
use crate::merge::load;
use crate::source::File;

fn tree() -> crate::tree::Node {
    let base = File::new(
        "deployment.yaml",
        "service: blog\na:\n  b: [x, 1]\n  c: 'no'\n  d: 0750\nl: [{x: 1}, {y: [2]}]\ne: {}\n",
    );
    let overlay = File::new("deployment.prod.yaml", "a:\n  c: yes\n  \"f: g\": |\n    two\n    lines\n");
    load(&[base, overlay]).expect("fine files").root
}

#[test]
fn each_value_says_where_it_came_from() {
    insta::assert_snapshot!(show(&tree()), @r#"
    service: blog             # deployment.yaml:1
    a:
      b: [x, 1]               # deployment.yaml:3
      c: yes                  # deployment.prod.yaml:2
      d: 0750                 # deployment.yaml:5
      "f: g": "two\nlines\n"  # deployment.prod.yaml:4
    l:
      - x: 1                  # deployment.yaml:6
      - y: [2]                # deployment.yaml:6
    e: {}                     # deployment.yaml:7
    "#);
}

#[test]
fn the_json_form_has_the_places_beside_the_values() {
    let json = to_json(&tree());
    assert_eq!(
        json["map"]["a"]["map"]["c"],
        serde_json::json!({"value": "yes", "file": "deployment.prod.yaml", "line": 2})
    );
    assert_eq!(json["map"]["a"]["map"]["b"]["list"][1]["value"], 1);
}
