//! Looks the sources of roles up: their `image.yaml`, their content's digest, and the bundle of it for the server.

use super::manifests::{self, Read};
use crate::client::Client;
use crate::exit::Failure;
use futures_util::StreamExt as _;
use scs_image::source::{self, BundleStore};
use scs_manifest::compiled::{Configurator, Source};
use scs_manifest::deployment::{self, RoleSource};
use scs_manifest::{Diagnostic, File, ImageInput, Tree};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use tokio_util::io::ReaderStream;

/// What sources hold.
#[derive(Debug, Default)]
pub struct LookedUp {
    /// By role.
    pub inputs: HashMap<String, ImageInput>,
    /// By digest.
    pub trees: HashMap<String, source::Tree>,
}

/// Looks every role's source up. What is wrong with one is said by the compiler, at the place that names it.
pub fn look_up(tree: &Tree, read: &Read) -> LookedUp {
    let mut found = LookedUp::default();
    let parsed = deployment::parse(&tree.root).ok();
    let exclude = excluded(tree, read);
    for role in deployment::sources(&tree.root) {
        let inline = parsed.as_ref().and_then(|manifest| manifest.containers.get(&role.role)?.manifest.as_ref());
        let inline = inline.map(|manifest| manifest.config.configurator.clone());
        let input = one(&role, inline, &exclude, &mut found.trees);
        found.inputs.insert(role.role, input);
    }
    found
}

fn one(
    role: &RoleSource,
    inline: Option<Configurator>,
    exclude: &[PathBuf],
    trees: &mut HashMap<String, source::Tree>,
) -> ImageInput {
    let problem = |problem: String| ImageInput { problem: Some(problem), ..ImageInput::default() };
    let directory = match &role.source {
        Source::Reference(_) => return ImageInput::default(),
        Source::Git { .. } => return problem("this version takes sources from directories only".to_owned()),
        Source::Path(path) => beside(&role.span.file, path),
    };
    if !directory.is_dir() {
        return problem(format!("there is no directory {}", directory.display()));
    }
    let mut input = ImageInput::default();
    let mut configurator = inline;
    if role.wants_manifest {
        let path = directory.join("image.yaml");
        match manifests::text(&path) {
            Ok(Ok(text)) => {
                let file = File::new(path.display().to_string(), text);
                configurator = scs_manifest::image::parse(&file).ok().map(|manifest| manifest.config.configurator);
                input.manifest = Some(file);
            }
            Ok(Err(what)) => return problem(what),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return problem(format!("cannot read {}: {error}", path.display())),
        }
    }
    let keep = match configurator {
        Some(Configurator::Dockerfile { file, .. }) => vec![file],
        _ => Vec::new(),
    };
    match source::scan(&directory, &source::Options { exclude: exclude.to_vec(), keep }) {
        Ok(tree) => {
            input.source_digest = Some(tree.digest.clone());
            trees.insert(tree.digest.clone(), tree);
        }
        Err(error) => input.problem = Some(chain(&error)),
    }
    input
}

/// A path beside the file that names it.
pub fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file).parent().unwrap_or(Path::new("")).join(path)
}

/// What is part of no image: the deployment's own files, and the files its secrets are in.
fn excluded(tree: &Tree, read: &Read) -> Vec<PathBuf> {
    let secrets = tree.root.get("secrets").and_then(|node| node.map());
    let secrets = secrets.into_iter().flat_map(|map| map.values()).filter_map(|entry| {
        let file = entry.node.get("file")?;
        Some(beside(&file.span.file, file.to_json().as_str()?))
    });
    let files = read.paths.iter().cloned().chain(secrets);
    files.filter_map(|path| std::path::absolute(path).ok()).collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Sends a source's bundle to the server.
///
/// # Errors
/// Where the source changed meanwhile, or the server does not take it.
pub async fn send(client: &Client, path: &str, tree: source::Tree) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::failed("cannot bundle a source").because(error).hint("run the command again; nothing was changed")
    };
    let (directory, file) = tokio::task::spawn_blocking(move || {
        let directory = tempfile::Builder::new().prefix("scs-bundle-").tempdir().map_err(|error| failed(&error))?;
        let bundle = BundleStore::new(directory.path()).put(&tree).map_err(|error| failed(&error))?;
        let file = std::fs::File::open(bundle).map_err(|error| failed(&error))?;
        Ok::<_, Failure>((directory, file))
    })
    .await
    .map_err(|error| failed(&error))??;
    let bytes = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 256 << 10);
    let sent = client.upload(path, bytes.boxed()).await;
    drop(directory);
    Ok(sent?)
}

/// A finding about a place, for what is looked up after compiling.
pub fn finding(tree: &Tree, path: &[&str], message: String, help: &str) -> Diagnostic {
    let mut node = &tree.root;
    for key in path {
        match node.get(key) {
            Some(below) => node = below,
            None => break,
        }
    }
    Diagnostic::error(&node.span, message).help(help)
}
