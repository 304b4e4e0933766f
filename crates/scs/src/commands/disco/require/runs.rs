//! When the command of `scs disco require` runs. Knows no process and no clock.

use std::time::{Duration, Instant};

/// Pauses after a failure: the first, doubled each time up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Another run after a pause.
    Retry,
    /// The next change.
    Ignore,
}

/// One run at a time; changes in between are gathered into the next.
#[derive(Debug)]
pub struct Runs {
    debounce: Duration,
    on_failure: OnFailure,
    /// The set that is true now, if a command may be run with it.
    latest: Option<u64>,
    /// The last set that needs no run any more.
    settled: Option<u64>,
    running: Option<u64>,
    due: Option<Instant>,
    failures: u32,
}

impl Runs {
    /// Nothing is known yet.
    pub fn new(debounce: Duration, on_failure: OnFailure) -> Self {
        Self { debounce, on_failure, latest: None, settled: None, running: None, due: None, failures: 0 }
    }

    /// A set came; `None`: one that no command may be run with, because nobody confirms it.
    pub fn set(&mut self, now: Instant, seq: Option<u64>) {
        if self.latest == seq {
            return;
        }
        self.latest = seq;
        if seq.is_none() {
            self.due = None;
        } else if self.running.is_none() {
            self.want(now);
        }
    }

    /// When the next run is due.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A run begins, with the latest set.
    pub fn started(&mut self) {
        self.due = None;
        self.running = self.latest;
    }

    /// The run ended. The set that is applied now, if it is.
    pub fn ended(&mut self, now: Instant, success: bool) -> Option<u64> {
        let ran = self.running.take();
        let settled = success || self.on_failure == OnFailure::Ignore;
        if settled {
            self.settled = ran;
            self.failures = 0;
            self.want(now);
        } else if self.latest.is_some() {
            let moved = self.latest != ran;
            let pause = PAUSES.0.saturating_mul(1 << self.failures.min(8)).min(PAUSES.1);
            self.failures += 1;
            self.due = Some(now + if moved { self.debounce } else { pause });
        }
        ran.filter(|_| success)
    }

    fn want(&mut self, now: Instant) {
        if self.latest.is_some() && self.latest != self.settled {
            self.due.get_or_insert(now + self.debounce);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::from_millis(100);

    #[test]
    fn changes_are_gathered_from_the_first_on_and_run_once() {
        let mut runs = Runs::new(DEBOUNCE, OnFailure::Retry);
        let start = Instant::now();
        runs.set(start, Some(1));
        runs.set(start + DEBOUNCE / 2, Some(2));
        assert_eq!(runs.due(), Some(start + DEBOUNCE), "the second does not put it off");
        runs.started();
        assert_eq!(runs.due(), None);
        assert_eq!(runs.ended(start, true), Some(2));
        runs.set(start, Some(2));
        assert_eq!(runs.due(), None, "known already");
    }

    #[test]
    fn a_change_during_a_run_is_run_after_it() {
        let mut runs = Runs::new(DEBOUNCE, OnFailure::Retry);
        let start = Instant::now();
        runs.set(start, Some(1));
        runs.started();
        runs.set(start, Some(2));
        assert_eq!(runs.due(), None, "one at a time");
        assert_eq!((runs.ended(start, true), runs.due()), (Some(1), Some(start + DEBOUNCE)));
    }

    #[test]
    fn a_failure_is_run_again_after_pauses_that_grow_and_acknowledges_nothing() {
        let mut runs = Runs::new(DEBOUNCE, OnFailure::Retry);
        let start = Instant::now();
        runs.set(start, Some(1));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            runs.started();
            assert_eq!(runs.ended(start, false), None);
            pauses.push((runs.due().unwrap() - start).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        runs.started();
        runs.set(start, Some(2));
        assert_eq!((runs.ended(start, false), runs.due()), (None, Some(start + DEBOUNCE)), "news does not wait");
    }

    #[test]
    fn an_ignored_failure_waits_for_the_next_change() {
        let mut runs = Runs::new(DEBOUNCE, OnFailure::Ignore);
        let start = Instant::now();
        runs.set(start, Some(1));
        runs.started();
        assert_eq!((runs.ended(start, false), runs.due()), (None, None));
        runs.set(start, Some(2));
        assert!(runs.due().is_some());
    }

    #[test]
    fn nothing_runs_while_nobody_confirms_the_set_and_nothing_twice_afterwards() {
        let mut runs = Runs::new(DEBOUNCE, OnFailure::Retry);
        let start = Instant::now();
        runs.set(start, Some(1));
        runs.set(start, None);
        assert_eq!(runs.due(), None);
        runs.set(start, Some(1));
        assert_eq!(runs.due(), Some(start + DEBOUNCE));
        runs.started();
        assert_eq!(runs.ended(start, true), Some(1));
        runs.set(start, None);
        runs.set(start, Some(1));
        assert_eq!(runs.due(), None);
    }
}
