//! `shell`: the source's scripts, in order.

use super::environment::{export, parameters, quote};
use super::{Error, PLACE, Script, inside};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) const RECIPE_VERSION: u32 = 1;

pub(super) fn script(
    given: &Map<String, Value>,
    scripts: &[String],
    proxies: &BTreeMap<String, String>,
) -> Result<Script, Error> {
    let mut run = include_str!("common.sh").to_owned();
    for (name, value) in proxies.iter().chain(&parameters(given)?) {
        run.push_str(&export(name, value));
    }
    run.push_str(&export("SCS_PARAMETERS", &format!("{PLACE}/parameters.json")));
    run.push_str(&export("SCS_SOURCE", &format!("{PLACE}/source")));
    let mut needs = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        let script = inside(script)?;
        let name = quote(&script);
        let _ = writeln!(run, "step '{}/{}: '{name}", index + 1, scripts.len());
        // Each from the source's root, whatever the one before did.
        let _ = writeln!(run, "cd \"$SCS_SOURCE\"");
        let _ = writeln!(run, "if [ -x ./{name} ]; then ./{name}; else /bin/sh ./{name}; fi");
        needs.push((script, "config.scripts".to_owned()));
    }
    run.push_str("finish\n");
    let json = serde_json::to_string_pretty(given).expect("a JSON object is JSON");
    let files = BTreeMap::from([("run".to_owned(), run), ("parameters.json".to_owned(), json + "\n")]);
    Ok(Script { files, needs })
}
