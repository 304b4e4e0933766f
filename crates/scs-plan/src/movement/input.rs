//! What a move is told (facts) and what it asks for (effects).

use super::copy::{Copied, CopyFailure, Pass};
use super::record::{Record, Stage};
use std::time::Duration;

/// One of the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The source.
    From,
    /// The target.
    To,
}

/// What a host's newest report says of the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Revision of the assignments it works on.
    pub revision: u64,
    /// Whether nothing of the slot runs there, nor is about to. False where the host does not know.
    pub stopped: bool,
    /// Whether it runs there as it should.
    pub ready: bool,
    /// What came of it since it was first assigned to that host.
    pub used: Used,
    /// What is wrong with it, or what it waits for, in words.
    pub words: Option<String>,
}

/// What came of a slot on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Used {
    /// No container ever ran.
    Never,
    /// One ran, but it was never ready nor announced: nobody was served by it.
    Started,
    /// One was ready or announced: others may have written through it.
    Served,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A host reported.
    Reported(End, Sight),
    /// A host does not answer any more.
    Lost(End),
    /// A pass of copying has ended.
    Copied {
        /// Which one.
        attempt: u64,
        /// How.
        result: Result<Copied, CopyFailure>,
    },
    /// The quiesce command has ended, however.
    Quiesced,
    /// The source has noted that its permits are no longer good, or has not.
    Released(Result<(), String>),
    /// Desired state has the move like this now: the commit that was asked for, or what it found instead.
    Committed(Box<Record>),
    /// Nothing was committed.
    CommitFailed,
    /// The end that was asked for is in desired state.
    Closed,
    /// Somebody wants it called off; why.
    AbortAsked(String),
    /// Somebody answers for it that the target is dead and stays so. Of one that is not silent this says nothing.
    TargetFenced,
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Enter a stage in one transaction that expects the present one: permits, place and tombstones follow from it. Answered by
    /// `Committed` or `CommitFailed`.
    Commit {
        /// Which one.
        stage: Stage,
        /// Why the move is called off.
        fault: Option<String>,
    },
    /// Copy every volume from source to target, ending whatever is still copied for this move before. Answered by `Copied`.
    Copy {
        /// Number, for the answer; grows.
        attempt: u64,
        /// Which kind.
        pass: Pass,
    },
    /// End what is being copied.
    CancelCopy,
    /// Have the container make its files consistent. Answered by `Quiesced`.
    Quiesce,
    /// Let it write again.
    Unquiesce,
    /// Have the source note beside the data that its permits are no longer good. Answered by `Released`.
    Release,
    /// End the move in one transaction that expects the present stage: the record goes, and with it the slot on the host that does
    /// not have it. Answered by `Closed` or `CommitFailed`.
    Close(Outcome),
}

/// How a move ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The slot is on the target.
    Moved {
        /// How long it was down; zero where it ran beside itself.
        downtime: Duration,
        /// What is wrong all the same.
        warning: Option<String>,
    },
    /// It is on the source, as before.
    Failed {
        /// Why.
        fault: String,
        /// How long it was down for it, as far as that is over.
        downtime: Option<Duration>,
        /// Why it does not run there, where it does not.
        warning: Option<String>,
    },
}
