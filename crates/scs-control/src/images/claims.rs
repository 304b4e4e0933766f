//! Who builds which image: one host a digest at a time, while others wait and then fetch it from there.
//!
//! A claim lasts as long as its holder says so again, so that a host which ends in the middle of a build holds up nobody for long. All of
//! it is memory: after a restart of the server, builds under way are claimed anew, and at worst an image is built twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a claim lasts without being repeated.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// What a host that needs an image is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Fetch it from one of these hosts.
    Fetch(Vec<String>),
    /// Build it, and say so again before the lease ends.
    Build,
    /// This host builds it: ask again.
    Wait(String),
}

#[derive(Debug)]
struct Claim {
    host: String,
    until: Instant,
}

/// The claims there are.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_digest: BTreeMap<String, Claim>,
}

impl Claims {
    /// A host needs an image that these other hosts have.
    pub(crate) fn ask(&mut self, now: Instant, host: &str, digest: &str, holders: Vec<String>) -> Turn {
        self.by_digest.retain(|_, claim| claim.until > now);
        if !holders.is_empty() {
            return Turn::Fetch(holders);
        }
        let claim = self
            .by_digest
            .entry(digest.to_owned())
            .or_insert_with(|| Claim { host: host.to_owned(), until: now + LEASE });
        if claim.host != host {
            return Turn::Wait(claim.host.clone());
        }
        claim.until = now + LEASE;
        Turn::Build
    }

    /// Who builds an image now.
    pub(crate) fn builder(&self, now: Instant, digest: &str) -> Option<String> {
        self.by_digest.get(digest).filter(|claim| claim.until > now).map(|claim| claim.host.clone())
    }

    /// A host has built an image, or given up.
    pub(crate) fn release(&mut self, host: &str, digest: &str) {
        if self.by_digest.get(digest).is_some_and(|claim| claim.host == host) {
            self.by_digest.remove(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claims, LEASE, Turn};
    use std::time::{Duration, Instant};

    fn nobody() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn one_host_builds_and_the_others_fetch_it_from_there() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        assert_eq!(claims.ask(now, "h1", "sha256:a", nobody()), Turn::Build);
        assert_eq!(claims.ask(now, "h2", "sha256:a", nobody()), Turn::Wait("h1".to_owned()));
        assert_eq!(claims.ask(now, "h2", "sha256:b", nobody()), Turn::Build, "another image");
        claims.release("h1", "sha256:a");
        assert_eq!(claims.ask(now, "h2", "sha256:a", vec!["h1".to_owned()]), Turn::Fetch(vec!["h1".to_owned()]));
    }

    #[test]
    fn a_build_that_failed_or_whose_host_is_gone_is_the_next_ones_turn() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        claims.ask(now, "h1", "sha256:a", nobody());
        claims.release("h2", "sha256:a");
        assert_eq!(
            claims.ask(now, "h2", "sha256:a", nobody()),
            Turn::Wait("h1".to_owned()),
            "only the holder releases"
        );
        let later = now + LEASE - Duration::from_secs(1);
        claims.ask(later, "h1", "sha256:a", nobody());
        assert_eq!(
            claims.ask(now + LEASE, "h2", "sha256:a", nobody()),
            Turn::Wait("h1".to_owned()),
            "it said so again"
        );
        assert_eq!(claims.ask(later + LEASE, "h2", "sha256:a", nobody()), Turn::Build);
    }
}
