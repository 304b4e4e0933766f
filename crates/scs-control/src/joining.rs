//! Joining: one-time tokens are made and become certificates, which are renewed and revoked.

mod people;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use rules::check_labels;

use crate::admission::of_person;
use crate::service::Handle;
use crate::state::{Draft, HostRecord, IssuedRecord, PersonRecord, RevokedRecord, TokenRecord, UsedRecord};
use crate::trust::Certifier;
use disco_core::{NotAScope, Scope};
use scs_api::error::{Code, Problem};
use scs_api::join::{JoinRequest, JoinResponse, Purpose, RenewRequest, Token, TokenRequest, TokenText};
use scs_pki::{Identity, Kind, Signed};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a token is good for, where nobody says.
const TOKEN: Duration = Duration::from_secs(3600);
/// The longest a token may be good for.
const TOKEN_MOST: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long after its end a token is remembered, so that whoever comes too late is told so.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Random bytes of a token: 160 bits.
const SECRET: usize = 20;

impl Handle {
    /// Makes a one-time token; `who` is remembered with it.
    pub async fn make_token(&self, request: TokenRequest, who: &str) -> Result<Token, Problem> {
        let certifier = self.certifier()?;
        rules::purpose(&request.purpose)?;
        let valid = request.seconds.map_or(TOKEN, Duration::from_secs);
        if valid.is_zero() || valid > TOKEN_MOST {
            let days = TOKEN_MOST.as_secs() / 86_400;
            return Err(Problem::new(Code::BadRequest, format!("a token is good for {days} days at most"))
                .hint("no token was made"));
        }
        let authority = certifier.authority().await?.to_string();
        let secret = crate::vault::token(SECRET).map_err(|error| Problem::of(Code::Internal, &error))?;
        let now = SystemTime::now();
        let expires = now + valid;
        let mut draft = self.shared.state.draft().await;
        for (hash, old) in self.shared.state.tokens().await? {
            if old.expires + REMEMBERED < now {
                draft.delete_token(&hash);
            }
        }
        for (serial, old) in self.shared.state.revoked().await? {
            if old.not_after < now {
                draft.delete_revoked(&serial);
            }
        }
        let record = TokenRecord { purpose: request.purpose.clone(), expires, by: who.to_owned(), used: None };
        draft.put_token(&digest(&secret), &record);
        draft.commit().await?;
        let token = TokenText { secret, authority }.to_string();
        Ok(Token { token, expires, purpose: request.purpose })
    }

    /// A token becomes a certificate. What is refused changes nothing, and leaves the token as it was.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinResponse, Problem> {
        let certifier = self.certifier()?;
        let text: TokenText =
            request.token.parse().map_err(|error| Problem::of(Code::BadRequest, &error).hint("nothing was changed"))?;
        let now = SystemTime::now();
        rules::clock(request.now, now)?;
        let mut draft = self.shared.state.draft().await;
        let hash = digest(&text.secret);
        let this = digest(&request.csr);
        let mut token = rules::token(draft.token(&hash).await?, &this, now)?;
        let again = token.used.is_some();
        let (identity, signed);
        match &request.host {
            Some(joining) => {
                let cluster = self.shared.state.cluster().await?.id;
                if self.shared.fleet.members().get(&joining.name).is_some_and(|it| it.address.is_none()) {
                    let message = format!("host {} is the server's own machine", joining.name);
                    return Err(Problem::new(Code::Conflict, message)
                        .hint("nothing was changed; give this one another name with `--name`"));
                }
                // Whoever sends the same again because the answer was lost is the host that is there already.
                let existing = draft.host(&joining.name).await?;
                if again && existing.is_none() {
                    return Err(rules::removed(&token));
                }
                let mut purpose = token.purpose.clone();
                if again && let Purpose::Host { rejoin, .. } = &mut purpose {
                    *rejoin = true;
                }
                let mut record = rules::host(&purpose, joining, existing, &cluster, &request.version, now)?;
                identity = host_identity(&record)?;
                signed = certifier.certify(&request.csr, identity.clone()).await?;
                // Whoever else has a certificate of this name is another, or an earlier self.
                revoke(&mut draft, &identity, std::mem::take(&mut record.certificates), now);
                note(&mut record.certificates, &signed, now);
                draft.put_host(&record);
            }
            None => {
                let name = match &token.purpose {
                    Purpose::Person { name, .. } => name.clone(),
                    Purpose::Host { .. } => String::new(),
                };
                let existing = draft.person(&name).await?;
                if again && existing.is_none() {
                    return Err(rules::removed(&token));
                }
                let mut record = rules::person(&token.purpose, existing, now)?;
                identity = person_identity(&record)?;
                signed = certifier.certify(&request.csr, identity.clone()).await?;
                note(&mut record.certificates, &signed, now);
                draft.put_person(&record);
            }
        }
        token.used = Some(UsedRecord { by: identity.to_string(), at: now, request: this });
        draft.put_token(&hash, &token);
        draft.commit().await?;
        self.shared.refresh().await?;
        tracing::info!(holder = %identity, serial = signed.certificate.serial, "joined");
        self.joined(&identity, signed).await
    }

    /// Another certificate for the holder of one.
    pub async fn renew(&self, holder: &Identity, request: RenewRequest) -> Result<JoinResponse, Problem> {
        let certifier = self.certifier()?;
        let now = SystemTime::now();
        let mut draft = self.shared.state.draft().await;
        let (identity, signed);
        match holder.kind {
            Kind::Host => {
                let mut record = draft.host(&holder.name).await?.ok_or_else(|| unknown(holder))?;
                if let Some(advertise) = request.advertise {
                    rules::address(&advertise)?;
                    record.address = advertise;
                }
                if let Some(version) = request.version {
                    record.version = version;
                }
                identity = host_identity(&record)?;
                signed = certifier.certify(&request.csr, identity.clone()).await?;
                note(&mut record.certificates, &signed, now);
                draft.put_host(&record);
            }
            Kind::Person => {
                let mut record = draft.person(&holder.name).await?.ok_or_else(|| unknown(holder))?;
                identity = person_identity(&record)?;
                signed = certifier.certify(&request.csr, identity.clone()).await?;
                note(&mut record.certificates, &signed, now);
                draft.put_person(&record);
            }
            Kind::Server => {
                return Err(Problem::new(Code::Forbidden, "servers renew their certificates themselves")
                    .hint("nothing was changed; `scs ca issue server` makes one by hand"));
            }
        }
        draft.commit().await?;
        self.shared.refresh().await?;
        self.joined(&identity, signed).await
    }

    async fn joined(&self, identity: &Identity, signed: Signed) -> Result<JoinResponse, Problem> {
        let host = match identity.kind {
            Kind::Host => self.shared.state.hosts().await?.into_iter().find(|host| host.name == identity.name),
            Kind::Server | Kind::Person => None,
        };
        Ok(JoinResponse {
            identity: identity.to_string(),
            labels: host.map(|record| record.labels).unwrap_or_default(),
            ends: signed.certificate.not_after,
            certificate: signed.chain,
            trusted: signed.trusted,
            cluster: self.shared.state.cluster().await?.id,
            disco: self.shared.discovery.address(),
            version: self.shared.options.version.clone(),
            now: SystemTime::now(),
        })
    }

    fn certifier(&self) -> Result<Arc<dyn Certifier>, Problem> {
        self.shared.authority.clone().ok_or_else(|| {
            Problem::new(Code::Conflict, "this server has no certificate authority: nobody joins `scs dev`")
                .hint("nothing was changed; `scs server` is for several hosts and people")
        })
    }
}

/// Nobody of that name is there (any more).
pub(crate) fn unknown(holder: &Identity) -> Problem {
    let kind = holder.kind;
    Problem::new(Code::Forbidden, format!("{holder} is not, or no longer, known to this cluster"))
        .hint(format!("nothing was changed; an administrator makes a token with `scs {kind} token {}`", holder.name))
}

/// Turns away certificates from now on, and forgets those that have ended by themselves.
pub(crate) fn revoke(draft: &mut Draft<'_>, holder: &Identity, issued: Vec<IssuedRecord>, now: SystemTime) {
    for it in issued.into_iter().filter(|it| it.not_after > now) {
        let record = RevokedRecord { holder: holder.to_string(), not_after: it.not_after, at: now };
        draft.put_revoked(&it.serial, &record);
    }
}

/// Notes a certificate that was issued; those that have ended are forgotten.
fn note(certificates: &mut Vec<IssuedRecord>, signed: &Signed, now: SystemTime) {
    certificates.retain(|it| it.not_after > now);
    let certificate = &signed.certificate;
    certificates.push(IssuedRecord { serial: certificate.serial.clone(), not_after: certificate.not_after });
}

pub(crate) fn host_identity(record: &HostRecord) -> Result<Identity, Problem> {
    let mut identity = identity(Kind::Host, &record.name)?;
    // Where there is a control plane, what is assigned to it is what counts; see [`crate::admission`].
    let everywhere = scopes(["*/*"])?;
    (identity.provide, identity.require) = (everywhere.clone(), everywhere);
    Ok(identity)
}

pub(crate) fn person_identity(record: &PersonRecord) -> Result<Identity, Problem> {
    let mut identity = identity(Kind::Person, &record.name)?;
    let (provide, require) = of_person(record);
    identity.provide = scopes(&provide)?;
    identity.require = scopes(&require)?;
    Ok(identity)
}

fn identity(kind: Kind, name: &str) -> Result<Identity, Problem> {
    Identity::new(kind, name).map_err(|error| Problem::of(Code::BadRequest, &error).hint("nothing was changed"))
}

fn scopes(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Scope>, Problem> {
    let parse = |text: &str| text.parse().map_err(|error: NotAScope| Problem::of(Code::BadRequest, &error));
    texts.into_iter().map(|it| parse(it.as_ref())).collect()
}

/// SHA-256, in hexadecimal digits.
fn digest(text: &str) -> String {
    crate::vault::hex(&Sha256::digest(text))
}
