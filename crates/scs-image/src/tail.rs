//! Passes progress on and keeps its last lines, for the error that may follow.

use scs_ports::engine::Progress;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Lines that an error shows: a screenful.
const KEPT: usize = 25;

pub(crate) struct Tail<'a> {
    inner: &'a dyn Progress,
    last: Mutex<VecDeque<String>>,
}

impl<'a> Tail<'a> {
    pub(crate) fn new(inner: &'a dyn Progress) -> Self {
        Tail { inner, last: Mutex::default() }
    }

    /// The last lines, oldest first; forgets them.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.last.lock().expect("no holder of this lock panics")).into()
    }
}

impl Progress for Tail<'_> {
    fn line(&self, line: &str) {
        self.inner.line(line);
        if line.trim().is_empty() {
            return;
        }
        let mut last = self.last.lock().expect("no holder of this lock panics");
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(line.to_owned());
    }
}
