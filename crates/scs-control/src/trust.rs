//! Who makes certificates for those who join.

use async_trait::async_trait;
use scs_api::error::{Code, Problem};
use scs_pki::{Authority, Fingerprint, Identity, Order, Signed, Unissued};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How long the certificates of hosts and people are valid; they are renewed at half of it.
const VALID: Duration = Duration::from_secs(24 * 3600);

/// Makes certificates.
#[async_trait]
pub trait Certifier: Send + Sync + std::fmt::Debug {
    /// A certificate that says who its holder is, for the key of a request (PEM).
    async fn certify(&self, request: &str, identity: Identity) -> Result<Signed, Problem>;
    /// What the authority that issues is known by.
    async fn authority(&self) -> Result<Fingerprint, Problem>;
}

/// The authority that lies beside the server's state. It is opened anew for each certificate, so that a rotation is followed.
#[derive(Debug, Clone)]
pub struct OwnAuthority {
    directory: PathBuf,
    valid: Duration,
}

impl OwnAuthority {
    /// The authority in this directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, valid: VALID }
    }

    /// The same, whose certificates are valid for so long.
    #[must_use]
    pub fn valid(self, valid: Duration) -> Self {
        Self { valid, ..self }
    }

    /// Files are read and written, which may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Authority) -> Result<T, Unissued> + Send + 'static,
    ) -> Result<T, Problem> {
        let directory = self.directory.clone();
        let done = tokio::task::spawn_blocking(move || work(&Authority::open(&directory)?)).await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(problem(&error)),
            Err(error) => Err(Problem::of(Code::Internal, &error).hint("no certificate was issued")),
        }
    }
}

#[async_trait]
impl Certifier for OwnAuthority {
    async fn certify(&self, request: &str, identity: Identity) -> Result<Signed, Problem> {
        let order = Order { identity, addresses: Vec::new(), valid: self.valid };
        let request = request.to_owned();
        self.with(move |authority| authority.sign(&request, &order, SystemTime::now())).await
    }

    async fn authority(&self) -> Result<Fingerprint, Problem> {
        self.with(Authority::fingerprint).await
    }
}

fn problem(error: &Unissued) -> Problem {
    match error {
        Unissued::Request(_) | Unissued::Order(_) => Problem::of(Code::BadRequest, error),
        _ => Problem::of(Code::Internal, error),
    }
    .hint("no certificate was issued, and the token can still be used")
}
