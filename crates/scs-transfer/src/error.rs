//! What can go wrong with a copy. Whatever it is, the source is as it was and the target can be copied into again.

use std::io;

/// Why a copy did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no room for it.
    #[error("there is no room: {free} bytes are free at {place}, and {needed} are needed")]
    NoRoom {
        /// Directory that is copied into.
        place: String,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// The disk filled up in the middle.
    #[error("the disk at {place} is full")]
    Full {
        /// Directory that is copied into.
        place: String,
    },
    /// The program is not there.
    #[error("cannot run `rsync`; install it: `apt-get install rsync`")]
    NoRsync(#[source] io::Error),
    /// rsync ended with an error.
    #[error("rsync failed (exit code {code}): {words}")]
    Rsync {
        /// Its exit code; -1 where a signal ended it.
        code: i32,
        /// What it said last.
        words: String,
    },
    /// The other side asked for something that is not part of copying a volume.
    #[error("the other side asked rsync for `{argument}`, which is refused")]
    Refused {
        /// What it asked for.
        argument: String,
    },
    /// The channel, a socket or a directory failed.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether trying again is of no use as long as nobody mends something.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::NoRoom { .. } | Self::Full { .. } | Self::NoRsync(_) | Self::Refused { .. })
    }

    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
