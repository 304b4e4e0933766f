//! One requirement of a slot: what disco says of it, and what its containers are to see.

use super::chance::Fingerprint;
use super::fact::{Endpoints, Seen};
use super::report::Connection;
use disco_proto::{Endpoint, Health, Name, Protocol, Reason, Version};
use scs_manifest::compiled::{OnEmpty, Query, Require, RequireMethod};
use std::time::{Duration, Instant, SystemTime};

/// How long a start waits for a first answer about what it can do without: long enough for a server that answers, so that the
/// environment is right from the start, and short enough to be no dependency.
const OPTIONAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Requirement {
    pub(super) require: Require,
    /// What disco was asked, and for which instance.
    pub(super) asked: Option<(Query, Option<String>)>,
    since: Instant,
    pub(super) known: bool,
    endpoints: Vec<Endpoint>,
    /// Since when nobody is there any more, and why, where the containers keep what they had.
    held: Option<(Instant, Option<Reason>)>,
    /// Since when discovery is out of reach.
    stale: Option<SystemTime>,
    pub(super) seq: u64,
    /// Change that disco was last told to be applied.
    pub(super) acknowledged: Option<u64>,
}

impl Requirement {
    pub(super) fn new(now: Instant, require: Require) -> Self {
        let mut new = Self {
            require,
            asked: None,
            since: now,
            known: false,
            endpoints: Vec::new(),
            held: None,
            stale: None,
            seq: 0,
            acknowledged: None,
        };
        new.take_static();
        new
    }

    /// The role now says this of it.
    pub(super) fn change(&mut self, require: Require) {
        if matches!(require.method, RequireMethod::Static(_)) != matches!(self.require.method, RequireMethod::Static(_))
        {
            self.asked = None;
            self.acknowledged = None;
            self.known = false;
        }
        self.require = require;
        self.take_static();
    }

    fn take_static(&mut self) {
        if let RequireMethod::Static(addresses) = &self.require.method {
            self.endpoints = addresses.iter().filter_map(|address| fixed(address)).collect();
            (self.known, self.held, self.stale) = (true, None, None);
        }
    }

    /// Disco's answer. An empty one is the truth, but the containers may have to keep what they had.
    pub(super) fn told(&mut self, now: Instant, set: Endpoints) {
        let hold = self.require.liveupdate.on_empty == OnEmpty::Hold && !set.left;
        self.seq = set.seq;
        self.stale = set.stale;
        if !set.complete && set.list.is_empty() {
            return;
        }
        if set.list.is_empty() && !self.endpoints.is_empty() && hold {
            self.held = self.held.or(Some((now, set.gone)));
        } else {
            self.endpoints = set.list;
            self.held = None;
        }
        self.known = true;
    }

    /// Whether a container may start. Endpoints that are held are gone, and a container that does not run yet can wait.
    pub(super) fn satisfied(&self, now: Instant) -> bool {
        if self.require.min == 0 {
            return self.known || now >= self.since + OPTIONAL;
        }
        self.known && self.there() >= self.require.min as usize
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let at = self.since + OPTIONAL;
        (self.require.min == 0 && !self.known && at > now).then_some(at)
    }

    /// How many are there now.
    fn there(&self) -> usize {
        if self.held.is_some() { 0 } else { self.endpoints.len() }
    }

    /// What it waits for, in words.
    pub(super) fn wanted(&self, name: &str) -> String {
        let of = match &self.require.method {
            RequireMethod::Disco(q) => format!("{}/{}/{}/{}", q.environment, q.service, q.role, q.endpoint),
            RequireMethod::Static(_) => "static".to_owned(),
        };
        if self.require.min > 1 {
            format!("{name} ({of}, {} of {})", self.there(), self.require.min)
        } else {
            format!("{name} ({of})")
        }
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { endpoints: self.endpoints.clone(), stale: self.is_old() }
    }

    fn is_old(&self) -> bool {
        self.held.is_some() || self.stale.is_some()
    }

    /// What there is to say about it, but for what its container makes of it.
    pub(super) fn report(&self) -> Connection {
        Connection {
            sees: self.endpoints.iter().map(Endpoint::address).collect(),
            held: self.held,
            stale: self.stale,
            ..Connection::default()
        }
    }

    /// Fingerprint of what a container has to be told: who is there and where, not how they feel.
    pub(super) fn content(&self) -> u64 {
        let mut print = Fingerprint::new();
        for endpoint in &self.endpoints {
            print.text(&endpoint.name.role).text(&endpoint.instance).text(&endpoint.address());
            for (name, value) in &endpoint.attributes {
                print.text(name).text(value);
            }
        }
        print.value()
    }

    /// Fingerprint of all that its file says.
    pub(super) fn appearance(&self) -> u64 {
        let mut print = Fingerprint::new();
        print.number(self.content()).number(u64::from(self.is_old()));
        for endpoint in &self.endpoints {
            print.number(endpoint.health as u64).number(u64::from(endpoint.suspect));
        }
        print.value()
    }

    /// Fingerprint of what templates can take from it.
    pub(super) fn first(&self) -> u64 {
        Fingerprint::new().text(&self.endpoints.first().map(Endpoint::address).unwrap_or_default()).value()
    }
}

/// An endpoint of `host:port` that no disco knows.
fn fixed(address: &str) -> Option<Endpoint> {
    let (host, port) = address.rsplit_once(':')?;
    let mut endpoint = Endpoint {
        name: Name::new("static", "static", "static", "static").ok()?,
        instance: address.replace(['[', ']', ':'], "-"),
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: port.parse().ok()?,
        protocol: Protocol::Tcp,
        attributes: Default::default(),
        health: Health::Passing,
        suspect: false,
        version: Version(0),
    };
    endpoint.version = Version::of(&endpoint);
    Some(endpoint)
}
