//! `scs doctor`: what this machine lacks, and what is left over. Looks only; every finding says what to do.

use super::{Context, Outcome};
use crate::cli::host::Doctor;
use crate::cli::target::Format;
use crate::dev::{Left, start};
use crate::exit::{Exit, Failure};
use crate::output::{BAD, GOOD, ODD, text};
use crate::wiring::installation;
use scs_api::inspect::Version;
use scs_ports::engine::{Engine, Labels, State};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Less free space than this does not hold one more image.
const TIGHT: u64 = 2 << 30;

/// One finding.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    what: &'static str,
    /// How it is.
    state: Health,
    /// In words.
    message: String,
    /// What to do about it.
    hint: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    /// As it should be.
    Good,
    /// Something does not work without it, most does.
    Odd,
    /// Nothing works without it.
    Bad,
}

impl Finding {
    fn good(what: &'static str, message: impl Into<String>) -> Self {
        Self { what, state: Health::Good, message: message.into(), hint: None }
    }

    fn odd(what: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what, state: Health::Odd, message: message.into(), hint: Some(hint.into()) }
    }

    fn bad(what: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what, state: Health::Bad, message: message.into(), hint: Some(hint.into()) }
    }
}

/// Runs it.
pub async fn run(context: &Context, args: &Doctor) -> Outcome {
    let findings = look(context).await;
    if args.output.output == Format::Json {
        context.printer.json(&findings)?;
    } else {
        let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
        for finding in &findings {
            let mark = match finding.state {
                Health::Good => context.printer.out(GOOD, "✔"),
                Health::Odd => context.printer.out(ODD, "!"),
                Health::Bad => context.printer.out(BAD, "✘"),
            };
            context.printer.line(format!("{mark} {:<width$}  {}", finding.what, finding.message))?;
            if let Some(hint) = &finding.hint {
                context.printer.line(format!("  {:<width$}  hint: {hint}", ""))?;
            }
        }
    }
    match findings.iter().filter(|finding| finding.state == Health::Bad).count() {
        0 => Ok(Exit::DONE),
        bad => {
            let engine = findings.iter().any(|finding| finding.what == "engine" && finding.state == Health::Bad);
            let exit = if engine { Exit::UNAVAILABLE } else { Exit::FAILED };
            let noun = if bad == 1 { "thing has" } else { "things have" };
            Err(Failure::new(exit, format!("{bad} {noun} to be mended before scs works here"))
                .hint("the hints above say how"))
        }
    }
}

async fn look(context: &Context) -> Vec<Finding> {
    let mut findings = vec![Finding::good("scs", format!("version {}", env!("CARGO_PKG_VERSION")))];
    let server = server(context, &mut findings).await;
    state(context, &mut findings);
    match installation::engine().await {
        Ok(engine) => engine_findings(context, &engine, server.is_some(), &mut findings).await,
        Err(Failure::Problem(_, problem)) => {
            let why = problem.causes.last().cloned().unwrap_or_default();
            findings.push(Finding::bad("engine", format!("{}: {why}", problem.message), engine_hint(&why)));
        }
        Err(other) => findings.push(Finding::bad("engine", other.to_string(), "see DOCKER_HOST")),
    }
    programs(&mut findings);
    findings
}

fn engine_hint(why: &str) -> String {
    if why.to_lowercase().contains("permission") {
        "you may not use it: `sudo usermod -aG docker $USER`, then log in again".to_owned()
    } else if which("dockerd").is_none() {
        "install one: `apt-get install docker.io`".to_owned()
    } else {
        "start it: `systemctl start docker`; DOCKER_HOST names one elsewhere".to_owned()
    }
}

/// What runs of our own.
async fn server(context: &Context, findings: &mut Vec<Finding>) -> Option<Version> {
    let files = context.files();
    let log = files.log();
    match (start::find(&files, &context.printer).await, files.left()) {
        (Ok((_, version)), _) => {
            let services = if version.services.is_empty() { "nothing".to_owned() } else { version.services.join(", ") };
            let message =
                format!("runs as process {}, looks after {services}; its log is {}", version.pid, log.display());
            if version.version == env!("CARGO_PKG_VERSION") {
                findings.push(Finding::good("scs dev", message));
            } else {
                let message = format!("is version {}; it {message}", version.version);
                findings.push(Finding::odd(
                    "scs dev",
                    message,
                    "`scs dev --stop`, then `scs up`; containers keep running",
                ));
            }
            return Some(version);
        }
        (Err(_), Left::Running) => findings.push(Finding::odd(
            "scs dev",
            format!("does not run, though there is something to look after; its log is {}", log.display()),
            "`scs up` or `scs dev` starts it again",
        )),
        (Err(_), _) => findings.push(Finding::good("scs dev", "does not run; `scs up` starts it")),
    }
    None
}

fn state(context: &Context, findings: &mut Vec<Finding>) {
    let state = &context.settings.state;
    let there: PathBuf =
        state.ancestors().find(|path| path.exists()).map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let writable = rustix::fs::access(&there, rustix::fs::Access::WRITE_OK).is_ok();
    if !writable {
        let message = format!("{} cannot be written", there.display());
        findings.push(Finding::bad("state", message, "see who owns it, or set SCS_STATE_DIR to a directory of yours"));
        return;
    }
    findings.push(room("state", &format!("lies in {}", state.display()), &there));
}

fn room(what: &'static str, message: &str, path: &Path) -> Finding {
    let Ok(disk) = rustix::fs::statvfs(path) else { return Finding::good(what, message) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let message = format!("{message}, {} free", text::size(free));
    if free < TIGHT {
        return Finding::odd(what, message, "`scs prune` removes images that nothing uses any more");
    }
    Finding::good(what, message)
}

async fn engine_findings(context: &Context, engine: &dyn Engine, served: bool, findings: &mut Vec<Finding>) {
    match engine.info().await {
        Ok(info) => {
            let rootless = if info.rootless { ", without root" } else { "" };
            findings.push(Finding::good(
                "engine",
                format!("{} (API {}, {}{rootless})", info.version, info.api, info.platform),
            ));
            if info.root.exists() {
                findings.push(room("images", &format!("lie in {}", info.root.display()), &info.root));
            }
        }
        Err(error) => findings.push(Finding::bad("engine", error.to_string(), "see its own log")),
    }
    let owner = std::fs::read_to_string(context.settings.state.join("owner")).unwrap_or_default().trim().to_owned();
    let labels = Labels::from([(scs_agent::label::OWNER.to_owned(), String::new())]);
    let Ok(containers) = engine.containers(&labels).await else { return };
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    let (mut own, mut stale) = (0, 0);
    for container in &containers {
        let whose = container.labels.get(scs_agent::label::OWNER).cloned().unwrap_or_default();
        if whose != owner {
            *others.entry(whose).or_default() += 1;
        } else if container.state == State::Running {
            own += 1;
        } else {
            stale += 1;
        }
    }
    let stopped = if stale > 0 { format!(", {stale} that have ended") } else { String::new() };
    if own + stale > 0 && !served {
        let message = format!("{own} running{stopped}, and nobody looks after them");
        findings.push(Finding::odd(
            "containers",
            message,
            "`scs dev` or `scs up` takes them over; `scs down` removes them",
        ));
    } else {
        findings.push(Finding::good("containers", format!("{own} running{stopped}")));
    }
    if !others.is_empty() {
        let whose: Vec<String> = others.iter().map(|(owner, count)| format!("{count} of {owner}")).collect();
        findings.push(Finding::good(
            "others",
            format!("containers of other installations: {}; never touched", whose.join(", ")),
        ));
    }
}

/// Programs that something needs, and what.
fn programs(findings: &mut Vec<Finding>) {
    let root = rustix::process::geteuid().is_root();
    let base = which("mmdebstrap").or_else(|| which("debootstrap"));
    findings.push(match base {
        Some(path) if root || (path.ends_with("mmdebstrap") && which("newuidmap").is_some()) => {
            Finding::good("base systems", format!("made with {}", path.display()))
        }
        Some(path) => Finding::odd(
            "base systems",
            format!("{} needs newuidmap where it does not run as root", path.display()),
            "`apt-get install mmdebstrap uidmap`; images `from` a reference do without",
        ),
        None => Finding::odd(
            "base systems",
            "`from: {debootstrap: …}` needs mmdebstrap or debootstrap, and neither is there",
            "`apt-get install mmdebstrap`; images `from` a reference do without",
        ),
    });
    for (what, program, needed) in [
        ("rsync", "rsync", "moving volumes between hosts needs it"),
        ("tar", "tar", "`scs volume export` and `import` need it"),
        ("git", "git", "images whose source is a git repository need it"),
    ] {
        findings.push(match which(program) {
            Some(path) => Finding::good(what, path.display().to_string()),
            None => Finding::odd(what, format!("is not there; {needed}"), format!("`apt-get install {program}`")),
        });
    }
}

/// Where a program is.
fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|path| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok())
}
