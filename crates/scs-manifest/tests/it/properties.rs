//! Whatever the text: an answer, never a panic.

use crate::support::{DEPLOYMENT, PROD, WORDPRESS, World};
use proptest::prelude::*;
use scs_manifest::{File, image, load, merge, render, show, template};

/// Arbitrary text, text of YAML's own signs, and the samples with something broken in them.
fn texts() -> impl Strategy<Value = String> {
    let signs = proptest::collection::vec(
        prop_oneof![
            Just("a"),
            Just(":"),
            Just(": "),
            Just("\n"),
            Just("  "),
            Just("- "),
            Just("["),
            Just("]"),
            Just("{"),
            Just("}"),
            Just("&a "),
            Just("*a"),
            Just("<<: "),
            Just("!!int "),
            Just("|\n"),
            Just(">-\n"),
            Just("\""),
            Just("'"),
            Just("#"),
            Just("é"),
            Just("\t"),
            Just("---\n"),
            Just("..."),
            Just("%YAML 1.2\n"),
            Just("? "),
            Just("0x"),
            Just(".inf"),
            Just("1e999"),
            Just("{{"),
            Just("\u{feff}"),
        ],
        0..60,
    );
    let sample = prop_oneof![Just(DEPLOYMENT), Just(PROD), Just(WORDPRESS)];
    let broken = (sample, any::<prop::sample::Index>(), any::<prop::sample::Index>(), "\\PC{0,8}").prop_map(
        |(text, a, b, new)| {
            let chars: Vec<char> = text.chars().collect();
            let (from, to) = (a.index(chars.len()), b.index(chars.len()));
            let to = from.max(to.min(from + 30));
            chars[..from].iter().copied().chain(new.chars()).chain(chars[to..].iter().copied()).collect()
        },
    );
    prop_oneof![any::<String>(), signs.prop_map(|signs| signs.concat()), broken]
}

/// Like [`texts`], but such as parse more often than not: JSON is YAML.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[a-z0-9:#&*!|>'%@`{}\\[\\], -]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("[a-zA-Z0-9:#. -]{0,6}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(text in texts()) {
        let world = World::new(&text);
        let _ = world.found();
        let world = World::new(DEPLOYMENT).overlay("deployment.prod.yaml", &text).image("images/wordpress", &text);
        let _ = world.found();
        let file = File::new("image.yaml", text.clone());
        if let Err(found) = image::parse(&file) {
            prop_assert!(!found.is_empty());
            let _ = render(&found, &[file], true);
        }
        let _ = template::render(&text, &|name| Some(name.to_owned()));
    }

    #[test]
    fn what_config_shows_reads_back_as_the_same(value in json()) {
        let text = serde_json::json!({"x": value}).to_string();
        let tree = load(&[File::new("a: b\n.yaml", text)]).expect("JSON is YAML");
        let shown = show::show(&tree.root);
        let again = load(&[File::new("shown.yaml", shown.clone())]);
        let again = again.unwrap_or_else(|found| panic!("{}\n{shown}", found[0]));
        prop_assert_eq!(again.root.to_json(), tree.root.to_json(), "{}", shown);
    }

    #[test]
    fn an_overlay_of_itself_changes_nothing(value in json()) {
        let file = File::new("x.yaml", serde_json::json!({"x": value}).to_string());
        let alone = load(std::slice::from_ref(&file)).expect("JSON is YAML");
        let twice = load(&[file.clone(), file]).expect("JSON is YAML");
        // But for nulls, which remove.
        if !alone.root.to_json().to_string().contains("null") {
            prop_assert_eq!(twice.root.to_json(), alone.root.to_json());
        }
    }

    #[test]
    fn escaped_text_renders_to_itself(text in "[{}\"' a-z.]{0,20}", value in "[{}\"' a-z.]{0,20}") {
        let nobody = |_: &str| None;
        prop_assert_eq!(template::render(&template::escape(&text), &nobody).expect("escaped"), text.as_str());
        let around = format!("{}{{{{ later }}}}{}{{{{ x }}}}", template::escape(&text), template::escape(&text));
        let partly = template::render_known(&around, &|name| (name == "x").then(|| value.clone())).expect("a template");
        let whole = template::render(&partly, &|name| (name == "later").then(|| "L".to_owned())).expect("a template");
        prop_assert_eq!(whole, format!("{text}L{text}{value}"));
    }

    #[test]
    fn overlay_names_keep_the_extension(stem in "[a-z/.]{0,10}", environment in "[a-z]{1,5}") {
        let name = merge::overlay_name(&format!("{stem}x.yaml"), &environment);
        prop_assert_eq!(name, format!("{stem}x.{environment}.yaml"));
    }
}
