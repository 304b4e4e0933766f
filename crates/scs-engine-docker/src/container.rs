//! Containers: making, starting, stopping, looking.

mod request;
mod view;

use crate::Docker;
use crate::call::{Subject, optional};
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, ListContainersOptions, RemoveContainerOptions,
    RenameContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::{StreamExt, stream};
use scs_ports::engine::{Container, Create, Error, Exit, Labels, State};
use std::collections::HashMap;
use std::time::Duration;

/// How many containers are asked about at once; the engine takes a lock for each, so more is not faster.
const PARALLEL: usize = 8;
/// How often a state without an event of its own is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Docker {
    pub(crate) async fn create_container(&self, request: &Create) -> Result<String, Error> {
        let subject = Subject::container("create", &request.name);
        let options = CreateContainerOptions { name: Some(request.name.clone()), ..Default::default() };
        let call = self.client.create_container(Some(options), request::body(request));
        Ok(self.order(&subject, call).await?.id)
    }

    pub(crate) async fn start_container(&self, id: &str) -> Result<(), Error> {
        let call = self.client.start_container(id, None);
        self.order(&Subject::container("start", id), call).await
    }

    pub(crate) async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), Error> {
        // Whole seconds are all the engine knows; a grace period is never cut short.
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let options = StopContainerOptions { signal: None, t: Some(i32::try_from(seconds).unwrap_or(i32::MAX)) };
        let call = self.client.stop_container(id, Some(options));
        self.within(self.order_limit.saturating_add(grace), &Subject::container("stop", id), call).await
    }

    pub(crate) async fn signal_container(&self, id: &str, signal: &str) -> Result<(), Error> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        let call = self.client.kill_container(id, Some(options));
        self.order(&Subject::container(&format!("send {signal} to"), id), call).await
    }

    pub(crate) async fn remove_container(&self, id: &str) -> Result<(), Error> {
        let subject = Subject::container("remove", id);
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        match self.order(&subject, self.client.remove_container(id, Some(options))).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            // Somebody else's removal is as good as ours, once it is done.
            Err(Error::Conflict { message, .. }) if message.contains("already in progress") => {
                let gone = async {
                    while self.inspect(id).await?.is_some() {
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                    Ok(())
                };
                let limit = self.order_limit;
                let late = |_| Error::TimedOut { action: subject.action.clone(), after: limit };
                tokio::time::timeout(limit, gone).await.map_err(late)?
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn rename_container(&self, id: &str, name: &str) -> Result<(), Error> {
        let call = self.client.rename_container(id, RenameContainerOptions { name: name.to_owned() });
        self.order(&Subject::container("rename", id), call).await
    }

    pub(crate) async fn find_container(&self, id: &str) -> Result<Option<Container>, Error> {
        Ok(self.inspect(id).await?.map(view::container))
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        let call = self.client.inspect_container(id, None);
        let found = optional(self.query(&Subject::container("inspect", id), call).await)?;
        // The engine also takes the beginning of an id, which a short name may happen to be.
        Ok(found.filter(|it| it.id.as_deref() == Some(id) || view::name(it) == id))
    }

    pub(crate) async fn list_containers(&self, labels: &Labels) -> Result<Vec<Container>, Error> {
        let filters = HashMap::from([("label".to_owned(), label_filters(labels))]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let call = self.client.list_containers(Some(options));
        let listed = self.query(&Subject::engine("list containers"), call).await?;
        // The list lacks exit codes, process ids and times. One that goes away meanwhile is left out.
        let ids: Vec<_> = listed.into_iter().filter_map(|it| it.id).collect();
        let asked = stream::iter(ids).map(|id| async move { self.find_container(&id).await });
        let found: Vec<_> = asked.buffered(PARALLEL).collect().await;
        found.into_iter().filter_map(Result::transpose).collect()
    }

    pub(crate) async fn wait_for_end(&self, id: &str) -> Result<Exit, Error> {
        let subject = Subject::container("wait for", id);
        loop {
            let found = self.find_container(id).await?;
            let found = found.ok_or_else(|| Error::NotFound { what: subject.what.clone() })?;
            match found.state {
                State::Exited(exit) => return Ok(exit),
                State::Created => tokio::time::sleep(LOOK_AGAIN).await,
                State::Running | State::Paused => self.wait_while_it_runs(&found.id, &subject).await?,
            }
        }
    }

    async fn wait_while_it_runs(&self, id: &str, subject: &Subject) -> Result<(), Error> {
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        match self.client.wait_container(id, Some(options)).next().await {
            // bollard makes an error of every exit code that is not 0.
            Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(self.failure(subject, error)),
            None => {
                let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                Err(Error::Unreachable { address: self.address.clone(), source: source.into() })
            }
        }
    }
}

/// Labels as the engine's filters take them; an empty value matches any.
pub(crate) fn label_filters(labels: &Labels) -> Vec<String> {
    let filter =
        |(key, value): (&String, &String)| if value.is_empty() { key.clone() } else { format!("{key}={value}") };
    labels.iter().map(filter).collect()
}
