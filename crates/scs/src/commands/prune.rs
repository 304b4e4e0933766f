//! `scs prune`: removes what nothing uses any more; never a volume.

use super::{Context, Outcome};
use crate::cli::target::Format;
use crate::cli::things::Prune;
use crate::exit::Exit;
use crate::output::text;
use scs_api::routes::Pruned;

/// Runs it.
pub async fn run(context: &Context, args: &Prune) -> Outcome {
    let client = context.running_server().await?;
    context.sure(args.yes, "Remove images and sources that no service and none of its last revisions uses?")?;
    let pruned: Pruned = client.post("/v1/prune", &()).await?;
    if args.output.output == Format::Json {
        context.printer.json(&pruned)?;
        return Ok(Exit::DONE);
    }
    for line in &pruned.removed {
        context.printer.line(line)?;
    }
    context.printer.note(format!("{} removed, {} freed", pruned.removed.len(), text::size(pruned.bytes)));
    Ok(Exit::DONE)
}
