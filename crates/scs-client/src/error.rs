//! Why a request came to nothing, and of whom it was asked.

use scs_api::error::{Code, Problem};
use scs_pki::Trouble;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Of whom something is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The server that listens on a socket of this machine.
    Socket(PathBuf),
    /// This user's own `scs dev`, at its socket.
    Own(PathBuf),
    /// A server.
    Server {
        /// `host:port`.
        address: String,
    },
    /// One who is known by name.
    Named {
        /// E.g. `host web1`.
        who: String,
        /// `host:port`.
        address: String,
    },
}

/// `host web1 (198.51.100.12:9642)`.
impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "the server at {}", path.display()),
            Self::Own(path) => write!(f, "`scs dev` at {}", path.display()),
            Self::Server { address } => write!(f, "the server at {address}"),
            Self::Named { who, address } => write!(f, "{who} ({address})"),
        }
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there; nothing was asked.
    #[error("{whom} does not answer")]
    Unreachable {
        /// Who.
        whom: Whom,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody answers and is not who was meant, or does not take us; nothing was asked.
    #[error("no secure connection to {whom}")]
    Untrusted {
        /// Who was meant.
        whom: Whom,
        /// Why.
        #[source]
        trouble: Trouble,
    },
    /// The connection broke; whether it was done is unknown.
    #[error("{whom} stopped answering to {path}")]
    Broken {
        /// Who.
        whom: Whom,
        /// What was asked for.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// There is a connection and no answer; whether it was done is unknown.
    #[error("{whom} has not answered to {path} within {} s", .after.as_secs())]
    Silent {
        /// Who.
        whom: Whom,
        /// What was asked for.
        path: String,
        /// How long it was waited.
        after: Duration,
    },
    /// The connection to a command broke; whether it still runs is unknown.
    #[error("the connection to the container was lost; whether the command still runs is unknown")]
    Lost {
        /// Why, where known.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// It was answered with a problem.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The answer is none that this version understands.
    #[error("the answer to {path} makes no sense to this version")]
    Strange {
        /// Who answered.
        whom: Whom,
        /// What was asked for.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The answer is longer than any that makes sense.
    #[error("{what} of the answer to {path} is larger than {limit} MiB")]
    TooLong {
        /// What of it.
        what: &'static str,
        /// What was asked for.
        path: String,
        /// How much is taken.
        limit: usize,
    },
    /// It cannot even be asked.
    #[error("cannot ask for {path}")]
    Unaskable {
        /// What was asked for.
        path: String,
        /// Why.
        #[source]
        source: hyper::http::Error,
    },
}

impl Error {
    pub(crate) fn refused(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }

    /// Whether there is nobody to ask, or was nobody at the end.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::Broken { .. }
            | Self::Silent { .. }
            | Self::Lost { .. } => true,
            Self::Refused(problem) => matches!(problem.code, Code::Unavailable | Code::EngineUnavailable),
            Self::Strange { .. } | Self::TooLong { .. } | Self::Unaskable { .. } => false,
        }
    }

    /// The last cause, which says most in the fewest words.
    #[must_use]
    pub fn why(&self) -> String {
        let mut last: &(dyn StdError + 'static) = self;
        while let Some(cause) = last.source() {
            last = cause;
        }
        last.to_string()
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Untrusted { trouble, .. } => Some(trouble.hint()),
            Self::Unreachable { .. } => {
                Some("nothing was asked of it; see whether it runs and the network leads there".to_owned())
            }
            Self::Broken { .. } | Self::Silent { .. } => {
                Some("whether it was done is unknown; containers keep running".to_owned())
            }
            Self::Lost { .. } => Some("`scs ps` shows whether the container runs".to_owned()),
            Self::Strange { .. } | Self::TooLong { .. } | Self::Unaskable { .. } => {
                Some("is it another version?".to_owned())
            }
            Self::Refused(_) => None,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = if error.is_unavailable() { Code::Unavailable } else { Code::Internal };
        if let Error::Refused(problem) = error {
            return *problem;
        }
        let problem = Problem::of(code, &error);
        Problem { hint: error.hint(), ..problem }
    }
}
