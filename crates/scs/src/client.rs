//! The client of the API: HTTP over a Unix socket, one connection a request.

pub mod exec;
pub mod socket;

use crate::exit::Failure;
use crate::output::say;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use scs_api::error::{Code, Problem};
use scs_api::routes::WARNING;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Longest answer that is read as one document, and longest line of a stream: more than any real one, less than memory.
const LIMIT: usize = 64 << 20;

/// How long an upload waits to be asked for: servers that never ask exist.
const CONTINUE: Duration = Duration::from_secs(2);

/// A body on its way to the server.
type Body = BoxBody<Bytes, io::Error>;

/// A client of the server that listens on a socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client; nothing is connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// `GET`s a document.
    ///
    /// # Errors
    /// Where the server does not answer or answers a problem.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        document(self.send(Method::GET, path, empty()).await?, path).await
    }

    /// `POST`s a document and reads one back.
    ///
    /// # Errors
    /// Where the server does not answer or answers a problem.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        document(self.send(Method::POST, path, json(body)).await?, path).await
    }

    /// Sends a document and reads nothing back.
    ///
    /// # Errors
    /// Where the server does not answer or answers a problem.
    pub async fn tell(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<(), Failure> {
        let body = body.map_or_else(empty, json);
        let mut answer = self.send(method, path, body).await?.into_body();
        while let Some(Ok(_)) = answer.frame().await {}
        Ok(())
    }

    /// Whether there is something at this path.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn has(&self, path: &str) -> Result<bool, Failure> {
        let answer = self.connect_and_send(request(Method::HEAD, path, empty())?, path).await?;
        Ok(answer.status().is_success())
    }

    /// Sends a stream of bytes.
    ///
    /// # Errors
    /// Where the server does not answer or answers a problem, or the stream breaks.
    pub async fn upload(&self, path: &str, bytes: BoxStream<'static, io::Result<Bytes>>) -> Result<(), Failure> {
        // The body has to be `Sync`, which a boxed stream is not: a channel between them is.
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let pump = tokio::spawn(async move {
            let mut bytes = bytes;
            while let Some(chunk) = bytes.next().await {
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
        });
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        // Nothing is sent before the server wants it: one that refuses would otherwise hang up in the middle.
        let (wanted, asked) = tokio::sync::watch::channel(false);
        let stream = Box::pin(stream);
        let stream = futures_util::stream::once(async move {
            let mut asked = asked;
            let answered = matches!(tokio::time::timeout(CONTINUE, asked.wait_for(|asked| *asked)).await, Ok(Err(_)));
            if answered {
                // Nobody asked: sending now would break the connection before the answer has been read.
                std::future::pending::<()>().await;
            }
            stream
        });
        let body = BoxBody::new(StreamBody::new(stream.flatten().map_ok(Frame::data)));
        let mut request = request(Method::PUT, path, body)?;
        request.headers_mut().insert(header::EXPECT, header::HeaderValue::from_static("100-continue"));
        hyper::ext::on_informational(&mut request, move |_| {
            let _ = wanted.send(true);
        });
        let answer = match self.connect_and_send(request, path).await {
            Ok(answer) if answer.status().is_success() => Ok(answer),
            Ok(answer) => Err(refused(answer, path).await),
            Err(failure) => Err(failure),
        };
        pump.abort();
        let mut answer = answer?.into_body();
        while let Some(Ok(_)) = answer.frame().await {}
        Ok(())
    }

    /// Reads a stream of bytes.
    ///
    /// # Errors
    /// Where the server does not answer or answers a problem.
    pub async fn download(&self, path: &str) -> Result<BoxStream<'static, Result<Bytes, Failure>>, Failure> {
        let answer = self.send(Method::GET, path, empty()).await?;
        let path = path.to_owned();
        Ok(BodyStream::new(answer.into_body())
            .filter_map(move |frame| {
                let path = path.clone();
                async move {
                    match frame {
                        Ok(frame) => frame.into_data().ok().map(Ok),
                        Err(error) => Some(Err(broken(&path, &error))),
                    }
                }
            })
            .boxed())
    }

    /// Sends a request and reads a stream of documents, one a line.
    ///
    /// # Errors
    /// Where the server does not answer or answers a problem.
    pub async fn stream<T: DeserializeOwned + Send + 'static>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<BoxStream<'static, Result<T, Failure>>, Failure> {
        let answer = self.send(method, path, body.map_or_else(empty, json)).await?;
        Ok(lines(answer.into_body(), path.to_owned()))
    }

    async fn send(&self, method: Method, path: &str, body: Body) -> Result<Response<Incoming>, Failure> {
        let answer = self.connect_and_send(request(method, path, body)?, path).await?;
        if answer.status().is_success() {
            for warning in answer.headers().get_all(WARNING) {
                say(&format!("warning: {}", String::from_utf8_lossy(warning.as_bytes())));
            }
            Ok(answer)
        } else {
            Err(refused(answer, path).await)
        }
    }

    async fn connect_and_send(&self, request: Request<Body>, path: &str) -> Result<Response<Incoming>, Failure> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(path, &error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| broken(path, &error))
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        let short = socket::Short::new(&self.socket).map_err(|error| self.absent(&error))?;
        UnixStream::connect(short.path()).await.map_err(|error| self.absent(&error))
    }

    fn absent(&self, error: &io::Error) -> Failure {
        let what = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "`scs dev` does not run",
            io::ErrorKind::PermissionDenied => "`scs dev` is somebody else's",
            _ => "`scs dev` does not answer",
        };
        Failure::unavailable(format!("{what} (socket {})", self.socket.display()))
            .because(error)
            .hint("`scs up` starts it; `scs doctor` looks deeper")
    }
}

fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>, Failure> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "scs")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| Failure::failed(format!("cannot ask for {path}")).because(&error))
}

fn empty() -> Body {
    BoxBody::new(Full::new(Bytes::new()).map_err(|never| match never {}))
}

fn json(document: &impl Serialize) -> Body {
    let text = serde_json::to_vec(document).expect("our own types serialise");
    BoxBody::new(Full::new(Bytes::from(text)).map_err(|never| match never {}))
}

async fn document<T: DeserializeOwned>(answer: Response<Incoming>, path: &str) -> Result<T, Failure> {
    let bytes = collect(answer.into_body(), path).await?;
    serde_json::from_slice(&bytes).map_err(|error| strange(path, &error))
}

async fn collect(mut body: Incoming, path: &str) -> Result<BytesMut, Failure> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| broken(path, &error))?.into_data() {
            if bytes.len() + data.len() > LIMIT {
                return Err(Failure::failed(format!("the answer to {path} is larger than {} MiB", LIMIT >> 20)));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

async fn refused(answer: Response<Incoming>, path: &str) -> Failure {
    let status = answer.status();
    let body = collect(answer.into_body(), path).await.unwrap_or_default();
    if let Ok(problem) = serde_json::from_slice::<Problem>(&body) {
        return problem.into();
    }
    let code = if status == StatusCode::NOT_FOUND { Code::NotFound } else { Code::Internal };
    let mut problem = Problem::new(code, format!("the server answered {status} to {path}"));
    let text = String::from_utf8_lossy(&body);
    if !text.trim().is_empty() {
        problem.causes.push(text.trim().chars().take(500).collect());
    }
    problem.hint("is it another version? `scs version` shows both").into()
}

/// Cuts a body into lines and reads each as a document.
fn lines<T: DeserializeOwned + Send + 'static>(body: Incoming, path: String) -> BoxStream<'static, Result<T, Failure>> {
    let state = (body, BytesMut::new(), path, false);
    futures_util::stream::unfold(state, |(mut body, mut buffer, path, mut ended)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end);
                buffer.advance(1);
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let item = serde_json::from_slice(&line).map_err(|error| strange(&path, &error));
                return Some((item, (body, buffer, path, ended)));
            }
            if ended {
                return None;
            }
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        buffer.extend_from_slice(&data);
                    }
                    if buffer.len() > LIMIT {
                        let failure = Failure::failed(format!("a line of the answer to {path} does not end"));
                        return Some((Err(failure), (body, BytesMut::new(), path, true)));
                    }
                }
                Some(Err(error)) => {
                    let failure = broken(&path, &error);
                    return Some((Err(failure), (body, BytesMut::new(), path, true)));
                }
                None => {
                    ended = true;
                    if !buffer.is_empty() {
                        buffer.extend_from_slice(b"\n");
                    }
                }
            }
        }
    })
    .boxed()
}

fn broken(path: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::unavailable(format!("`scs dev` stopped answering to {path}"))
        .because(error)
        .hint("containers keep running; `scs up` starts it again, `scs doctor` says where its log is")
}

fn strange(path: &str, error: &serde_json::Error) -> Failure {
    Failure::failed(format!("the answer to {path} makes no sense to this version")).because(error).hint(
        "is it another version? `scs version` shows both; `scs dev --stop` ends the old one, containers keep running",
    )
}
