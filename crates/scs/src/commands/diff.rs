//! `scs diff`: what one environment does differently from another, as the manifests say.

use super::{Context, Outcome};
use crate::cli::manifest::Diff;
use crate::cli::target::{Format, Manifests};
use crate::contexts::LOCAL;
use crate::exit::{Exit, Failure};
use crate::load::{self, Loaded};
use crate::output::{plan, text};
use crate::settings::Settings;
use scs_plan::plan::differences;
use serde_json::json;

/// Runs it.
pub fn run(context: &Context, args: &Diff) -> Outcome {
    let [first, second] = args.env.as_slice() else {
        return Err(Failure::usage("which two environments?").hint("`scs diff --env dev --env prod`"));
    };
    // Manifests alone are read: no server is asked, and none may refuse an environment.
    let settings = Settings { context: Some(LOCAL.to_owned()), ..context.settings.clone() };
    let alone = Context { settings, printer: context.printer };
    let of = |env: &String| load::load(&alone, &Manifests { env: Some(env.clone()), file: args.file.clone() });
    let (one, other) = (of(first)?, of(second)?);
    let names: Vec<&String> = one.deployment.roles.keys().collect();
    let added = other.deployment.roles.keys().filter(|name| !one.deployment.roles.contains_key(*name));
    let names: Vec<&String> = names.into_iter().chain(added).collect();
    if args.output.output == Format::Json {
        context.printer.json(&names.iter().map(|name| entry(name, &one, &other)).collect::<Vec<_>>())?;
        return Ok(Exit::DONE);
    }
    for name in names {
        for line in lines(name, first, &one, second, &other) {
            context.printer.line(line)?;
        }
    }
    Ok(Exit::DONE)
}

fn lines(name: &str, first: &str, one: &Loaded, second: &str, other: &Loaded) -> Vec<String> {
    let (old, new) = match (one.deployment.roles.get(name), other.deployment.roles.get(name)) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return vec![format!("{name}  only in {first}")],
        _ => return vec![format!("{name}  only in {second}")],
    };
    let images = if old.image_digest == new.image_digest {
        format!("the same image {}", text::short(&old.image_digest))
    } else {
        format!("image {} → {}", text::short(&old.image_digest), text::short(&new.image_digest))
    };
    let mut lines = vec![format!("{name}  {images}")];
    let changes = differences(old, new);
    lines.extend(changes.iter().map(|change| format!("  {}", plan::difference(change))));
    if changes.is_empty() {
        lines.push("  connected in the same way".to_owned());
    }
    lines
}

fn entry(name: &str, one: &Loaded, other: &Loaded) -> serde_json::Value {
    let (old, new) = (one.deployment.roles.get(name), other.deployment.roles.get(name));
    json!({
        "role": name,
        "image_digests": [old.map(|it| &it.image_digest), new.map(|it| &it.image_digest)],
        "spec_digests": [old.map(|it| &it.spec_digest), new.map(|it| &it.spec_digest)],
        "differences": old.zip(new).map(|(old, new)| differences(old, new)).unwrap_or_default(),
    })
}
