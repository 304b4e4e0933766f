//! Errors as the API answers them.

use serde::{Deserialize, Serialize};

/// Why a request failed: what, where, why, what was left as it was, what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Stable code.
    pub code: Code,
    /// What failed and where, one sentence without a full stop.
    pub message: String,
    /// Why: the chain of causes, outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// Last lines of output of what failed.
    #[serde(default)]
    pub output: Vec<String>,
    /// What was left as it was, and what to do next.
    #[serde(default)]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without causes, output or hint.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), causes: Vec::new(), output: Vec::new(), hint: None }
    }

    /// A problem of an error and its chain of sources.
    #[must_use]
    pub fn of(code: Code, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut problem = Self::new(code, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            problem.causes.push(cause.to_string());
            source = cause.source();
        }
        problem
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Stable codes. The command line's exit codes follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request itself is wrong.
    BadRequest,
    /// Whoever asks may not do it.
    Forbidden,
    /// There is no such service, role, volume, secret, …
    NotFound,
    /// It cannot be done in this state (volume in use, service owned by another directory).
    Conflict,
    /// Desired state has changed since the plan was made.
    StalePlan,
    /// Somebody else applies a change to this service.
    Locked,
    /// A server or host does not answer, or cannot be trusted.
    Unavailable,
    /// The container engine does not answer.
    EngineUnavailable,
    /// A role did not come to be what was asked.
    Failed,
    /// A defect, or the disk.
    Internal,
}
