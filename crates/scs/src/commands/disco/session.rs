//! The conversation with a discovery server that a command has.

use crate::cli::disco::Server;
use crate::commands::Context;
use crate::exit::Failure;
use crate::wiring::installation::host_name;
use disco_client::{Cause, Error, Handle, Options, Service, Tls};
use scs_pki::{Files, Live};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long the session outlives its connection: it ends with this process.
const WINDOW: Duration = Duration::from_secs(3);
/// How long a server may take to answer at all. One that does not listen is noticed at once.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the goodbye may take.
const PARTING: Duration = Duration::from_secs(2);

/// A session, and the task that keeps it.
#[derive(Debug)]
pub struct Session {
    /// The way to it.
    pub handle: Handle,
    /// Of the server, as it was given.
    pub address: String,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Session {
    /// Begins to connect. `attributes` are our own; `what` says for people what we do.
    ///
    /// # Errors
    /// Where no server is named and `scs dev` does not run.
    pub async fn begin(
        context: &Context,
        server: &Server,
        what: &str,
        mut attributes: BTreeMap<String, String>,
        cache: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let address = context.discovery(server.server.as_ref(), "--server").await?;
        let (tls, host) = match &server.certificates {
            Some(directory) => secured(directory)?,
            None => (None, host_name()),
        };
        let agent: String = format!("scs disco {what} on {host}").chars().take(200).collect();
        attributes.entry("host".to_owned()).or_insert(host);
        let (service, handle) =
            Service::new(Options { address: address.clone(), agent, attributes, window: WINDOW, cache, tls });
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Ok(Self { handle, address, shutdown, task })
    }

    /// The same, once a server has answered.
    ///
    /// # Errors
    /// Where none is named, or none answers.
    pub async fn open(
        context: &Context,
        server: &Server,
        what: &str,
        attributes: BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let session = Self::begin(context, server, what, attributes, None).await?;
        session.reached().await?;
        Ok(session)
    }

    /// Waits for a server's answer.
    ///
    /// # Errors
    /// Where all of them have been tried in vain.
    pub async fn reached(&self) -> Result<(), Failure> {
        let (mut connected, mut trouble) = (self.handle.connected(), self.handle.trouble());
        let why = tokio::select! {
            biased;
            Ok(_) = connected.wait_for(|connected| *connected) => return Ok(()),
            Ok(why) = trouble.wait_for(Option::is_some) => why.as_deref().unwrap_or_default().to_owned(),
            () = tokio::time::sleep(PATIENCE) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        Err(Failure::unavailable(format!("no discovery server answers at {}", self.address))
            .because(&io::Error::other(why))
            .hint("is it running there? `--server HOST:PORT` or SCS_DISCO names another one; off loopback it asks for `--certificates DIR`"))
    }

    /// Ends the session: what it provides has left.
    pub async fn close(self) {
        if *self.handle.connected().borrow() {
            let _ = tokio::time::timeout(PARTING, self.handle.close()).await;
        }
        self.shutdown.cancel();
        let _ = tokio::time::timeout(PARTING, self.task).await;
    }
}

/// What connections are secured with, and who we are to a server then: the certificate in a directory, read again when it is replaced.
fn secured(directory: &Path) -> Result<(Option<Tls>, String), Failure> {
    let live = Live::open(Files::within(directory), None).map_err(|unusable| {
        let hint = unusable.hint();
        Failure::failed(format!("the certificate in {} cannot be used", directory.display()))
            .because(&unusable)
            .hint(hint)
    })?;
    let host = live.credentials().identity.host();
    Ok((Some(Tls::new(move || live.client())), host))
}

/// A request that failed, in the words of the command line.
pub fn failure(error: &Error) -> Failure {
    let failure = match error.cause {
        Cause::Unreachable { .. } | Cause::Closed => Failure::unavailable("the discovery server does not answer"),
        _ => Failure::failed("the discovery server refuses"),
    };
    failure.because(error).hint("`scs disco ls` lists what it has")
}
