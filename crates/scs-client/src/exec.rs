//! A command inside a container, over a WebSocket; its messages are those of [`scs_api::exec`].

use crate::client::{Client, problem};
use crate::connect::Connection;
use crate::error::Error;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::StatusCode;
use scs_api::error::{Code, Problem};
use scs_api::exec::{Input, Output};
use std::fmt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error as WebSocketError;

/// The way in.
pub struct Sender(SplitSink<WebSocketStream<Connection>, Message>);

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// The way out.
pub struct Receiver(SplitStream<WebSocketStream<Connection>>);

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

impl Client {
    /// Starts a command; the path holds its query.
    ///
    /// # Errors
    /// Where nobody answers, or it is refused.
    pub async fn exec(&self, path: &str) -> Result<(Sender, Receiver), Error> {
        let stream = self.target.connect().await?;
        let upgrade = async {
            tokio_tungstenite::client_async(format!("ws://scs{path}"), stream)
                .await
                .map_err(|error| self.not_upgraded(error, path))
        };
        let (socket, _) = self.patient(path, upgrade).await?;
        let (sender, receiver) = socket.split();
        Ok((Sender(sender), Receiver(receiver)))
    }

    fn not_upgraded(&self, error: WebSocketError, path: &str) -> Error {
        match error {
            WebSocketError::Http(answer) => {
                let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or_default();
                Error::refused(problem(status, answer.body().as_deref().unwrap_or_default(), path))
            }
            WebSocketError::Io(error) => match scs_pki::Trouble::of(&error) {
                Some(trouble) => Error::Untrusted { whom: self.whom(), trouble },
                None => self.asked(path).broken(error),
            },
            other => Error::refused(Problem::of(Code::Failed, &Unfit(other)).hint("`scs ps` shows whether it runs")),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot run a command in the container")]
struct Unfit(#[source] WebSocketError);

impl Sender {
    /// Sends; `false` once the command takes nothing more, which is no error.
    pub async fn send(&mut self, input: &Input) -> bool {
        self.0.send(Message::Binary(input.encode())).await.is_ok()
    }
}

impl Receiver {
    /// The next piece of output; the last is [`Output::Exit`] or [`Output::Failed`].
    ///
    /// # Errors
    /// Where the connection breaks before that.
    pub async fn next(&mut self) -> Result<Output, Error> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    // What is not understood is of a later version.
                    if let Some(output) = Output::decode(bytes) {
                        return Ok(output);
                    }
                }
                Some(Ok(Message::Close(_))) | None => return Err(Error::Lost { source: None }),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Error::Lost { source: Some(Box::new(error)) }),
            }
        }
    }
}
