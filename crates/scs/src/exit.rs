//! How the program ends: exit codes, and the failures that lead to them.

use scs_api::error::{Code, Problem};
use std::fmt;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All is done.
    pub const DONE: Self = Self(0);
    /// It failed.
    pub const FAILED: Self = Self(1);
    /// Something would change (`plan --detailed-exitcode` alone).
    pub const CHANGES: Self = Self(2);
    /// What was typed makes no sense.
    pub const USAGE: Self = Self(64);
    /// A manifest is wrong.
    pub const MANIFEST: Self = Self(65);
    /// Engine or server do not answer.
    pub const UNAVAILABLE: Self = Self(69);
    /// Somebody else is at it.
    pub const LOCKED: Self = Self(75);
    /// Ctrl-C.
    pub const INTERRUPTED: Self = Self(130);

    /// The exit code that follows from the code of a problem.
    #[must_use]
    pub fn of(code: Code) -> Self {
        match code {
            Code::BadRequest => Self::USAGE,
            Code::Unavailable | Code::EngineUnavailable => Self::UNAVAILABLE,
            Code::Locked => Self::LOCKED,
            Code::Forbidden | Code::NotFound | Code::Conflict | Code::StalePlan | Code::Failed | Code::Internal => {
                Self::FAILED
            }
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// A problem, and the exit code it leads to.
    Problem(Exit, Box<Problem>),
    /// Manifests are wrong; the text shows where, ready to print.
    Manifests {
        /// Every error with its source line.
        text: String,
        /// How many there are.
        errors: usize,
    },
    /// Whoever read the output is gone (`scs ps | head -1`): there is nobody to tell, and nothing is wrong.
    NobodyReads,
    /// It was interrupted, and has said so where there was something to say.
    Interrupted,
}

impl Failure {
    /// A failure of an exit code, with a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        let code = match exit {
            Exit::USAGE => Code::BadRequest,
            Exit::UNAVAILABLE => Code::EngineUnavailable,
            Exit::LOCKED => Code::Locked,
            _ => Code::Failed,
        };
        Self::Problem(exit, Box::new(Problem::new(code, message)))
    }

    /// What was typed makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::USAGE, message)
    }

    /// It failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::FAILED, message)
    }

    /// Engine or server do not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Exit::UNAVAILABLE, message)
    }

    /// The same because of this error and its causes.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        if let Self::Problem(_, problem) = &mut self {
            let mut cause = Some(error);
            while let Some(error) = cause {
                problem.causes.push(error.to_string());
                cause = error.source();
            }
        }
        self
    }

    /// The same with lines of output of what failed.
    #[must_use]
    pub fn output(mut self, lines: Vec<String>) -> Self {
        if let Self::Problem(_, problem) = &mut self {
            problem.output = lines;
        }
        self
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Problem(_, problem) = &mut self {
            problem.hint = Some(hint.into());
        }
        self
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Problem(exit, _) => *exit,
            Self::Manifests { .. } => Exit::MANIFEST,
            Self::NobodyReads => Exit::DONE,
            Self::Interrupted => Exit::INTERRUPTED,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Exit::of(problem.code), Box::new(problem))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(_, problem) => problem.fmt(f),
            Self::Manifests { errors, .. } => write!(f, "{errors} errors in the manifests"),
            Self::NobodyReads => f.write_str("nobody reads the output"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}
