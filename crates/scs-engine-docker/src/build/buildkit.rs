//! BuildKit, through Docker's command line program: its protocol is that program's own, and `RUN --mount` needs it.

use super::transcript::BuildKit;
use crate::Docker;
use crate::image::ByteStream;
use futures_util::StreamExt;
use scs_ports::engine::{Build, Error, Progress};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};

/// The first `docker` of the search path that can drive BuildKit.
pub(super) async fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    for directory in std::env::split_paths(&paths) {
        let program = directory.join("docker");
        if program.is_file() && drives_buildkit(&program).await {
            return Some(program);
        }
    }
    None
}

/// From 18.09 to 22 the program has BuildKit's client in it; since 23 that is its plug-in `buildx`.
async fn drives_buildkit(program: &Path) -> bool {
    let Some(version) = output(program, &["--version"]).await else { return false };
    let number = |text: &str| text.split('.').next()?.parse::<u32>().ok();
    match version.split_whitespace().nth(2).and_then(number) {
        Some(18..=22) => true,
        _ => output(program, &["buildx", "version"]).await.is_some(),
    }
}

async fn output(program: &Path, arguments: &[&str]) -> Option<String> {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = run.await.ok().filter(|it| it.status.success())?;
    String::from_utf8(output.stdout).ok()
}

pub(super) async fn build(
    docker: &Docker,
    program: &Path,
    request: &Build,
    context: ByteStream,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let refused = |message: String| Error::Refused { action: format!("build image `{}`", request.reference), message };
    let mut child = command(docker, program, request)
        .spawn()
        .map_err(|error| refused(format!("cannot run {}: {error}", program.display())))?;
    let (Some(stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
        return Err(refused("its pipes are missing".to_owned()));
    };
    let mut transcript = BuildKit::default();
    let reading = async {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            if let Some(line) = transcript.take_in(&String::from_utf8_lossy(&line)) {
                progress.line(&line);
            }
        }
    };
    let (sent, ()) = tokio::join!(send(context, stdin), reading);
    let status = child.wait().await.map_err(|error| refused(error.to_string()))?;
    sent.map_err(|error| refused(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    let (step, output, message) = transcript.failure();
    let step = step.unwrap_or_else(|| request.dockerfile.clone());
    Err(Error::Build { step, message, output })
}

/// Copies the context. A program that ends early (its own error is the better one) is no failure here.
async fn send(mut context: ByteStream, mut stdin: ChildStdin) -> std::io::Result<()> {
    while let Some(bytes) = context.next().await {
        if stdin.write_all(&bytes?).await.is_err() {
            return Ok(());
        }
    }
    let _ = stdin.shutdown().await;
    Ok(())
}

fn command(docker: &Docker, program: &Path, request: &Build) -> Command {
    let mut command = Command::new(program);
    command.env("DOCKER_BUILDKIT", "1").env("DOCKER_HOST", docker.address.replacen("http://", "tcp://", 1));
    command.env_remove("DOCKER_CONTEXT");
    command.args(["build", "--progress", "plain", "--tag", &request.reference, "--file", &request.dockerfile]);
    if let Some(target) = &request.target {
        command.args(["--target", target]);
    }
    for (name, value) in &request.labels {
        command.args(["--label", &format!("{name}={value}")]);
    }
    for (name, value) in &request.arguments {
        // Values go through the environment, where no process list shows them; but not over what the program itself reads.
        if std::env::var_os(name).is_some() || name.starts_with("DOCKER") || name.starts_with("BUILDKIT") {
            command.args(["--build-arg", &format!("{name}={value}")]);
        } else {
            command.env(name, value).args(["--build-arg", name]);
        }
    }
    command.arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}
