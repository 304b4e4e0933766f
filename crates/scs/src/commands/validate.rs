//! `scs validate`: checks the manifests.

use super::{Context, Outcome};
use crate::cli::manifest::Validate;
use crate::exit::Exit;
use crate::load;

/// Runs it.
pub fn run(context: &Context, args: &Validate) -> Outcome {
    let loaded = load::load(context, &args.manifests)?;
    let roles = loaded.deployment.roles.len();
    let noun = if roles == 1 { "role" } else { "roles" };
    let files: Vec<&str> = loaded.tree.files.iter().map(|file| file.name.as_str()).collect();
    context.printer.note(format!("{} is fine: {roles} {noun} ({})", loaded.name(), files.join(", ")));
    Ok(Exit::DONE)
}
