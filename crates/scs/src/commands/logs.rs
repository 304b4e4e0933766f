//! `scs logs`: what containers write, each line with its role and type.

use super::environments::Environments;
use super::{Context, Outcome};
use crate::cli::look::Logs;
use crate::cli::target::{Format, RoleAddress, Target};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{DIM, text};
use crate::paths;
use anstyle::AnsiColor;
use futures_util::StreamExt as _;
use hyper::Method;
use scs_api::inspect::Instance;
use scs_api::log::{LogLine, LogQuery};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// Colors of roles, in turn; red is kept for what is wrong.
const COLORS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue];

/// How lines are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct View {
    /// Width of the column of names.
    pub width: usize,
    /// Times are shown.
    pub timestamps: bool,
    /// Names are not shown.
    pub bare: bool,
    /// As JSON, an object a line.
    pub json: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: Logs) -> Outcome {
    let target: Target = args.target.into();
    let (environment, service) = if args.roles.is_empty() {
        context.maybe_service(&target)?
    } else {
        let (environment, service) = context.roles(&target, &args.roles)?;
        (environment, Some(service))
    };
    let now = SystemTime::now();
    let moment = |given: &Option<String>| -> Result<Option<u64>, Failure> {
        let parsed = given.as_ref().map(|typed| text::moment(typed, now)).transpose().map_err(Failure::usage)?;
        Ok(parsed
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| u64::try_from(since.as_millis()).ok()))
    };
    let roles: Vec<String> = args.roles.iter().map(RoleAddress::instance).collect();
    let query = LogQuery {
        environment,
        service,
        roles: roles.join(","),
        follow: args.follow,
        tail: args.tail,
        since: moment(&args.since)?,
        until: moment(&args.until)?,
    };
    let view = View {
        width: roles.iter().map(|role| role.len()).max().unwrap_or(0),
        timestamps: args.timestamps,
        bare: args.no_prefix,
        json: args.output.output == Format::Json,
    };
    let client = context.running_server().await?;
    there_are(&client, &query, &roles).await?;
    tokio::select! {
        shown = show(context, &client, &query, view) => shown.map(|()| Exit::DONE),
        () = super::change::interrupt() => Err(Failure::Interrupted),
    }
}

/// Whether there is anything whose lines could be shown: a name that is mistyped must not look like silence.
async fn there_are(client: &Client, query: &LogQuery, roles: &[String]) -> Result<(), Failure> {
    let asked = [("environment", Some(query.environment.clone())), ("service", query.service.clone())];
    let instances: Vec<Instance> = client.get(&paths::query("/v1/instances", &asked)).await?;
    let mut known: Vec<&str> = instances.iter().map(|it| it.report.slot.role.as_str()).collect();
    known.dedup();
    let environment = &query.environment;
    if known.is_empty() {
        let whose = query.service.as_ref().map(|service| format!("/{service}")).unwrap_or_default();
        let message = format!("{environment}{whose} is not up, so there are no logs of it");
        let other = "`scs ps --all` lists all that is; `--env` chooses another environment".to_owned();
        let unknown = Environments::ask(client, &[]).await?.unknown(environment);
        return Err(Failure::failed(message).hint(unknown.unwrap_or(other)));
    }
    let is_there = |role: &str| instances.iter().any(|it| it.report.slot.is_named(role));
    match roles.iter().find(|role| !is_there(role)) {
        Some(role) => {
            let message = format!("there is no role {role} in {environment}; it has {}", known.join(", "));
            Err(Failure::failed(message).hint("`scs ps` lists them"))
        }
        None => Ok(()),
    }
}

/// Shows lines until there are no more.
///
/// # Errors
/// Where the server breaks off, or nobody reads.
pub async fn show(context: &Context, client: &Client, query: &LogQuery, mut view: View) -> Result<(), Failure> {
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let path = paths::query(
        "/v1/logs",
        &[
            ("environment", Some(query.environment.clone())),
            ("service", query.service.clone()),
            ("roles", (!query.roles.is_empty()).then(|| query.roles.clone())),
            ("follow", query.follow.then(|| "true".to_owned())),
            ("tail", number(query.tail)),
            ("since", number(query.since)),
            ("until", number(query.until)),
        ],
    );
    let mut lines = client.stream::<LogLine>(Method::GET, &path, None::<&()>).await?;
    let mut seen: Vec<String> = Vec::new();
    let several = if view.json { BTreeSet::new() } else { several(client, query).await? };
    while let Some(line) = lines.next().await {
        let line = line?;
        if view.json {
            context.printer.json_line(&line)?;
            continue;
        }
        let name = name(&line, several.contains(&(line.slot.service.clone(), line.slot.role.clone())));
        let turn = seen.iter().position(|role| *role == line.slot.role).unwrap_or_else(|| {
            seen.push(line.slot.role.clone());
            seen.len() - 1
        });
        view.width = view.width.max(name.len());
        let style = COLORS[turn % COLORS.len()].on_default();
        context
            .printer
            .line(format(&line, &name, view, |dim, text| context.printer.out(if dim { DIM } else { style }, text)))?;
    }
    Ok(())
}

/// Services and their roles that have several instances, whose lines are told apart from the first on.
async fn several(client: &Client, query: &LogQuery) -> Result<BTreeSet<(String, String)>, Failure> {
    let asked = [("environment", Some(query.environment.clone())), ("service", query.service.clone())];
    let instances: Vec<Instance> = client.get(&paths::query("/v1/instances", &asked)).await?;
    let slots = instances.into_iter().map(|it| it.report.slot);
    Ok(slots.filter(|slot| slot.index > 0).map(|slot| (slot.service, slot.role)).collect())
}

/// Role and type; what a container prints itself has none. One of several instances has its number.
fn name(line: &LogLine, several: bool) -> String {
    let label = if several { line.slot.numbered() } else { line.slot.label() };
    if line.source == "stdout" { label } else { format!("{label} {}", line.source) }
}

fn format(line: &LogLine, name: &str, view: View, paint: impl Fn(bool, &str) -> String) -> String {
    let mut out = String::new();
    if !view.bare {
        out.push_str(&paint(false, &format!("{name:<width$} |", width = view.width)));
        out.push(' ');
    }
    if view.timestamps {
        out.push_str(&paint(true, &line.time.map_or_else(|| "–".to_owned(), text::precise_time)));
        out.push(' ');
    }
    out.push_str(&line.line);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use scs_plan::slot::Slot;

    #[test]
    fn the_first_of_several_has_its_number_and_the_only_one_has_none() {
        let line = |source: &str| LogLine {
            slot: Slot { environment: "dev".to_owned(), service: "shop".to_owned(), role: "web".to_owned(), index: 0 },
            instance: "1".to_owned(),
            source: source.to_owned(),
            time: None,
            line: "GET /".to_owned(),
        };
        assert_eq!(name(&line("stdout"), false), "web");
        assert_eq!(name(&line("stdout"), true), "web.0");
        assert_eq!(name(&line("nginx-access"), true), "web.0 nginx-access");
    }
}
