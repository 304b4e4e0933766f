//! Base systems: what an image starts from. References are looked up in the engine and pulled otherwise; `debootstrap`
//! ones are made of the distribution's packages and imported, so that nothing needs a registry.

mod debian;

pub use debian::Tools;

use crate::lock;
use crate::tail::Tail;
use scs_manifest::compiled::Base;
use scs_ports::engine::{self, Engine, Image, Labels, Progress};
use std::path::PathBuf;

/// Label of a base that was made here; its value is the base as written (`bookworm`, `bookworm-20250520T000000Z`).
pub const LABEL: &str = "scs.base";

/// Why there is no base. No image and no file of a failed attempt is left.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine failed or refused.
    #[error("cannot {action}")]
    Engine {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: engine::Error,
    },
    /// The suite or the snapshot date is not one.
    #[error("`{text}` is not {what}")]
    Name {
        /// What was given.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// No program that makes base systems, or not all it needs.
    #[error("base `{name}` cannot be made on this machine: {message}")]
    Unable {
        /// The base.
        name: String,
        /// What is missing.
        message: String,
        /// How to get it.
        install: &'static str,
    },
    /// The program failed.
    #[error("{program} could not make base `{name}`: {message}")]
    Failed {
        /// The program.
        program: String,
        /// The base.
        name: String,
        /// How it ended, or why it did not start.
        message: String,
        /// Its last lines.
        output: Vec<String>,
    },
    /// Another process cannot be waited for.
    #[error(transparent)]
    Lock(#[from] lock::Error),
}

impl Error {
    pub(crate) fn output(&self) -> &[String] {
        if let Error::Failed { output, .. } = self { output } else { &[] }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Unable { install, .. } => {
                Some(format!("install it with `{install}`, or start from an image reference"))
            }
            Error::Failed { .. } => {
                Some("nothing was left behind; see whether the package mirror can be reached".to_owned())
            }
            _ => None,
        }
    }
}

/// What a debootstrap base is called in the engine.
#[must_use]
pub fn reference(suite: &str, snapshot: Option<&str>) -> String {
    format!("scs-base:{}", name(suite, snapshot))
}

fn name(suite: &str, snapshot: Option<&str>) -> String {
    snapshot.map_or_else(|| suite.to_owned(), |snapshot| format!("{suite}-{snapshot}"))
}

/// Finds a base in the engine, or pulls or makes it. `None` for [`Base::None`].
pub async fn ensure(
    engine: &dyn Engine,
    base: &Base,
    tools: &Tools,
    locks: &std::path::Path,
    progress: &dyn Progress,
) -> Result<Option<Image>, Error> {
    match base {
        Base::None => Ok(None),
        Base::Reference(reference) => find_or_pull(engine, reference, progress).await.map(Some),
        Base::Debootstrap { suite, snapshot } => {
            debootstrap(engine, suite, snapshot.as_deref(), tools, locks, progress).await.map(Some)
        }
    }
}

/// The image of a reference, pulled if the engine does not have it.
pub(crate) async fn find_or_pull(
    engine: &dyn Engine,
    reference: &str,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    if let Some(image) = look(engine, reference).await? {
        return Ok(image);
    }
    progress.line(&format!("pulling {reference}"));
    let failed = |source| Error::Engine { action: format!("pull {reference}"), source };
    engine.pull(reference, progress).await.map_err(failed)
}

async fn look(engine: &dyn Engine, reference: &str) -> Result<Option<Image>, Error> {
    let failed = |source| Error::Engine { action: format!("look for image {reference}"), source };
    engine.image(reference).await.map_err(failed)
}

async fn debootstrap(
    engine: &dyn Engine,
    suite: &str,
    snapshot: Option<&str>,
    tools: &Tools,
    locks: &std::path::Path,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    let reference = reference(suite, snapshot);
    let maker = debian::Maker::new(suite, snapshot)?;
    if let Some(image) = look(engine, &reference).await? {
        return Ok(image);
    }
    let _lock = lock::acquire(locks, &format!("base-{}", maker.name), progress).await?;
    if let Some(image) = look(engine, &reference).await? {
        return Ok(image);
    }
    let plan = maker.plan(tools)?;
    progress.line(&format!("making {reference} with {}", program_name(&plan.program)));
    let tail = Tail::new(progress);
    let labels = Labels::from([(LABEL.to_owned(), maker.name.clone())]);
    let made = debian::run(&plan, tools, &tail, |tar| engine.import(&reference, tar, &labels)).await;
    let failed = |message: String| Error::Failed {
        program: program_name(&plan.program),
        name: maker.name.clone(),
        message,
        output: tail.take(),
    };
    match made {
        Err(message) => Err(failed(message)),
        Ok(Err(source)) => Err(Error::Engine { action: format!("import {reference}"), source }),
        Ok(Ok(image)) => Ok(image),
    }
}

fn program_name(program: &std::path::Path) -> String {
    program.file_name().map_or_else(|| PathBuf::from(program), PathBuf::from).display().to_string()
}

#[cfg(test)]
mod tests;
