//! How long to wait before a host is tried again.

use std::time::Duration;

/// The bound of the first pause: an agent that was started anew is back about then.
const FIRST: Duration = Duration::from_millis(200);

/// The bound of every later one: a host that is back is not kept waiting.
const LONGEST: Duration = Duration::from_secs(5);

/// Growing pauses, of which at least half is waited: many servers and hosts do not come back in step.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    tries: u32,
}

impl Pauses {
    /// The next pause, for a random number from 0 to 1.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries += 1;
        bound.mul_f64(0.5 + random / 2.0)
    }

    /// The host was there.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds_and_begin_anew_once_the_host_was_there() {
        let mut pauses = Pauses::default();
        let first: Vec<Duration> = (0..3).map(|_| pauses.next(1.0)).collect();
        assert_eq!(first, [200, 400, 800].map(Duration::from_millis));
        assert!((0..20).all(|_| pauses.next(1.0) <= LONGEST));
        assert_eq!(pauses.next(0.0), LONGEST / 2);
        pauses.reset();
        assert_eq!(pauses.next(0.0), FIRST / 2);
    }
}
