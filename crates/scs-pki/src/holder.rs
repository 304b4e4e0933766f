//! Who is at the other end of a connection, and the certificate that says so.

use std::time::SystemTime;

use rustls::CommonState;

use crate::{certificate::Certificate, identity::Identity, tls::certificate_of, trouble::Trouble};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub identity: Identity,
    /// The certificate that says so.
    pub certificate: Certificate,
}

/// Who is at the other end of a connection, once the handshake is done. Whether the certificate has been revoked is not looked at.
///
/// # Errors
/// Where there is no certificate, or it is of no use any more.
pub fn holder_of(connection: &CommonState, now: SystemTime) -> Result<Holder, Trouble> {
    let certificate = certificate_of(connection, now)?;
    let identity = certificate.identity().map_err(Trouble::Identity)?;
    Ok(Holder { identity, certificate })
}
