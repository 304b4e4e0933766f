//! One call of the API: its time limit, and its errors put into the port's words.

use crate::{Docker, failure};
use scs_ports::engine::Error;
use std::future::Future;
use std::time::Duration;

/// What a call is about, for its errors.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// What the engine is asked to do, e.g. ``start container `x` ``.
    pub action: String,
    /// What it is done to, e.g. ``container `x` ``.
    pub what: String,
}

impl Subject {
    /// `verb` done to one `kind` of thing called `name`.
    pub fn new(verb: &str, kind: &str, name: &str) -> Self {
        let what = format!("{kind} `{}`", short(name));
        Subject { action: format!("{verb} {what}"), what }
    }

    /// Something asked of the engine as a whole.
    pub fn engine(action: &str) -> Self {
        Subject { action: action.to_owned(), what: "such thing".to_owned() }
    }

    pub fn container(verb: &str, id: &str) -> Self {
        Subject::new(verb, "container", id)
    }

    pub fn image(verb: &str, reference: &str) -> Self {
        Subject::new(verb, "image", reference)
    }
}

/// Ids are shortened as Docker's own command line does; names are left alone.
fn short(name: &str) -> &str {
    let hex = name.len() == 64 && name.bytes().all(|it| it.is_ascii_hexdigit());
    if hex { &name[..12] } else { name }
}

type Answer<T> = Result<T, bollard::errors::Error>;

impl Docker {
    /// A call that changes nothing.
    pub(crate) async fn query<T>(&self, subject: &Subject, call: impl Future<Output = Answer<T>>) -> Result<T, Error> {
        self.within(self.query_limit, subject, call).await
    }

    /// A call that changes something.
    pub(crate) async fn order<T>(&self, subject: &Subject, call: impl Future<Output = Answer<T>>) -> Result<T, Error> {
        self.within(self.order_limit, subject, call).await
    }

    pub(crate) async fn within<T>(
        &self,
        after: Duration,
        subject: &Subject,
        call: impl Future<Output = Answer<T>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(after, call).await {
            Ok(answer) => answer.map_err(|error| self.failure(subject, error)),
            Err(_) => Err(Error::TimedOut { action: subject.action.clone(), after }),
        }
    }

    /// The port's error for one of bollard's.
    pub(crate) fn failure(&self, subject: &Subject, error: bollard::errors::Error) -> Error {
        failure::translate(&self.address, subject, error)
    }
}

/// Turns "there is none" into `None`.
pub(crate) fn optional<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
