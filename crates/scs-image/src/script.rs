//! A build by script: a container of the base runs it, and what it wrote becomes the image's one layer.

use crate::Error;
use crate::configurator::{NOT_ROOT, PLACE, STEP, Script};
use crate::tail::Tail;
use futures_util::StreamExt;
use scs_ports::engine::{self, Commit, Create, Engine, Exit, Image, Logs, Mount, MountSource, Progress};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A build to run.
pub(crate) struct Job<'a> {
    /// Whose image, for errors.
    pub title: &'a str,
    /// Name of the container; one that is left of a killed build is removed.
    pub container: String,
    /// Id of the base.
    pub base: &'a str,
    /// Host directory with the recipe's files and the source.
    pub files: &'a Path,
    /// What the result is called and set to.
    pub commit: Commit,
}

/// Writes a recipe's files into the directory that a build sees as [`PLACE`].
pub(crate) fn write(script: &Script, into: &Path) -> std::io::Result<()> {
    for (path, text) in &script.files {
        let path = into.join(path);
        let mut made: PathBuf = into.to_owned();
        for part in path.strip_prefix(into).ok().and_then(Path::parent).into_iter().flatten() {
            made.push(part);
            if !made.exists() {
                fs::create_dir(&made)?;
                fs::set_permissions(&made, fs::Permissions::from_mode(0o755))?;
            }
        }
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Runs the script in a container and makes an image of it. No container is left, whatever happens.
pub(crate) async fn build(engine: &Arc<dyn Engine>, job: &Job<'_>, progress: &dyn Progress) -> Result<Image, Error> {
    // The base's own user first: a container made with another would leave that in the image.
    for user in [None, Some("0".to_owned())] {
        let again = user.is_none();
        engine.remove(&job.container).await.map_err(Error::engine("remove what an earlier build left"))?;
        let id = engine.create(&create(job, user)).await.map_err(Error::engine("make a container to build in"))?;
        let mut guard = Guard { engine: Arc::clone(engine), id: Some(id.clone()) };
        let steps = Steps::new(progress);
        let exit = run(engine.as_ref(), &id, &steps).await.map_err(|error| steps.not_started(job.title, error))?;
        let made = if exit.code == 0 {
            let failed = Error::engine(format!("make the image of {}", job.title));
            Some(engine.commit(&id, &job.commit).await.map_err(failed))
        } else {
            None
        };
        guard.remove().await;
        match made {
            Some(made) => return made,
            None if exit.code == NOT_ROOT && again => {}
            None => return Err(steps.failed(job.title, &exit)),
        }
    }
    Err(Error::Invalid {
        title: job.title.to_owned(),
        message: "is built on a base whose containers never run as root",
    })
}

fn create(job: &Job<'_>, user: Option<String>) -> Create {
    let source = MountSource::Host(job.files.to_owned());
    Create {
        name: job.container.clone(),
        image: job.base.to_owned(),
        entrypoint: Some(vec!["/bin/sh".to_owned(), format!("{PLACE}/run")]),
        user,
        mounts: vec![Mount { source, target: PLACE.to_owned(), read_only: true }],
        network: "bridge".to_owned(),
        ..Create::default()
    }
}

async fn run(engine: &dyn Engine, id: &str, steps: &Steps<'_>) -> Result<Exit, engine::Error> {
    engine.start(id).await?;
    let mut seen = 0;
    // An engine that keeps no logs can build all the same, only silently.
    match engine.logs(id, &Logs { follow: true, ..Logs::default() }).await {
        Ok(mut lines) => {
            while let Some(Ok(line)) = lines.next().await {
                steps.line(&String::from_utf8_lossy(&line.bytes));
                seen += 1;
            }
        }
        Err(error) => steps.line(&format!("(the engine does not show the build's output: {error})")),
    }
    let exit = engine.wait(id).await?;
    // A log that is followed may end before its last lines; of a failure they are the ones that count.
    if exit.code != 0
        && let Ok(lines) = engine.logs(id, &Logs::default()).await
    {
        let mut rest = lines.skip(seen);
        while let Some(Ok(line)) = rest.next().await {
            steps.line(&String::from_utf8_lossy(&line.bytes));
        }
    }
    Ok(exit)
}

/// Removes the container when the build is over, and when it is given up.
struct Guard {
    engine: Arc<dyn Engine>,
    id: Option<String>,
}

impl Guard {
    async fn remove(&mut self) {
        if let Some(id) = &self.id {
            if let Err(error) = self.engine.remove(id).await {
                tracing::warn!(container.id = %id, error = &error as &dyn std::error::Error, "a build's container stays");
            }
            self.id = None;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let engine = Arc::clone(&self.engine);
            // If even this is cut off, the next build of the digest or `prune` finds the container by its name.
            runtime.spawn(async move { engine.remove(&id).await });
        }
    }
}

/// Follows the output: which step runs, and what it says went wrong.
struct Steps<'a> {
    tail: Tail<'a>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    step: Option<String>,
    /// Puppet's first error, and its first that names a resource.
    error: Option<String>,
    resource: Option<String>,
}

impl<'a> Steps<'a> {
    fn new(progress: &'a dyn Progress) -> Self {
        Steps { tail: Tail::new(progress), seen: Mutex::default() }
    }

    fn line(&self, line: &str) {
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        if let Some(step) = line.strip_prefix(STEP) {
            *seen = Seen { step: Some(step.to_owned()), ..Seen::default() };
            self.tail.take();
        } else if let Some(error) = line.strip_prefix("Error: ") {
            let slot = if error.starts_with('/') { &mut seen.resource } else { &mut seen.error };
            slot.get_or_insert_with(|| error.to_owned());
        }
        drop(seen);
        self.tail.line(line);
    }

    fn failed(&self, title: &str, exit: &Exit) -> Error {
        let seen = std::mem::take(&mut *self.seen.lock().expect("no holder of this lock panics"));
        let step = seen.step.unwrap_or_else(|| "start".to_owned());
        let puppet = step.ends_with("puppet apply").then(|| seen.resource.or(seen.error)).flatten();
        let message = match (puppet, exit.out_of_memory) {
            (Some(message), _) => message,
            (None, true) => "it ran out of memory".to_owned(),
            (None, false) => format!("it ended with exit code {}", exit.code),
        };
        Error::Build { title: title.to_owned(), step, message, output: self.tail.take() }
    }

    fn not_started(&self, title: &str, error: engine::Error) -> Error {
        match error {
            // Above all a base without a shell.
            engine::Error::Refused { message, .. } => Error::Build {
                title: title.to_owned(),
                step: "start".to_owned(),
                message: format!("no container of the base runs /bin/sh: {message}"),
                output: self.tail.take(),
            },
            other => Error::engine(format!("build the image of {title}"))(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i64) -> Exit {
        Exit { code, out_of_memory: false, error: None }
    }

    #[test]
    fn the_failing_step_is_named_with_its_own_lines_only() {
        let silent = |_: &str| {};
        let steps = Steps::new(&silent);
        for line in ["--- step 1/2: a.sh", "from a", "--- step 2/2: b.sh", "from b", "", "oops"] {
            steps.line(line);
        }
        let error = steps.failed("web", &exit(3));
        assert_eq!(
            error.to_string(),
            "the image of web was not built: step `2/2: b.sh` failed: it ended with exit code 3"
        );
        assert_eq!(error.output(), ["--- step 2/2: b.sh", "from b", "oops"]);
    }

    #[test]
    fn puppets_own_error_is_the_message_and_one_that_names_a_resource_is_better() {
        let silent = |_: &str| {};
        let steps = Steps::new(&silent);
        for line in [
            "--- step 2/3: puppet apply",
            "Error: 'false' returned 1 instead of one of [0]",
            "Error: /Stage[main]/Scs/Exec[false]/returns: change from 'notrun' to ['0'] failed",
        ] {
            steps.line(line);
        }
        let error = steps.failed("web", &exit(4)).to_string();
        assert!(error.ends_with("failed: /Stage[main]/Scs/Exec[false]/returns: change from 'notrun' to ['0'] failed"));
    }
}
