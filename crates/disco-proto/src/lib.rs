//! Wire messages of the disco/1 protocol and their bounded codec.
//!
//! Bytes in, values out, and back: no sockets, no clock. `docs/protocol.md` is the normative description; its examples
//! are checked byte for byte against this crate.

pub mod codec;
pub mod failure;
pub mod limits;
pub mod message;
mod model;
mod name;

pub use codec::{Frames, decode, encode};
pub use failure::{Code, Failure};
pub use message::{Answer, Id, Message, Method};
pub use model::{Condition, Endpoint, Health, Protocol, Provision, Query, Reason, Version};
pub use name::{Invalid, Name, label};

/// The protocol this crate speaks, as said in `session.open`.
pub const PROTOCOL: &str = "disco/1";
