//! The passes in which volumes are copied: as long as each leaves much less to do than the one before.

use std::time::Duration;

/// A pass that copied less is followed by no further one: a last pass of it takes about a second.
const SMALL: u64 = 16 << 20;
/// Most passes before the one that verifies. What changes as fast as it is copied does not get less by being copied again.
const MOST: usize = 6;

/// A kind of pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// While the slot runs: what differs by size and time.
    Warm,
    /// While the slot runs: what differs by content.
    Verify,
    /// While it is stopped: what differs by size and time, and by content what was mapped for writing.
    Final,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of files that differed.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// Why a pass did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFailure {
    /// In one line.
    pub message: String,
    /// Whether trying again is of no use (no room, no such volume).
    pub fatal: bool,
}

#[derive(Debug, Default)]
pub(super) struct Passes {
    attempt: u64,
    busy: Option<Pass>,
    warm: Vec<Copied>,
    verified: bool,
    pub(super) finished: bool,
}

impl Passes {
    pub(super) fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    pub(super) fn busy(&self) -> Option<Pass> {
        self.busy
    }

    /// How many warm passes have ended.
    pub(super) fn count(&self) -> usize {
        self.warm.len()
    }

    /// Begins a pass; gives its number.
    pub(super) fn begin(&mut self, pass: Pass) -> u64 {
        self.attempt += 1;
        self.busy = Some(pass);
        self.attempt
    }

    /// What comes next while it runs; `None` once the rest is for the last pass.
    pub(super) fn next(&self) -> Option<Pass> {
        let enough = match self.warm.as_slice() {
            [] => false,
            [.., last] if last.bytes <= SMALL => true,
            [.., before, last] if last.bytes > before.bytes / 4 * 3 => true,
            all => all.len() >= MOST,
        };
        if !enough {
            return Some(Pass::Warm);
        }
        (!self.verified).then_some(Pass::Verify)
    }

    /// How long the last pass may be expected to take.
    pub(super) fn estimate(&self) -> Duration {
        self.warm.last().map(|last| last.took).unwrap_or_default()
    }

    /// Notes the end of a pass; `None` where it is not the one that is under way.
    pub(super) fn ended(
        &mut self,
        attempt: u64,
        result: Result<Copied, CopyFailure>,
    ) -> Option<Result<(), CopyFailure>> {
        let pass = self.busy.take_if(|_| attempt == self.attempt)?;
        Some(result.map(|copied| match pass {
            Pass::Warm => self.warm.push(copied),
            Pass::Verify => self.verified = true,
            Pass::Final => self.finished = true,
        }))
    }

    /// Answers to what an earlier stage asked for are no longer of interest.
    pub(super) fn stage_over(&mut self) {
        self.busy = None;
        self.attempt += 1;
        self.finished = false;
    }
}
