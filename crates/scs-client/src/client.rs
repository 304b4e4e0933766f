//! The client: requests and the shapes of their answers.

use crate::body::{Body, empty, json, upload};
use crate::connect::{Security, Target, Tls};
use crate::error::{Error, Whom};
use crate::lines::{Asked, lines};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http_body_util::{BodyExt as _, BodyStream};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use scs_api::error::{Code, Problem};
use scs_api::routes::WARNING;
use scs_pki::{Expected, Fingerprint, Live};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Asks a server or an agent. Cheap to clone; nothing stays connected.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) target: Arc<Target>,
    /// How long an answer may take to begin; as long as it likes without.
    patience: Option<Duration>,
    /// Told what answers warn of.
    hears: Option<fn(&str)>,
}

impl Client {
    /// A client; nothing is connected yet.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { target: Arc::new(target), patience: None, hears: None }
    }

    /// Of the server that listens on a socket of this machine.
    #[must_use]
    pub fn socket(path: &Path) -> Self {
        Self::new(Target::Socket(path.to_owned()))
    }

    /// Of this user's own `scs dev`, which listens on this socket.
    #[must_use]
    pub fn own(path: &Path) -> Self {
        Self::new(Target::Own(path.to_owned()))
    }

    /// Of a server or a host at `host:port`, which has to be the one expected.
    #[must_use]
    pub fn tls(address: impl Into<String>, live: Arc<Live>, expected: Expected) -> Self {
        Self::new(Target::Tls(Tls { address: address.into(), security: Security::Certificate(live, expected) }))
    }

    /// Of a server at `host:port` of which the fingerprint of its authority is known, for those who have no certificate yet.
    #[must_use]
    pub fn first_contact(address: impl Into<String>, authority: Fingerprint) -> Self {
        Self::new(Target::Tls(Tls { address: address.into(), security: Security::FirstContact(authority) }))
    }

    /// The same that gives up when an answer has not begun in time. Uploads take what they take.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }

    /// The same that tells what answers warn of ([`scs_api::routes::WARNING`]).
    #[must_use]
    pub fn hearing(&self, hears: fn(&str)) -> Self {
        Self { hears: Some(hears), ..self.clone() }
    }

    /// Whom it asks.
    #[must_use]
    pub fn whom(&self) -> Whom {
        self.target.whom()
    }

    /// `GET`s a document.
    ///
    /// # Errors
    /// Where nobody answers, or a problem is answered.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::GET, path, None::<&()>).await
    }

    /// `POST`s a document and reads one back.
    ///
    /// # Errors
    /// Where nobody answers, or a problem is answered.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Sends a document, or none, and reads one back.
    ///
    /// # Errors
    /// Where nobody answers, or a problem is answered.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let answer = self.send(method, path, body.map_or_else(empty, json)).await?;
        self.asked(path).document(answer.into_body()).await
    }

    /// Sends a document and reads nothing back.
    ///
    /// # Errors
    /// Where nobody answers, or a problem is answered.
    pub async fn tell(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<(), Error> {
        drain(self.send(method, path, body.map_or_else(empty, json)).await?).await;
        Ok(())
    }

    /// Whether there is something at this path.
    ///
    /// # Errors
    /// Where nobody answers, or something other than yes or no is answered.
    pub async fn has(&self, path: &str) -> Result<bool, Error> {
        match self.send(Method::HEAD, path, empty()).await {
            Ok(_) => Ok(true),
            Err(Error::Refused(problem)) if problem.code == Code::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a stream of bytes.
    ///
    /// # Errors
    /// Where nobody answers, or a problem is answered, or the stream breaks.
    pub async fn upload(&self, path: &str, bytes: BoxStream<'static, io::Result<Bytes>>) -> Result<(), Error> {
        let (wanted, asked) = tokio::sync::watch::channel(false);
        let (body, _pump) = upload(bytes, asked);
        let mut request = request(Method::PUT, path, body)?;
        request.headers_mut().insert(header::EXPECT, header::HeaderValue::from_static("100-continue"));
        hyper::ext::on_informational(&mut request, move |_| {
            let _ = wanted.send(true);
        });
        let answer = self.connect_and_send(request, path).await?;
        drain(self.checked(answer, path).await?).await;
        Ok(())
    }

    /// Reads a stream of bytes.
    ///
    /// # Errors
    /// Where nobody answers, or a problem is answered.
    pub async fn download(&self, path: &str) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let answer = self.send(Method::GET, path, empty()).await?;
        let asked = self.asked(path);
        Ok(BodyStream::new(answer.into_body())
            .filter_map(move |frame| {
                let item = match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(asked.broken(error))),
                };
                std::future::ready(item)
            })
            .boxed())
    }

    /// Sends a request and reads a stream of documents, one a line. Dropping it tells the other side.
    ///
    /// # Errors
    /// Where nobody answers, or a problem is answered.
    pub async fn stream<T: DeserializeOwned + Send + 'static>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<BoxStream<'static, Result<T, Error>>, Error> {
        let answer = self.send(method, path, body.map_or_else(empty, json)).await?;
        Ok(lines(answer.into_body(), self.asked(path)))
    }

    async fn send(&self, method: Method, path: &str, body: Body) -> Result<Response<Incoming>, Error> {
        let request = request(method, path, body)?;
        let answer = self.patient(path, self.connect_and_send(request, path)).await?;
        self.checked(answer, path).await
    }

    pub(crate) async fn patient<T>(
        &self,
        path: &str,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(after) = self.patience else { return answer.await };
        let silent = |_| Error::Silent { whom: self.whom(), path: path.to_owned(), after };
        tokio::time::timeout(after, answer).await.map_err(silent)?
    }

    async fn connect_and_send(&self, request: Request<Body>, path: &str) -> Result<Response<Incoming>, Error> {
        let asked = self.asked(path);
        let stream = TokioIo::new(self.target.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(|error| asked.broken(error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.broken(path, error))
    }

    /// A connection that broke before anything was answered; over TLS 1.3 that is also how the other side refuses our certificate.
    pub(crate) fn broken(&self, path: &str, error: hyper::Error) -> Error {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(this) = cause {
            if let Some(trouble) = this.downcast_ref::<io::Error>().and_then(scs_pki::Trouble::of) {
                return Error::Untrusted { whom: self.whom(), trouble };
            }
            cause = this.source();
        }
        self.asked(path).broken(error)
    }

    async fn checked(&self, answer: Response<Incoming>, path: &str) -> Result<Response<Incoming>, Error> {
        if answer.status().is_success() {
            if let Some(hears) = self.hears {
                let warnings = answer.headers().get_all(WARNING);
                warnings.iter().for_each(|warning| hears(&String::from_utf8_lossy(warning.as_bytes())));
            }
            return Ok(answer);
        }
        let status = answer.status();
        let body = self.asked(path).collect(answer.into_body()).await.unwrap_or_default();
        Err(Error::refused(problem(status, &body, path)))
    }

    pub(crate) fn asked(&self, path: &str) -> Asked {
        // Without the query, which may be long and says little.
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        Asked { whom: self.whom(), path: path.to_owned() }
    }
}

/// What an answer without success says.
pub(crate) fn problem(status: StatusCode, body: &[u8], path: &str) -> Problem {
    if let Ok(problem) = serde_json::from_slice(body) {
        return problem;
    }
    let code = if status == StatusCode::NOT_FOUND { Code::NotFound } else { Code::Internal };
    let mut problem = Problem::new(code, format!("the server answered {status} to {path}"));
    let text = String::from_utf8_lossy(body);
    if !text.trim().is_empty() {
        problem.causes.push(text.trim().chars().take(500).collect());
    }
    problem.hint("is it another version? `scs version` shows both")
}

fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>, Error> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "scs")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|source| Error::Unaskable { path: path.to_owned(), source })
}

async fn drain(answer: Response<Incoming>) {
    let mut body = answer.into_body();
    while let Some(Ok(_)) = body.frame().await {}
}
