//! How patient a registry is, and how much it takes.

use std::time::Duration;

/// How patient a registry is.
#[derive(Clone)]
pub struct Options {
    /// Which start of which server this is; short, and never the same twice. Part of session ids.
    pub epoch: String,
    /// Secret of the session tokens, the same on every server of a registry.
    pub secret: [u8; 32],
    /// The interval at which clients say something while there are few of them; three missed, and their endpoints expire.
    pub heartbeat: Duration,
    /// Connections for each of which the heartbeat is once that long: twice as many clients, half as many pings of each.
    pub crowd: usize,
    /// How long after the start nothing is dropped that was never heard of here.
    pub hold: Duration,
    /// How long a better tier must be there before subscribers go back to it.
    pub failback: Duration,
    /// The window of a client that does not name one.
    pub window: Duration,
    /// The longest window and park that are granted.
    pub longest: Duration,
    /// `changed` messages that one session may have unanswered. Bounds what waits for a slow client.
    pub in_flight: usize,
    /// What happens when many hosts fall silent at once.
    pub brake: BrakeOptions,
    /// How much clients may ask for.
    pub limits: Limits,
}

/// When many hosts fall silent at once it is more likely that the network did, or this server.
#[derive(Debug, Clone)]
pub struct BrakeOptions {
    /// Percent of the hosts that provide anything; more than so many of them overdue, and more than one, and the brake is on. At most so
    /// many, and at least one, are given up in a window.
    pub percent: usize,
    /// How long a window is.
    pub window: Duration,
    /// After how long the rest is given up.
    pub longest: Duration,
}

/// How much clients may ask for. What is more is refused, and changes nothing.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sessions of this server.
    pub sessions: usize,
    /// Endpoints that one session provides.
    pub provisions: usize,
    /// Requirements of one session.
    pub requirements: usize,
    /// Endpoints of one environment, service and endpoint name, whatever their role. Each subscriber of any role may be told of all.
    pub topic: usize,
    /// Requests of one connection in a second, on average; twice as many at once. What answers the server, and `ping` and `applied`, are
    /// not counted; `list` counts as a hundred.
    pub messages: u32,
}

impl Default for BrakeOptions {
    fn default() -> Self {
        Self { percent: 15, window: Duration::from_secs(30), longest: Duration::from_secs(600) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 200_000, provisions: 16_384, requirements: 16_384, topic: 16_384, messages: 50_000 }
    }
}

/// Without the secret.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("epoch", &self.epoch)
            .field("heartbeat", &self.heartbeat)
            .field("crowd", &self.crowd)
            .field("hold", &self.hold)
            .field("failback", &self.failback)
            .field("window", &self.window)
            .field("longest", &self.longest)
            .field("in_flight", &self.in_flight)
            .field("brake", &self.brake)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults of the design.
    pub fn new(epoch: impl Into<String>, secret: [u8; 32]) -> Self {
        Self {
            epoch: epoch.into(),
            secret,
            heartbeat: Duration::from_secs(1),
            crowd: 10_000,
            hold: Duration::from_secs(15),
            failback: Duration::from_secs(10),
            window: Duration::from_secs(3),
            longest: Duration::from_secs(3600),
            in_flight: 64,
            brake: BrakeOptions::default(),
            limits: Limits::default(),
        }
    }
}
