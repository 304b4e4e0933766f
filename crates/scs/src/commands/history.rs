//! `scs history`: what was brought up before.

use super::{Context, Outcome};
use crate::cli::change::History;
use crate::cli::target::Format;
use crate::exit::Exit;
use crate::output::{table, text};
use crate::paths;
use scs_api::deploy::Revision;

/// Runs it.
pub async fn run(context: &Context, args: &History) -> Outcome {
    let (environment, service) = context.service(&args.target)?;
    let client = context.running_server().await?;
    let revisions: Vec<Revision> = client.get(&paths::service(&environment, &service, "history")).await?;
    if args.output.output == Format::Json {
        context.printer.json(&revisions)?;
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["", "REVISION", "WHEN", "WHO", "WHAT", "CHANGED"]);
    for revision in &revisions {
        let changed = if revision.changed.is_empty() { "–".to_owned() } else { revision.changed.join(", ") };
        rows.add_row([
            if revision.current { "*" } else { "" },
            &revision.revision.to_string(),
            &text::time(revision.at),
            &revision.who,
            &revision.what,
            &changed,
        ]);
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}
