//! `scs disco ls` and `scs disco resolve`: asking once.

use super::session::{self, Session};
use crate::cli::disco::{List, Resolve};
use crate::cli::target::Format;
use crate::commands::{Context, Outcome};
use crate::exit::{Exit, Failure};
use crate::output::table;
use crate::wiring::discovery::info;
use disco_client::{Listing, Query};
use scs_api::inspect::EndpointInfo;
use scs_manifest::diagnostic::{listed, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// Suggestions at most.
const SUGGESTIONS: usize = 4;

/// Lists endpoints, or who requires them.
pub async fn list(context: &Context, args: &List) -> Outcome {
    let session = Session::open(context, &args.server, "ls", BTreeMap::new()).await?;
    let filter =
        disco_client::List { environment: args.env.clone(), service: args.service.clone(), ..Default::default() };
    let listing = session.handle.list(filter).await.map_err(|error| session::failure(&error))?;
    session.close().await;
    if listing.truncated {
        context.printer.warn("there is more than one answer holds; `--env` and `--service` narrow it down");
    }
    if args.requirements { requirements(context, args, &listing) } else { endpoints(context, args, &listing) }
}

fn endpoints(context: &Context, args: &List, listing: &Listing) -> Outcome {
    let endpoints: Vec<EndpointInfo> = listing.provisions.iter().map(|provided| info(&provided.endpoint)).collect();
    if args.output.output == Format::Json {
        context.printer.json(&endpoints)?;
    } else if endpoints.is_empty() {
        context.printer.note("no endpoints: nobody provides any");
    } else {
        let mut rows = table::new(&["NAME", "ADDRESS", "HEALTH", "PROVIDED BY", "ATTRIBUTES"]);
        for (endpoint, provided) in endpoints.iter().zip(&listing.provisions) {
            let mut health = endpoint.health.clone();
            for (is, word) in
                [(endpoint.suspect, ", silent"), (!provided.connected, ", away"), (provided.leaving, ", leaving")]
            {
                health.push_str(if is { word } else { "" });
            }
            let attributes: Vec<String> =
                endpoint.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            rows.add_row([
                endpoint.name.clone(),
                format!("{}/{}", endpoint.address, endpoint.protocol),
                health,
                provided.agent.clone(),
                attributes.join(" "),
            ]);
        }
        context.printer.line(table::text(&rows))?;
    }
    Ok(Exit::DONE)
}

fn requirements(context: &Context, args: &List, listing: &Listing) -> Outcome {
    if args.output.output == Format::Json {
        context.printer.json(&listing.requirements)?;
    } else if listing.requirements.is_empty() {
        context.printer.note("no requirements: nobody asks for any endpoint");
    } else {
        let mut rows = table::new(&["NAME", "REQUIRED BY", "STATE", "USES"]);
        for required in &listing.requirements {
            let state = match (required.connected, required.applied >= required.seq) {
                (false, _) => "away",
                (true, true) => "applied",
                (true, false) => "applying",
            };
            let by = format!("{} ({})", required.agent, required.id);
            rows.add_row([required.query.name(), by, state.to_owned(), required.endpoints.join(" ")]);
        }
        context.printer.line(table::text(&rows))?;
    }
    Ok(Exit::DONE)
}

/// Prints the addresses a name leads to, one a line; none is a failure, for scripts.
pub async fn resolve(context: &Context, args: &Resolve) -> Outcome {
    let query = super::query(context, &args.parts, &args.name, &args.selection)?;
    let own = super::attributes(&args.selection.own);
    let session = Session::open(context, &args.server, "resolve", own).await?;
    let found = session.handle.resolve(query.clone()).await.map_err(|error| session::failure(&error))?;
    let others = if found.is_empty() {
        let list = disco_client::List { environment: Some(query.environment.clone()), ..Default::default() };
        session.handle.list(list).await.unwrap_or_default()
    } else {
        Listing::default()
    };
    session.close().await;
    if args.output.output == Format::Json {
        context.printer.json(&found.iter().map(info).collect::<Vec<_>>())?;
    } else {
        for endpoint in &found {
            context.printer.line(endpoint.address())?;
        }
    }
    if found.is_empty() { Err(nobody(&query, &others)) } else { Ok(Exit::DONE) }
}

fn nobody(query: &Query, others: &Listing) -> Failure {
    let failure = Failure::failed(format!("nobody provides {}", query.name()));
    let names: BTreeSet<String> = others.provisions.iter().map(|provided| provided.endpoint.name.to_string()).collect();
    let like = suggestions(query, &names);
    if like.is_empty() {
        return failure.hint("`scs disco ls` lists what there is");
    }
    failure.hint(format!("there is {}", listed(like.iter().copied())))
}

/// Names that may have been meant: the same endpoint elsewhere, others of the same service, or one that is a slip away.
fn suggestions<'a>(query: &Query, names: &'a BTreeSet<String>) -> Vec<&'a str> {
    let ends = format!("/{}", query.endpoint);
    let begins = format!("{}/{}/", query.environment, query.service);
    let names = || names.iter().map(String::as_str);
    let mut like: Vec<&str> = nearest(&query.name(), names()).into_iter().collect();
    like.extend(names().filter(|name| name.ends_with(&ends)));
    like.extend(names().filter(|name| name.starts_with(&begins)));
    let mut seen = BTreeSet::new();
    like.retain(|name| seen.insert(*name));
    like.truncate(SUGGESTIONS);
    like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_endpoint_elsewhere_is_suggested_before_others_of_the_service() {
        let names = ["dev/blog/web/http", "dev/shop/db/mysql", "dev/blog/mail/smtp", "dev/news/web/rss"];
        let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
        let query = Query::of(&"dev/blog/db/mysql".parse().unwrap());
        assert_eq!(suggestions(&query, &names), ["dev/shop/db/mysql", "dev/blog/mail/smtp", "dev/blog/web/http"]);
        let query = Query::of(&"dev/nowhere/x/other".parse().unwrap());
        assert!(suggestions(&query, &names).is_empty());
    }
}
