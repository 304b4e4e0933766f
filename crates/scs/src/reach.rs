//! Which server a command speaks to: that of a context, or this machine's own `scs dev`.

use crate::client::Client;
use crate::commands::Context;
use crate::contexts::{Address, Context as Named, Contexts, LOCAL};
use crate::dev::{Left, start};
use crate::exit::Failure;
use crate::joining::{self, past_half};
use crate::output::say;
use crate::settings::{DEFAULT_ENVIRONMENT, check_label};
use scs_api::inspect::Version;
use scs_pki::{Expected, Live};
use std::sync::Arc;
use std::time::SystemTime;

impl Context {
    /// The contexts of this user.
    ///
    /// # Errors
    /// Where there is no place for them.
    pub fn contexts(&self) -> Result<Contexts, Failure> {
        let configuration = self.settings.configuration.as_ref();
        configuration.map(|it| Contexts::new(it)).ok_or_else(|| {
            Failure::usage("there is no directory to keep contexts in: HOME is not set")
                .hint("set HOME, or XDG_CONFIG_HOME to a directory of yours")
        })
    }

    /// The context that was named or chosen; `None` for this machine's own `scs dev`.
    ///
    /// # Errors
    /// Where there is none of that name, or it makes no sense.
    pub fn remote(&self) -> Result<Option<Named>, Failure> {
        let name = match (&self.settings.context, &self.settings.configuration) {
            (Some(name), _) => name.clone(),
            (None, Some(configuration)) => Contexts::new(configuration).current()?,
            (None, None) => return Ok(None),
        };
        if name == LOCAL { Ok(None) } else { self.contexts()?.get(&name).map(Some) }
    }

    /// The environment a command works in.
    ///
    /// # Errors
    /// Where the name is none, or the context is for others.
    pub fn environment(&self, given: Option<&String>) -> Result<String, Failure> {
        if let Some(environment) = given {
            check_label("environment", environment)?;
        }
        let given = given.or(self.settings.environment.as_ref()).map(String::as_str);
        let environment = match self.remote()? {
            Some(context) => context.environment(given)?,
            None => given.map(str::to_owned),
        };
        Ok(environment.unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()))
    }

    /// The server, which is started where it is this machine's own and does not run.
    ///
    /// # Errors
    /// With exit code 69 where it does not answer or start.
    pub async fn server(&self) -> Result<(Client, Version), Failure> {
        match self.remote()? {
            Some(context) => meet(&context).await,
            None => start::find_or_start(&self.files(), &self.printer).await,
        }
    }

    /// The server, not started while containers may run that nobody looks after: starting it would change what runs.
    ///
    /// # Errors
    /// With exit code 69 where it does not answer.
    pub async fn running_server(&self) -> Result<Client, Failure> {
        let files = self.files();
        let found = match self.remote()? {
            Some(context) => meet(&context).await,
            None if files.left() == Left::Running => start::find(&files, &self.printer).await,
            None => start::find_or_start(&files, &self.printer).await,
        };
        found.map(|(client, _)| client)
    }

    /// The server, if there is anything to ask it: never started, and `None` where it has nothing to look after.
    ///
    /// # Errors
    /// With exit code 69 where it should answer and does not.
    pub async fn server_if_any(&self) -> Result<Option<(Client, Version)>, Failure> {
        if let Some(context) = self.remote()? {
            return meet(&context).await.map(Some);
        }
        let files = self.files();
        match (start::find(&files, &self.printer).await, files.left()) {
            (Ok(found), _) => Ok(Some(found)),
            (Err(_), Left::Nothing | Left::Idle) => Ok(None),
            (Err(failure), Left::Running) => Err(failure),
        }
    }
}

/// The client of a context, and what its server says of itself.
async fn meet(context: &Named) -> Result<(Client, Version), Failure> {
    let client = client(context).await?;
    let version = client.get("/v1/version").await?;
    Ok((client, version))
}

/// The client of a context; its certificate is renewed on the way where half of its life is over.
///
/// # Errors
/// Where its certificate cannot be used.
pub async fn client(context: &Named) -> Result<Client, Failure> {
    let server = &context.record.server;
    let client = match (server, server.authority()) {
        (Address::Unix(path), _) => Client::socket(path),
        (Address::Https { .. }, address) => {
            let live = Live::open(context.certificates(), None).map_err(|error| {
                let name = &context.name;
                Failure::failed(format!("the certificate of context {name} cannot be used")).because(&error).hint(
                    format!("ask for a token (`scs person token NAME --role ROLE`), then `scs context rm {name}` and `scs context add {name} …`"),
                )
            })?;
            let live = Arc::new(live);
            if past_half(&live.credentials().certificate, SystemTime::now())
                && let Err(failure) = joining::renew(server, &live, context.directory(), None).await
            {
                say(&format!("warning: the certificate of context {} could not be renewed: {failure}", context.name));
            }
            Client::tls(address.unwrap_or_default(), live, Expected::Server)
        }
    };
    Ok(client.hearing(|warning| say(&format!("warning: {warning}"))))
}
