//! `scs disco watch`: every change, why, and when.

use super::session::Session;
use super::signals::Ending;
use crate::cli::disco::{Parts, Watch};
use crate::cli::target::Format;
use crate::commands::{Context, Outcome, change};
use crate::exit::{Exit, Failure};
use crate::output::{BAD, GOOD, NAME, text};
use crate::paths;
use crate::wiring::discovery::info;
use disco_client::{Endpoint, EndpointSet};
use futures_util::StreamExt as _;
use hyper::Method;
use scs_api::inspect::EndpointChange;
use std::time::SystemTime;

/// Prints changes as they happen, until Ctrl-C.
pub async fn run(context: &Context, args: &Watch) -> Outcome {
    if args.name.is_some() { of_a_name(context, args).await } else { of_everything(context, args).await }
}

/// As a subscriber sees it.
async fn of_a_name(context: &Context, args: &Watch) -> Outcome {
    let name = args.name.as_ref().expect("the caller has looked");
    let parts = Parts { env: args.env.clone(), service: args.service.clone() };
    let query = super::query(context, &parts, name, &args.selection)?;
    let mut ending = Ending::new()?;
    let session = Session::open(context, &args.server, "watch", super::attributes(&args.selection.own)).await?;
    let mut subscription = session.handle.require("watch", query, Vec::new());
    let mut known: Vec<Endpoint> = Vec::new();
    let (mut answered, mut stale) = (false, false);
    loop {
        let set = tokio::select! {
            set = subscription.changed() => set,
            end = ending.next() => {
                drop(subscription);
                session.close().await;
                return end.outcome();
            }
        };
        if let Some(refused) = super::refused(&set) {
            return Err(refused);
        }
        super::say_stale(context, &mut stale, &set);
        for change in changes(&known, &set, answered, SystemTime::now()) {
            show(context, args, &change)?;
        }
        if set.stale_since.is_none() {
            if !answered && set.complete && set.endpoints.is_empty() {
                context.printer.note("nobody provides it yet");
            }
            answered |= set.complete || !set.endpoints.is_empty();
            subscription.applied(set.seq).await;
        }
        known = set.endpoints;
    }
}

/// What differs between what was known and a set.
fn changes(known: &[Endpoint], set: &EndpointSet, answered: bool, at: SystemTime) -> Vec<EndpointChange> {
    let change = |what: &str, endpoint: &Endpoint, reason: Option<String>| EndpointChange {
        change: what.to_owned(),
        endpoint: info(endpoint),
        reason,
        at,
    };
    let like = |among: &[Endpoint], endpoint: &Endpoint| -> Option<Endpoint> {
        among.iter().find(|other| (&other.name, &other.instance) == (&endpoint.name, &endpoint.instance)).cloned()
    };
    let gone = known.iter().filter(|endpoint| like(&set.endpoints, endpoint).is_none()).map(|endpoint| {
        let same = |(gone, _): &&(Endpoint, _)| (&gone.name, &gone.instance) == (&endpoint.name, &endpoint.instance);
        let why = set.gone.iter().rev().find(same).map(|(_, reason)| reason.to_string());
        change("dropped", endpoint, why)
    });
    let come = set.endpoints.iter().filter_map(|endpoint| match like(known, endpoint) {
        None => Some(change(if answered { "added" } else { "present" }, endpoint, None)),
        Some(before) if before != *endpoint => Some(change("updated", endpoint, None)),
        Some(_) => None,
    });
    gone.chain(come).collect()
}

/// Everything that the server of `scs dev` knows.
async fn of_everything(context: &Context, args: &Watch) -> Outcome {
    if args.server.server.is_some() {
        return Err(Failure::usage("which endpoint? a named server is asked for one")
            .hint("`scs disco ls --server …` lists what there is; without `--server`, all of `scs dev` is watched"));
    }
    if !(args.selection.r#match.is_empty() && args.selection.prefer.is_empty()) {
        return Err(Failure::usage("`--match` and `--prefer` need an endpoint").hint("name one"));
    }
    let client = context.running_server().await?;
    let filter = [("environment", args.env.clone()), ("service", args.service.clone())];
    let path = paths::query("/v1/disco/watch", &filter);
    let mut changes = client.stream::<EndpointChange>(Method::GET, &path, None::<&()>).await?;
    let mut interrupted = std::pin::pin!(change::interrupt());
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = &mut interrupted => return Err(Failure::Interrupted),
        };
        let Some(change) = change else { return Ok(Exit::DONE) };
        show(context, args, &change?)?;
    }
}

fn show(context: &Context, args: &Watch, change: &EndpointChange) -> Result<(), Failure> {
    if args.output.output == Format::Json {
        return context.printer.json_line(change);
    }
    let (mark, style) = match change.change.as_str() {
        "added" => ("+", GOOD),
        "dropped" => ("-", BAD),
        "updated" => ("~", NAME),
        _ => ("=", NAME),
    };
    let endpoint = &change.endpoint;
    let reason = change.reason.as_ref().map_or_else(|| endpoint.health.clone(), |reason| format!("({reason})"));
    let mark = context.printer.out(style, mark);
    let at = text::precise_time(change.at);
    context.printer.line(format!("{at} {mark} {}  {}/{}  {reason}", endpoint.name, endpoint.address, endpoint.protocol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use disco_client::{Health, Provision, Reason};

    fn endpoint(instance: &str, health: Health) -> Endpoint {
        let name = "dev/blog/db/mysql".parse().unwrap();
        Endpoint::of(&Provision { health, ..Provision::new(name, instance, "192.0.2.1", 1) })
    }

    fn shown(known: &[Endpoint], set: &EndpointSet) -> Vec<(String, String, Option<String>)> {
        let all = changes(known, set, true, SystemTime::UNIX_EPOCH);
        all.into_iter().map(|change| (change.change, change.endpoint.instance, change.reason)).collect()
    }

    #[test]
    fn what_went_is_told_with_its_reason_before_what_came_and_changed() {
        let known = [endpoint("a", Health::Passing), endpoint("b", Health::Passing)];
        let set = EndpointSet {
            endpoints: vec![endpoint("b", Health::Failing), endpoint("c", Health::Passing)],
            gone: vec![(endpoint("a", Health::Passing), Reason::Died)],
            ..EndpointSet::default()
        };
        let line = |change: &str, instance: &str, why: Option<&str>| {
            (change.to_owned(), instance.to_owned(), why.map(str::to_owned))
        };
        assert_eq!(
            shown(&known, &set),
            [line("dropped", "a", Some("died")), line("updated", "b", None), line("added", "c", None)]
        );
        assert!(shown(&set.endpoints, &set).is_empty());
    }
}
