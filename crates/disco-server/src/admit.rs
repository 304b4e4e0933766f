//! What a peer may do where that does not follow from its certificate alone: certificates that were revoked, grants that come from elsewhere
//! and change.

use std::{fmt, sync::Arc, time::SystemTime};

use disco_core::Grants;
use disco_proto::{Code, Failure};
use scs_pki::{Certificate, Identity, Trouble, identity_of, rustls::CommonState};
use tokio::sync::watch;

/// Decides who comes in and what it may do. It is asked at every handshake, resumed ones too, since a ticket outlives a revocation;
/// at every request of the HTTP API; and about every open connection whenever its answers may have changed.
///
/// What it grants a host should include what is still being taken away from it: an endpoint that is no longer granted goes from the registry
/// at once, before its container has said goodbye.
pub trait Admit: fmt::Debug + Send + Sync + 'static {
    /// What the holder of this certificate may do now. [`Identity::grants`] is what the certificate says by itself.
    ///
    /// It is called on the task that owns the registry: it must answer from memory.
    ///
    /// # Errors
    /// Where the certificate has been revoked; whoever shows it is told so and disconnected.
    fn admit(&self, holder: &Holder) -> Result<Grants, Revoked>;

    /// Sees a new value whenever answers may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Who shows a certificate, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who it is, and what the certificate says that it may do.
    pub identity: Identity,
    /// The certificate's number, in hexadecimal digits.
    pub serial: String,
    /// When it was issued, or an hour before: certificates begin a little earlier than that, since clocks differ.
    pub not_before: SystemTime,
}

/// A certificate that has been revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate of {holder} has been revoked: {why}")]
pub struct Revoked {
    /// Whose, e.g. `host web1`.
    pub holder: String,
    /// In words, e.g. `alice removed this host on 2026-11-25`.
    pub why: String,
}

impl Revoked {
    /// The certificate that this one showed, for this reason.
    pub fn new(holder: &Holder, why: impl Into<String>) -> Self {
        Self { holder: holder.identity.to_string(), why: why.into() }
    }
}

impl From<Revoked> for Failure {
    fn from(revoked: Revoked) -> Self {
        Failure::new(Code::Revoked, format!("{revoked}; if that was not meant, let it join again"))
    }
}

/// What a peer was let in with.
#[derive(Debug, Clone)]
pub(crate) enum Pass {
    /// It may do this as long as it is connected.
    Fixed(Grants),
    /// It may do what this one says.
    Asked(Arc<Holder>, Arc<dyn Admit>),
}

impl Pass {
    /// Looks at the certificate of a connection whose handshake is done, and asks what its holder may do.
    pub(crate) fn of(connection: &CommonState, admit: Option<&Arc<dyn Admit>>) -> Result<Self, Unfit> {
        let identity = identity_of(connection, SystemTime::now()).map_err(Unfit::Trouble)?;
        let Some(admit) = admit else { return Ok(Pass::Fixed(identity.grants())) };
        let certificate = connection.peer_certificates().and_then(<[_]>::first).map(Certificate::read);
        let Some(Ok(certificate)) = certificate else {
            return Err(Unfit::Trouble(Trouble::Other("the peer's certificate cannot be read".to_owned())));
        };
        let holder = Holder { identity, serial: certificate.serial, not_before: certificate.not_before };
        let pass = Pass::Asked(Arc::new(holder), Arc::clone(admit));
        pass.grants().map_err(Unfit::Revoked)?;
        Ok(pass)
    }

    /// What it lets do now.
    pub(crate) fn grants(&self) -> Result<Grants, Revoked> {
        match self {
            Pass::Fixed(grants) => Ok(grants.clone()),
            Pass::Asked(holder, admit) => admit.admit(holder),
        }
    }

    /// Where news of what it lets do come from, if they come.
    pub(crate) fn changes(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Pass::Fixed(_) => None,
            Pass::Asked(_, admit) => Some(admit.changes()),
        }
    }
}

/// Why nobody gets in with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is of no use.
    Trouble(Trouble),
    /// It was.
    Revoked(Revoked),
}

impl Unfit {
    /// Stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Unfit::Trouble(trouble) => trouble.code(),
            Unfit::Revoked(_) => Code::Revoked.as_str(),
        }
    }
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Trouble(trouble) => Failure::new(Code::Forbidden, format!("{trouble}; {}", trouble.hint())),
            Unfit::Revoked(revoked) => revoked.into(),
        }
    }
}

/// Waits until answers may have changed; for ever where nobody is asked.
pub(crate) async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(receiver) = changes
        && receiver.changed().await.is_ok()
    {
        return;
    }
    *changes = None;
    std::future::pending().await
}
