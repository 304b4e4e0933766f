//! `scs host`: lists, shows, lets join, labels, drains and forgets the machines of a cluster.

use super::{Context, Outcome, change, who};
use crate::cli::hosts::{Change, HostInspect, HostLabel, HostList, HostRemove, HostToken, HostVerb};
use crate::cli::target::{Format, Output};
use crate::exit::{Exit, Failure};
use crate::output::{BAD, DIM, GOOD, ODD, table, text};
use crate::paths;
use hyper::Method;
use scs_api::deploy::Caller;
use scs_api::host::{Answers, GiveUpRequest, GivenUp, HostDetails, HostInfo, LabelRequest, SlotThere};
use scs_api::join::{Purpose, Token, TokenRequest};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Runs it.
pub async fn run(context: &Context, verb: HostVerb) -> Outcome {
    match verb {
        HostVerb::Ls(args) => list(context, &args).await,
        HostVerb::Inspect(args) => inspect(context, &args).await,
        HostVerb::Token(args) => token(context, args).await,
        HostVerb::Rm(args) => remove(context, &args).await,
        HostVerb::Label(args) => label(context, args).await,
        HostVerb::Drain(args) => drain(context, &args).await,
        HostVerb::Undrain(args) => undrain(context, &args).await,
    }
}

async fn list(context: &Context, args: &HostList) -> Outcome {
    let client = context.running_server().await?;
    let hosts: Vec<HostInfo> = client.get("/v1/hosts").await?;
    if args.output.output == Format::Json {
        context.printer.json(&hosts)?;
        return Ok(Exit::DONE);
    }
    if hosts.is_empty() {
        context.printer.note("no host has joined; `scs host token` prints a token that one joins with");
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["HOST", "STATE", "LABELS", "INSTANCES", "VOLUMES", "ADDRESS", "VERSION"]);
    for host in &hosts {
        rows.add_row([
            host.name.as_str(),
            &state(context, host),
            &labels(&host.labels),
            &host.instances.to_string(),
            &host.volumes.to_string(),
            host.address.as_deref().unwrap_or("–"),
            host.version.as_deref().unwrap_or("–"),
        ]);
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}

async fn inspect(context: &Context, args: &HostInspect) -> Outcome {
    let client = context.running_server().await?;
    let details: HostDetails = client.get(&path(&args.host, "")).await?;
    show(context, args.output, &details)?;
    Ok(Exit::DONE)
}

async fn token(context: &Context, args: HostToken) -> Outcome {
    let client = context.running_server().await?;
    let purpose =
        Purpose::Host { name: args.host.clone(), labels: args.labels.into_iter().collect(), rejoin: args.rejoin };
    let request = TokenRequest { purpose, seconds: Some(seconds(&args.valid)?) };
    let token: Token = client.post("/v1/tokens", &request).await?;
    print(context, args.output, &token)?;
    let name = args.host.map(|it| format!(" --name {it}")).unwrap_or_default();
    context.printer.note(format!(
        "good once, until {}; on the host: `scs agent --server https://SERVER:9641 --token TOKEN{name}`",
        text::time(token.expires)
    ));
    Ok(Exit::DONE)
}

async fn remove(context: &Context, args: &HostRemove) -> Outcome {
    if args.assume_host_dead {
        return give_up(context, args).await;
    }
    let client = context.running_server().await?;
    context.sure(args.yes, &format!("Forget host {}, and turn away its certificates?", args.host))?;
    client.tell(Method::DELETE, &path(&args.host, ""), None::<&()>).await?;
    context.printer.note(format!("host {} is forgotten; `scs host token` lets it join again", args.host));
    Ok(Exit::DONE)
}

/// Says what became of what was there.
async fn give_up(context: &Context, args: &HostRemove) -> Outcome {
    let (client, host) = (context.running_server().await?, &args.host);
    let details: HostDetails = client.get(&path(host, "")).await?;
    let volumes = details.volume_ids.len();
    let fresh = if args.lose_data { ", with fresh volumes in their place" } else { "" };
    let question = format!("Give up host {host} for dead, for good, and its {volumes} volumes for lost{fresh}?");
    context.sure(args.yes, &question)?;
    let request = GiveUpRequest { lose_data: args.lose_data, caller: Caller { who: who(), ..Caller::default() } };
    let given_up: GivenUp = client.post(&path(host, "/give-up"), &request).await?;
    let printer = &context.printer;
    printer.note(format!("host {host} is forgotten; should it come back it is turned away, until it joins anew"));
    for volume in &given_up.lost {
        let hint = if args.lose_data { String::new() } else { format!("; `scs volume rm {volume}` gives its data up") };
        printer.note(format!("volume {volume} is lost{hint}"));
    }
    for slot in &given_up.waiting {
        printer.note(format!("{slot} waits, as its data is lost"));
    }
    for slot in &given_up.elsewhere {
        printer.note(format!("{slot} goes to another host that may run it"));
    }
    Ok(Exit::DONE)
}

async fn label(context: &Context, args: HostLabel) -> Outcome {
    let client = context.running_server().await?;
    let mut request = LabelRequest::default();
    for change in args.labels {
        match change {
            Change::Set(name, value) => drop(request.set.insert(name, value)),
            Change::Remove(name) => drop(request.remove.insert(name)),
        }
    }
    if let Some(name) = request.set.keys().find(|it| request.remove.contains(*it)) {
        return Err(Failure::usage(format!("label {name} is set and taken away at once")).hint("nothing was changed"));
    }
    let details: HostDetails = client.post(&path(&args.host, "/labels"), &request).await?;
    if args.output.output == Format::Json {
        context.printer.json(&details)?;
    } else {
        let labels = labels(&details.host.labels);
        context.printer.note(format!("labels of host {}: {labels}; what runs stays where it is", args.host));
    }
    Ok(Exit::DONE)
}

async fn drain(context: &Context, args: &HostInspect) -> Outcome {
    let client = context.running_server().await?;
    let details: HostDetails = client.post(&path(&args.host, "/drain"), &()).await?;
    show(context, args.output, &details)?;
    if details.slots.iter().any(|slot| slot.wanted) {
        // What cannot leave is said first; where something stays, that is how it ends.
        let caller = Caller { who: who(), ..Caller::default() };
        let heading = format!("Draining {}", args.host);
        change::follow(context, &client, &path(&args.host, "/leave"), &caller, &heading).await?;
    }
    context.printer.note(format!("host {} takes nothing new, and nothing runs there", args.host));
    Ok(Exit::DONE)
}

async fn undrain(context: &Context, args: &HostInspect) -> Outcome {
    let client = context.running_server().await?;
    let details: HostDetails = client.post(&path(&args.host, "/undrain"), &()).await?;
    if args.output.output == Format::Json {
        context.printer.json(&details)?;
    }
    context.printer.note(format!("host {} takes new things again", args.host));
    Ok(Exit::DONE)
}

/// A host with what is there.
fn show(context: &Context, output: Output, details: &HostDetails) -> Result<(), Failure> {
    let printer = &context.printer;
    if output.output == Format::Json {
        return printer.json(details);
    }
    let host = &details.host;
    let facts = [
        ("host", Some(host.name.clone())),
        ("state", Some(state(context, host))),
        ("address", host.address.clone()),
        ("labels", Some(labels(&host.labels))),
        ("engine", details.engine.clone()),
        ("version", host.version.clone()),
        ("joined", host.joined.map(text::time)),
        ("certificate", host.certificate_ends.map(|it| format!("until {}", text::time(it)))),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            printer.line(format!("{:<13}{value}", format!("{name}:")))?;
        }
    }
    for problem in &details.problems {
        printer.line(format!("{:<13}{}", "problem:", printer.out(BAD, problem)))?;
    }
    if !details.slots.is_empty() {
        let mut rows = table::new(&["INSTANCE", "STATE"]);
        for there in &details.slots {
            rows.add_row([there.slot.to_string(), phase(there)]);
        }
        printer.line("")?;
        printer.line(table::text(&rows))?;
    }
    if !details.volume_ids.is_empty() {
        let mut rows = table::new(&["VOLUME"]);
        for volume in &details.volume_ids {
            rows.add_row([volume]);
        }
        printer.line("")?;
        printer.line(table::text(&rows))?;
    }
    Ok(())
}

fn phase(there: &SlotThere) -> String {
    // As JSON has it, which is how `scs ps -o json` calls them.
    let word = there.phase.and_then(|it| serde_json::to_value(it).ok());
    let word = word.as_ref().and_then(|it| it.as_str()).unwrap_or("not seen yet").to_owned();
    if there.wanted { word } else { format!("{word}, on its way out") }
}

/// What may be known of a host in a word or two.
fn state(context: &Context, host: &HostInfo) -> String {
    let printer = &context.printer;
    let word = match &host.answers {
        Answers::Yes if host.drained => printer.out(ODD, "drained"),
        Answers::Yes => printer.out(GOOD, "ready"),
        Answers::Connecting => printer.out(DIM, "connecting"),
        Answers::No { since, why } => {
            let age = text::age(*since, SystemTime::now());
            printer.out(BAD, format!("silent for {age} ({})", text::cut(why, 60)))
        }
    };
    if host.drained && host.answers != Answers::Yes { format!("{word}, drained") } else { word }
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return "–".to_owned();
    }
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// How long a token is good for.
pub fn seconds(text: &str) -> Result<u64, Failure> {
    let duration = scs_manifest::duration::parse(text).filter(|it| it.as_secs() > 0);
    duration.map(|it| it.as_secs()).ok_or_else(|| {
        Failure::usage(format!("`{text}` makes no sense as --valid")).hint("try 30m or 2h; no token was made")
    })
}

/// A token goes to standard output alone, so that it can be passed on.
pub fn print(context: &Context, output: Output, token: &Token) -> Result<(), Failure> {
    if output.output == Format::Json { context.printer.json(token) } else { context.printer.line(&token.token) }
}

fn path(host: &str, rest: &str) -> String {
    format!("/v1/hosts/{}{rest}", paths::escape(host))
}
