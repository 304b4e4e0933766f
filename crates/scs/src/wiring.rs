//! Adapters between the crates, which do not know each other: what one asks for, said in the other's words.

pub mod agent;
pub mod bundles;
pub mod discovery;
pub mod images;
pub mod installation;
pub mod peers;
pub mod session;
pub mod transfers;
pub mod volumes;

use scs_api::error::{Code, Problem};
use scs_ports::engine;

/// A problem of an error of the engine.
fn engine_problem(error: &engine::Error) -> Problem {
    let code = match error {
        engine::Error::Unreachable { .. } | engine::Error::TimedOut { .. } => Code::EngineUnavailable,
        engine::Error::NotFound { .. } => Code::NotFound,
        engine::Error::Conflict { .. } | engine::Error::PortTaken { .. } => Code::Conflict,
        _ => Code::Failed,
    };
    Problem::of(code, error)
}
