//! A token becomes a certificate: what a host and a person do alike when they join a cluster.

use crate::contexts::Address;
use crate::exit::{Exit, Failure};
use scs_api::join::{JoinRequest, JoinResponse, JoiningHost, RenewRequest, TokenText};
use scs_client::Client;
use scs_pki::{Expected, Fingerprint, Live, Request};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far two clocks may be apart before it is worth a word: certificates are backdated by more.
const APART: Duration = Duration::from_secs(120);
/// How long the server may think.
const PATIENCE: Duration = Duration::from_secs(20);

/// A token as it was typed, `-` being standard input.
///
/// # Errors
/// Where it is none.
pub fn token(text: &str) -> Result<TokenText, Failure> {
    let mut read = String::new();
    let text = if text == "-" {
        std::io::stdin()
            .take(4096)
            .read_to_string(&mut read)
            .map_err(|error| Failure::usage("cannot read the token from standard input").because(&error))?;
        read.as_str()
    } else {
        text
    };
    text.parse().map_err(|error: scs_api::join::NotAToken| {
        Failure::usage(error.to_string()).hint("copy it whole from what `scs host token` or `scs person token` printed")
    })
}

/// Joins, and writes the certificate into a directory.
///
/// # Errors
/// Where the server cannot be reached, is not the one that the token is of, or refuses; nothing was changed then.
pub async fn join(
    server: &Address,
    token: &TokenText,
    host: Option<JoiningHost>,
    directory: &Path,
) -> Result<JoinResponse, Failure> {
    let Some(authority) = server.authority() else {
        return Err(Failure::usage(format!("{server} needs no token: whoever may open the socket may do everything")));
    };
    let fingerprint: Fingerprint =
        token.authority.parse().map_err(|error: scs_pki::NotAFingerprint| Failure::usage(error.to_string()))?;
    let request = Request::new().map_err(|error| super::commands::ca::failure(&error))?;
    let ask = JoinRequest {
        token: token.to_string(),
        csr: request.pem().to_owned(),
        now: SystemTime::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host,
    };
    let client = Client::first_contact(authority, fingerprint).within(PATIENCE);
    let answer: JoinResponse = client.post("/v1/join", &ask).await?;
    let ours = SystemTime::now();
    let apart = ours.duration_since(answer.now).unwrap_or_else(|error| error.duration());
    if apart > APART {
        tracing::warn!(
            seconds = apart.as_secs(),
            "this machine's clock and the server's are apart; certificates need right ones"
        );
    }
    request.write(&answer.certificate, &answer.trusted, directory).map_err(|error| {
        let failure = super::commands::ca::failure(&error);
        if failure.exit() == Exit::FAILED {
            failure.hint("the token is used up; ask for another once this is mended")
        } else {
            failure
        }
    })?;
    Ok(answer)
}

/// Renews a certificate that still counts, for the same key, and takes it up. `advertise` is where a host is reached.
///
/// # Errors
/// Where the server cannot be reached or refuses; what was used before is used on.
pub async fn renew(
    server: &Address,
    live: &Arc<Live>,
    directory: &Path,
    advertise: Option<String>,
) -> Result<JoinResponse, Failure> {
    let failed = |error: scs_pki::Unissued| super::commands::ca::failure(&error);
    let address = server.authority().ok_or_else(|| Failure::failed(format!("{server} issues no certificates")))?;
    let request = Request::renewing(live.files()).map_err(failed)?;
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let ask = RenewRequest { csr: request.pem().to_owned(), advertise, version };
    let client = Client::tls(address, live.clone(), Expected::Server).within(PATIENCE);
    let answer: JoinResponse = client.post("/v1/renew", &ask).await?;
    request.write(&answer.certificate, &answer.trusted, directory).map_err(failed)?;
    live.reload().map_err(|error| Failure::failed("the renewed certificate cannot be used").because(&error))?;
    Ok(answer)
}

/// Whether more than half of a certificate's life is over: the time to renew it.
#[must_use]
pub fn past_half(certificate: &scs_pki::Certificate, now: SystemTime) -> bool {
    let whole = certificate.not_after.duration_since(certificate.not_before).unwrap_or_default();
    let left = certificate.not_after.duration_since(now).unwrap_or_default();
    left < whole / 2
}
