//! `scs context`: the servers this user works with.

use super::{Context, Outcome};
use crate::cli::context::{Add, ContextVerb, Contexts, List, Named};
use crate::cli::target::Format;
use crate::contexts::{Address, LOCAL, Record};
use crate::exit::{Exit, Failure};
use crate::joining;
use crate::output::{table, text};
use scs_api::inspect::Version;
use scs_pki::Credentials;
use serde_json::json;
use std::time::SystemTime;

/// Runs it.
pub fn run(context: &Context, args: &Contexts) -> Outcome {
    match &args.verb {
        ContextVerb::Add(args) => super::wait(add(context, args)),
        ContextVerb::Ls(args) => list(context, args),
        ContextVerb::Use(args) => choose(context, args),
        ContextVerb::Rm(args) => remove(context, args),
    }
}

async fn add(context: &Context, args: &Add) -> Outcome {
    let contexts = context.contexts()?;
    for environment in &args.env {
        crate::settings::check_label("environment", environment)?;
    }
    let record = Record { server: args.server.clone(), environments: args.env.clone() };
    let free = contexts.free(&args.name, record.clone())?;
    let who = match (&args.server, &args.token) {
        (Address::Unix(path), None) => {
            let client = crate::client::Client::socket(path);
            let _: Version = client.get("/v1/version").await.map_err(Failure::from)?;
            "the owner of its socket".to_owned()
        }
        (Address::Unix(_), Some(_)) => {
            return Err(Failure::usage("a socket needs no token: whoever may open it may do everything"));
        }
        (Address::Https { .. }, None) => {
            return Err(Failure::usage(format!("{} lets nobody in without a token", args.server)).hint(
                "`scs person token NAME --role ROLE` on its side prints one; the first start of `scs server` did, too",
            ));
        }
        (Address::Https { .. }, Some(token)) => {
            let token = joining::token(token)?;
            joining::join(&args.server, &token, None, free.directory()).await?.identity
        }
    };
    contexts.add(&args.name, record)?;
    let chosen = args.choose || contexts.list()?.len() == 1;
    if chosen {
        contexts.choose(&args.name)?;
    }
    context.printer.note(format!("context {} is {} at {}", args.name, who, args.server));
    if chosen {
        context.printer.note(format!("commands speak to it from now on; `scs context use {LOCAL}` goes back"));
    } else {
        context.printer.hint(&format!("`scs context use {}` speaks to it from now on, `--context` once", args.name));
    }
    Ok(Exit::DONE)
}

fn list(context: &Context, args: &List) -> Outcome {
    let contexts = context.contexts()?;
    let current = match &context.settings.context {
        Some(named) => named.clone(),
        None => contexts.current()?,
    };
    let now = SystemTime::now();
    let all = contexts.list()?;
    let holder = |it: &crate::contexts::Context| {
        Credentials::read(&it.certificates(), now).map(|it| (it.identity.to_string(), it.certificate.not_after))
    };
    if args.output.output == Format::Json {
        let entry = |it: &crate::contexts::Context| {
            let credentials = holder(it).ok();
            json!({
                "name": it.name,
                "current": it.name == current,
                "server": it.record.server,
                "environments": it.record.environments,
                "identity": credentials.as_ref().map(|(who, _)| who),
                "certificate_ends": credentials.and_then(|(_, ends)| jiff::Timestamp::try_from(ends).ok()),
            })
        };
        context.printer.json(&all.iter().map(entry).collect::<Vec<_>>())?;
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["", "NAME", "SERVER", "ENVIRONMENTS", "WHO", "UNTIL"]);
    rows.add_row([if current == LOCAL { "*" } else { "" }, LOCAL, "this machine's `scs dev`", "any", "you", "–"]);
    for it in &all {
        let environments = &it.record.environments;
        let environments = if environments.is_empty() { "any".to_owned() } else { environments.join(", ") };
        let (who, until) = match (&it.record.server, holder(it)) {
            (Address::Unix(_), _) => ("owner".to_owned(), "–".to_owned()),
            (_, Ok((who, ends))) => (who, text::time(ends)),
            (_, Err(error)) => (error.to_string(), "ended".to_owned()),
        };
        let mark = if it.name == current { "*" } else { "" };
        rows.add_row([mark, &it.name, &it.record.server.to_string(), &environments, &who, &until]);
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}

fn choose(context: &Context, args: &Named) -> Outcome {
    context.contexts()?.choose(&args.name)?;
    let what = if args.name == LOCAL { "this machine's own `scs dev`".to_owned() } else { args.name.clone() };
    context.printer.note(format!("commands speak to {what} from now on"));
    Ok(Exit::DONE)
}

fn remove(context: &Context, args: &Named) -> Outcome {
    context.contexts()?.remove(&args.name)?;
    context.printer.note(format!(
        "forgot context {} and its key; `scs person rm` on its side ends what the certificate may do",
        args.name
    ));
    Ok(Exit::DONE)
}
