//! Wire messages of the disco/1 protocol and their bounded codec.
//!
//! Bytes in, values out, and back: no sockets, no clock. `docs/protocol.md` is the normative description; its examples
//! are checked byte for byte against this crate.

mod check;
pub mod codec;
pub mod failure;
mod limit;
pub mod limits;
pub mod message;
mod model;
mod name;
mod query;
pub mod snapshot;
mod version;

pub use codec::{Frames, decode, encode};
pub use failure::{Code, Failure};
pub use limit::Limit;
pub use message::{Answer, Id, Message, Method};
pub use model::{Endpoint, Health, Protocol, Provision, Reason};
pub use name::{Invalid, Name, label};
pub use query::{Condition, Query};
pub use version::Version;

/// The protocol this crate speaks, as said in `session.open`.
pub const PROTOCOL: &str = "disco/1";
