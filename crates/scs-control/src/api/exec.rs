//! A command in a container over a WebSocket. The first byte of each binary message is its channel, as
//! [`scs_api::routes::ExecQuery`] lists them.

use super::Api;
use super::answer::Answer;
use super::extract::{Parameters, Part};
use crate::agents::{ExecInput, ExecOutput, ExecSession};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream::StreamExt;
use scs_api::error::{Code, Problem};
use scs_api::routes::ExecQuery;

/// The largest piece of input that is taken at once.
const LARGEST: usize = 1 << 20;

mod channel {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const RESIZE: u8 = 3;
    pub(super) const END: u8 = 4;
    pub(super) const EXIT: u8 = 9;
    pub(super) const PROBLEM: u8 = 10;
}

/// Refused before the connection becomes a WebSocket where it can be, so that the answer is a plain problem.
pub(super) async fn exec(
    State(api): State<Api>,
    Part(instance): Part,
    Parameters(query): Parameters<ExecQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let upgrade = upgrade.map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
    if serde_json::from_str::<Vec<String>>(&query.command).map_or(true, |command| command.is_empty()) {
        return Err(Problem::new(Code::BadRequest, "`command` is not a JSON array with a command in it").into());
    }
    let session = api.handle.exec(&instance, query).await?;
    let active = api.handle.shared.activity.begin();
    Ok(upgrade.max_message_size(LARGEST).on_upgrade(async move |socket| {
        carry(socket, session).await;
        drop(active);
    }))
}

async fn carry(socket: WebSocket, session: ExecSession) {
    use futures_util::SinkExt;
    let (mut sender, mut receiver) = socket.split();
    let ExecSession { input, mut output } = session;
    let inward = async {
        while let Some(Ok(message)) = receiver.next().await {
            let input_message = match message {
                Message::Binary(bytes) => parse(&bytes),
                Message::Close(_) => break,
                _ => None,
            };
            if let Some(message) = input_message
                && input.send(message).await.is_err()
            {
                // The command takes nothing more; what it still says is carried on.
                std::future::pending::<()>().await;
            }
        }
    };
    let outward = async {
        while let Some(message) = output.next().await {
            let last = matches!(message, ExecOutput::Exit(_) | ExecOutput::Failed(_));
            if sender.send(Message::Binary(write(message))).await.is_err() || last {
                break;
            }
        }
        let _ = sender.close().await;
    };
    // A client that goes away ends the session: both ends are dropped.
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}

fn parse(bytes: &Bytes) -> Option<ExecInput> {
    let content = bytes.slice(1.min(bytes.len())..);
    match *bytes.first()? {
        channel::STDIN => Some(ExecInput::Data(content)),
        channel::RESIZE => {
            let size: [u8; 4] = content.as_ref().try_into().ok()?;
            let [columns, rows] = [[size[0], size[1]], [size[2], size[3]]].map(u16::from_be_bytes);
            Some(ExecInput::Resize { columns, rows })
        }
        channel::END => Some(ExecInput::End),
        _ => None,
    }
}

fn write(output: ExecOutput) -> Bytes {
    let (channel, content) = match output {
        ExecOutput::Stdout(bytes) => (channel::STDOUT, bytes),
        ExecOutput::Stderr(bytes) => (channel::STDERR, bytes),
        ExecOutput::Exit(code) => (channel::EXIT, Bytes::copy_from_slice(&code.to_be_bytes())),
        ExecOutput::Failed(problem) => {
            (channel::PROBLEM, serde_json::to_vec(&problem).expect("a problem has text keys only").into())
        }
    };
    let mut message = BytesMut::with_capacity(1 + content.len());
    message.extend_from_slice(&[channel]);
    message.extend_from_slice(&content);
    message.freeze()
}
