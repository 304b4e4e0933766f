//! Signals that end a command that would go on for ever.

use crate::exit::{Exit, Failure};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, and the polite request to end. Heard from when it is made: a signal between two looks is not lost.
#[derive(Debug)]
pub struct Ending {
    interrupt: Signal,
    terminate: Signal,
}

/// Which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Ctrl-C.
    Interrupt,
    /// The polite request.
    Terminate,
}

impl End {
    /// How a command that was told to end has ended: Ctrl-C is a failure to whoever waits, the polite request none.
    pub fn outcome(self) -> Result<Exit, Failure> {
        match self {
            Self::Interrupt => Err(Failure::Interrupted),
            Self::Terminate => Ok(Exit::DONE),
        }
    }
}

impl Ending {
    /// From now on.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self { interrupt: heard(SignalKind::interrupt())?, terminate: heard(SignalKind::terminate())? })
    }

    /// The next one.
    pub async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.interrupt.recv() => End::Interrupt,
            _ = self.terminate.recv() => End::Terminate,
        }
    }
}

/// Signals of a kind, from now on.
///
/// # Errors
/// Where the system refuses.
pub fn heard(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::failed("cannot wait for signals").because(&error))
}
