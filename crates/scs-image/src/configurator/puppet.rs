//! `puppet`: one `puppet apply` of class `scs`, with Puppet installed before it and removed after it.

use super::environment::export;
use super::{Error, Script};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) const RECIPE_VERSION: u32 = 1;

pub(super) fn script(
    parameters: &Map<String, Value>,
    resources: &Map<String, Value>,
    proxies: &BTreeMap<String, String>,
) -> Result<Script, Error> {
    let mut run = include_str!("common.sh").to_owned();
    for (name, value) in proxies {
        run.push_str(&export(name, value));
    }
    run.push_str(include_str!("puppet/run.sh"));
    let data = serde_json::to_string_pretty(&data(parameters, &whole(resources)?)).expect("a JSON object is JSON");
    let files = [
        ("run", run.as_str()),
        ("puppet/data/scs.json", &data),
        ("puppet/hiera.yaml", include_str!("puppet/hiera.yaml")),
        ("puppet/site.pp", include_str!("puppet/site.pp")),
        (
            "puppet/modules/scs_build/lib/puppet/functions/scs_build/parameters_of.rb",
            include_str!("puppet/parameters_of.rb"),
        ),
        ("puppet/modules/scs_build/lib/puppet/provider/service/scs_build.rb", include_str!("puppet/service.rb")),
        ("puppet/modules/scs_build/lib/puppet/type/scs_build_packages.rb", include_str!("puppet/packages.rb")),
    ];
    let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    let needs = vec![("puppet/scs/manifests/init.pp".to_owned(), "the configuration method `puppet`".to_owned())];
    Ok(Script { files, needs })
}

/// `resources` with every level there: `KIND: {NAME: }` means no parameters.
fn whole(resources: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let mut kinds = Map::new();
    for (kind, instances) in resources {
        let Value::Object(instances) = instances else { return Err(Error::Resources { place: kind.clone() }) };
        let mut made = Map::new();
        for (name, parameters) in instances {
            let parameters = match parameters {
                Value::Null => json!({}),
                Value::Object(_) => parameters.clone(),
                _ => return Err(Error::Resources { place: format!("{kind}.{name}") }),
            };
            made.insert(name.clone(), parameters);
        }
        kinds.insert(kind.clone(), Value::Object(made));
    }
    Ok(kinds)
}

/// The Hiera data: typed values, so that nothing has to be quoted for Puppet's language.
fn data(parameters: &Map<String, Value>, resources: &Map<String, Value>) -> Value {
    let mut data = Map::new();
    for (name, value) in parameters {
        data.insert(format!("scs::{name}"), literal(value));
    }
    let names: Vec<&String> = parameters.keys().collect();
    data.insert("scs_build::parameters".to_owned(), literal(&json!(names)));
    data.insert("scs_build::resources".to_owned(), literal(&Value::Object(resources.clone())));
    Value::Object(data)
}

/// The value that Hiera reads as the given one: it would replace what stands in `%{…}`, in keys too.
fn literal(value: &Value) -> Value {
    let text = |text: &str| text.replace("%{", "%{literal('%')}{");
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(items) => items.iter().map(literal).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (text(key), literal(value))).collect::<Map<_, _>>().into(),
        other => other.clone(),
    }
}
