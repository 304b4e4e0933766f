//! Values of secrets that come from whoever runs the command: a file, an environment variable, what a command prints.

use super::{Loaded, sources};
use crate::exit::Failure;
use scs_api::secret::SecretValue;
use scs_manifest::Diagnostic;
use scs_manifest::compiled::SecretSource;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Longest secret; what is longer is no password but the wrong file.
pub const LONGEST: usize = 512 << 10;
/// How long a command may take: it may ask a password manager on the network.
const PATIENCE: Duration = Duration::from_secs(60);

/// The values, by name. Generated secrets are the server's.
///
/// # Errors
/// With exit code 65 and the place of each that cannot be had.
pub async fn secrets(loaded: &Loaded) -> Result<BTreeMap<String, SecretValue>, Failure> {
    let mut values = BTreeMap::new();
    let mut found: Vec<Diagnostic> = Vec::new();
    for (name, source) in &loaded.deployment.secrets {
        let place = |kind: &str| ["secrets".to_owned(), name.clone(), kind.to_owned()];
        let (kind, value) = match source {
            SecretSource::Generate(_) => continue,
            SecretSource::File(path) => ("file", file(&path_of(loaded, name, path))),
            SecretSource::Environment(variable) => (
                "environment",
                std::env::var(variable).map_err(|_| format!("the environment variable {variable} is not set")),
            ),
            SecretSource::Command(command) => ("command", run(command, &loaded.origin).await),
        };
        match value {
            Ok(value) => {
                values.insert(name.clone(), SecretValue::new(value));
            }
            Err(why) => {
                let path = place(kind);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let message = format!("the secret `{name}` cannot be read: {why}");
                found.push(sources::finding(&loaded.tree, &path, message, "nothing was changed"));
            }
        }
    }
    if found.is_empty() { Ok(values) } else { Err(loaded.findings(&found)) }
}

fn path_of(loaded: &Loaded, name: &str, path: &str) -> PathBuf {
    let node = loaded.tree.root.get("secrets").and_then(|node| node.get(name)).and_then(|node| node.get("file"));
    node.map_or_else(|| loaded.origin.join(path), |node| sources::beside(&node.span.file, path))
}

fn file(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    value(bytes)
}

/// A value as it was read: one line end at its end is not part of it.
pub fn value(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it has {} bytes; a secret has at most {LONGEST}", bytes.len()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
}

async fn run(command: &[String], directory: &Path) -> Result<String, String> {
    let Some((program, arguments)) = command.split_first() else { return Err("its command is empty".to_owned()) };
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        // A password manager may ask on the terminal.
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(PATIENCE, output).await {
        Err(_) => return Err(format!("{program} did not end within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => return Err(format!("{program}: {error}")),
        Ok(Ok(output)) => output,
    };
    if output.status.success() { value(output.stdout) } else { Err(format!("{program} ended with {}", output.status)) }
}
