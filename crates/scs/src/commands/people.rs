//! `scs person`: lists people, lets them in, changes what they may do, and forgets them. `scs audit`: who did what.

use super::hosts::{print, seconds};
use super::{Context, Outcome};
use crate::cli::people::{Audit, PersonList, PersonRemove, PersonSet, PersonToken, PersonVerb};
use crate::cli::target::Format;
use crate::exit::Exit;
use crate::output::{table, text};
use crate::paths;
use hyper::Method;
use scs_api::audit::Entry;
use scs_api::join::{Purpose, Token, TokenRequest};
use scs_api::person::{PersonInfo, PersonRequest, Role};

/// Runs it.
pub async fn run(context: &Context, verb: PersonVerb) -> Outcome {
    match verb {
        PersonVerb::Ls(args) => list(context, &args).await,
        PersonVerb::Token(args) => token(context, args).await,
        PersonVerb::Set(args) => set(context, args).await,
        PersonVerb::Rm(args) => remove(context, &args).await,
    }
}

async fn list(context: &Context, args: &PersonList) -> Outcome {
    let client = context.running_server().await?;
    let people: Vec<PersonInfo> = client.get("/v1/people").await?;
    if args.output.output == Format::Json {
        context.printer.json(&people)?;
        return Ok(Exit::DONE);
    }
    if people.is_empty() {
        context
            .printer
            .note("nobody has joined; `scs person token NAME --role ROLE` prints a token that somebody joins with");
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["PERSON", "ROLE", "ENVIRONMENTS", "JOINED", "CERTIFICATE UNTIL"]);
    for person in &people {
        rows.add_row([
            person.name.clone(),
            person.role.to_string(),
            environments(person.role, &person.environments),
            text::time(person.joined),
            person.certificate_ends.map_or_else(|| "–".to_owned(), text::time),
        ]);
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}

async fn token(context: &Context, args: PersonToken) -> Outcome {
    let client = context.running_server().await?;
    let purpose = Purpose::Person { name: args.person.clone(), role: args.rights.role, environments: args.rights.env };
    let request = TokenRequest { purpose, seconds: Some(seconds(&args.valid)?) };
    let token: Token = client.post("/v1/tokens", &request).await?;
    print(context, args.output, &token)?;
    context.printer.note(format!(
        "good once, until {}; {} says `scs context add NAME https://SERVER:9641 --token TOKEN`",
        text::time(token.expires),
        args.person
    ));
    Ok(Exit::DONE)
}

async fn set(context: &Context, args: PersonSet) -> Outcome {
    let client = context.running_server().await?;
    let request = PersonRequest { role: args.rights.role, environments: args.rights.env };
    let person: PersonInfo = client.ask(Method::PUT, &path(&args.person), Some(&request)).await?;
    let places = environments(person.role, &person.environments);
    context.printer.note(format!("{} has {} in {places} from now on", person.name, person.role));
    Ok(Exit::DONE)
}

async fn remove(context: &Context, args: &PersonRemove) -> Outcome {
    let client = context.running_server().await?;
    context.sure(args.yes, &format!("Forget {}, and turn away their certificates?", args.person))?;
    client.tell(Method::DELETE, &path(&args.person), None::<&()>).await?;
    context
        .printer
        .note(format!("{} is forgotten; `scs person token NAME --role ROLE` lets them in again", args.person));
    Ok(Exit::DONE)
}

/// Shows who did what.
pub async fn audit(context: &Context, args: &Audit) -> Outcome {
    let client = context.running_server().await?;
    let entries: Vec<Entry> = client.get(&format!("/v1/audit?last={}", args.last)).await?;
    if args.output.output == Format::Json {
        context.printer.json(&entries)?;
        return Ok(Exit::DONE);
    }
    if entries.is_empty() {
        context.printer.note("nothing was asked for yet that changes anything");
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["WHEN", "WHO", "WHAT", "OUTCOME"]);
    for entry in &entries {
        rows.add_row([text::time(entry.at), entry.who.clone(), entry.what.clone(), entry.outcome.clone()]);
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}

fn environments(role: Role, environments: &[String]) -> String {
    if role == Role::Admin { "*".to_owned() } else { environments.join(", ") }
}

fn path(person: &str) -> String {
    format!("/v1/people/{}", paths::escape(person))
}
