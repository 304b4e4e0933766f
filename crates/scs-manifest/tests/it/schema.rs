//! The schemas say what the parser does: both are fed the same samples and the same mutations of them.

use crate::support::{DEPLOYMENT, MYSQL, WORDPRESS};
use scs_manifest::{File, deployment, image, load, schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const IMAGES: [&str; 5] = [
    WORDPRESS,
    MYSQL,
    include_str!("../samples/everything.image.yaml"),
    include_str!("../samples/shell.image.yaml"),
    include_str!("../samples/dockerfile.image.yaml"),
];
const DEPLOYMENTS: [&str; 5] = [
    DEPLOYMENT,
    include_str!("../samples/top.deployment.yaml"),
    include_str!("../samples/role.deployment.yaml"),
    include_str!("../samples/connections.deployment.yaml"),
    include_str!("../samples/volumes.deployment.yaml"),
];

fn parse_image(text: &str) -> Result<(), String> {
    let file = File::new("image.yaml", text);
    image::parse(&file).map(drop).map_err(|found| said(&found))
}

fn parse_deployment(text: &str) -> Result<(), String> {
    let file = File::new("deployment.yaml", text);
    let found = load(std::slice::from_ref(&file)).and_then(|tree| deployment::parse(&tree.root));
    found.map(drop).map_err(|found| said(&found))
}

fn said(found: &[scs_manifest::Diagnostic]) -> String {
    found.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The sample as JSON, which is YAML too.
fn as_json(text: &str) -> Value {
    load(&[File::new("sample.yaml", text)]).expect("a sample").root.to_json()
}

#[test]
fn parser_and_schema_accept_the_samples() {
    for (schema, samples, parse) in kinds() {
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for sample in samples {
            parse(sample).unwrap_or_else(|found| panic!("{found}"));
            let instance = as_json(sample);
            let errors: Vec<String> =
                validator.iter_errors(&instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }
}

type Kind = (Value, Vec<&'static str>, fn(&str) -> Result<(), String>);

fn kinds() -> [Kind; 2] {
    [(schema::image(), IMAGES.to_vec(), parse_image), (schema::deployment(), DEPLOYMENTS.to_vec(), parse_deployment)]
}

#[test]
fn the_samples_use_every_key_of_the_schemas() {
    let mut known = BTreeSet::new();
    let mut used = BTreeSet::new();
    for (schema, samples, _) in kinds() {
        keys_of_schema(&schema, &mut known);
        samples.iter().for_each(|sample| keys_of(&as_json(sample), &mut used));
    }
    let unused: Vec<&String> = known.difference(&used).collect();
    assert!(unused.is_empty(), "not in any sample: {unused:?}");
}

fn keys_of_schema(schema: &Value, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        keys.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|field| keys_of_schema(field, keys)),
        Value::Array(items) => items.iter().for_each(|item| keys_of_schema(item, keys)),
        _ => {}
    }
}

fn keys_of(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, field)| {
            keys.insert(key.clone());
            keys_of(field, keys);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys_of(item, keys)),
        _ => {}
    }
}

/// What no schema says, by a part of the parser's message: relations between values, and grammars beyond a pattern.
const BEYOND_SCHEMAS: [&str; 10] = [
    "cannot be checked by",
    "is above the hard limit",
    "cannot be given with the method `dockerfile`",
    "expected permission bits",
    "is no role of this manifest",
    "expected an address of the host",
    "expected `host:port`",
    "cannot be the name of an environment variable",
    "a command needs at least the program",
    "is no branch, tag or commit",
];

#[test]
fn parser_and_schema_agree_on_mutations_of_image_manifests() {
    // What the first two hold, the others hold too.
    check_mutations(&schema::image(), &IMAGES[2..], parse_image);
}

#[test]
fn parser_and_schema_agree_on_mutations_of_deployment_manifests() {
    check_mutations(&schema::deployment(), &DEPLOYMENTS[1..], parse_deployment);
}

fn check_mutations(schema: &Value, samples: &[&str], parse: fn(&str) -> Result<(), String>) {
    let mut disagreements = Vec::new();
    let mut n_checked = 0;
    let validator = jsonschema::validator_for(schema).expect("a schema");
    for sample in samples {
        for (what, mutation) in mutations(&as_json(sample)) {
            if depends_on_global(&what) {
                continue;
            }
            n_checked += 1;
            let parsed = parse(&mutation.to_string());
            let valid = validator.is_valid(&mutation);
            match parsed {
                Ok(()) if !valid => {
                    let errors: Vec<String> = validator.iter_errors(&mutation).map(|error| error.to_string()).collect();
                    disagreements.push(format!("only the parser accepts {what}: {errors:?}"));
                }
                Err(found) if valid && !BEYOND_SCHEMAS.iter().any(|known| found.contains(known)) => {
                    let first = found.lines().next().unwrap_or_default();
                    disagreements.push(format!("only the schema accepts {what}: {first}"));
                }
                _ => {}
            }
        }
    }
    assert!(n_checked > 2000, "only {n_checked} mutations");
    assert!(disagreements.is_empty(), "{} of {n_checked}:\n{}", disagreements.len(), disagreements.join("\n"));
}

/// What a connection leaves out may stand in `global`, where a schema does not look.
fn depends_on_global(what: &str) -> bool {
    let (place, change) = what.split_once(": ").unwrap_or((what, ""));
    let parts: Vec<&str> = place.split('/').skip(1).collect();
    let connection = match parts.as_slice() {
        ["containers", _, "volume" | "require" | "provide", _] | ["containers", _, "network"] => true,
        ["global", ..] => change == "with method",
        _ => false,
    };
    connection && (change.starts_with("without ") || ["{}", "null", "with method"].contains(&change))
}

/// The sample with one value replaced, one key removed or one key added, for every place in it.
fn mutations(sample: &Value) -> Vec<(String, Value)> {
    let replacements = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(70000),
        json!(""),
        json!("x"),
        json!("UPPER_CASE"),
        json!("30s"),
        json!("0s"),
        json!("1MiB"),
        json!("/absolute"),
        json!("two words"),
        json!([]),
        json!(["x"]),
        json!([[1]]),
        json!({}),
        json!({"x": "y"}),
        json!({"method": "local"}),
    ];
    let mut places = Vec::new();
    collect_places(sample, String::new(), &mut places);
    let mut all = Vec::new();
    for place in places {
        let mut change = |what: String, apply: &dyn Fn(&mut Value)| {
            let mut mutated = sample.clone();
            apply(mutated.pointer_mut(&place).expect("a place of this very value"));
            all.push((format!("{place}: {what}"), mutated));
        };
        for replacement in &replacements {
            change(replacement.to_string(), &|value| *value = replacement.clone());
        }
        let original = sample.pointer(&place).expect("a place of this very value");
        let Some(fields) = original.as_object() else { continue };
        let with = |value: &mut Value, key: &str, field: Value| {
            value.as_object_mut().unwrap_or(&mut Map::new()).insert(key.to_owned(), field);
        };
        change("with x-note".to_owned(), &|value| with(value, "x-note", json!({"any": "thing"})));
        change("with zzz".to_owned(), &|value| with(value, "zzz", json!(1)));
        change("with method".to_owned(), &|value| with(value, "method", json!("static")));
        for key in fields.keys() {
            change(format!("without {key}"), &|value| {
                value.as_object_mut().unwrap_or(&mut Map::new()).shift_remove(key);
            });
        }
    }
    all
}

fn collect_places(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect_places(field, format!("{place}/{key}"), places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_places(item, format!("{place}/{index}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

#[test]
fn every_key_is_described() {
    for (schema, _, _) in kinds() {
        let mut bare = Vec::new();
        undescribed(&schema, "", &mut bare);
        assert!(bare.is_empty(), "{bare:?}");
    }
}

fn undescribed(schema: &Value, path: &str, bare: &mut Vec<String>) {
    let Some(fields) = schema.as_object() else { return };
    for (key, value) in fields {
        match (key.as_str(), value) {
            // Rules repeat keys that are described where they are listed.
            ("allOf" | "if" | "then", _) => {}
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    let path = format!("{path}.{name}");
                    if property["description"].as_str().is_none_or(str::is_empty) {
                        bare.push(path.clone());
                    }
                    undescribed(property, &path, bare);
                }
            }
            (_, Value::Array(items)) => items.iter().for_each(|item| undescribed(item, path, bare)),
            _ => undescribed(value, path, bare),
        }
    }
}

#[test]
fn the_reference_names_every_key() {
    let reference = schema::reference();
    let mut known = BTreeSet::new();
    for (schema, _, _) in kinds() {
        keys_of_schema(&schema, &mut known);
    }
    let missing: Vec<&String> = known.iter().filter(|key| !reference.contains(&format!("| `{key}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    insta::assert_snapshot!(reference);
}
