//! Environment variables of a build.

use super::Error;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The proxy variables to hand to builds, out of our own environment (`lookup`). One that listens on this machine's
/// loopback is left out: a container would look for it on its own.
pub fn proxies(lookup: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let mut proxies = BTreeMap::new();
    for name in ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"] {
        let found = lookup(name).or_else(|| lookup(&name.to_uppercase()));
        if let Some(value) = found.filter(|value| !value.is_empty() && (name == "no_proxy" || !on_loopback(value))) {
            proxies.insert(name.to_uppercase(), value.clone());
            proxies.insert(name.to_owned(), value);
        }
    }
    proxies
}

fn on_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]")
}

/// A value as a variable holds it: texts as they are, everything else as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Parameters as `SCS_PARAM_<NAME>`, the name in capitals and `_` for whatever a variable's name cannot hold.
pub(super) fn parameters(parameters: &Map<String, Value>) -> Result<BTreeMap<String, String>, Error> {
    let mut variables: BTreeMap<String, (String, &str)> = BTreeMap::new();
    for (name, value) in parameters {
        let bad = |message: String| Error::Parameter { name: name.clone(), message };
        let upper = name.to_uppercase();
        let plain: String = upper.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
        let variable = format!("SCS_PARAM_{plain}");
        let value = text(value);
        if value.contains('\0') {
            return Err(bad("holds a NUL character, which no environment variable can".to_owned()));
        }
        if let Some((_, other)) = variables.insert(variable.clone(), (value, name)) {
            return Err(bad(format!("would be the variable {variable}, as `{other}` is; rename one of them")));
        }
    }
    Ok(variables.into_iter().map(|(variable, (value, _))| (variable, value)).collect())
}

/// A line of shell that sets and exports a variable.
pub(super) fn export(name: &str, value: &str) -> String {
    format!("export {name}={}\n", quote(value))
}

/// A text as one word of shell.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
