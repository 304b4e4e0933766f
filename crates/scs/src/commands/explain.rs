//! `scs explain`: why a requirement has the endpoints it has.

use super::{Context, Outcome};
use crate::cli::look::Explain;
use crate::cli::target::Format;
use crate::exit::Exit;
use crate::output::{BAD, BOLD, DIM, GOOD, text};
use crate::paths;
use scs_api::agent::RequirementReport;
use scs_api::inspect::Explanation;
use std::time::{Duration, SystemTime};

/// Runs it.
pub async fn run(context: &Context, args: &Explain) -> Outcome {
    let asked = &args.requirement;
    let (environment, service) = context.role(&args.target, &asked.role)?;
    let client = context.running_server().await?;
    let rest = format!("roles/{}/requirements/{}", paths::escape(&asked.role.role), paths::escape(&asked.requirement));
    let path = paths::service(&environment, &service, &rest);
    let path = paths::query(&path, &[("index", asked.role.index.map(|index| index.to_string()))]);
    let explanation: Explanation = client.get(&path).await?;
    if args.output.output == Format::Json {
        context.printer.json(&explanation)?;
        return Ok(Exit::DONE);
    }
    for line in render(context, &explanation, SystemTime::now()) {
        context.printer.line(line)?;
    }
    Ok(Exit::DONE)
}

/// What the container sees, where that is not what discovery says.
fn sees(stands: &RequirementReport, told: &[String], now: SystemTime) -> Vec<String> {
    let mut lines = Vec::new();
    if stands.sees != told {
        let sees = if stands.sees.is_empty() { "nothing".to_owned() } else { stands.sees.join(", ") };
        lines.push(format!("  sees         {sees}"));
    }
    if let Some(since) = stands.held_since {
        let why = stands.held_because.as_deref().map(|why| format!("the last one went (`{why}`)"));
        let why = why.unwrap_or_else(|| "nobody is there any more".to_owned());
        lines.push(format!("  held         for {}, as {why} and nothing took its place", text::age(since, now)));
    }
    if let Some(since) = stands.stale_since {
        lines.push(format!("  stale        for {}: discovery is out of reach", text::age(since, now)));
    }
    lines
}

fn render(context: &Context, explanation: &Explanation, now: SystemTime) -> Vec<String> {
    let printer = &context.printer;
    let told = if explanation.told.is_empty() { "nothing".to_owned() } else { explanation.told.join(", ") };
    let mut lines = vec![
        printer.out(BOLD, &explanation.requirement),
        format!("  asks for     {}", explanation.query),
        format!("  was told     {told}"),
    ];
    lines.extend(explanation.stands.iter().flat_map(|stands| sees(stands, &explanation.told, now)));
    lines.push(format!("  applied      {}", explanation.applied));
    if let Some(at) = explanation.pushed {
        let ago = text::age(at, now);
        lines.push(format!("  last change  {} ({ago} ago)", text::time(at)));
    }
    if let Some(update) = &explanation.live_update {
        let outcome = match (update.running, update.exit_code) {
            (true, _) => "running".to_owned(),
            (false, Some(code)) => format!("exit {code} after {}", text::took(Duration::from_millis(update.took_ms))),
            (false, None) => "did not run to its end".to_owned(),
        };
        let failures =
            if update.failures > 0 { format!(", {} failed tries in a row", update.failures) } else { String::new() };
        lines.push(format!("  live update  {outcome} at {}{failures}", text::time(update.at)));
        lines.extend(update.output.iter().map(|line| format!("    {} {line}", printer.out(DIM, "│"))));
    }
    lines.push(if explanation.candidates.is_empty() {
        "  candidates   none: nobody provides such an endpoint".to_owned()
    } else {
        "  candidates".to_owned()
    });
    let width = explanation.candidates.iter().map(|candidate| candidate.name.len()).max().unwrap_or(0);
    for candidate in &explanation.candidates {
        let mark = if candidate.chosen { printer.out(GOOD, "✔") } else { printer.out(BAD, "–") };
        let (name, address, reason) = (&candidate.name, &candidate.address, &candidate.reason);
        lines.push(format!("    {mark} {name:<width$}  {address}  {reason}"));
    }
    lines
}
