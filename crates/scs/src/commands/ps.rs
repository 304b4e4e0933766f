//! `scs ps`: one line a slot.

use super::{Context, Outcome};
use crate::cli::look::Ps;
use crate::cli::target::Format;
use crate::exit::Exit;
use crate::output::{BAD, DIM, GOOD, ODD, table, text};
use crate::paths;
use anstyle::Style;
use scs_api::agent::{Phase, SlotReport};
use scs_api::inspect::Instance;
use scs_plan::slot::Slot;
use std::time::SystemTime;

/// Narrowest message column: below it the line wraps rather than say nothing.
const MESSAGE: usize = 24;
/// Width where standard output is no terminal.
const WIDTH: usize = 100;

/// Runs it.
pub async fn run(context: &Context, args: &Ps) -> Outcome {
    let (environment, service) = if args.all {
        (None, None)
    } else {
        let (environment, service) = context.maybe_service(&args.target)?;
        (Some(environment), service)
    };
    let client = context.server_if_any().await?.map(|(client, _)| client);
    let path = paths::query("/v1/instances", &[("environment", environment.clone()), ("service", service)]);
    let instances: Vec<Instance> = match &client {
        Some(client) => client.get(&path).await?,
        None => Vec::new(),
    };
    if let (Some(client), Some(environment), []) = (&client, &environment, instances.as_slice())
        && context.note_unknown(client, &args.target.file, environment).await?
        && args.output.output != Format::Json
    {
        return Ok(Exit::DONE);
    }
    if args.output.output == Format::Json {
        context.printer.json(&instances)?;
        return Ok(Exit::DONE);
    }
    if instances.is_empty() {
        context.printer.note("nothing runs here; `scs up` brings a service up, `scs ps --all` lists every one");
        return Ok(Exit::DONE);
    }
    let width = rustix::termios::tcgetwinsize(std::io::stdout())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|width| *width > 0)
        .unwrap_or(WIDTH);
    let several_hosts = context.remote()?.is_some();
    for line in
        render(&instances, several_hosts, SystemTime::now(), width, |style, text| context.printer.out(style, text))
    {
        context.printer.line(line)?;
    }
    Ok(Exit::DONE)
}

/// The lines of the table, not wider than `width` where that can be. Of a cluster they say on which host, and at which address of it.
fn render(
    instances: &[Instance],
    cluster: bool,
    now: SystemTime,
    width: usize,
    paint: impl Fn(Style, &str) -> String,
) -> Vec<String> {
    let reports: Vec<&SlotReport> = instances.iter().map(|instance| &instance.report).collect();
    let service = |report: &SlotReport| format!("{}/{}", report.slot.environment, report.slot.service);
    let several = reports.windows(2).any(|pair| service(pair[0]) != service(pair[1]));
    let headings = ["ROLE", "HOST", "STATE", "ADDRESS", "IMAGE", "RESTARTS", "MESSAGE"];
    let shown = |column: &usize| cluster || headings[*column] != "HOST";
    let columns: Vec<usize> = (0..headings.len()).filter(shown).collect();
    let mut rows = table::new(&columns.iter().map(|column| headings[*column]).collect::<Vec<_>>());
    for instance in instances {
        let report = &instance.report;
        let label = label(report, &reports);
        let role = if several { format!("{}/{label}", service(report)) } else { label };
        let cells = [
            role,
            instance.host.clone(),
            format!("{} {}", word(report.phase), text::age(since(report), now)),
            addresses(report, cluster),
            report.container.as_ref().map_or("–", |container| text::short(&container.image_digest)).to_owned(),
            report.restarts.to_string(),
            message(report),
        ];
        rows.add_row(columns.iter().map(|column| cells[*column].clone()).collect::<Vec<_>>());
    }
    let lines: Vec<String> = table::text(&rows).lines().map(str::to_owned).collect();
    // The message is the last column: what is too long for the line is cut there, and only there.
    let column = lines.first().and_then(|head| head.find("MESSAGE")).unwrap_or(0);
    let mut out: Vec<String> = lines.into_iter().map(|line| text::cut(&line, width.max(column + MESSAGE))).collect();
    for (line, report) in out.iter_mut().skip(1).zip(&reports) {
        let word = word(report.phase);
        *line = line.replacen(&format!("  {word} "), &format!("  {} ", paint(color(report.phase), word)), 1);
    }
    if let Some(head) = out.first_mut() {
        *head = paint(DIM, head);
    }
    out
}

/// Its name as it can be typed: with its index where the role has several instances.
fn label(report: &SlotReport, all: &[&SlotReport]) -> String {
    let slot = &report.slot;
    let sibling = |other: &Slot| Slot { index: slot.index, ..other.clone() } == *slot && other.index != slot.index;
    if all.iter().any(|other| sibling(&other.slot)) { slot.numbered() } else { slot.label() }
}

/// What runs has run since its container was started, whoever looked after it meanwhile.
fn since(report: &SlotReport) -> SystemTime {
    let started = report.container.as_ref().and_then(|container| container.started);
    started.filter(|_| report.phase == Phase::Running).unwrap_or(report.since)
}

fn addresses(report: &SlotReport, cluster: bool) -> String {
    // What has ended cannot be reached, though it is remembered where it was.
    let container = report.container.as_ref().filter(|container| container.exit_code.is_none());
    let Some(container) = container.filter(|_| !matches!(report.phase, Phase::Stopped | Phase::Ended)) else {
        return "–".to_owned();
    };
    let mut all: Vec<String> = container
        .provides
        .iter()
        .map(|(name, provide)| {
            // The loopback interface of another machine is of no use here.
            let local = provide.local_address.as_ref().filter(|_| !cluster);
            format!("{name} {}", local.unwrap_or(&provide.address))
        })
        .collect();
    if all.len() > 2 {
        let more = all.len() - 1;
        all.truncate(1);
        all.push(format!("and {more} more"));
    }
    if all.is_empty() { "–".to_owned() } else { all.join(", ") }
}

fn message(report: &SlotReport) -> String {
    let failing = || {
        let provides = &report.container.as_ref()?.provides;
        provides.iter().find_map(|(name, provide)| provide.failure.as_ref().map(|failure| format!("{name}: {failure}")))
    };
    report.message.clone().or_else(failing).unwrap_or_default().replace('\n', " ")
}

/// A phase in a word.
pub fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Image => "image",
        Phase::Waiting => "waiting",
        Phase::Provisioning => "provisioning",
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Failing => "failing",
        Phase::Backoff => "backoff",
        Phase::Ended => "ended",
        Phase::Failed => "failed",
        Phase::Stopping => "stopping",
        Phase::Stopped => "stopped",
    }
}

fn color(phase: Phase) -> Style {
    match phase {
        Phase::Running => GOOD,
        Phase::Failing | Phase::Failed | Phase::Backoff => BAD,
        Phase::Image | Phase::Waiting | Phase::Provisioning | Phase::Starting | Phase::Stopping => ODD,
        Phase::Ended | Phase::Stopped => DIM,
    }
}

#[cfg(test)]
mod tests;
