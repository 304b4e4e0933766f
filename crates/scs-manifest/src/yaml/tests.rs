//! Values, places and bounds of parsed YAML.

use super::parse;
use crate::diagnostic::Diagnostic;
use crate::source::File;
use crate::tree::Node;
use serde_json::{Value, json};

fn parsed(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let node = parse(&File::new("x.yaml", text), &mut found);
    (node, found)
}

fn value(text: &str) -> Value {
    let (node, found) = parsed(text);
    assert!(found.is_empty(), "{text}: {found:?}");
    node.expect("a tree").to_json()
}

#[test]
fn scalars_are_typed_by_the_core_schema_of_yaml_1_2() {
    let cases = [
        ("no", json!("no")),
        ("yes", json!("yes")),
        ("on", json!("on")),
        ("true", json!(true)),
        ("False", json!(false)),
        ("~", json!(null)),
        ("null", json!(null)),
        ("'null'", json!("null")),
        ("12", json!(12)),
        ("-12", json!(-12)),
        ("+12", json!(12)),
        ("0750", json!(750)),
        ("0o750", json!(0o750)),
        ("0x1F", json!(31)),
        ("-0x1F", json!("-0x1F")),
        ("1_000", json!("1_000")),
        ("1.5", json!(1.5)),
        ("1.", json!(1.0)),
        (".5", json!(0.5)),
        ("1e3", json!(1000.0)),
        ("-1.5E-2", json!(-0.015)),
        ("e3", json!("e3")),
        (".", json!(".")),
        ("1.2.3", json!("1.2.3")),
        ("12:30", json!("12:30")),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        (".inf", json!(".inf")),
        (".nan", json!(".nan")),
        ("1e999", json!("1e999")),
        ("2026-01-31", json!("2026-01-31")),
        ("!!str 12", json!("12")),
        ("!!int 12", json!(12)),
        ("|\n  two\n  lines\n", json!("two\nlines\n")),
        (">-\n  two\n  lines\n", json!("two lines")),
        ("\"\\u00e9\\n\"", json!("é\n")),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn scalars_keep_what_was_written() {
    let (node, _) = parsed("0750");
    let node = node.expect("a tree");
    assert!(matches!(&node.value, crate::tree::Value::Scalar(scalar) if scalar.text == "0750"));
}

#[test]
fn keys_and_values_know_their_place() {
    let text = "a: 1\nbé:\n  - x\n  - {c: \"d\"}\n";
    let (node, _) = parsed(text);
    let node = node.expect("a tree");
    let entry = &node.map().expect("a map")["bé"];
    let shown = |span: &crate::source::Span| (&text[span.start..span.end], span.line, span.column);
    assert_eq!(shown(&entry.key), ("bé", 2, 1));
    let crate::tree::Value::List(items) = &entry.node.value else { panic!("{entry:?}") };
    assert_eq!(shown(&items[0].span), ("x", 3, 5));
    assert_eq!(shown(&items[1].span), ("{c: \"d\"}", 4, 5));
    assert_eq!(shown(&items[1].get("c").expect("c").span), ("\"d\"", 4, 9));
}

#[test]
fn aliases_and_merge_keys_repeat_what_they_name() {
    let text = "a: &a {x: 1, y: {z: 2}}\nb: *a\nc: {<<: *a, x: 3}\nd: {<<: [{x: 4}, *a], w: 5}\n\"<<\": 6\n";
    assert_eq!(
        value(text),
        json!({"a": {"x": 1, "y": {"z": 2}}, "b": {"x": 1, "y": {"z": 2}}, "c": {"x": 3, "y": {"z": 2}},
               "d": {"w": 5, "x": 4, "y": {"z": 2}}, "<<": 6})
    );
}

#[test]
fn what_an_alias_repeats_stands_where_it_was_written() {
    let (node, _) = parsed("a: &a {x: 1}\nb: *a\n");
    let node = node.expect("a tree");
    let b = node.get("b").expect("b");
    assert_eq!((b.span.line, b.get("x").expect("x").span.line), (2, 1));
}

#[test]
fn an_anchor_may_be_given_anew() {
    assert_eq!(value("a: &x 1\nb: *x\nc: &x 2\nd: *x\n"), json!({"a": 1, "b": 1, "c": 2, "d": 2}));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let cases = [
        ("a: 1\na: 2\n", "x.yaml:2:1: `a` is given twice"),
        ("a: !!int x", "x.yaml:1:10: `x` is not what the tag !!int says"),
        ("a: !thing x", "x.yaml:1:11: `x` is not what the tag !thing says"),
        ("a: !thing [x]", "x.yaml:1:11: the tag !thing means nothing here"),
        ("<<: 1", "x.yaml:1:5: `<<` takes a map or a list of maps"),
        ("[a]: b", "x.yaml:1:1: a key is plain text, not a list or a map (a value that holds `{{ … }}` needs quotes)"),
    ];
    for (text, expected) in cases {
        let (_, found) = parsed(text);
        let first = found.first().map(ToString::to_string);
        assert_eq!(first.as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_repeated_key_does_not_hide_what_else_is_wrong() {
    let (node, found) = parsed("a: 1\na: 2\nb: 3\nb: 4\n");
    assert_eq!((node.is_some(), found.len()), (true, 2));
}

#[test]
fn a_file_at_the_bounds_is_read_and_one_beyond_is_not() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parsed(&deep(super::MAX_DEPTH)).0.is_some());
    assert!(parsed(&deep(super::MAX_DEPTH + 1)).0.is_none());
    // The list itself is a value too.
    let wide = |n: usize| format!("[{}]", "a,".repeat(n - 1));
    assert!(parsed(&wide(super::MAX_NODES)).0.is_some());
    assert!(parsed(&wide(super::MAX_NODES + 1)).0.is_none());
    let nested = format!("a: &a {}\nb: {}*a{}\n", deep(40), "[".repeat(40), "]".repeat(40));
    assert!(parsed(&nested).0.is_none(), "depth through an alias");
    let long = |n: usize| format!("a{}", " ".repeat(n - 1));
    assert!(parsed(&long(super::MAX_BYTES)).0.is_some());
    assert!(parsed(&long(super::MAX_BYTES + 1)).0.is_none());
}
