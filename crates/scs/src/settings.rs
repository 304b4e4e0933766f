//! Settings: what arguments, environment and defaults come to, resolved before anything runs.

use crate::cli::{Color, Common};
use crate::env;
use crate::exit::Failure;
use std::ffi::OsString;
use std::path::PathBuf;

/// Environment where nobody names one.
pub const DEFAULT_ENVIRONMENT: &str = "dev";

/// Everything that commands take from outside their own arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Directory of state, logs and volumes.
    pub state: PathBuf,
    /// Environment, where a command is given none.
    pub environment: Option<String>,
    /// Which server to speak to, where that was said.
    pub context: Option<String>,
    /// Every question is answered with yes.
    pub yes: bool,
    /// Discovery server of `scs run` and `scs disco`.
    pub disco: Option<String>,
    /// Directories of finished images.
    pub caches: Vec<PathBuf>,
    /// What our own processes log.
    pub log: String,
    /// Base of the user's configuration.
    pub configuration: Option<PathBuf>,
    /// What the screen can do.
    pub screen: Screen,
}

/// What standard output and error are, and how they are written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Screen {
    /// Somebody can be asked: standard input and error are a terminal.
    pub interactive: bool,
    /// Progress is drawn in place: standard error is a terminal.
    pub live: bool,
    /// Standard output takes colors.
    pub stdout_color: bool,
    /// Standard error takes colors.
    pub stderr_color: bool,
    /// Only what went wrong is said.
    pub quiet: bool,
}

/// Which standard streams are terminals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminals {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Looks an environment variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Resolves the settings.
///
/// # Errors
/// Where a variable makes no sense, or no state directory can be told.
pub fn resolve(common: &Common, lookup: Lookup<'_>, terminals: Terminals, root: bool) -> Result<Settings, Failure> {
    let text = |name: &str| lookup(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
    let path = |name: &str| lookup(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let environment = text(env::ENVIRONMENT);
    if let Some(environment) = &environment {
        check_label("environment", environment)
            .map_err(|failure| failure.hint(format!("set {} to a name", env::ENVIRONMENT)))?;
    }
    let color = |terminal: bool| match common.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && text(env::NO_COLOR).is_none() && text("TERM").as_deref() != Some("dumb"),
    };
    Ok(Settings {
        state: state(path(env::STATE_DIR), path(env::XDG_STATE_HOME), path(env::HOME), root)?,
        environment,
        context: common.context.clone().or_else(|| text(env::CONTEXT)),
        yes: text(env::YES).is_some_and(|value| value != "0"),
        disco: text(env::DISCO),
        caches: caches(lookup(env::CACHE)),
        log: text(env::LOG).unwrap_or_else(|| "info".to_owned()),
        configuration: path(env::XDG_CONFIG_HOME).or_else(|| path(env::HOME).map(|home| home.join(".config"))),
        screen: Screen {
            interactive: terminals.stdin && terminals.stderr,
            live: terminals.stderr && text("TERM").as_deref() != Some("dumb"),
            stdout_color: color(terminals.stdout),
            stderr_color: color(terminals.stderr),
            quiet: common.quiet,
        },
    })
}

/// Absolute, for whoever reads them goes elsewhere.
fn caches(given: Option<OsString>) -> Vec<PathBuf> {
    let given = given.unwrap_or_default();
    let named = std::env::split_paths(&given).filter(|path| !path.as_os_str().is_empty());
    named.map(|path| std::path::absolute(&path).unwrap_or(path)).collect()
}

fn state(own: Option<PathBuf>, xdg: Option<PathBuf>, home: Option<PathBuf>, root: bool) -> Result<PathBuf, Failure> {
    let state = match (own, root) {
        (Some(own), _) => own,
        (None, true) => PathBuf::from("/var/lib/scs"),
        // The specification has relative paths ignored.
        (None, false) => {
            match xdg.filter(|xdg| xdg.is_absolute()).or_else(|| home.map(|home| home.join(".local/state"))) {
                Some(base) => base.join("scs"),
                None => {
                    return Err(Failure::usage("there is no directory to keep state in: HOME is not set")
                        .hint(format!("set HOME, or {} to a directory of yours", env::STATE_DIR)));
                }
            }
        }
    };
    std::path::absolute(&state).map_err(|error| {
        Failure::usage(format!("{} is no directory to keep state in", state.display()))
            .because(&error)
            .hint(format!("set {} to an absolute path", env::STATE_DIR))
    })
}

/// Checks a name that becomes part of endpoint names.
///
/// # Errors
/// Where it is no DNS label.
pub fn check_label(what: &str, name: &str) -> Result<(), Failure> {
    let fine = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fine {
        return Ok(());
    }
    Err(Failure::usage(format!("`{name}` is no name for {} {what}", article(what)))
        .hint("names are up to 63 small letters, digits and hyphens, and neither start nor end with a hyphen"))
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

#[cfg(test)]
mod tests;
