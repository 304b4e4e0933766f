//! How a failure is shown: what failed, why, its last lines of output, what to do next.

use super::{BAD, BOLD, DIM, Printer, say};
use crate::exit::Failure;
use scs_api::error::{Code, Problem};

impl Printer {
    /// Shows a failure on standard error.
    pub fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Problem(_, problem) => self.problem(problem),
            Failure::Manifests { text, errors } => {
                say(text.trim_end());
                let noun = if *errors == 1 { "error" } else { "errors" };
                say(&format!("{} {errors} {noun} in the manifests", self.err(BAD, "error:")));
                self.hint("correct them and run `scs validate`; nothing was changed");
            }
            Failure::NobodyReads | Failure::Interrupted => {}
        }
    }

    fn problem(&self, problem: &Problem) {
        say(&format!("{} {}", self.err(BAD, "error:"), self.err(BOLD, &problem.message)));
        let mut last = problem.message.as_str();
        for cause in &problem.causes {
            // A layer that says no more than the one above it is left out.
            if cause != last && !last.ends_with(cause.as_str()) {
                say(&format!("  because: {}", indented(cause)));
            }
            last = cause;
        }
        for line in &problem.output {
            say(&format!("  {} {line}", self.err(DIM, "│")));
        }
        self.hint(problem.hint.as_deref().unwrap_or_else(|| fallback(problem.code)));
    }

    /// What to do next.
    pub fn hint(&self, hint: &str) {
        say(&format!("{} {}", self.err(super::NAME, "hint:"), indented(hint)));
    }
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ")
}

/// What to do next where whoever failed had no better idea.
fn fallback(code: Code) -> &'static str {
    match code {
        Code::BadRequest => "`scs help` and `scs COMMAND --help` say what can be asked",
        Code::Forbidden => "nothing was changed; an administrator of the cluster may do it, or let you",
        Code::NotFound => "`scs ps --all` lists what there is",
        Code::Conflict => "`scs ps` shows the state it is in",
        Code::StalePlan => "run `scs up` again to see the plan against what is there now",
        Code::Locked => "wait for the other command to end, then try again",
        Code::Unavailable => "containers keep running; see whether it runs and the network leads there",
        Code::EngineUnavailable => "`scs doctor` says what is the matter with the engine",
        Code::Failed => "`scs ps` shows where it stands, `scs logs` what it wrote",
        Code::Internal => "the log of `scs dev` may say more; `scs doctor` says where it is",
    }
}
