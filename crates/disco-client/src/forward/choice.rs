//! Which endpoint the next connection goes to. Knows no socket and no clock.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use disco_proto::{Endpoint, Protocol};

use crate::set::usability;

/// How long an endpoint that did not take a connection comes after the others; doubled each time, up to the longest.
const REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// How one of several endpoints that are equally good is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with the fewest connections of this process; among those, in turn.
    LeastConnections,
}

/// The endpoints with what is known of them from connecting. An endpoint is its address here: that is what a connection goes to.
#[derive(Debug)]
pub(super) struct Choice {
    policy: Policy,
    targets: BTreeMap<String, Target>,
    turn: u64,
}

#[derive(Debug, Default)]
struct Target {
    /// Its place in the set: how usable it is, and the order of preference in which it came; `None` once it is no longer in the set and
    /// only has connections left.
    place: Option<(u8, usize)>,
    open: usize,
    /// When it was chosen last; 0: never.
    turn: u64,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Choice {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, targets: BTreeMap::new(), turn: 0 }
    }

    /// The set changed. What is known of endpoints that stay in it is kept.
    pub(super) fn set(&mut self, endpoints: &[Endpoint]) {
        self.targets.values_mut().for_each(|target| target.place = None);
        let reachable = endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Tcp);
        for (order, endpoint) in reachable.enumerate() {
            let target = self.targets.entry(endpoint.address()).or_default();
            target.place.get_or_insert((usability(endpoint), order));
        }
        self.targets.retain(|_, target| target.place.is_some() || target.open > 0);
    }

    /// Where the next connection goes: the most usable that was not tried for it yet, those that just failed last. Counts as one of its
    /// connections until [`Choice::released`].
    pub(super) fn pick(&mut self, now: Instant, tried: &[String]) -> Option<String> {
        let by_connections = self.policy == Policy::LeastConnections;
        let (address, target) = self
            .targets
            .iter_mut()
            .filter(|(address, _)| !tried.contains(address))
            .filter_map(|(address, target)| target.place.map(|place| (address, target, place)))
            .min_by_key(|(_, target, (usable, order))| {
                let rests = target.rests_until.is_some_and(|until| now < until);
                (rests, *usable, if by_connections { target.open } else { 0 }, target.turn, *order)
            })
            .map(|(address, target, _)| (address, target))?;
        self.turn += 1;
        target.turn = self.turn;
        target.open += 1;
        Some(address.clone())
    }

    /// A connection to it ended, or never came to be.
    pub(super) fn released(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            target.open = target.open.saturating_sub(1);
            if target.place.is_none() && target.open == 0 {
                self.targets.remove(address);
            }
        }
    }

    /// It did not take a connection. Whether that is news.
    pub(super) fn failed(&mut self, now: Instant, address: &str) -> bool {
        let Some(target) = self.targets.get_mut(address) else { return false };
        let rest = REST.saturating_mul(1 << target.failures.min(8)).min(LONGEST_REST);
        target.failures += 1;
        target.rests_until = Some(now + rest);
        target.failures == 1
    }

    /// It took a connection. Whether that is news.
    pub(super) fn worked(&mut self, address: &str) -> bool {
        let Some(target) = self.targets.get_mut(address) else { return false };
        target.rests_until = None;
        std::mem::take(&mut target.failures) > 0
    }

    /// Addresses of the set, in order of preference.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut there: Vec<_> =
            self.targets.iter().filter_map(|(address, target)| target.place.map(|place| (place, address))).collect();
        there.sort_unstable();
        there.into_iter().map(|(_, address)| address.clone()).collect()
    }

    /// Connections to endpoints that are no longer in the set.
    pub(super) fn left_behind(&self) -> usize {
        self.targets.values().filter(|target| target.place.is_none()).map(|target| target.open).sum()
    }
}

#[cfg(test)]
mod tests {
    use disco_proto::{Health, Provision};

    use super::*;

    fn endpoint(port: u16, health: Health) -> Endpoint {
        let name = "dev/blog/mysql/mysql".parse().unwrap();
        let provision = Provision { health, ..Provision::new(name, &format!("run-{port}"), "192.0.2.1", port) };
        Endpoint::of(&provision)
    }

    fn choice(policy: Policy, ports: &[u16]) -> Choice {
        let mut choice = Choice::new(policy);
        choice.set(&ports.iter().map(|port| endpoint(*port, Health::Passing)).collect::<Vec<_>>());
        choice
    }

    fn port(address: Option<String>) -> Option<u16> {
        address.map(|address| address.rsplit(':').next().unwrap().parse().unwrap())
    }

    #[test]
    fn equal_endpoints_get_connections_in_turn_and_a_new_one_at_once() {
        let mut choice = choice(Policy::RoundRobin, &[1, 2]);
        let now = Instant::now();
        let picked: Vec<_> = (0..4).map(|_| port(choice.pick(now, &[])).unwrap()).collect();
        assert_eq!(picked, [1, 2, 1, 2]);
        choice.set(&[1, 2, 3].map(|port| endpoint(port, Health::Passing)));
        assert_eq!(port(choice.pick(now, &[])), Some(3));
    }

    #[test]
    fn with_least_connections_the_idlest_is_chosen() {
        let mut choice = choice(Policy::LeastConnections, &[1, 2]);
        let now = Instant::now();
        assert_eq!((port(choice.pick(now, &[])), port(choice.pick(now, &[]))), (Some(1), Some(2)));
        choice.released("192.0.2.1:2");
        assert_eq!(port(choice.pick(now, &[])), Some(2));
        choice.released("192.0.2.1:2");
        assert_eq!(port(choice.pick(now, &[])), Some(2), "although it was the last");
    }

    #[test]
    fn a_worse_endpoint_is_only_used_where_no_better_one_takes_connections() {
        let mut choice = Choice::new(Policy::RoundRobin);
        choice.set(&[endpoint(1, Health::Failing), endpoint(2, Health::Passing), endpoint(3, Health::Draining)]);
        let now = Instant::now();
        assert_eq!([1, 2].map(|_| port(choice.pick(now, &[]))), [Some(2), Some(2)]);
        let tried = ["192.0.2.1:2".to_owned()];
        assert_eq!(port(choice.pick(now, &tried)), Some(3));
    }

    #[test]
    fn one_that_failed_comes_last_for_a_while_and_is_still_tried() {
        let mut choice = choice(Policy::RoundRobin, &[1, 2]);
        let now = Instant::now();
        assert_eq!(port(choice.pick(now, &[])), Some(1));
        assert!(choice.failed(now, "192.0.2.1:1"), "news the first time");
        assert!(!choice.failed(now, "192.0.2.1:1"), "and no longer the second");
        assert_eq!([1, 2, 3].map(|_| port(choice.pick(now, &[]))), [Some(2), Some(2), Some(2)]);
        let tried = ["192.0.2.1:2".to_owned()];
        assert_eq!(port(choice.pick(now, &tried)), Some(1), "better than none");
        assert_eq!(port(choice.pick(now, &["192.0.2.1:1".to_owned(), tried[0].clone()])), None);
        assert_eq!(port(choice.pick(now + LONGEST_REST, &[])), Some(2));
        assert!(choice.worked("192.0.2.1:1") && !choice.worked("192.0.2.1:1"));
        assert_eq!(port(choice.pick(now, &[])), Some(1));
    }

    #[test]
    fn connections_to_what_left_the_set_are_counted_until_they_end() {
        let mut choice = choice(Policy::RoundRobin, &[1, 2]);
        let now = Instant::now();
        assert_eq!([1, 2].map(|_| port(choice.pick(now, &[]))), [Some(1), Some(2)]);
        choice.set(&[endpoint(2, Health::Passing)]);
        assert_eq!((choice.left_behind(), choice.addresses()), (1, vec!["192.0.2.1:2".to_owned()]));
        assert_eq!(port(choice.pick(now, &["192.0.2.1:2".to_owned()])), None);
        choice.released("192.0.2.1:1");
        assert_eq!((choice.left_behind(), choice.targets.len()), (0, 1));
        choice.released("192.0.2.1:1");
    }

    #[test]
    fn an_endpoint_of_another_transport_is_nothing_for_a_connection() {
        let mut choice = Choice::new(Policy::RoundRobin);
        choice.set(&[Endpoint { protocol: Protocol::Udp, ..endpoint(1, Health::Passing) }]);
        assert_eq!(port(choice.pick(Instant::now(), &[])), None);
    }
}
