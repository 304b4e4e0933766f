//! The types of the HTTP API between command line, server and agents. JSON; every stream is one JSON object a line, every point
//! in time RFC 3339 in UTC.
//!
//! [`agent`] is what a server and its agents tell each other; everything else is what people's commands speak.

pub mod agent;
pub mod audit;
pub mod deploy;
pub mod error;
pub mod exec;
pub mod host;
pub mod image;
pub mod inspect;
pub mod join;
pub mod log;
pub mod person;
pub mod routes;
pub mod secret;
mod time;
pub mod transfer;
pub mod volume;
