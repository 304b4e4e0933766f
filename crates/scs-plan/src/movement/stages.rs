//! Looks at the whole state after every fact and does what is due in the stage the move is in.

use super::copy::Pass;
use super::input::{Effect, Outcome, Used};
use super::record::Stage;
use super::{Answer, Committing, LOST, Move, QUIESCE};
use std::time::{Duration, Instant};

impl Move {
    pub(super) fn proceed(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.ended.is_some() || self.committing.is_some() || self.retry.is_some_and(|at| now < at) {
            return;
        }
        match self.record.stage {
            Stage::Beside => self.beside(now, out),
            Stage::Copying => self.copying(now, out),
            Stage::Quiescing => self.quiescing(now, out),
            Stage::Closing => self.closing(now, out),
            Stage::Passed => self.passed(now, out),
            Stage::Recalling => self.recalling(out),
            Stage::PutBack | Stage::Returned => self.back(now, out),
        }
    }

    fn beside(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.target_is_ready() {
            return self.close(Outcome::Moved { downtime: Duration::ZERO, warning: None }, out);
        }
        let fault = self.abort.clone().or_else(|| {
            if self.to.lost_for(now, LOST) {
                return Some(format!("host {} does not answer", self.record.to));
            }
            self.too_late(now)
        });
        if let Some(fault) = fault {
            self.close(Outcome::Failed { fault, downtime: None, warning: None }, out);
        }
    }

    fn copying(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if let Some(fault) = self.abort.clone().or_else(|| self.silent(now)) {
            return self.call_off(fault, out);
        }
        if self.passes.is_busy() {
            return;
        }
        // What does not run does not change: all of it is for the last pass.
        if let Some(pass) = self.passes.next().filter(|_| !self.record.idle) {
            return self.copy(pass, out);
        }
        let expected = self.passes.estimate();
        if let Some(most) = self.record.options.max_downtime.filter(|most| expected > *most) {
            let (expected, most) = (whole(expected), whole(most));
            let fault = format!(
                "the last pass alone would take about {expected}, more than the {most} it may be down: what it writes \
                 meanwhile does not get less by copying it again"
            );
            return self.call_off(fault, out);
        }
        let quiesce = self.record.quiesce && !self.record.idle;
        self.enter(if quiesce { Stage::Quiescing } else { Stage::Closing }, None, out);
    }

    fn quiescing(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if let Some(fault) = self.abort.clone().or_else(|| self.silent(now)) {
            out.push(Effect::Unquiesce);
            return self.call_off(fault, out);
        }
        if self.quiesce == Answer::Yes || now >= self.entered + QUIESCE {
            return self.enter(Stage::Closing, None, out);
        }
        if self.quiesce == Answer::No {
            self.quiesce = Answer::Asked;
            out.push(Effect::Quiesce);
        }
    }

    fn closing(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let stopped = self.from.at(self.record.revision).is_some_and(|sight| sight.stopped);
        let fault = self.abort.clone().or_else(|| self.silent(now)).or_else(|| {
            let over = self.limit().filter(|limit| now >= *limit);
            over.map(|_| format!("it was down for {}, as long as it may be", whole(self.downtime(now))))
        });
        let fault = fault.or_else(|| {
            let late = !stopped && now >= self.entered + self.record.patience;
            late.then(|| format!("it does not stop on host {}", self.record.from))
        });
        if fault.is_some() {
            return self.enter(Stage::PutBack, fault, out);
        }
        if !stopped || self.passes.is_busy() {
            return;
        }
        if !self.passes.finished {
            return self.copy(Pass::Final, out);
        }
        match self.release {
            Answer::No => {
                self.release = Answer::Asked;
                out.push(Effect::Release);
            }
            Answer::Asked => {}
            Answer::Yes => self.enter(Stage::Passed, None, out),
        }
    }

    fn passed(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.target_is_ready() {
            let warning = self.record.fault.clone();
            return self.close(Outcome::Moved { downtime: self.downtime(now), warning }, out);
        }
        // Whether a silent target runs it or not, nothing is better for it than to wait for the target.
        let Some(sight) = self.to.at(self.record.revision).filter(|_| self.to.lost.is_none()) else {
            if let Some(fault) = self.abort.take() {
                self.enter(Stage::Recalling, Some(fault), out);
            }
            return;
        };
        let used = sight.used;
        let Some(fault) = self.abort.clone().or_else(|| self.too_late(now)) else { return };
        if used == Used::Served {
            // Others may have written there: it is the target's now, whatever ails it.
            let warning = Some(format!("it was ready on host {} and is not now: {fault}", self.record.to));
            return self.close(Outcome::Moved { downtime: self.downtime(now), warning }, out);
        }
        self.enter(Stage::Recalling, Some(fault), out);
    }

    fn recalling(&mut self, out: &mut Vec<Effect>) {
        let fault = self.record.fault.clone();
        if self.fenced {
            return self.enter(Stage::Returned, fault, out);
        }
        let Some(sight) = self.to.at(self.record.revision).filter(|sight| sight.stopped) else { return };
        // What was written there while nobody looked must not be lost.
        let stage = if sight.used == Used::Served { Stage::Passed } else { Stage::Returned };
        self.abort = None;
        self.enter(stage, fault, out);
    }

    fn back(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let fault = self.record.fault.clone().unwrap_or_default();
        let ready = self.from.at(self.record.revision).is_some_and(|sight| self.is_as_wanted(sight));
        if ready {
            let downtime = Some(self.downtime(now));
            return self.close(Outcome::Failed { fault, downtime, warning: None }, out);
        }
        let from = &self.record.from;
        let warning = if self.from.lost_for(now, LOST) {
            Some(format!("host {from} does not answer; it starts there once it is back"))
        } else {
            let late = now >= self.entered.max(self.from.found.unwrap_or(now)) + self.record.patience;
            late.then(|| format!("it is not ready on host {from} yet{}", because(self.from.sight.as_ref())))
        };
        if warning.is_some() {
            self.close(Outcome::Failed { fault, downtime: None, warning }, out);
        }
    }

    fn copy(&mut self, pass: Pass, out: &mut Vec<Effect>) {
        let attempt = self.passes.begin(pass);
        out.push(Effect::Copy { attempt, pass });
    }

    fn enter(&mut self, stage: Stage, fault: Option<String>, out: &mut Vec<Effect>) {
        self.retry = None;
        self.committing = Some(Committing::Stage(stage));
        out.push(Effect::Commit { stage, fault });
    }

    fn close(&mut self, outcome: Outcome, out: &mut Vec<Effect>) {
        self.retry = None;
        self.committing = Some(Committing::Close(outcome.clone()));
        out.push(Effect::Close(outcome));
    }

    /// Ends a move that has changed nothing yet.
    fn call_off(&mut self, fault: String, out: &mut Vec<Effect>) {
        if self.passes.is_busy() {
            out.push(Effect::CancelCopy);
        }
        self.close(Outcome::Failed { fault, downtime: None, warning: None }, out);
    }

    fn target_is_ready(&self) -> bool {
        self.to.at(self.record.revision).is_some_and(|sight| self.is_as_wanted(sight))
    }

    fn is_as_wanted(&self, sight: &super::Sight) -> bool {
        if self.record.idle { sight.stopped } else { sight.ready }
    }

    /// Why the target has had its time; what was asked of it while it was silent does not count.
    fn too_late(&self, now: Instant) -> Option<String> {
        let since = self.entered.max(self.to.found.unwrap_or(now));
        let late = now >= since + self.record.patience;
        let (to, patience) = (&self.record.to, whole(self.record.patience));
        late.then(|| format!("it was not ready on host {to} within {patience}{}", because(self.to.sight.as_ref())))
    }

    /// Which host has been silent for too long to wait for it.
    fn silent(&self, now: Instant) -> Option<String> {
        let sides = [(&self.from, &self.record.from), (&self.to, &self.record.to)];
        let silent = sides.into_iter().find(|(side, _)| side.lost_for(now, LOST));
        silent.map(|(_, host)| format!("host {host} does not answer"))
    }

    pub(super) fn downtime(&self, now: Instant) -> Duration {
        self.down.map(|at| now.saturating_duration_since(at)).unwrap_or_default()
    }
}

fn because(sight: Option<&super::Sight>) -> String {
    sight.and_then(|sight| sight.words.as_ref()).map(|words| format!(": {words}")).unwrap_or_default()
}

/// For people: tenths of a second are enough.
pub(super) fn whole(duration: Duration) -> String {
    let seconds = Duration::from_secs(duration.as_secs());
    if duration == seconds {
        return scs_manifest::duration::format(seconds);
    }
    format!("{:.1}s", duration.as_secs_f64())
}
