//! Templates.

use super::{Error, escape, render, render_known};

fn lookup(name: &str) -> Option<String> {
    match name {
        "require.mysql.host" => Some("192.0.2.7".to_owned()),
        "provide.http-alt.address" => Some("{{ sly }}".to_owned()),
        "http_host" => Some("blog.example".to_owned()),
        _ => None,
    }
}

#[test]
fn names_are_filled_in() {
    let cases = [
        ("", ""),
        ("plain } text {", "plain } text {"),
        ("{{ require.mysql.host }}", "192.0.2.7"),
        ("{{require.mysql.host}}:{{ http_host}}!", "192.0.2.7:blog.example!"),
        ("a {{ \"{{\" }} b {{ '}}' }}", "a {{ b }}"),
        // What comes in is text, not a template again.
        ("{{ provide.http-alt.address }}", "{{ sly }}"),
        ("é{{ http_host }}é", "éblog.exampleé"),
    ];
    for (text, expected) in cases {
        assert_eq!(render(text, &lookup).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_rendered_says_why() {
    let said = |text: &str| render(text, &lookup).expect_err("wrong").to_string();
    assert_eq!(said("{{ nobody }}"), "`nobody` is not known");
    assert_eq!(said("x {{ open"), "`{{ open` has no closing `}}`");
    assert_eq!(said("{{ \"open }}"), "`{{ \"open }}` has no closing `}}`");
    assert_eq!(said("{{ a + b }}"), "`a + b` is no expression: write a name such as require.mysql.host");
    assert_eq!(said("{{}}"), "`` is no expression: write a name such as require.mysql.host");
    assert_eq!(said("{{ \"a\" b }}"), "`\"a\"` is no expression: write a name such as require.mysql.host");
    assert_eq!(render("{{ a..b }}", &lookup), Err(Error::Syntax { text: "a..b".to_owned(), at: 0 }));
}

#[test]
fn names_that_are_not_known_yet_stay() {
    let rendered = render_known("{{ http_host }}/{{ later }}/{{ \"{{\" }}", &lookup).expect("a template");
    assert_eq!(rendered, r#"blog.example/{{ later }}/{{ "{{" }}"#);
}

#[test]
fn what_is_filled_in_cannot_open_a_template_with_its_neighbor() {
    let brace = |name: &str| (name == "x").then(|| "{".to_owned());
    let rendered = render_known("{{ x }}{{ x }} y }}{{ x }}{{ later }}", &brace).expect("a template");
    let whole = render(&rendered, &|name| (name == "later").then(|| "L".to_owned())).expect("a template");
    assert_eq!(whole, "{{ y }}{L");
    assert_eq!(escape("{{{"), r#"{{ "{{" }}{{ "{" }}"#);
}
