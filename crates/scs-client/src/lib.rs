//! The client of the HTTP APIs of server and agents: over a Unix socket of this machine, or over TLS to whoever was meant.
//!
//! One connection a request: over TLS the session is resumed, so that the next one costs a round trip more than a connection that was
//! kept, and none is ever found dead. Nothing here knows what is asked; errors say whom it was asked of.

mod body;
mod client;
mod connect;
mod error;
mod exec;
mod lines;
pub mod paths;
pub mod socket;
mod upgrade;

pub use client::Client;
pub use connect::{Security, Target, Tls};
pub use error::{Error, Whom};
pub use exec::{Receiver, Sender};
pub use hyper::Method;
