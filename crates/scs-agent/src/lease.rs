//! Leases of this host: asked of the server, kept where the watchdog sees them, and needed for every start of what runs by one.

mod entries;
mod processes;
pub mod watchdog;

use crate::failure;
use entries::{Directory, Entry, FORMAT, boot, now};
use scs_api::agent::LeaseGrant;
use scs_plan::lease::Holder;
use scs_plan::lifecycle::Failure;
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::TryLockError;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a start waits for a lease before it counts as failed: the server answers within a second or two.
const WAIT: Duration = Duration::from_secs(5);
/// How long a new watchdog may take to be there.
const COMES: Duration = Duration::from_secs(5);

/// What the agent knows of its leases. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Leases(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: Directory,
    /// Runs the watchdog, given the directory as one more argument.
    command: Option<Vec<OsString>>,
    state: Mutex<State>,
    granted: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    holder: Holder,
    /// Whether anything is assigned that needs a lease.
    wanted: bool,
    /// By container, and when this process wrote it down first.
    entries: BTreeMap<String, (Entry, Instant)>,
}

impl Leases {
    /// Those of an agent that kept them under this directory; `command` starts a watchdog.
    pub(crate) fn open(state: &Path, command: Option<Vec<OsString>>) -> io::Result<Self> {
        let directory = Directory::new(&state.join("lease"));
        std::fs::create_dir_all(directory.path())?;
        let mut first = [0; 8];
        getrandom::fill(&mut first).map_err(io::Error::other)?;
        let entries = directory.read()?.into_iter().flatten();
        let entries = entries.map(|it| (it.container.clone(), (it, Instant::now()))).collect();
        let state = State { holder: Holder::new(u64::from_be_bytes(first)), wanted: false, entries };
        let leases =
            Self(Arc::new(Inner { directory, command, state: Mutex::new(state), granted: watch::Sender::new(()) }));
        leases.0.replace_other_format()?;
        Ok(leases)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether anything is assigned that needs a lease.
    pub(crate) fn want(&self, wanted: bool) {
        self.state().wanted = wanted;
    }

    /// The next question to the server; `None` where there is nothing to ask for.
    pub(crate) fn ask(&self) -> Option<u64> {
        let mut state = self.state();
        if !state.entries.is_empty()
            && let Err(error) = self.0.watch()
        {
            tracing::error!(%error, "there is no watchdog, so no lease is asked for");
            return None;
        }
        (state.wanted || !state.entries.is_empty()).then(|| state.holder.ask(now()))
    }

    /// The server's answer. Gives the slots for which there was no lease before.
    pub(crate) fn granted(&self, grant: &LeaseGrant) -> Vec<Slot> {
        let mut state = self.state();
        let now = now();
        let fresh = grant.slots.iter().filter(|slot| !state.holder.may_start(slot, now)).cloned().collect();
        let Some(until) = state.holder.answered(grant.question, &grant.slots, now) else { return Vec::new() };
        for (entry, _) in state.entries.values_mut().filter(|(entry, _)| grant.slots.contains(&entry.slot)) {
            entry.until = entry.until.max(until);
            if let Err(error) = self.0.directory.put(entry) {
                tracing::error!(slot = %entry.slot, %error, "a longer lease cannot be written down: the container ends with the last one");
            }
        }
        drop(state);
        self.0.granted.send_replace(());
        fresh
    }

    /// Waits until a container of a slot may be started.
    pub(crate) async fn ready(&self, slot: &Slot) -> Result<(), Failure> {
        let mut granted = self.0.granted.subscribe();
        let held = async {
            while !self.state().holder.may_start(slot, now()) {
                if granted.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(WAIT, held).await.map_err(|_| no_lease())
    }

    /// Has the watchdog kill a container when its slot's lease ends. Before that nothing of it may run.
    pub(crate) fn add(&self, slot: &Slot, container: &str, mounted: &Path) -> Result<(), Failure> {
        let mut state = self.state();
        if !state.holder.may_start(slot, now()) {
            return Err(no_lease());
        }
        let Some(until) = state.holder.until(slot, now()) else { return Err(no_lease()) };
        self.0.add(slot, container, mounted, until, &mut state).map_err(|error| {
            let place = self.0.directory.path().display();
            failure::saying(format!("the watchdog cannot be told of its lease in {place}: {error}"))
        })
    }

    /// Whether the watchdog has a container in its eye.
    pub(crate) fn has(&self, container: &str) -> bool {
        self.state().entries.contains_key(container)
    }

    /// A container has ended, or runs without a lease from now on.
    pub(crate) fn forget(&self, container: &str) {
        let mut state = self.state();
        if state.entries.contains_key(container) {
            match self.0.directory.remove(container) {
                Ok(()) => drop(state.entries.remove(container)),
                Err(error) => {
                    tracing::warn!(container, %error, "the watchdog still looks for a container that has ended")
                }
            }
        }
    }

    /// Forgets what the engine did not have when it was asked.
    pub(crate) fn retain(&self, asked: std::time::Instant, there: &BTreeSet<&str>) {
        let gone = |(container, (_, since)): (&String, &(Entry, Instant))| {
            (since.into_std() < asked && !there.contains(container.as_str())).then(|| container.clone())
        };
        let gone: Vec<String> = self.state().entries.iter().filter_map(gone).collect();
        gone.iter().for_each(|container| self.forget(container));
    }

    /// Whether the processes of a container that runs are seen from here, so that the watchdog can kill them.
    pub(crate) fn sees(container: &str) -> bool {
        processes::any(container).unwrap_or(false)
    }
}

fn no_lease() -> Failure {
    failure::saying("waiting for a lease (`fence: lease`): the server has not said that it may run here now")
}

impl Inner {
    fn add(&self, slot: &Slot, container: &str, mounted: &Path, until: Duration, state: &mut State) -> io::Result<()> {
        let (slot, container, mounted) = (slot.clone(), container.to_owned(), mounted.to_owned());
        let entry = Entry { boot: boot()?, until, slot, container: container.clone(), mounted };
        let turn = self.directory.turn()?;
        // A watchdog that ends holds it until it has ended.
        turn.lock()?;
        self.directory.put(&entry)?;
        state.entries.insert(container, (entry, Instant::now()));
        self.watch()
    }

    /// Sees to it that there is a watchdog.
    fn watch(&self) -> io::Result<()> {
        if self.watched()? {
            return Ok(());
        }
        let [program, arguments @ ..] = self.command.as_deref().unwrap_or_default() else {
            return Err(io::Error::other("this agent has no watchdog"));
        };
        let mut command = Command::new(program);
        command.arg0("scs").args(arguments).arg(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut watchdog = command.spawn()?;
        let until = Instant::now() + COMES;
        while !self.watched()? {
            if let Some(status) = watchdog.try_wait()? {
                return Err(io::Error::other(format!("the watchdog ended at once ({status})")));
            }
            if Instant::now() > until {
                return Err(io::Error::other("the watchdog does not begin"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Ours to bury, as long as we live.
        std::thread::spawn(move || drop(watchdog.wait()));
        tracing::info!("a watchdog looks after what runs by lease");
        Ok(())
    }

    /// Whether a watchdog runs.
    fn watched(&self) -> io::Result<bool> {
        match self.directory.watchdog()?.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Ends a watchdog that does not understand what this version writes; the next one comes when there is something to watch.
    fn replace_other_format(&self) -> io::Result<()> {
        if !self.watched()? {
            return Ok(());
        }
        let mut text = String::new();
        self.directory.watchdog()?.read_to_string(&mut text)?;
        let Some((format, pid)) = text.trim().split_once(' ') else { return Ok(()) };
        if format.parse() == Ok(FORMAT) {
            return Ok(());
        }
        let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            tracing::info!("the watchdog is of another version, and is replaced");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        }
        Ok(())
    }
}
