//! Progress of a change: one line a slot, redrawn in place, on a terminal; one timestamped line an event without one.

mod live;
mod plain;

use super::Printer;
use crate::output::text;
use scs_api::deploy::Event;
use std::time::{Duration, SystemTime};

/// Shows the events of a change.
#[derive(Debug)]
pub enum Progress {
    /// Drawn in place.
    Live(Box<live::Live>),
    /// Written line by line.
    Plain(plain::Plain),
    /// Only warnings.
    Quiet(Printer),
}

impl Progress {
    /// A progress under a heading such as `Starting dev/blog`.
    #[must_use]
    pub fn new(printer: Printer, heading: &str) -> Self {
        if printer.screen.quiet {
            Self::Quiet(printer)
        } else if printer.screen.live {
            Self::Live(Box::new(live::Live::new(printer, heading)))
        } else {
            Self::Plain(plain::Plain::new(printer))
        }
    }

    /// Shows one event. How it ended, `Done` or `Failed`, is the caller's to say.
    pub fn event(&mut self, event: &Event) {
        match self {
            Self::Live(live) => live.event(event),
            Self::Plain(plain) => plain.event(event, SystemTime::now()),
            Self::Quiet(printer) => {
                if let Event::Warning { message } = event {
                    printer.warn(message);
                }
            }
        }
    }

    /// Leaves what is drawn as it is and gives the screen back.
    pub fn finish(self, succeeded: bool) {
        if let Self::Live(live) = self {
            live.finish(succeeded);
        }
    }
}

fn took(milliseconds: u64) -> String {
    text::took(Duration::from_millis(milliseconds))
}
