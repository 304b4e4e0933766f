//! Progress on a terminal, as users of Docker Compose know it: a heading that counts, and one line a slot.

use super::took;
use crate::output::{BAD, DIM, GOOD, Printer};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use scs_api::deploy::Event;
use scs_plan::slot::Slot;
use std::collections::HashMap;
use std::time::Duration;

/// Ten pictures a second: smooth, and cheap over a slow line.
const TICK: Duration = Duration::from_millis(100);

/// Draws events in place.
#[derive(Debug)]
pub struct Live {
    printer: Printer,
    screen: MultiProgress,
    heading: ProgressBar,
    title: String,
    slots: HashMap<Slot, Row>,
    width: usize,
}

#[derive(Debug)]
struct Row {
    bar: ProgressBar,
    doing: String,
    done: bool,
}

impl Live {
    pub(super) fn new(printer: Printer, title: &str) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let heading = screen.add(ProgressBar::new_spinner());
        heading.set_style(template("{msg}"));
        let mut live = Self { printer, screen, heading, title: title.to_owned(), slots: HashMap::new(), width: 12 };
        live.count();
        live
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Step { slot, doing } => {
                let row = self.row(slot);
                row.done = false;
                doing.clone_into(&mut row.doing);
                let message = row.doing.clone();
                row.bar.set_message(message);
            }
            Event::Progress { slot, doing, how_far } => {
                let dim = self.printer.err(DIM, how_far);
                let row = self.row(slot);
                row.done = false;
                doing.clone_into(&mut row.doing);
                row.bar.set_message(format!("{doing}  {dim}"));
            }
            Event::Output { slot, line } => {
                let dim = self.printer.err(DIM, line.trim());
                let row = self.row(slot);
                let message = format!("{}  {dim}", row.doing);
                row.bar.set_message(message);
            }
            Event::SlotDone { slot, now, took_ms } => {
                let (good, took) = (self.printer.err(GOOD, "✔"), took(*took_ms));
                let name = format!("{:<width$}", slot.label(), width = self.width);
                let row = self.row(slot);
                row.done = true;
                row.bar.disable_steady_tick();
                row.bar.set_style(template("{msg}"));
                row.bar.finish_with_message(format!(" {good} {name}  {now}  {took}"));
            }
            Event::Warning { message } => self.screen.suspend(|| self.printer.warn(message)),
            Event::Done { .. } | Event::Failed { .. } => {}
        }
        self.count();
    }

    /// Leaves the last picture on the screen.
    pub(super) fn finish(mut self, succeeded: bool) {
        for (slot, row) in self.slots.iter().filter(|(_, row)| !row.done) {
            let mark = if succeeded { self.printer.err(GOOD, "✔") } else { self.printer.err(BAD, "–") };
            row.bar.disable_steady_tick();
            row.bar.set_style(template("{msg}"));
            let name = format!("{:<width$}", slot.label(), width = self.width);
            row.bar.finish_with_message(format!(" {mark} {name}  {}", row.doing));
        }
        if self.slots.is_empty() {
            self.heading.finish_and_clear();
        } else {
            self.count();
            self.heading.finish();
        }
    }

    fn row(&mut self, slot: &Slot) -> &mut Row {
        let (screen, width) = (&self.screen, self.width);
        let row = self.slots.entry(slot.clone()).or_insert_with(|| {
            let bar = screen.add(ProgressBar::new_spinner());
            bar.enable_steady_tick(TICK);
            Row { bar, doing: String::new(), done: true }
        });
        if row.done {
            row.bar.reset();
            row.bar.enable_steady_tick(TICK);
            row.bar.set_style(template(" {spinner} {prefix}  {wide_msg} {elapsed:>5} "));
            row.bar.set_prefix(format!("{:<width$}", slot.label()));
            row.done = false;
        }
        row
    }

    fn count(&mut self) {
        let done = self.slots.values().filter(|row| row.done).count();
        self.heading.set_message(format!("[+] {} {done}/{}", self.title, self.slots.len()));
        self.heading.tick();
    }
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).expect("our own templates parse").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏✔")
}
