//! From the files in a directory to a compiled deployment: finds and reads manifests and sources, compiles, shows what is wrong.

mod manifests;
mod secrets;
mod sources;

pub use manifests::{origin, overlaid, service_name};
pub use secrets::{secrets, value as secret_value};

use crate::cli::target::Manifests;
use crate::client::Client;
use crate::commands::Context;
use crate::exit::Failure;
use crate::output::say;
use scs_image::source;
use scs_manifest::compiled::{Deployment, Role};
use scs_manifest::{Diagnostic, File, Tree};
use std::collections::HashMap;
use std::path::PathBuf;

/// A deployment, compiled, and what it was made from.
#[derive(Debug)]
pub struct Loaded {
    /// The compiled form.
    pub deployment: Deployment,
    /// Directory of the manifests, against which the user's relative paths count.
    pub origin: PathBuf,
    /// The merged manifests.
    pub tree: Tree,
    /// Every file that findings may point into.
    pub files: Vec<File>,
    /// The sources that were read, by digest.
    pub sources: HashMap<String, source::Tree>,
    /// Whether findings are shown in color.
    color: bool,
}

impl Loaded {
    /// `environment/service`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.deployment.environment, self.deployment.service)
    }

    /// A role by its name.
    ///
    /// # Errors
    /// Names those there are where there is no such role.
    pub fn role(&self, name: &str) -> Result<&Role, Failure> {
        self.deployment.roles.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.deployment.roles.keys().map(String::as_str).collect();
            let near = scs_manifest::diagnostic::suggest(name, known.iter().copied());
            Failure::usage(format!("`{name}` is no role of {}", self.deployment.service)).hint(near.unwrap_or_else(
                || format!("its roles are {}", scs_manifest::diagnostic::listed(known.iter().copied())),
            ))
        })
    }

    /// A failure that shows these findings.
    fn findings(&self, found: &[Diagnostic]) -> Failure {
        findings(found, &self.files, self.color)
    }
}

/// The merged manifests of a command, not compiled.
///
/// # Errors
/// Where a file cannot be read or parsed.
pub fn tree(context: &Context, manifests: &Manifests) -> Result<Tree, Failure> {
    let environment = context.environment(manifests.env.as_ref())?;
    let read = manifests::read(&manifests.file, &environment)?;
    read.merged().map_err(|found| findings(&found, &read.files, context.settings.screen.stderr_color))
}

/// Loads and compiles the manifests of a command. Warnings are shown.
///
/// # Errors
/// With exit code 65 and every finding where something is wrong with them.
pub fn load(context: &Context, args: &Manifests) -> Result<Loaded, Failure> {
    let color = context.settings.screen.stderr_color;
    let environment = context.environment(args.env.as_ref())?;
    let read = manifests::read(&args.file, &environment)?;
    let tree = read.merged().map_err(|found| findings(&found, &read.files, color))?;
    let looked_up = sources::look_up(&tree, &read);
    let mut files = read.files.clone();
    files.extend(looked_up.inputs.values().filter_map(|input| input.manifest.clone()));
    let request = scs_manifest::Request {
        environment: &environment,
        tree: &tree,
        images: &looked_up.inputs,
        platform: platform(),
        caller_env: &|name| std::env::var(name).ok(),
    };
    let (deployment, warnings) = scs_manifest::compile(&request).map_err(|found| findings(&found, &files, color))?;
    if !warnings.is_empty() && !context.settings.screen.quiet {
        say(scs_manifest::render(&warnings, &files, color).trim_end());
    }
    Ok(Loaded { deployment, origin: read.origin, tree, files, sources: looked_up.trees, color })
}

/// Hands the sources of a deployment to the server, where it has not got them.
///
/// # Errors
/// Where a source changed meanwhile, or the server does not take it.
pub async fn upload(client: &Client, loaded: &Loaded) -> Result<(), Failure> {
    for (digest, tree) in &loaded.sources {
        let path = format!("/v1/bundles/{digest}");
        if !client.has(&path).await? {
            sources::send(client, &path, tree.clone()).await?;
        }
    }
    Ok(())
}

/// Bundles the sources of a deployment into a store of this machine.
///
/// # Errors
/// Where a source changed meanwhile, or the disk is full.
pub async fn bundle(loaded: &Loaded, store: &source::BundleStore) -> Result<(), Failure> {
    let (trees, store) = (loaded.sources.clone(), store.clone());
    let bundled = tokio::task::spawn_blocking(move || trees.values().try_for_each(|tree| store.put(tree).map(drop)));
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::failed("cannot bundle a source").because(error).hint("run the command again; nothing was changed")
    };
    bundled.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// The failure of whoever finds that the server has no engine.
#[must_use]
pub fn no_engine(server: u32) -> Failure {
    let place = std::env::var(crate::env::DOCKER_HOST).unwrap_or_else(|_| "/var/run/docker.sock".to_owned());
    Failure::unavailable(format!("the container engine does not answer (looked for at {place})")).hint(format!(
        "is it running, and may you use it? `scs doctor` says more; `scs dev` (process {server}) goes on trying"
    ))
}

fn findings(found: &[Diagnostic], files: &[File], color: bool) -> Failure {
    Failure::Manifests {
        text: scs_manifest::render(found, files, color),
        errors: found.iter().filter(|finding| finding.is_error()).count(),
    }
}

/// The platform of this machine's containers, as engines call it.
fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        "arm" => "linux/arm",
        "riscv64" => "linux/riscv64",
        "s390x" => "linux/s390x",
        "powerpc64" => "linux/ppc64le",
        _ => "linux/unknown",
    }
}
