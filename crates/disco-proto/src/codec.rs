//! Bytes to messages and back, bounded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::{
    failure::{Code, Failure},
    limits,
    message::{Answer, Id, Message, Method},
};

/// Cuts a stream of bytes into lines without ever holding more than one line too many.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Where the next line starts.
    start: usize,
    /// Up to where there is no newline.
    scanned: usize,
}

/// A line is longer than a line may be. The stream cannot be cut any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {} bytes", limits::LINE)]
pub struct TooLong;

impl Frames {
    /// An empty one; it allocates nothing before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its end, if there is one. Empty lines are skipped, so that a person may type them.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, TooLong> {
        loop {
            let Some(at) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.buffer.len();
                if self.buffer.len() - self.start >= limits::LINE {
                    return Err(TooLong);
                }
                if self.start == self.buffer.len() {
                    self.forget();
                }
                return Ok(None);
            };
            let (from, to) = (self.start, self.scanned + at);
            self.start = to + 1;
            self.scanned = to + 1;
            if to - from >= limits::LINE {
                return Err(TooLong);
            }
            let to = if to > from && self.buffer[to - 1] == b'\r' { to - 1 } else { to };
            if to > from {
                return Ok(Some(&self.buffer[from..to]));
            }
        }
    }

    /// Everything was read: an idle connection should hold next to nothing.
    fn forget(&mut self) {
        self.buffer.clear();
        if self.buffer.capacity() > 4096 {
            self.buffer = Vec::new();
        }
        self.start = 0;
        self.scanned = 0;
    }
}

/// A line that is no message. `id` is there if at least that could be read, so that it can be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a line cannot be understood")]
pub struct Broken {
    /// The request's id.
    pub id: Option<Id>,
    /// What to answer.
    #[source]
    pub failure: Failure,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Id>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    result: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// `null` counts as no id.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    Option::<Id>::deserialize(deserializer)
}

#[derive(Deserialize)]
struct Params<T> {
    params: T,
}

#[derive(Deserialize)]
struct Optional<T> {
    #[serde(default)]
    params: T,
}

#[derive(Deserialize)]
struct Outcome {
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Refusal {
    error: Failure,
}

/// Reads one line (without its newline). Never panics, whatever the line.
pub fn decode(line: &[u8]) -> Result<Message, Broken> {
    let head: Head = serde_json::from_slice(line).map_err(|error| {
        let code = if error.is_data() { Code::Invalid } else { Code::Parse };
        Broken { id: None, failure: Failure::new(code, format!("not a message: {error}")) }
    })?;
    let id = head.id;
    let refuse = |id: Option<Id>, code, words: String| Err(Broken { id, failure: Failure::new(code, words) });
    if head.jsonrpc.as_deref() != Some("2.0") {
        return refuse(id, Code::Invalid, "`jsonrpc` must be \"2.0\"".to_owned());
    }
    if id.as_ref().is_some_and(|id| !id.fits()) {
        return refuse(None, Code::Invalid, "`id` is longer than 253 bytes".to_owned());
    }
    let Some(method) = head.method else {
        let parsed = match (head.result, head.error) {
            (Some(_), None) => serde_json::from_slice::<Outcome>(line).map(|outcome| Ok(Answer::Json(outcome.result))),
            (None, Some(_)) => serde_json::from_slice::<Refusal>(line).map(|refusal| Err(refusal.error)),
            _ => return refuse(id, Code::Invalid, "one of `method`, `result` and `error` must be there".to_owned()),
        };
        return match parsed {
            Ok(result) => Ok(Message::Answer { id, result }),
            Err(error) => refuse(id, Code::Invalid, format!("not an answer: {error}")),
        };
    };
    let method = match method_of(&method, line) {
        Some(Ok(method)) => method,
        Some(Err(error)) => return refuse(id, Code::Params, format!("parameters of `{method}`: {error}")),
        None => {
            let method: String = method.chars().take(80).collect();
            return refuse(id, Code::Method, format!("there is no method `{method}`"));
        }
    };
    match method.check() {
        Ok(()) => Ok(Message::Call { id, method }),
        Err(error) => refuse(id, Code::Params, format!("parameters of `{}`: {error}", method.name())),
    }
}

fn method_of(name: &str, line: &[u8]) -> Option<Result<Method, serde_json::Error>> {
    fn with<'a, T: Deserialize<'a>>(
        line: &'a [u8],
        wrap: fn(T) -> Method,
    ) -> Option<Result<Method, serde_json::Error>> {
        Some(serde_json::from_slice::<Params<T>>(line).map(|holder| wrap(holder.params)))
    }
    match name {
        "session.open" => with(line, Method::Open),
        "session.park" => with(line, Method::Park),
        "session.close" => Some(Ok(Method::Close)),
        "ping" => Some(Ok(Method::Ping)),
        "provide" => with(line, Method::Provide),
        "withdraw" => with(line, Method::Withdraw),
        "require" => with(line, Method::Require),
        "applied" => with(line, Method::Applied),
        "unrequire" => with(line, Method::Unrequire),
        "resolve" => with(line, Method::Resolve),
        "list" => Some(serde_json::from_slice(line).map(|holder: Optional<_>| Method::List(holder.params))),
        "changed" => with(line, Method::Changed),
        "snapshot" => with(line, Method::Snapshot),
        "reset" => with(line, Method::Reset),
        "drain" => with(line, Method::Drain),
        _ => None,
    }
}

#[derive(Serialize)]
struct Line<'a, P: Serialize> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<P>,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    jsonrpc: &'static str,
    id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

/// Appends one message and its newline to `out`.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Call { id, method } => {
            let id = id.as_ref();
            match method {
                Method::Open(params) => call(id, method, Some(params), out),
                Method::Park(params) => call(id, method, Some(params), out),
                Method::Close | Method::Ping => call(id, method, None::<&()>, out),
                Method::Provide(params) => call(id, method, Some(params), out),
                Method::Withdraw(params) => call(id, method, Some(params), out),
                Method::Require(params) => call(id, method, Some(params), out),
                Method::Applied(params) => call(id, method, Some(params), out),
                Method::Unrequire(params) => call(id, method, Some(params), out),
                Method::Resolve(params) => call(id, method, Some(params), out),
                Method::List(params) => call(id, method, Some(params), out),
                Method::Changed(params) => call(id, method, Some(params), out),
                Method::Snapshot(params) => call(id, method, Some(params), out),
                Method::Reset(params) => call(id, method, Some(params), out),
                Method::Drain(params) => call(id, method, Some(params), out),
            }
        }
        Message::Answer { id, result } => {
            let (result, error) = match result {
                Ok(answer) => (Some(answer), None),
                Err(failure) => (None, Some(failure)),
            };
            write(&AnswerLine { jsonrpc: "2.0", id: id.as_ref(), result, error }, out);
        }
    }
}

fn call<P: Serialize>(id: Option<&Id>, method: &Method, params: Option<&P>, out: &mut Vec<u8>) {
    write(&Line { jsonrpc: "2.0", id, method: method.name(), params }, out);
}

fn write<T: Serialize>(line: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, line).expect("messages have text keys, and writing to memory does not fail");
    out.push(b'\n');
}
