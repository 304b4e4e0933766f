//! Answers that are worth having without some hosts: what is known, and a warning for each host that is missing from it.

use crate::fleet::Member;
use crate::service::Shared;
use crate::state::Error as StateError;
use futures_util::future::join_all;
use scs_api::error::Problem;
use std::collections::BTreeSet;
use std::future::Future;

/// An answer, and what is missing from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial<T> {
    /// What is known.
    pub value: T,
    /// What the reader should know of the rest, a sentence a host.
    pub warnings: Vec<String>,
}

impl Shared {
    /// A warning for each host that does not answer and is concerned; `so` says what that means for the answer.
    pub(crate) fn silent_hosts(&self, concerned: impl Fn(&str) -> bool, so: &str) -> Vec<String> {
        let silent = self.fleet.silent();
        let concerned = silent.iter().filter(|(host, _)| concerned(host));
        concerned.map(|(host, silent)| format!("host {host} {silent}; {so}")).collect()
    }

    /// Hosts that have, or had last, something of these services.
    pub(crate) async fn hosts_of(
        &self,
        environment: Option<&str>,
        service: Option<&str>,
    ) -> Result<BTreeSet<String>, StateError> {
        let matches = |is: &str, wanted: Option<&str>| wanted.is_none_or(|it| it == is);
        let mut hosts = BTreeSet::new();
        for (key, record) in self.state.services().await? {
            if matches(&key.environment, environment) && matches(&key.service, service) {
                hosts.extend(record.hosts.into_values());
            }
        }
        for (slot, tombstone) in self.state.tombstones(None).await? {
            if matches(&slot.environment, environment) && matches(&slot.service, service) {
                hosts.insert(tombstone.host);
            }
        }
        Ok(hosts)
    }

    /// Asks every host that answers, all at once. What one cannot say is a warning, `FAILED: WHY`; where none can, that is the error.
    pub(crate) async fn ask_all<T, F: Future<Output = Result<T, Problem>>>(
        &self,
        ask: impl Fn(Member) -> F,
        failed: &str,
    ) -> Result<Partial<Vec<T>>, Problem> {
        let members = self.fleet.members();
        let answering = members.iter().filter(|(_, it)| it.silent().is_none());
        let asked = answering.map(|(host, member)| {
            let answer = ask(member.clone());
            async move { (host, answer.await) }
        });
        let (mut value, mut warnings, mut first) = (Vec::new(), Vec::new(), None);
        for (host, answer) in join_all(asked).await {
            match answer {
                Ok(one) => value.push(one),
                Err(problem) => {
                    warnings.push(format!("host {host} {failed}: {problem}"));
                    first.get_or_insert(problem);
                }
            }
        }
        match first {
            Some(problem) if value.is_empty() => Err(problem),
            _ => Ok(Partial { value, warnings }),
        }
    }
}
