//! A real Docker Engine for one test.

use crate::{clean, unique};
use scs_engine_docker::Docker;
use scs_helper::PATH_IN_IMAGE;
use scs_ports::engine::{Create, Engine, Labels};
use std::sync::Arc;

/// The label that everything a test makes carries; its value is the test's own name.
const LABEL: &str = "scs.test";

/// The machine's Docker Engine.
///
/// # Panics
/// When none answers: these tests are the proof that scs works with Docker, and do not pass without it.
pub async fn docker() -> Docker {
    match Docker::connect(None).await {
        Ok(docker) => docker,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|it| format!(": {it}")).unwrap_or_default();
            panic!(
                "this test needs a Docker Engine, and {error}{source}\n\
                 On Debian: `sudo apt-get install docker.io`; where no init system starts it: `sudo dockerd &`. \
                 Another engine is named by DOCKER_HOST."
            );
        }
    }
}

/// The machine's Docker Engine, for one test: dropped, it removes the containers, networks, volumes and images that carry the
/// test's labels, and shows the containers' output first when the test has failed.
#[derive(Debug)]
pub struct TestEngine {
    docker: Docker,
    name: String,
    /// Labels by which things are found to be cleaned up.
    labels: Vec<(String, String)>,
}

impl TestEngine {
    /// The engine, for a test of this name.
    ///
    /// # Panics
    /// When no engine answers.
    pub async fn new(name: &str) -> Self {
        let name = unique(name);
        TestEngine { docker: docker().await, labels: vec![(LABEL.to_owned(), name.clone())], name }
    }

    /// The engine itself.
    #[must_use]
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The engine as a port.
    #[must_use]
    pub fn port(&self) -> Arc<dyn Engine> {
        Arc::new(self.docker.clone())
    }

    /// The test's own unique name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A name of the test's own for one of its things.
    #[must_use]
    pub fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// The labels for whatever the test makes itself.
    #[must_use]
    pub fn labels(&self) -> Labels {
        Labels::from([(LABEL.to_owned(), self.name.clone())])
    }

    /// Cleans up what carries this label too: what the tested code makes, found by its owner, say.
    pub fn also_clean(&mut self, label: &str, value: &str) {
        self.labels.push((label.to_owned(), value.to_owned()));
    }

    /// A container to make, of the helper image, that runs this helper command (`play …`, `serve …`).
    ///
    /// # Panics
    /// When the image cannot be made.
    pub async fn container(&self, what: &str, command: &[&str]) -> Create {
        let image = scs_helper::helper_image(&self.docker).await.expect("the helper image can be imported");
        let mut words = vec![PATH_IN_IMAGE.to_owned()];
        words.extend(command.iter().map(|it| (*it).to_owned()));
        Create {
            name: self.named(what),
            image,
            labels: self.labels(),
            command: Some(words),
            network: "bridge".to_owned(),
            ..Create::default()
        }
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        let (address, labels, failed) =
            (self.docker.address().to_owned(), std::mem::take(&mut self.labels), std::thread::panicking());
        // A thread of its own, with a runtime of its own: the test's may be the one that is ending just now.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|it| it.block_on(clean::all(&address, &labels, failed)))
        });
        let _ = cleaning.join();
    }
}
