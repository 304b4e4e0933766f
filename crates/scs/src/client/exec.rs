//! A command inside a container, over a WebSocket: channels in, channels out, an exit code at the end.

use super::{Client, socket};
use crate::exit::Failure;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use scs_api::error::Problem;
use tokio::net::UnixStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error as WebSocketError;

/// What comes back.
#[derive(Debug)]
pub enum Output {
    /// Standard output.
    Stdout(Bytes),
    /// Standard error.
    Stderr(Bytes),
    /// It ended.
    Exit(i64),
}

/// What goes in.
#[derive(Debug)]
pub enum Input {
    /// Standard input.
    Stdin(Vec<u8>),
    /// The end of standard input.
    End,
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
}

/// The way in.
#[derive(Debug)]
pub struct Sender(SplitSink<WebSocketStream<UnixStream>, Message>);

/// The way out.
#[derive(Debug)]
pub struct Receiver(SplitStream<WebSocketStream<UnixStream>>);

impl Client {
    /// Starts a command; the path holds its query.
    ///
    /// # Errors
    /// Where the server does not answer or refuses.
    pub async fn exec(&self, path: &str) -> Result<(Sender, Receiver), Failure> {
        let short = socket::Short::new(&self.socket).map_err(|error| self.absent(&error))?;
        let stream = UnixStream::connect(short.path()).await.map_err(|error| self.absent(&error))?;
        let (socket, _) = tokio_tungstenite::client_async(format!("ws://scs{path}"), stream)
            .await
            .map_err(|error| refused(&error))?;
        let (sender, receiver) = socket.split();
        Ok((Sender(sender), Receiver(receiver)))
    }
}

impl Sender {
    /// Sends; a command that has ended takes nothing more, which is no error.
    pub async fn send(&mut self, input: Input) -> bool {
        let bytes = match input {
            Input::Stdin(bytes) => [&[0], bytes.as_slice()].concat(),
            Input::End => vec![4],
            Input::Resize(columns, rows) => [&[3][..], &columns.to_be_bytes(), &rows.to_be_bytes()].concat(),
        };
        self.0.send(Message::binary(bytes)).await.is_ok()
    }
}

impl Receiver {
    /// The next piece of output.
    ///
    /// # Errors
    /// Where the connection breaks before the exit code has come.
    pub async fn next(&mut self) -> Result<Output, Failure> {
        loop {
            let mut bytes = match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) if !bytes.is_empty() => bytes,
                Some(Ok(Message::Close(_))) | None => return Err(lost()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(lost().because(&error)),
            };
            let channel = bytes.split_to(1)[0];
            match channel {
                1 => return Ok(Output::Stdout(bytes)),
                2 => return Ok(Output::Stderr(bytes)),
                9 => {
                    let code = bytes.as_ref().try_into().map(i64::from_be_bytes).map_err(|_| lost())?;
                    return Ok(Output::Exit(code));
                }
                10 => return Err(serde_json::from_slice::<Problem>(&bytes).map_or_else(|_| lost(), Failure::from)),
                // A channel of a later version.
                _ => {}
            }
        }
    }
}

fn lost() -> Failure {
    Failure::unavailable("the connection to the container was lost; whether the command still runs is unknown")
        .hint("`scs ps` shows whether the container runs")
}

fn refused(error: &WebSocketError) -> Failure {
    if let WebSocketError::Http(answer) = error
        && let Some(body) = answer.body()
        && let Ok(problem) = serde_json::from_slice::<Problem>(body)
    {
        return problem.into();
    }
    Failure::failed("cannot run a command in the container").because(error).hint("`scs ps` shows whether it runs")
}
