//! Commands inside containers.

use crate::Docker;
use crate::call::Subject;
use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptions;
use futures_util::StreamExt;
use scs_ports::engine::{Error, Exec, LogChunk, Process, ProcessControl, Stream};

impl Docker {
    pub(crate) async fn run_command(&self, id: &str, request: &Exec) -> Result<Process, Error> {
        let subject = Subject::container("run a command in", id);
        let config = ExecConfig {
            attach_stdin: Some(request.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(request.tty.is_some()),
            env: Some(request.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            cmd: Some(request.command.clone()),
            user: request.user.clone(),
            working_dir: request.directory.clone(),
            ..Default::default()
        };
        let exec = self.order(&subject, self.client.create_exec(id, config)).await?.id;
        let options = StartExecOptions { detach: false, tty: request.tty.is_some(), output_capacity: None };
        let started = self.order(&subject, self.client.start_exec(&exec, Some(options))).await?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(Error::Refused { action: subject.action, message: "it did not attach".to_owned() });
        };
        let control = Control { docker: self.clone(), exec, subject };
        if let Some((columns, rows)) = request.tty {
            // The terminal is there only once the command runs; one that has ended already needs no size.
            let _ = control.resize(columns, rows).await;
        }
        let failed = control.clone();
        let output = output.filter_map(move |item| {
            let item = item.map(chunk).map_err(|error| failed.docker.failure(&failed.subject, error)).transpose();
            async { item }
        });
        Ok(Process { output: output.boxed(), input: request.stdin.then_some(input), control: Box::new(control) })
    }
}

pub(crate) fn chunk(output: LogOutput) -> Option<LogChunk> {
    let (stream, bytes) = match output {
        LogOutput::StdOut { message } | LogOutput::Console { message } => (Stream::Stdout, message),
        LogOutput::StdErr { message } => (Stream::Stderr, message),
        LogOutput::StdIn { .. } => return None,
    };
    Some(LogChunk { stream, time: None, bytes })
}

#[derive(Debug, Clone)]
struct Control {
    docker: Docker,
    exec: String,
    subject: Subject,
}

#[async_trait]
impl ProcessControl for Control {
    async fn exit_code(&self) -> Result<Option<i64>, Error> {
        let call = self.docker.client.inspect_exec(&self.exec);
        let state = self.docker.query(&self.subject, call).await?;
        Ok(state.exit_code.filter(|_| state.running == Some(false)))
    }

    async fn resize(&self, columns: u16, rows: u16) -> Result<(), Error> {
        let options = ResizeExecOptions { h: rows.into(), w: columns.into() };
        self.docker.order(&self.subject, self.docker.client.resize_exec(&self.exec, options)).await
    }
}
