//! Answers: a document, or a stream of documents, one a line.

use crate::error::{Error, Whom};
use bytes::{Buf as _, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

/// Longest answer that is read as one document, and longest line of a stream: more than any real one, less than memory.
const LIMIT: usize = 64 << 20;

/// Who answers, and to what.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) whom: Whom,
    pub(crate) path: String,
}

impl Asked {
    pub(crate) fn broken(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Broken { whom: self.whom.clone(), path: self.path.clone(), source: Box::new(error) }
    }

    fn strange(&self, source: serde_json::Error) -> Error {
        Error::Strange { whom: self.whom.clone(), path: self.path.clone(), source }
    }

    fn too_long(&self, what: &'static str) -> Error {
        Error::TooLong { what, path: self.path.clone(), limit: LIMIT >> 20 }
    }

    pub(crate) async fn document<T: DeserializeOwned>(&self, body: Incoming) -> Result<T, Error> {
        serde_json::from_slice(&self.collect(body).await?).map_err(|error| self.strange(error))
    }

    pub(crate) async fn collect(&self, mut body: Incoming) -> Result<BytesMut, Error> {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|error| self.broken(error))?.into_data() {
                if bytes.len() + data.len() > LIMIT {
                    return Err(self.too_long("the whole"));
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok(bytes)
    }
}

struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// Where to go on looking for the end of the line.
    looked: usize,
    ended: bool,
    asked: Asked,
}

/// Cuts a body into lines and reads each as a document.
pub(crate) fn lines<T: DeserializeOwned + Send + 'static>(
    body: Incoming,
    asked: Asked,
) -> BoxStream<'static, Result<T, Error>> {
    let lines = Lines { body, buffer: BytesMut::new(), looked: 0, ended: false, asked };
    futures_util::stream::unfold(lines, |mut lines| async move { lines.next().await.map(|item| (item, lines)) }).boxed()
}

impl Lines {
    async fn next<T: DeserializeOwned>(&mut self) -> Option<Result<T, Error>> {
        loop {
            if let Some(end) = self.buffer[self.looked..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.looked + end);
                self.buffer.advance(1);
                self.looked = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Some(serde_json::from_slice(&line).map_err(|error| self.asked.strange(error)));
            }
            self.looked = self.buffer.len();
            if self.ended {
                return None;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                    if self.buffer.len() > LIMIT {
                        return Some(Err(self.end(self.asked.too_long("a line"))));
                    }
                }
                Some(Err(error)) => return Some(Err(self.end(self.asked.broken(error)))),
                None => {
                    self.ended = true;
                    if !self.buffer.is_empty() {
                        self.buffer.extend_from_slice(b"\n");
                    }
                }
            }
        }
    }

    fn end(&mut self, error: Error) -> Error {
        self.ended = true;
        self.buffer.clear();
        self.looked = 0;
        error
    }
}
