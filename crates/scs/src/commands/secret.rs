//! `scs secret`: lists, sets and rotates. Values come from standard input or a file, never from the command line, which others can read.

use super::{Context, Outcome, change};
use crate::cli::target::Format;
use crate::cli::things::{SecretList, SecretName, SecretSet};
use crate::exit::{Exit, Failure};
use crate::load::secret_value;
use crate::output::{say, table, text};
use crate::paths;
use hyper::Method;
use scs_api::secret::{RotateSecret, SecretInfo, SecretValue, SetSecret};
use std::io::{IsTerminal as _, Read as _};
use std::time::SystemTime;

/// Lists them.
pub async fn list(context: &Context, args: &SecretList) -> Outcome {
    let (environment, service) = context.service(&args.target)?;
    let client = context.running_server().await?;
    let secrets: Vec<SecretInfo> = client.get(&paths::service(&environment, &service, "secrets")).await?;
    if args.output.output == Format::Json {
        context.printer.json(&secrets)?;
        return Ok(Exit::DONE);
    }
    if secrets.is_empty() {
        context.printer.note(format!("{environment}/{service} has no secrets"));
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["NAME", "SOURCE", "CHANGED", "USED BY"]);
    for secret in &secrets {
        let changed = format!("{} ago", text::age(secret.changed, SystemTime::now()));
        rows.add_row([secret.name.clone(), secret.source.clone(), changed, secret.used_by.join(", ")]);
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}

/// Gives one a value.
pub async fn set(context: &Context, args: &SecretSet) -> Outcome {
    let (environment, service) = context.service(&args.target)?;
    let unread = |why: String| {
        Failure::usage(format!("the value of `{}` cannot be read: {why}", args.name))
            .hint("give it on standard input (`printf %s VALUE | scs secret set NAME`) or with `--from FILE`")
    };
    let bytes = match &args.from {
        Some(path) => std::fs::read(path).map_err(|error| unread(format!("{}: {error}", path.display())))?,
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                typed(&args.name).map_err(|error| unread(error.to_string()))?
            } else {
                let mut bytes = Vec::new();
                stdin.lock().read_to_end(&mut bytes).map_err(|error| unread(error.to_string()))?;
                bytes
            }
        }
    };
    let caller = context.caller(&args.target, args.take_over)?;
    let value = SecretValue::new(secret_value(bytes).map_err(unread)?);
    let (client, _) = context.server().await?;
    let path = paths::service(&environment, &service, &format!("secrets/{}", paths::escape(&args.name)));
    let heading = format!("Setting {}", args.name);
    change::follow_as(context, &client, Method::PUT, &path, Some(&SetSecret { value, caller }), &heading).await?;
    context.printer.note(format!("{} has its new value wherever it is used", args.name));
    Ok(Exit::DONE)
}

/// Generates a new value.
pub async fn rotate(context: &Context, args: &SecretName) -> Outcome {
    let (environment, service) = context.service(&args.target)?;
    let caller = context.caller(&args.target, args.take_over)?;
    let (client, _) = context.server().await?;
    let path = paths::service(&environment, &service, &format!("secrets/{}/rotate", paths::escape(&args.name)));
    let heading = format!("Rotating {}", args.name);
    change::follow_as(context, &client, Method::POST, &path, Some(&RotateSecret { caller }), &heading).await?;
    context.printer.note(format!("{} has a new value wherever it is used", args.name));
    Ok(Exit::DONE)
}

/// A line typed without being shown.
fn typed(name: &str) -> std::io::Result<Vec<u8>> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    say(&format!("value of {name} (not shown), then Enter:"));
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    read.map(|_| line.into_bytes())
}
