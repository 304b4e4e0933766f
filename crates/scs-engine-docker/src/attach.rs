//! Process 1 of a container, with its input and its terminal.

use crate::Docker;
use crate::call::Subject;
use crate::exec::chunk;
use async_trait::async_trait;
use bollard::container::AttachContainerResults;
use bollard::query_parameters::{AttachContainerOptions, ResizeContainerTTYOptions};
use futures_util::StreamExt;
use scs_ports::engine::{Error, Process, ProcessControl, State};

/// Keys that would let go of the container. Docker's own (Ctrl-P, Ctrl-Q) hold back the key that shells and clients of databases take for
/// "the command before"; nobody means these.
const DETACH_KEYS: &str = "ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@";

impl Docker {
    pub(crate) async fn attach_to(&self, id: &str) -> Result<Process, Error> {
        let subject = Subject::container("attach to", id);
        let found = self.inspect(id).await?.ok_or_else(|| Error::NotFound { what: subject.what.clone() })?;
        let stdin = found.config.as_ref().and_then(|it| it.open_stdin).unwrap_or(false);
        let options = AttachContainerOptions {
            detach_keys: Some(DETACH_KEYS.to_owned()),
            logs: false,
            stream: true,
            stdin,
            stdout: true,
            stderr: true,
        };
        let attached = self.order(&subject, self.client.attach_container(id, Some(options))).await?;
        let AttachContainerResults { output, input } = attached;
        let control = Control { docker: self.clone(), id: id.to_owned(), subject };
        let failed = control.clone();
        let output = output.filter_map(move |item| {
            let item = item.map(chunk).map_err(|error| failed.docker.failure(&failed.subject, error)).transpose();
            async { item }
        });
        Ok(Process { output: output.boxed(), input: stdin.then_some(input), control: Box::new(control) })
    }
}

#[derive(Debug, Clone)]
struct Control {
    docker: Docker,
    id: String,
    subject: Subject,
}

#[async_trait]
impl ProcessControl for Control {
    async fn exit_code(&self) -> Result<Option<i64>, Error> {
        let found = self.docker.find_container(&self.id).await?;
        match found.ok_or_else(|| Error::NotFound { what: self.subject.what.clone() })?.state {
            State::Exited(exit) => Ok(Some(exit.code)),
            _ => Ok(None),
        }
    }

    async fn resize(&self, columns: u16, rows: u16) -> Result<(), Error> {
        let options = ResizeContainerTTYOptions { h: rows.into(), w: columns.into() };
        self.docker.order(&self.subject, self.docker.client.resize_container_tty(&self.id, options)).await
    }
}
