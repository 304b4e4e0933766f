//! Volumes from host to host: `rsync` on both sides, over a channel that the agents have between them.
//!
//! The target runs the client ([`Pull`]), whose "remote shell" is [`bridge::run`]: it joins rsync to a socket of the target's
//! agent, which joins that to a [`Channel`] to the source. There [`serve`] runs rsync's other half for exactly one directory; of what
//! it is asked only what it knows is let through. Nothing here knows markers, permits or hosts.

mod arguments;
pub mod bridge;
mod error;
mod mapped;
mod progress;
mod pull;
mod room;
mod serve;
mod survey;

pub use error::Error;
pub use pull::{Open, Pull};
pub use serve::serve;
pub use survey::survey;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream of bytes in both directions, whatever carries it.
pub type Channel = Box<dyn Duplex>;
