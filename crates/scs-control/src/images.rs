//! Images between hosts: whoever needs one that it has not is told where to fetch it, to build it, or to wait for whoever does.

mod claims;

pub(crate) use claims::Claims;

use crate::fleet::Member;
use crate::service::Handle;
use claims::Turn;
use futures_util::future::join_all;
use scs_api::error::Problem;
use scs_api::image::{Claim, ClaimRequest, Holder};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long a host may take to say which images it has: one that takes longer does not hold up a build.
const PATIENCE: Duration = Duration::from_secs(2);

impl Handle {
    /// What a host is to do that needs an image.
    pub async fn claim_image(&self, host: &str, digest: &str, request: &ClaimRequest) -> Result<Claim, Problem> {
        let members = self.shared.fleet.members();
        let builder = self.claims(|claims| claims.builder(Instant::now(), digest));
        let asked = members.iter().filter(|(name, member)| {
            // While one builds it, only that one can have it soon.
            let candidate = builder.as_ref().is_none_or(|builder| builder == *name);
            candidate && *name != host && !request.failed.contains(name) && member.silent().is_none()
        });
        let holders = join_all(asked.map(async |(name, member)| has(member, digest).await.then(|| name.clone()))).await;
        let holders: Vec<String> = holders.into_iter().flatten().collect();
        Ok(match self.claims(|claims| claims.ask(Instant::now(), host, digest, holders)) {
            Turn::Build => Claim::Build,
            Turn::Wait(host) => Claim::Wait { host },
            Turn::Fetch(hosts) => {
                let from = hosts.into_iter().filter_map(|host| {
                    let address = members.get(&host)?.address.clone()?;
                    Some(Holder { host, address })
                });
                Claim::Fetch { from: from.collect() }
            }
        })
    }

    /// A host has built an image, or given up.
    pub fn release_image(&self, host: &str, digest: &str) {
        self.claims(|claims| claims.release(host, digest));
    }

    fn claims<T>(&self, with: impl FnOnce(&mut Claims) -> T) -> T {
        with(&mut self.shared.claims.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn has(member: &Member, digest: &str) -> bool {
    // One that is in the server's own process has no address to fetch from.
    member.address.is_some()
        && tokio::time::timeout(PATIENCE, member.agent.images())
            .await
            .is_ok_and(|images| images.is_ok_and(|images| images.contains(digest)))
}
