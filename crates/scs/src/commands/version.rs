//! `scs version`: of this program, and of the `scs dev` that runs.

use super::{Context, Outcome};
use crate::cli::host::Version;
use crate::cli::target::Format;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use scs_api::inspect;
use serde_json::json;

/// Runs it.
pub async fn run(context: &Context, args: &Version) -> Outcome {
    let client = Client::new(&context.files().socket());
    let server = match client.get::<inspect::Version>("/v1/version").await {
        Ok(server) => Some(server),
        Err(failure) if failure.exit() == Exit::UNAVAILABLE => None,
        Err(failure) => return Err::<Exit, Failure>(failure),
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
