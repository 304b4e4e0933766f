//! What the core is told and what it asks for.

use std::time::Duration;

use disco_proto::{Failure, Message};

use crate::{grants::Grants, observe::Observed};

/// A point in time: how long after an origin that the shell chose once. It must not go backwards.
pub type Time = Duration;

/// A connection; the shell numbers them and never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conn(pub u64);

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client connected that may do this much.
    Connected(Conn, Grants),
    /// What it may do is another now.
    Granted(Conn, Grants),
    /// Whoever let it in does so no longer, and this is why.
    Refused(Conn, Failure),
    /// It sent a message.
    Received(Conn, Box<Message>),
    /// Its connection ended, whoever ended it.
    Disconnected(Conn),
    /// Time passed.
    Tick,
    /// This server is about to end; clients are told to come back after so long.
    Stopping {
        /// How long they should wait at least.
        retry_after: Duration,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this, after everything sent to the same connection before.
    Send(Conn, Box<Message>),
    /// Close this connection once everything sent to it before has gone out. [`Input::Disconnected`] may or may not follow.
    Close(Conn),
    /// Tell whoever watches the registry that it changed.
    Changed(Observed),
    /// Tell those who look after this server.
    Alarm(Alarm),
}

/// What those who look after a server should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// So many hosts fell silent at once that their endpoints are kept as suspect.
    BrakeOn {
        /// Hosts that nobody has heard of for two heartbeats.
        overdue: usize,
        /// Hosts that provide anything.
        hosts: usize,
    },
    /// Nothing is suspect any more.
    BrakeOff {
        /// Sessions that were given up.
        evicted: usize,
        /// Sessions that came back.
        returned: usize,
    },
}
