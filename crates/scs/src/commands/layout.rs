//! `scs layout`: named placements of a service, and the moves that bring one about.

use super::{Context, Outcome, change};
use crate::cli::target::Format;
use crate::cli::things::{ApplyLayout, Layout, LayoutVerb, Layouts};
use crate::exit::{Exit, Failure};
use crate::load;
use crate::output::table;
use crate::paths;
use scs_api::deploy::{Caller, MoveRequest};
use scs_api::host::{Answers, HostInfo};
use scs_api::inspect::Instance;
use scs_manifest::compiled::{Condition, Placement};
use scs_plan::placement::{Host, Placer};

/// Runs it.
pub async fn run(context: &Context, args: &Layout) -> Outcome {
    match &args.verb {
        LayoutVerb::Ls(args) => list(context, args),
        LayoutVerb::Apply(args) => apply(context, args).await,
    }
}

fn list(context: &Context, args: &Layouts) -> Outcome {
    let loaded = load::load(context, &args.manifests)?;
    let layouts = &loaded.deployment.layouts;
    if args.output.output == Format::Json {
        context.printer.json(layouts)?;
        return Ok(Exit::DONE);
    }
    if layouts.is_empty() {
        context.printer.note(format!("the manifests of {} name no layouts", loaded.name()));
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["LAYOUT", "ROLE", "PLACE"]);
    for (name, roles) in layouts {
        for (role, place) in roles {
            rows.add_row([name.clone(), role.clone(), words(place)]);
        }
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}

/// One move after the other: each takes the machine's disks and network to itself, and the first that fails leaves the rest where they are.
async fn apply(context: &Context, args: &ApplyLayout) -> Outcome {
    let loaded = load::load(context, &args.manifests)?;
    let (environment, service) = (&loaded.deployment.environment, &loaded.deployment.service);
    let layout = loaded.deployment.layouts.get(&args.name).ok_or_else(|| {
        let known: Vec<&str> = loaded.deployment.layouts.keys().map(String::as_str).collect();
        Failure::usage(format!("{service} has no layout {}", args.name)).hint(if known.is_empty() {
            "layouts are named under `layouts:` of a deployment manifest".to_owned()
        } else {
            format!("it has {}", known.join(", "))
        })
    })?;
    let (client, _) = context.server().await?;
    let hosts: Vec<HostInfo> = client.get("/v1/hosts").await?;
    let hosts: Vec<Host> = hosts
        .into_iter()
        .map(|host| Host {
            seen: matches!(host.answers, Answers::Yes),
            closed: match &host.answers {
                Answers::No { why, .. } => Some(format!("it does not answer: {why}")),
                Answers::Connecting => Some("it does not answer yet".to_owned()),
                Answers::Yes => host.drained.then(|| "it is drained".to_owned()),
            },
            name: host.name,
            labels: host.labels,
        })
        .collect();
    let query = [("environment", Some(environment.clone())), ("service", Some(service.clone()))];
    let instances: Vec<Instance> = client.get(&paths::query("/v1/instances", &query)).await?;
    let mut placer = Placer::new(&hosts);
    let mut moves = Vec::new();
    for (role, place) in layout {
        let mut of_role: Vec<&Instance> = instances.iter().filter(|it| it.report.slot.role == *role).collect();
        of_role.sort_by_key(|it| it.report.slot.index);
        if of_role.is_empty() {
            return Err(Failure::failed(format!("{role} of {environment}/{service} does not run"))
                .hint("nothing was moved; `scs up` brings the service up"));
        }
        for instance in of_role {
            let host = placer.place(role, place, Some(&instance.host)).map_err(|error| {
                Failure::failed(format!("layout {} does not fit: role {role}: {error}", args.name))
                    .hint("nothing was moved")
            })?;
            if host != instance.host {
                moves.push((instance.report.slot.clone(), host.to_owned()));
            }
        }
    }
    if moves.is_empty() {
        context.printer.note(format!("{environment}/{service} is as layout {} says", args.name));
    }
    let count = moves.len();
    for (at, (slot, host)) in moves.into_iter().enumerate() {
        let path = paths::role(environment, service, &slot.role, "move");
        let caller = Caller { who: super::who(), origin: Some(loaded.origin.clone()), take_over: false };
        let request = MoveRequest {
            index: Some(slot.index),
            host: host.clone(),
            max_downtime_ms: None,
            bandwidth: args.bandwidth,
            // Layouts are in the manifest as the placement is: they say where else it may be.
            force: true,
            caller,
        };
        let heading = format!("Moving {} to {host} ({} of {count})", slot.label(), at + 1);
        change::follow(context, &client, &path, &request, &heading).await?;
    }
    Ok(Exit::DONE)
}

/// `host h1`, `dc west`, `spread over dc`.
fn words(place: &Placement) -> String {
    let mut words: Vec<String> = place.host.iter().map(|host| format!("host {host}")).collect();
    words.extend(place.r#match.iter().map(|(label, condition)| match condition {
        Condition::In(values) => format!("{label} {}", values.join(" or ")),
        Condition::Not(values) => format!("{label} not {}", values.join(" or ")),
        Condition::Exists(true) => format!("with {label}"),
        Condition::Exists(false) => format!("without {label}"),
    }));
    words.extend(place.spread.iter().map(|label| format!("spread over {label}")));
    if words.is_empty() { "anywhere".to_owned() } else { words.join(", ") }
}
