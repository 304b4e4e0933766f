//! The helper program as root in a container of its own, for files that whoever we are may not touch.

use futures_util::stream::BoxStream;
use scs_helper::PATH_IN_IMAGE;
use scs_ports::engine::{Create, Engine, Error, Exit, Labels, LogChunk, Mount, MountSource};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWrite;

/// Where the programs of a system are, with the libraries they need.
const SYSTEM: [&str; 7] = ["/bin", "/gnu", "/lib", "/lib32", "/lib64", "/nix", "/usr"];

/// The places of [`SYSTEM`] that this host has, read-only, so that the helper finds programs of the host in its container.
#[must_use]
pub fn programs() -> Vec<Mount> {
    let there = SYSTEM.iter().filter(|path| Path::new(path).is_dir());
    there
        .map(|path| Mount { source: MountSource::Host(path.into()), target: (*path).to_owned(), read_only: true })
        .collect()
}

/// Runs the helper with these mounts to its end; gives its exit code.
///
/// # Errors
/// What the engine says; the container is removed in any case.
pub async fn run(engine: &dyn Engine, mounts: &[Mount], arguments: &[&str]) -> Result<i64, Error> {
    let id = create(engine, mounts, arguments, false).await?;
    let exit = async {
        engine.start(&id).await?;
        engine.wait(&id).await
    };
    let exit = exit.await;
    engine.remove(&id).await?;
    Ok(exit?.code)
}

async fn create(engine: &dyn Engine, mounts: &[Mount], arguments: &[&str], piped: bool) -> Result<String, Error> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let image = scs_helper::helper_image(engine).await?;
    let mut command = vec![PATH_IN_IMAGE.to_owned()];
    command.extend(arguments.iter().map(|it| (*it).to_owned()));
    let create = Create {
        name: format!("scs-helper-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)),
        image,
        labels: Labels::from([(scs_helper::LABEL.to_owned(), scs_helper::hash().to_owned())]),
        command: Some(command),
        user: Some("0:0".to_owned()),
        mounts: mounts.to_vec(),
        network: "none".to_owned(),
        // Without it attributes of the kind `trusted` are neither seen nor written, not even by root.
        cap_add: if piped { vec!["SYS_ADMIN".to_owned()] } else { Vec::new() },
        stdin: piped,
        unlogged: piped,
        ..Create::default()
    };
    // One of that name is left from a process of the same number that was killed.
    engine.remove(&create.name).await?;
    engine.create(&create).await
}

/// A helper that runs, with its standard input and output. Its container is removed when this is dropped.
pub struct Running {
    engine: Arc<dyn Engine>,
    /// Empty once its container is removed.
    id: String,
    /// What it writes; ends when it does. Somebody has to read it, or it comes to a halt.
    pub output: BoxStream<'static, Result<LogChunk, Error>>,
    /// Its standard input; shutting it down is the end of it.
    pub input: Option<Pin<Box<dyn AsyncWrite + Send>>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Running {
    /// Starts the helper with these mounts.
    ///
    /// # Errors
    /// What the engine says; no container is left.
    pub async fn begin(engine: &Arc<dyn Engine>, mounts: &[Mount], arguments: &[&str]) -> Result<Running, Error> {
        let id = create(&**engine, mounts, arguments, true).await?;
        let begun = async {
            let process = engine.attach(&id).await?;
            engine.start(&id).await?;
            Ok(process)
        };
        match begun.await {
            Ok(process) => Ok(Running { engine: engine.clone(), id, output: process.output, input: process.input }),
            Err(error) => {
                engine.remove(&id).await?;
                Err(error)
            }
        }
    }

    /// Waits until it has ended, and how.
    ///
    /// # Errors
    /// What the engine says; the container is removed in any case.
    pub async fn end(mut self) -> Result<Exit, Error> {
        let exit = self.engine.wait(&self.id).await;
        let id = std::mem::take(&mut self.id);
        self.engine.remove(&id).await?;
        exit
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.id.is_empty() {
            return;
        }
        let (engine, id) = (self.engine.clone(), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { engine.remove(&id).await });
        }
    }
}
