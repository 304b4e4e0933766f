//! `scs config`: the merged manifests, and where each value comes from. Secrets are references there, never values.

use super::{Context, Outcome};
use crate::cli::manifest::Config;
use crate::cli::target::Format;
use crate::exit::Exit;
use crate::load;
use scs_manifest::show;

/// Runs it.
pub fn run(context: &Context, args: &Config) -> Outcome {
    let tree = load::tree(context, &args.manifests)?;
    match args.output.output {
        Format::Json if args.no_origin => context.printer.json(&tree.root.to_json())?,
        Format::Json => context.printer.json(&show::to_json(&tree.root))?,
        Format::Table => {
            let text = show::show(&tree.root);
            let bare = || text.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value).trim_end());
            let shown = if args.no_origin { bare().collect::<Vec<_>>().join("\n") } else { text.trim_end().to_owned() };
            context.printer.line(shown)?;
        }
    }
    Ok(Exit::DONE)
}
