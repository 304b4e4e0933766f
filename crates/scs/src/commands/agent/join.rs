//! Into a cluster: with a token the first time, or where the certificate has ended; by itself after that.

use super::PORT;
use crate::cli::agent::Agent;
use crate::contexts::Address;
use crate::exit::Failure;
use crate::joining;
use crate::membership::{self, Membership};
use crate::wiring::installation::host_name;
use scs_api::join::{JoiningHost, TokenText};
use scs_pki::{Credentials, Files};
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

/// This host's place in its cluster, joining where it has none, or none that still counts.
///
/// # Errors
/// Where it cannot join, or what was asked for is not what it has joined as.
pub async fn enter(state: &Path, args: &Agent) -> Result<Membership, Failure> {
    let known = membership::read(state)?;
    let credentials = Credentials::read(&Files::within(&membership::certificates(state)), SystemTime::now());
    match (known, credentials) {
        (Some(known), Ok(credentials)) => {
            same_cluster(args, &known, &credentials)?;
            settled(state, args, &known)
        }
        (known, unusable) => {
            let server = args.server.clone().or_else(|| known.as_ref().map(|it| it.server.clone()));
            let server = server.ok_or_else(|| {
                Failure::usage("this host has not joined a cluster, and no server is named")
                    .hint("`scs agent --server https://HOST --token TOKEN`, with a token of `scs host token`")
            })?;
            let Some(token) = token(args)? else {
                let failure = match (&known, &unusable) {
                    (Some(_), Err(error)) => {
                        Failure::failed("this host's certificate cannot be used any more").because(error)
                    }
                    _ => Failure::usage("this host has not joined a cluster, and there is no token"),
                };
                return Err(failure.hint(
                    "`scs host token` on the server's side makes one, for `scs agent --token`; containers keep running",
                ));
            };
            anew(state, args, known, server, &token).await
        }
    }
}

/// A token that is not needed any more is passed over, but not one of another cluster: somebody means this host to go there.
fn same_cluster(args: &Agent, known: &Membership, credentials: &Credentials) -> Result<(), Failure> {
    let Ok(Some(token)) = token(args) else { return Ok(()) };
    if credentials.fingerprints().iter().any(|ours| ours.to_string() == token.authority) {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "host {} belongs to the cluster of {}, and the token is of another cluster",
        known.name, known.server
    ))
    .hint(
        "nothing was changed, and its containers keep running; leave --server and --token out, or start the agent with another `--state`",
    ))
}

/// What it has joined as, with what may change since.
fn settled(state: &Path, args: &Agent, known: &Membership) -> Result<Membership, Failure> {
    if let Some(name) = args.name.as_ref().filter(|name| **name != known.name) {
        return Err(Failure::usage(format!("this host has joined as {}, not as {name}", known.name))
            .hint("leave --name out; or end it there with `scs host rm`, and join anew from an empty --state"));
    }
    let now = Membership {
        server: args.server.clone().unwrap_or_else(|| known.server.clone()),
        advertise: args.advertise.unwrap_or(known.advertise),
        ..known.clone()
    };
    if now != *known {
        membership::write(state, &now)?;
    }
    Ok(now)
}

async fn anew(
    state: &Path,
    args: &Agent,
    known: Option<Membership>,
    server: Address,
    token: &TokenText,
) -> Result<Membership, Failure> {
    let name = args.name.clone().or_else(|| known.as_ref().map(|it| it.name.clone())).unwrap_or_else(host_name);
    let advertise = args.advertise.or_else(|| known.as_ref().map(|it| it.advertise)).ok_or_else(|| {
        Failure::usage("which address do other hosts reach this one at?")
            .hint("say `--advertise ADDRESS`; `ip -brief address` lists what there is")
    })?;
    if advertise.is_unspecified() || advertise.is_multicast() {
        return Err(Failure::usage(format!("{advertise} is no address that others could connect to")));
    }
    let port = args.listen.map_or(PORT, |listen| listen.port());
    let host = JoiningHost {
        name,
        advertise: at(advertise, port),
        labels: args.labels.iter().cloned().collect(),
        cluster: known.map(|it| it.cluster),
    };
    tracing::info!(server = %server, host.id = host.name, "joining");
    let name = host.name.clone();
    let answer = joining::join(&server, token, Some(host), &membership::certificates(state)).await?;
    let joined =
        Membership { cluster: answer.cluster, name, server, disco: answer.disco, advertise, labels: answer.labels };
    membership::write(state, &joined)?;
    Ok(joined)
}

/// `ADDRESS:PORT`.
pub fn at(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::from((address, port)).to_string()
}

fn token(args: &Agent) -> Result<Option<TokenText>, Failure> {
    if let Some(text) = &args.token {
        return joining::token(text).map(Some);
    }
    let Some(path) = &args.token_file else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(text) => joining::token(text.trim()).map(Some),
        // A token is good once; whoever keeps things tidy has taken it away.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::failed(format!("cannot read {}", path.display())).because(&error)),
    }
}
