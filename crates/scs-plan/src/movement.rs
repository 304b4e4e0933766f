//! Moving one slot from a host to another as a pure state machine: which host may run it, what is copied, and what becomes of it
//! when something fails.
//!
//! What must survive the server is a [`Record`] in desired state: its [`Stage`] says alone what each host is assigned and who
//! holds the permits, so a stage is entered by one transaction ([`Effect::Commit`]) and nothing irreversible is ordered
//! outside of one. Everything else is observed again by whoever resumes. No clock, no randomness, no IO.
//!
//! Without exclusive volumes the slot runs beside itself until the target is ready. With them it goes
//! `Copying` → (`Quiescing`) → `Closing` → `Passed`; back from there before the permit has passed on by `PutBack`, after it by
//! `Recalling` → `Returned`, which needs the target's own word that nothing of it runs and that nobody was ever served by it.

mod copy;
mod input;
mod record;
#[cfg(test)]
mod simulation;
mod stages;
mod status;
#[cfg(test)]
mod tests;

pub use copy::{Copied, CopyFailure, Pass};
pub use input::{Effect, End, Input, Outcome, Sight, Used};
pub use record::{Options, Part, Record, Stage};

use copy::Passes;
use std::time::{Duration, Instant, SystemTime};

/// How long a host may be silent before a move that can still be called off is: longer than an agent takes to start anew.
const LOST: Duration = Duration::from_secs(30);
/// Pause before a step is tried again that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How often a step may fail in a row before the move is called off: once may be a restarting agent, more is no accident.
const TRIES: u32 = 5;
/// The same while the slot is down, where every try is downtime.
const TRIES_DOWN: u32 = 3;
/// How long the quiesce command may take; the container is stopped in any case, which leaves its files consistent, too.
const QUIESCE: Duration = Duration::from_secs(60);

/// A move that is under way.
#[derive(Debug)]
pub struct Move {
    record: Record,
    from: Side,
    to: Side,
    /// When the stage began.
    entered: Instant,
    /// Since when the slot is down.
    down: Option<Instant>,
    /// The commit that is under way.
    committing: Option<Committing>,
    passes: Passes,
    quiesce: Answer,
    release: Answer,
    /// Failures in a row of what the stage does.
    failures: u32,
    retry: Option<Instant>,
    abort: Option<String>,
    /// The target's host, which is silent, is said to be dead and to stay so.
    fenced: bool,
    ended: Option<Outcome>,
}

/// What is known of one of the two hosts.
#[derive(Debug, Default)]
struct Side {
    sight: Option<Sight>,
    /// Since when it is silent.
    lost: Option<Instant>,
    /// Since when it answers.
    found: Option<Instant>,
}

/// A commit that was asked for.
#[derive(Debug, Clone, PartialEq)]
enum Committing {
    Stage(Stage),
    Close(Outcome),
}

/// Whether something that is asked once was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Answer {
    #[default]
    No,
    Asked,
    Yes,
}

impl Move {
    /// A move as desired state has it, new or from before this process. Nothing is known of the hosts yet.
    #[must_use]
    pub fn resume(record: Record, now: Instant, clock: SystemTime) -> Self {
        let then = |at: SystemTime| now.checked_sub(clock.duration_since(at).unwrap_or_default()).unwrap_or(now);
        Self {
            entered: then(record.since),
            down: record.down_since.map(then),
            from: Side::default(),
            to: Side::default(),
            committing: None,
            passes: Passes::default(),
            quiesce: Answer::No,
            release: Answer::No,
            failures: 0,
            retry: None,
            abort: None,
            fenced: false,
            ended: None,
            record,
        }
    }

    /// What of it is in desired state.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How it ended, once that is in desired state.
    #[must_use]
    pub fn ended(&self) -> Option<&Outcome> {
        self.ended.as_ref()
    }

    /// Takes a fact in and appends what is to be done.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Reported(end, sight) => {
                let side = self.side(end);
                // A report that was overtaken by a newer one says nothing about what is assigned now.
                if side.sight.as_ref().is_none_or(|old| old.revision <= sight.revision) {
                    side.sight = Some(sight);
                }
                side.lost = None;
                side.found.get_or_insert(now);
                // Who is back was not dead, and what was said of it says nothing about the next time that it falls silent.
                self.fenced &= end != End::To;
            }
            Input::Lost(end) => {
                let side = self.side(end);
                side.lost.get_or_insert(now);
                side.found = None;
            }
            Input::Copied { attempt, result } => self.copied(now, attempt, result),
            Input::Quiesced => self.quiesce = Answer::Yes,
            Input::Released(Ok(())) => self.release = Answer::Yes,
            Input::Released(Err(why)) => {
                self.release = Answer::No;
                self.step_failed(now, &why);
            }
            Input::Committed(record) => self.committed(now, *record, out),
            Input::CommitFailed => {
                self.committing = None;
                self.retry = Some(now + RETRY);
            }
            Input::Closed => {
                if let Some(Committing::Close(outcome)) = self.committing.take() {
                    self.ended = Some(outcome);
                }
            }
            Input::AbortAsked(why) => {
                self.abort.get_or_insert(why);
            }
            Input::TargetFenced => self.fenced = self.to.lost.is_some(),
            Input::Tick => {}
        }
        self.proceed(now, out);
    }

    /// When [`Input::Tick`] has to be handled although nothing has happened.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.ended.is_some() || self.committing.is_some() {
            return None;
        }
        let lost = [&self.from, &self.to].into_iter().filter_map(|side| side.lost).map(|at| at + LOST);
        let downtime = self.limit().filter(|_| self.record.stage == Stage::Closing);
        let patience = [self.entered, self.to.found.unwrap_or(self.entered)].map(|at| at + self.record.patience);
        let quiesce = (self.record.stage == Stage::Quiescing).then(|| self.entered + QUIESCE);
        let all = lost.chain(downtime).chain(patience).chain(quiesce).chain(self.retry);
        all.filter(|at| *at > now).min()
    }

    fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::From => &mut self.from,
            End::To => &mut self.to,
        }
    }

    /// When the slot has been down for as long as it may.
    fn limit(&self) -> Option<Instant> {
        Some(self.down? + self.record.options.max_downtime?)
    }

    fn committed(&mut self, now: Instant, record: Record, out: &mut Vec<Effect>) {
        self.committing = None;
        if record.stage == self.record.stage && record.revision == self.record.revision {
            return;
        }
        if record.stage == Stage::Closing {
            self.down = Some(now);
        }
        if matches!(record.stage, Stage::PutBack | Stage::Returned) && self.passes.is_busy() {
            out.push(Effect::CancelCopy);
        }
        self.passes.stage_over();
        self.entered = now;
        (self.failures, self.retry) = (0, None);
        self.record = record;
    }

    fn copied(&mut self, now: Instant, attempt: u64, result: Result<Copied, CopyFailure>) {
        match self.passes.ended(attempt, result) {
            None => {}
            Some(Ok(())) => (self.failures, self.retry) = (0, None),
            Some(Err(failure)) if failure.fatal => self.give_up(failure.message),
            Some(Err(failure)) => self.step_failed(now, &failure.message),
        }
    }

    fn step_failed(&mut self, now: Instant, why: &str) {
        self.failures += 1;
        self.retry = Some(now + RETRY * self.failures);
        let tries = if self.record.stage == Stage::Closing { TRIES_DOWN } else { TRIES };
        if self.failures >= tries {
            self.give_up(why.to_owned());
        }
    }

    /// Calls the move off, where that can still be done.
    fn give_up(&mut self, why: String) {
        self.abort.get_or_insert(why);
    }
}

impl Side {
    /// What its host says of the assignments of this revision, if it has them.
    fn at(&self, revision: u64) -> Option<&Sight> {
        self.sight.as_ref().filter(|sight| sight.revision >= revision)
    }

    fn lost_for(&self, now: Instant, long: Duration) -> bool {
        self.lost.is_some_and(|at| now >= at + long)
    }
}
