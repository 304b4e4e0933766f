//! `scs disco`: a look into the registry of endpoints.

use super::{Context, Outcome, change};
use crate::cli::look::{DiscoFilter, Resolve};
use crate::cli::target::Format;
use crate::exit::{Exit, Failure};
use crate::output::{BAD, GOOD, NAME, table, text};
use crate::paths;
use futures_util::StreamExt as _;
use hyper::Method;
use scs_api::inspect::{EndpointChange, EndpointInfo, EndpointQuery};

/// Lists endpoints.
pub async fn list(context: &Context, args: &DiscoFilter) -> Outcome {
    let client = context.running_server().await?;
    let endpoints: Vec<EndpointInfo> = client.get(&filtered("/v1/disco", args)).await?;
    if args.output.output == Format::Json {
        context.printer.json(&endpoints)?;
    } else if endpoints.is_empty() {
        context.printer.note("no endpoints: nothing that runs provides any");
    } else {
        let mut rows = table::new(&["NAME", "ADDRESS", "HEALTH", "ATTRIBUTES"]);
        for endpoint in &endpoints {
            let health =
                if endpoint.suspect { format!("{}, silent", endpoint.health) } else { endpoint.health.clone() };
            rows.add_row([endpoint.name.clone(), address(endpoint), health, attributes(endpoint)]);
        }
        context.printer.line(table::text(&rows))?;
    }
    Ok(Exit::DONE)
}

/// Prints changes as they happen, until Ctrl-C.
pub async fn watch(context: &Context, args: &DiscoFilter) -> Outcome {
    let client = context.running_server().await?;
    let mut changes =
        client.stream::<EndpointChange>(Method::GET, &filtered("/v1/disco/watch", args), None::<&()>).await?;
    let mut interrupted = std::pin::pin!(change::interrupt());
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = &mut interrupted => return Err(Failure::Interrupted),
        };
        let Some(change) = change else { return Ok(Exit::DONE) };
        let change = change?;
        if args.output.output == Format::Json {
            context.printer.json_line(&change)?;
        } else {
            context.printer.line(shown(context, &change))?;
        }
    }
}

fn shown(context: &Context, change: &EndpointChange) -> String {
    let (mark, style) = match change.change.as_str() {
        "added" => ("+", GOOD),
        "dropped" => ("-", BAD),
        "updated" => ("~", NAME),
        _ => ("=", NAME),
    };
    let endpoint = &change.endpoint;
    let reason = change.reason.as_ref().map_or_else(|| endpoint.health.clone(), |reason| format!("({reason})"));
    let mark = context.printer.out(style, mark);
    format!("{} {mark} {}  {}  {reason}", text::precise_time(change.at), endpoint.name, address(endpoint))
}

/// Prints the addresses a name leads to, one a line; none is a failure, for scripts.
pub async fn resolve(context: &Context, args: &Resolve) -> Outcome {
    let (environment, service) = context.maybe_service(&args.target)?;
    let client = context.running_server().await?;
    let query = EndpointQuery {
        environment: Some(environment),
        service,
        role: args.role.clone(),
        endpoint: Some(args.endpoint.clone()),
    };
    let endpoints: Vec<EndpointInfo> = client.post("/v1/disco/resolve", &query).await?;
    if args.output.output == Format::Json {
        context.printer.json(&endpoints)?;
    } else {
        for endpoint in &endpoints {
            context.printer.line(&endpoint.address)?;
        }
    }
    if endpoints.is_empty() {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        let name =
            format!("{}/{}/{}/{}", part(&query.environment), part(&query.service), part(&query.role), args.endpoint);
        return Err(Failure::failed(format!("nobody provides {name}")).hint("`scs disco ls` lists what there is"));
    }
    Ok(Exit::DONE)
}

fn filtered(path: &str, args: &DiscoFilter) -> String {
    paths::query(path, &[("environment", args.env.clone()), ("service", args.service.clone())])
}

fn address(endpoint: &EndpointInfo) -> String {
    format!("{}/{}", endpoint.address, endpoint.protocol)
}

fn attributes(endpoint: &EndpointInfo) -> String {
    let pairs: Vec<String> = endpoint.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}
