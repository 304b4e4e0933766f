//! Errors of ports as what a life is told of them.

use scs_plan::lifecycle::Failure;
use scs_ports::engine;
use std::any::Any;
use std::error::Error;

/// The chain of causes, outermost first.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    lines
}

/// A failure of a step, with the chain of causes as details.
pub(crate) fn of(error: &(dyn Error + 'static)) -> Failure {
    let mut lines = chain(error);
    let message = lines.join(": ");
    lines.remove(0);
    Failure { message, details: lines, unknown: unknown(error) }
}

/// Whether the engine may have done it all the same.
fn unknown(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(engine::Error::Unreachable { .. } | engine::Error::TimedOut { .. }) = error.downcast_ref() {
            return true;
        }
        next = error.source();
    }
    false
}

/// What is left of a step that panicked. Nobody knows how far it came.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Failure {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = format!("a defect of scs broke this step off: {}", text.unwrap_or("it panicked"));
    Failure { message, details: Vec::new(), unknown: true }
}

/// A failure that is no error of a port.
pub(crate) fn saying(message: impl Into<String>) -> Failure {
    Failure { message: message.into(), ..Failure::default() }
}
