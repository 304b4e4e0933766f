//! Progress without a terminal: one timestamped line an event, no escape codes.

use super::took;
use crate::output::{Printer, say, text};
use scs_api::deploy::Event;
use scs_plan::slot::Slot;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Writes events line by line.
#[derive(Debug)]
pub struct Plain {
    printer: Printer,
    /// What each slot was last said to do.
    said: HashMap<Slot, String>,
    /// When it was last said of each slot how far it has come.
    told: HashMap<Slot, SystemTime>,
}

/// How often it is said how far a long step has come: a log is read later, and by somebody else.
const OFTEN: Duration = Duration::from_secs(10);

impl Plain {
    pub(super) fn new(printer: Printer) -> Self {
        Self { printer, said: HashMap::new(), told: HashMap::new() }
    }

    fn is_due(&mut self, slot: &Slot, now: SystemTime) -> bool {
        let last = *self.told.entry(slot.clone()).or_insert(now);
        let due = now.duration_since(last).is_ok_and(|since| since >= OFTEN);
        if due {
            self.told.insert(slot.clone(), now);
        }
        due
    }

    pub(super) fn event(&mut self, event: &Event, now: SystemTime) {
        if let Event::Warning { message } = event {
            return self.printer.warn(message);
        }
        if let Event::Step { slot, doing } = event
            && self.said.insert(slot.clone(), doing.clone()).as_ref() == Some(doing)
        {
            return;
        }
        if let Event::Progress { slot, .. } = event
            && !self.is_due(slot, now)
        {
            return;
        }
        if let Some(line) = line(event) {
            say(&format!("{} {line}", text::time(now)));
        }
    }
}

/// An event in one line; `None` for those that others tell.
pub(super) fn line(event: &Event) -> Option<String> {
    match event {
        Event::Step { slot, doing } => Some(format!("{}: {doing}", slot.label())),
        Event::Progress { slot, doing, how_far } => Some(format!("{}: {doing}, {how_far}", slot.label())),
        Event::SlotDone { slot, now, took_ms } => Some(format!("{}: {now} after {}", slot.label(), took(*took_ms))),
        Event::Output { slot, line } => Some(format!("{} | {line}", slot.label())),
        Event::Warning { .. } | Event::Done { .. } | Event::Failed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_escape_codes() {
        let slot = Slot { environment: "dev".into(), service: "blog".into(), role: "mysql".into(), index: 1 };
        let step = Event::Step { slot: slot.clone(), doing: "waiting for mysql".into() };
        assert_eq!(line(&step).as_deref(), Some("mysql.1: waiting for mysql"));
        let done = Event::SlotDone { slot, now: "running".into(), took_ms: 940 };
        assert_eq!(line(&done).as_deref(), Some("mysql.1: running after 0.9s"));
    }
}
