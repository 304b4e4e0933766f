//! Why an image is not there.

use crate::{base, configurator, lock, source};
use scs_ports::engine;
use std::path::PathBuf;

/// Why an image is not there. A failed build leaves no container and no image behind.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine failed or refused.
    #[error("cannot {action}")]
    Engine {
        /// What was tried, e.g. `look for image …`.
        action: String,
        /// Why it failed.
        #[source]
        source: engine::Error,
    },
    /// A step of the build failed.
    #[error("the image of {title} was not built: step `{step}` failed: {message}")]
    Build {
        /// Whose image.
        title: String,
        /// The step, e.g. `1/2: configure.sh`.
        step: String,
        /// What failed in it.
        message: String,
        /// The last lines it printed.
        output: Vec<String>,
    },
    /// The base system could not be made.
    #[error("there is no base for the image of {title}")]
    Base {
        /// Whose image.
        title: String,
        /// Why.
        #[source]
        source: Box<base::Error>,
    },
    /// The source is not there or not readable.
    #[error("the source of the image of {title} cannot be used")]
    Source {
        /// Whose image.
        title: String,
        /// Why.
        #[source]
        source: source::Error,
    },
    /// The source lacks a file.
    #[error("the source of the image of {title} has no `{path}`, which {wanted_by} names")]
    Incomplete {
        /// Whose image.
        title: String,
        /// The file.
        path: String,
        /// What names it.
        wanted_by: String,
    },
    /// The compiled image makes no sense as a build.
    #[error("the image of {title} cannot be built")]
    Recipe {
        /// Whose image.
        title: String,
        /// Why.
        #[source]
        source: configurator::Error,
    },
    /// The image is for another kind of machine.
    #[error("the image of {title} is for {wanted}, but this engine runs {engine}")]
    Platform {
        /// Whose image.
        title: String,
        /// Platform of the image.
        wanted: String,
        /// Platform of the engine.
        engine: String,
    },
    /// The compiled image contradicts itself.
    #[error("the image of {title} {message}")]
    Invalid {
        /// Whose image.
        title: String,
        /// What is wrong.
        message: &'static str,
    },
    /// A build that others waited for failed; the one who built has the whole error.
    #[error("{message}")]
    Shared {
        /// Its error with all causes.
        message: String,
        /// The last lines of the failed step.
        output: Vec<String>,
        /// What to do next.
        hint: Option<String>,
    },
    /// Another process cannot be waited for.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn engine(action: impl Into<String>) -> impl FnOnce(engine::Error) -> Self {
        let action = action.into();
        move |source| Error::Engine { action, source }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { action, path, source }
    }

    /// The last lines of the step or program that failed, to be shown below the error.
    #[must_use]
    pub fn output(&self) -> &[String] {
        match self {
            Error::Build { output, .. } | Error::Shared { output, .. } => output,
            Error::Base { source, .. } => source.output(),
            _ => &[],
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Build { .. } => Some(
                "nothing was left behind; correct the image's source or parameters and run the same command again"
                    .to_owned(),
            ),
            Error::Shared { hint, .. } => hint.clone(),
            Error::Base { source, .. } => source.hint(),
            Error::Incomplete { path, .. } => {
                Some(format!("add `{path}` to the source, or see whether .dockerignore leaves it out"))
            }
            Error::Source { source: source::Error::Missing { .. } | source::Error::Corrupt { .. }, .. } => {
                Some("run `scs up` again from the deployment's directory".to_owned())
            }
            _ => None,
        }
    }

    /// The same failure, for those who waited for it.
    pub(crate) fn shared(&self) -> Self {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Error::Shared { message, output: self.output().to_vec(), hint: self.hint() }
    }
}
