//! How long to wait before connecting again.

use std::time::Duration;

/// The bound of the first pause: a restarted server on the same machine is back about then.
const FIRST: Duration = Duration::from_millis(50);

/// The bound of every later pause. A server's hold after its start is thrice this, so that every client is back before it ends.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses with full jitter: thousands of clients that lost the same server do not come back in step.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
    /// The server named a pause itself.
    asked: Option<Duration>,
}

impl Backoff {
    /// The next pause, for a random number from 0 to 1.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        if let Some(asked) = self.asked.take() {
            return asked.min(LONGEST).mul_f64(1.0 + random);
        }
        let bound = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LONGEST);
        self.attempts += 1;
        bound.mul_f64(random)
    }

    /// A session was opened.
    pub(crate) fn succeeded(&mut self) {
        self.attempts = 0;
    }

    /// The server goes and wants its clients back after so long.
    pub(crate) fn asked(&mut self, pause: Duration) {
        self.asked = Some(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pause_is_short_and_none_is_longer_than_five_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.next(1.0)).collect();
        assert_eq!(pauses[..3], [50, 100, 200].map(Duration::from_millis));
        assert_eq!(pauses[19], LONGEST);
        backoff.succeeded();
        assert_eq!(backoff.next(0.5), Duration::from_millis(25));
    }

    #[test]
    fn a_pause_that_the_server_asks_for_is_kept_once() {
        let mut backoff = Backoff::default();
        backoff.asked(Duration::from_millis(200));
        assert_eq!(backoff.next(0.5), Duration::from_millis(300));
        assert_eq!(backoff.next(1.0), Duration::from_millis(50));
    }
}
