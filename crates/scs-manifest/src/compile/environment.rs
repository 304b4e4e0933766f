//! The environment of a container: parameters and the caller's variables filled in, the other templates checked.

use super::Context;
use crate::deployment::{Container, Variable};
use crate::diagnostic::{Diagnostic, listed, suggest};
use crate::image::Manifest;
use crate::reader::Reader;
use crate::source::Span;
use crate::template::{self, Part};
use indexmap::IndexMap;
use serde_json::{Map, Value};

pub(super) fn compile(
    container: &Container,
    manifest: &Manifest,
    parameters: Option<&Map<String, Value>>,
    context: &Context<'_>,
    reader: &mut Reader,
) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    for (name, variable) in &container.environment {
        let value = match &variable.value {
            Variable::Text(text) => filled(text, &variable.span, manifest, parameters, reader),
            Variable::FromEnv { name, default } => {
                let value = (context.request.caller_env)(name).or_else(|| default.clone());
                if value.is_none() {
                    let finding =
                        Diagnostic::error(&variable.span, format!("the environment variable `{name}` is not set"));
                    reader.push(finding.help(format!("set it, or give a default: `{{from_env: {name}, default: …}}`")));
                }
                // What comes from outside is text, never a template.
                value.map(|value| template::escape(&value))
            }
        };
        if container.secrets.get(name).is_some_and(|secret| secret.value.r#as == crate::compiled::SecretAs::Environment)
        {
            let finding = Diagnostic::error(&variable.span, format!("`{name}` is a secret of this role too"));
            reader.push(finding.related(&container.secrets[name].span, "given here"));
        }
        variables.extend(value.map(|value| (name.clone(), value)));
    }
    variables
}

fn filled(
    text: &str,
    span: &Span,
    manifest: &Manifest,
    parameters: Option<&Map<String, Value>>,
    reader: &mut Reader,
) -> Option<String> {
    let parts = match template::parse(text) {
        Ok(parts) => parts,
        Err(error) => {
            let finding = Diagnostic::error(span, error.to_string());
            reader.push(finding.help(r#"two braces that mean themselves are written {{ "{{" }}"#));
            return None;
        }
    };
    let mut fine = true;
    for part in &parts {
        if let Part::Name { name, .. } = part
            && let Err(finding) = check(name, span, manifest, parameters)
        {
            reader.push(*finding);
            fine = false;
        }
    }
    let parameters = parameters?;
    let lookup = |name: &str| parameter(name, parameters).and_then(shown);
    fine.then(|| template::render_known(text, &lookup).ok()).flatten()
}

fn check(
    name: &str,
    span: &Span,
    manifest: &Manifest,
    parameters: Option<&Map<String, Value>>,
) -> Result<(), Box<Diagnostic>> {
    let error =
        |message: String, help: Option<String>| Err(Box::new(Diagnostic::error(span, message).maybe_help(help)));
    let (head, rest) = name.split_once('.').unwrap_or((name, ""));
    let connection = match head {
        "require" => Some((
            "require",
            manifest.require.keys().map(String::as_str).collect::<Vec<_>>(),
            &["host", "port", "address"][..],
        )),
        "provide" => Some(("provide", manifest.provide.keys().map(String::as_str).collect(), &["address"][..])),
        _ => None,
    };
    let Some((kind, declared, fields)) = connection else {
        let Some(parameters) = parameters else { return Ok(()) };
        return match parameter(name, parameters) {
            Some(value) if shown(value).is_some() => Ok(()),
            Some(_) => error(format!("the parameter `{name}` is not a single value"), None),
            None => {
                let help = suggest(name, parameters.keys().map(String::as_str));
                let rules = "known are the parameters, require.NAME.host|port|address and provide.NAME.address";
                error(
                    format!("`{{{{ {name} }}}}` names no parameter of the image"),
                    help.or_else(|| Some(rules.to_owned())),
                )
            }
        };
    };
    let (connected, field) = rest.rsplit_once('.').unwrap_or((rest, ""));
    if !declared.contains(&connected) {
        let help =
            suggest(connected, declared.iter().copied()).or_else(|| Some(format!("it declares {}", listed(declared))));
        return error(format!("`{{{{ {name} }}}}`: the image has no `{connected}` under `{kind}`"), help);
    }
    if !fields.contains(&field) {
        return error(
            format!("`{{{{ {name} }}}}` is not known"),
            Some(format!(
                "write {}",
                fields.iter().map(|field| format!("{kind}.{connected}.{field}")).collect::<Vec<_>>().join(", ")
            )),
        );
    }
    Ok(())
}

/// A parameter by its dotted name.
fn parameter<'a>(name: &str, parameters: &'a Map<String, Value>) -> Option<&'a Value> {
    let mut parts = name.split('.');
    let first = parameters.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// A single value as text.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
