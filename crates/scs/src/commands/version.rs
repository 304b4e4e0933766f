//! `scs version`: of this program, and of the `scs dev` that runs.

use super::{Context, Outcome};
use crate::cli::host::Version;
use crate::cli::target::Format;
use crate::client;
use crate::exit::Exit;
use scs_api::inspect;
use serde_json::json;

/// Runs it.
pub async fn run(context: &Context, args: &Version) -> Outcome {
    let client = client::of_socket(&context.files().socket());
    let server = match client.get::<inspect::Version>("/v1/version").await {
        Ok(server) => Some(server),
        Err(error) if error.is_unavailable() => None,
        Err(error) => return Err(error.into()),
    };
    let own = env!("CARGO_PKG_VERSION");
    if args.output.output == Format::Json {
        context.printer.json(&json!({"version": own, "server": server}))?;
        return Ok(Exit::DONE);
    }
    context.printer.line(format!("scs {own}"))?;
    if let Some(server) = server {
        let engine = server.engine.as_deref().unwrap_or("no engine answers");
        context.printer.line(format!(
            "scs dev {} (process {}; {engine}; disco at {})",
            server.version, server.pid, server.disco
        ))?;
    }
    Ok(Exit::DONE)
}
