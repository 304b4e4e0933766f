//! The engine's own builder.

use super::transcript::Classic;
use crate::Docker;
use crate::call::Subject;
use crate::image::{ByteStream, upload};
use bollard::errors::Error as ApiError;
use bollard::query_parameters::{BuildImageOptions, RemoveImageOptions};
use futures_util::StreamExt;
use scs_ports::engine::{Build, Error, Progress};
use std::time::Duration;
use tokio::sync::RwLock;

/// Held by every build of this process. Builds share the images of their first steps, and one of them could be taken away
/// from under another build that has found it but does not build on it yet.
static BUILDING: RwLock<()> = RwLock::const_new(());
/// How often it is seen whether other builds have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn build(
    docker: &Docker,
    request: &Build,
    context: ByteStream,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let subject = Subject::image("build", &request.reference);
    let options = BuildImageOptions {
        dockerfile: request.dockerfile.clone(),
        t: Some(request.reference.clone()),
        target: request.target.clone().unwrap_or_default(),
        buildargs: Some(request.arguments.clone().into_iter().collect()),
        labels: Some(request.labels.clone().into_iter().collect()),
        // Intermediate containers go away, of failed builds too.
        rm: true,
        forcerm: true,
        ..Default::default()
    };
    let (body, broken) = upload(context);
    let building = BUILDING.read().await;
    let mut leftovers = Leftovers { docker: docker.clone(), transcript: Classic::default(), armed: true };
    let mut steps = docker.client.build_image(options, None, Some(bollard::body_try_stream(body)));
    while let Some(step) = steps.next().await {
        let lines = match step {
            Ok(step) => leftovers.transcript.take_in(&step.stream.or(step.status).unwrap_or_default()),
            Err(error) => {
                drop(steps);
                leftovers.transcript.rest().iter().for_each(|it| progress.line(it));
                let (step, output) = leftovers.transcript.step();
                drop(building);
                leftovers.clean().await;
                return Err(match error {
                    ApiError::DockerStreamError { error } => failed(request, step, &error, output),
                    // What is wrong with the Dockerfile as a whole is said before any step.
                    ApiError::DockerResponseServerError { status_code: 400 | 500, message } => {
                        failed(request, step, &message, output)
                    }
                    other => broken.or(&subject, || docker.failure(&subject, other)),
                });
            }
        };
        lines.iter().for_each(|it| progress.line(it));
    }
    leftovers.transcript.rest().iter().for_each(|it| progress.line(it));
    leftovers.armed = false;
    Ok(())
}

fn failed(request: &Build, step: String, message: &str, output: Vec<String>) -> Error {
    let step = if step.is_empty() { request.dockerfile.clone() } else { step };
    Error::Build { step, message: message.trim().to_owned(), output }
}

/// The images of the steps that succeeded, which a build that fails or is given up would leave without a name.
struct Leftovers {
    docker: Docker,
    transcript: Classic,
    armed: bool,
}

impl Leftovers {
    /// Removes them at once, or as soon as no other build runs.
    async fn clean(mut self) {
        self.armed = false;
        let made = self.transcript.made();
        match BUILDING.try_write() {
            Ok(_alone) => remove(&self.docker, made).await,
            Err(_) => later(self.docker.clone(), made),
        }
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        if self.armed {
            later(self.docker.clone(), self.transcript.made());
        }
    }
}

fn later(docker: Docker, made: Vec<String>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if made.is_empty() {
        return;
    }
    runtime.spawn(async move {
        // Waiting in the lock's queue would keep new builds waiting too.
        let _alone = loop {
            match BUILDING.try_write() {
                Ok(alone) => break alone,
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        };
        remove(&docker, made).await;
    });
}

/// Removes images that nothing else has come to use or to name meanwhile.
async fn remove(docker: &Docker, made: Vec<String>) {
    for id in made {
        let named =
            docker.client.inspect_image(&id).await.is_ok_and(|it| it.repo_tags.is_some_and(|it| !it.is_empty()));
        if named {
            continue;
        }
        let options = RemoveImageOptions { noprune: true, ..Default::default() };
        if let Err(error) = docker.client.remove_image(&id, Some(options), None).await {
            tracing::debug!(image.id = id, %error, "an image of the failed build stays");
        }
    }
}
