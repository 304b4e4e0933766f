//! A command in a container: the engine's process, as the control plane passes it on.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use scs_api::error::{Code, Problem};
use scs_control::agents::{ExecInput, ExecOutput, ExecSession};
use scs_ports::engine::{LogChunk, Process, ProcessControl, Stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

/// The engine may need a moment after the end of the output until it knows the exit code.
const LOOKS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1500),
];

/// The session of a process.
pub fn of(process: Process) -> ExecSession {
    let Process { output, input, control } = process;
    let control: Arc<dyn ProcessControl> = Arc::from(control);
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(feed(receiver, input, control.clone()));
    let written = output.map(|chunk| match chunk {
        Ok(LogChunk { stream: Stream::Stdout, bytes, .. }) => ExecOutput::Stdout(bytes),
        Ok(LogChunk { stream: Stream::Stderr, bytes, .. }) => ExecOutput::Stderr(bytes),
        Err(error) => ExecOutput::Failed(super::engine_problem(&error)),
    });
    let end = stream::once(async move { exit(&*control).await });
    ExecSession { input: sender, output: until_failed(written.chain(end).boxed()) }
}

/// Nothing follows a failure.
fn until_failed(output: BoxStream<'static, ExecOutput>) -> BoxStream<'static, ExecOutput> {
    stream::unfold(Some(output), |output| async move {
        let mut output = output?;
        let item = output.next().await?;
        let rest = (!matches!(item, ExecOutput::Failed(_))).then_some(output);
        Some((item, rest))
    })
    .boxed()
}

async fn exit(control: &dyn ProcessControl) -> ExecOutput {
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        match control.exit_code().await {
            Ok(Some(code)) => return ExecOutput::Exit(code),
            Ok(None) => {}
            Err(error) => return ExecOutput::Failed(super::engine_problem(&error)),
        }
    }
    ExecOutput::Failed(Problem::new(Code::Failed, "the command let go of its output and runs on in the container"))
}

type Sink = std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>;

async fn feed(mut inputs: mpsc::Receiver<ExecInput>, mut sink: Option<Sink>, control: Arc<dyn ProcessControl>) {
    while let Some(input) = inputs.recv().await {
        match input {
            ExecInput::Data(bytes) => {
                let Some(writer) = &mut sink else { continue };
                if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                    sink = None;
                }
            }
            ExecInput::Resize { columns, rows } => {
                // A command that has just ended has no terminal to resize.
                let _ = control.resize(columns, rows).await;
            }
            ExecInput::End => {
                if let Some(mut writer) = sink.take() {
                    let _ = writer.shutdown().await;
                }
            }
        }
    }
}
