//! Configurators: how a base and a source become an image. Pure: a compiled image becomes a [`Recipe`], which is text.
//!
//! `puppet` and `shell` run a script inside a container of the base, with the recipe's files mounted read-only at
//! [`PLACE`], and the container is committed: the image is the base and one layer, and nothing of the source is in it but
//! what the configuration itself put there. `dockerfile` and `none` are Dockerfiles.

mod environment;
mod puppet;
mod shell;

pub use environment::proxies;

use scs_manifest::compiled::{Configurator, Image};
use std::collections::BTreeMap;

/// Where a build sees its files. Below `/dev`, which is the container's own file system in memory: not even the empty
/// directory of the mount gets into the image.
pub const PLACE: &str = "/dev/scs-build";
/// Begins the line by which a build's script announces its next step.
pub(crate) const STEP: &str = "--- step ";
/// The script's exit code when it does not run as root.
pub(crate) const NOT_ROOT: i64 = 97;

/// Raised whenever a recipe makes another image of the same inputs; part of the image digest.
#[must_use]
pub fn recipe_version(configurator: &Configurator) -> u32 {
    match configurator {
        Configurator::Puppet { .. } => puppet::RECIPE_VERSION,
        Configurator::Shell { .. } => shell::RECIPE_VERSION,
        Configurator::Dockerfile { .. } | Configurator::None => 1,
    }
}

/// What is to be done to make an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// A script inside a container of the base.
    Script(Script),
    /// The source's own Dockerfile.
    Dockerfile {
        /// Its path in the source.
        file: String,
        /// Stage to stop at.
        target: Option<String>,
        /// Build arguments.
        arguments: BTreeMap<String, String>,
    },
    /// The base as it is.
    Base,
}

/// A build by script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Files below [`PLACE`] by path; `run` is the script, for `/bin/sh`.
    pub files: BTreeMap<String, String>,
    /// Files that the source must hold, each with what asks for it.
    pub needs: Vec<(String, String)>,
}

/// A compiled image that no recipe can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A parameter cannot be handed over.
    #[error("parameter `{name}` {message}")]
    Parameter {
        /// Its name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A path leads out of the source.
    #[error("`{path}` is not a path inside the source")]
    Path {
        /// The path.
        path: String,
    },
    /// The resources are not `KIND: {NAME: {…}}`.
    #[error("`config.resources.{place}` is not a mapping")]
    Resources {
        /// Where.
        place: String,
    },
}

/// The recipe of an image. `proxies` are for the build alone and change nothing in it.
pub fn recipe(image: &Image, proxies: &BTreeMap<String, String>) -> Result<Recipe, Error> {
    Ok(match &image.configurator {
        Configurator::Puppet { resources } => Recipe::Script(puppet::script(&image.parameters, resources, proxies)?),
        Configurator::Shell { scripts } => Recipe::Script(shell::script(&image.parameters, scripts, proxies)?),
        Configurator::Dockerfile { file, target } => Recipe::Dockerfile {
            file: inside(file)?,
            target: target.clone(),
            arguments: image.parameters.iter().map(|(name, value)| (name.clone(), environment::text(value))).collect(),
        },
        Configurator::None => Recipe::Base,
    })
}

/// A Dockerfile that sets what an image's command, entry point and user shall be.
#[must_use]
pub fn settings(base: &str, image: &Image) -> String {
    let mut text = format!("FROM {base}\n");
    let list = |items: &[String]| serde_json::to_string(items).expect("a list of texts is JSON");
    if let Some(user) = &image.user {
        // The only one of the three in which the builder expands variables.
        text.push_str(&format!("USER {}\n", user.replace('\\', "\\\\").replace('$', "\\$")));
    }
    if let Some(entrypoint) = &image.entrypoint {
        text.push_str(&format!("ENTRYPOINT {}\n", list(entrypoint)));
    }
    if let Some(command) = &image.command {
        text.push_str(&format!("CMD {}\n", list(command)));
    }
    text
}

/// A path of the source, shortest form.
fn inside(path: &str) -> Result<String, Error> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if path.starts_with('/') || path.contains('\0') || parts.is_empty() || parts.contains(&"..") {
        return Err(Error::Path { path: path.to_owned() });
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests;
