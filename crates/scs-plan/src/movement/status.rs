//! Where a move stands, in words that are true.

use super::copy::Pass;
use super::record::Stage;
use super::{Answer, Move};

impl Move {
    /// What it does now, a verb in the present participle; what it waits for, where it does.
    #[must_use]
    pub fn doing(&self) -> String {
        let (from, to) = (&self.record.from, &self.record.to);
        match self.record.stage {
            Stage::Beside => format!("starting on {to} beside {from}{}", self.target_says()),
            Stage::Copying => match self.passes.busy() {
                Some(Pass::Verify) => "verifying the copy while it runs".to_owned(),
                Some(_) if self.passes.count() == 0 => format!("copying to {to} while it runs"),
                Some(_) => format!("copying what changed to {to}, pass {}", self.passes.count() + 1),
                None => format!("preparing to copy to {to}"),
            },
            Stage::Quiescing => "making its files consistent".to_owned(),
            Stage::Closing => {
                let stopped = self.from.at(self.record.revision).is_some_and(|sight| sight.stopped);
                match (stopped, self.passes.busy().is_some(), self.release) {
                    (false, ..) => format!("stopping on {from}"),
                    (true, true, _) => "copying the rest".to_owned(),
                    (true, false, Answer::No) => "about to copy the rest".to_owned(),
                    (true, false, _) => format!("handing over to {to}"),
                }
            }
            Stage::Passed => format!("starting on {to}{}", self.target_says()),
            Stage::Recalling => {
                let why = if self.to.lost.is_some() || self.to.sight.is_none() {
                    format!(
                        "which does not answer, so that it may still run there; it stays stopped on {from} until then"
                    )
                } else {
                    format!("to put it back on {from}")
                };
                format!("stopping on {to}, {why}")
            }
            Stage::PutBack | Stage::Returned => format!("starting on {from} again"),
        }
    }

    fn target_says(&self) -> String {
        let to = &self.to;
        if to.lost.is_some() {
            return format!(": waiting for {}, which does not answer", self.record.to);
        }
        to.sight.as_ref().and_then(|sight| sight.words.as_ref()).map(|words| format!(": {words}")).unwrap_or_default()
    }
}
