//! Writing the last-known-good file: not with every change, and never in the way of one.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::{task::JoinHandle, time::Instant};

use crate::{cache::Contents, state::State};

/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(100);

/// How old what the file says of confirmed endpoints may get.
const REFRESH: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Saver {
    path: Option<PathBuf>,
    writing: Option<JoinHandle<()>>,
    next: Option<Instant>,
    last: Instant,
}

impl Saver {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, writing: None, next: None, last: Instant::now() }
    }

    /// Waits until the file should be written.
    pub(crate) async fn due(&mut self, state: &State) {
        if self.path.is_none() {
            return std::future::pending().await;
        }
        if let Some(writing) = &mut self.writing {
            let _ = writing.await;
            self.writing = None;
        }
        let refresh = self.last + REFRESH;
        if state.unsaved && self.next.is_none() {
            self.next = Some(Instant::now() + GATHER);
        }
        tokio::time::sleep_until(self.next.unwrap_or(refresh)).await;
    }

    /// Starts writing what is known now.
    pub(crate) fn save(&mut self, state: &mut State) {
        self.next = None;
        self.last = Instant::now();
        if let Some((path, contents)) = self.contents(state) {
            self.writing = Some(tokio::task::spawn_blocking(move || write(&path, &contents)));
        }
    }

    /// Writes what is known now, to the end.
    pub(crate) async fn finish(mut self, state: &mut State) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.await;
        }
        if let Some((path, contents)) = self.contents(state) {
            let _ = tokio::task::spawn_blocking(move || write(&path, &contents)).await;
        }
    }

    fn contents(&self, state: &mut State) -> Option<(PathBuf, Contents)> {
        let path = self.path.clone()?;
        state.save(SystemTime::now());
        if !std::mem::take(&mut state.unsaved) {
            return None;
        }
        Some((path, state.cache.clone()))
    }
}

fn write(path: &std::path::Path, contents: &Contents) {
    if let Err(error) = contents.write(path) {
        tracing::warn!(path = %path.display(), error = %error, "cannot keep the last known endpoints");
    }
}
