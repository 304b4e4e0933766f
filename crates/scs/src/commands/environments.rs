//! Which environments there are, so that a mistyped one is neither quietly a new one nor quietly empty.

use super::Context;
use crate::client::Client;
use crate::exit::Failure;
use crate::load;
use crate::settings::DEFAULT_ENVIRONMENT;
use scs_manifest::diagnostic::suggest;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Environments that somebody has meant before: those with an overlay, those in which anything was ever brought up, and `dev`.
#[derive(Debug)]
pub struct Environments(BTreeSet<String>);

impl Environments {
    /// Those of the manifests and of the server.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn ask(client: &Client, files: &[PathBuf]) -> Result<Self, Failure> {
        let brought_up: Vec<String> = client.get("/v1/environments").await?;
        Ok(Self::of(brought_up.into_iter().chain(load::overlaid(files))))
    }

    fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().chain([DEFAULT_ENVIRONMENT.to_owned()]).collect())
    }

    /// What to say of an environment that is not there, and which one may be meant; `None` where it is.
    #[must_use]
    pub fn unknown(&self, environment: &str) -> Option<String> {
        if self.0.contains(environment) {
            return None;
        }
        let names = || self.0.iter().map(String::as_str);
        let near = suggest(environment, names())
            .unwrap_or_else(|| format!("there is {}", names().collect::<Vec<_>>().join(", ")));
        Some(format!("there is no environment `{environment}`; {near}"))
    }

    /// Refuses to begin an environment that nobody said is new.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn check(&self, environment: &str) -> Result<(), Failure> {
        match self.unknown(environment) {
            Some(what) => Err(Failure::usage(what).hint(format!(
                "nothing was changed; `--create-env` begins `{environment}` without an overlay of its own"
            ))),
            None => Ok(()),
        }
    }
}

impl Context {
    /// Says of a list that is empty whether its environment is one at all.
    pub(super) async fn note_unknown(
        &self,
        client: &Client,
        files: &[PathBuf],
        environment: &str,
    ) -> Result<bool, Failure> {
        let unknown = Environments::ask(client, files).await?.unknown(environment);
        if let Some(what) = &unknown {
            self.printer.note(what);
        }
        Ok(unknown.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environments() -> Environments {
        Environments::of(["prod", "staging"].map(str::to_owned))
    }

    #[test]
    fn what_was_meant_before_is_there_and_dev_always_is() {
        let unknown = ["prod", "staging", "dev"].map(|name| environments().unknown(name));
        assert_eq!(unknown, [None, None, None]);
        assert_eq!(Environments::of([]).unknown("dev"), None);
    }

    #[test]
    fn a_mistyped_one_is_refused_with_the_one_that_is_near() {
        let refused = environments().check("prdo").unwrap_err();
        assert_eq!(refused.to_string(), "there is no environment `prdo`; did you mean `prod`?");
        assert_eq!(refused.exit(), crate::exit::Exit::USAGE);
    }

    #[test]
    fn one_that_is_like_none_is_told_which_there_are() {
        let what = environments().unknown("customer-7").unwrap();
        assert_eq!(what, "there is no environment `customer-7`; there is dev, prod, staging");
    }
}
