//! The control plane's bundles of sources: those that the image service builds from.

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use scs_api::error::{Code, Problem};
use scs_control::agents::ByteStream;
use scs_control::bundles::Bundles;
use scs_image::source::{BundleStore, Error};
use std::io;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::{ReaderStream, StreamReader};

/// The bundles of this installation.
#[derive(Debug, Clone)]
pub struct Store(pub BundleStore);

#[async_trait]
impl Bundles for Store {
    async fn has(&self, digest: &str) -> Result<bool, Problem> {
        Ok(self.0.path(digest).exists())
    }

    async fn get(&self, digest: &str) -> Result<Option<ByteStream>, Problem> {
        match tokio::fs::File::open(self.0.path(digest)).await {
            Ok(file) => Ok(Some(ReaderStream::with_capacity(file, 256 << 10).boxed())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(problem(&error)),
        }
    }

    async fn put(&self, digest: &str, content: ByteStream) -> Result<(), Problem> {
        let path = self.0.path(digest);
        if path.exists() {
            return Ok(());
        }
        let directory = path.parent().map(std::path::Path::to_owned).unwrap_or_default();
        tokio::fs::create_dir_all(&directory).await.map_err(|error| problem(&error))?;
        let temporary =
            tempfile::Builder::new().prefix(".put-").tempfile_in(&directory).map_err(|error| problem(&error))?;
        let file = temporary.reopen().map_err(|error| problem(&error))?;
        let mut file = tokio::fs::File::from_std(file);
        let mut content = StreamReader::new(content.map_err(io::Error::other));
        tokio::io::copy(&mut content, &mut file).await.map_err(|error| problem(&error))?;
        file.flush().await.map_err(|error| problem(&error))?;
        file.sync_all().await.map_err(|error| problem(&error))?;
        temporary.persist(&path).map_err(|error| problem(&error.error))?;
        // Read back: what does not hold what its name says is moved aside, and was never there.
        let (store, wanted) = (self.0.clone(), digest.to_owned());
        let read = tokio::task::spawn_blocking(move || store.get(&wanted)).await;
        match read {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Error::Corrupt { moved, .. })) => {
                let _ = tokio::fs::remove_file(moved).await;
                Err(Problem::new(Code::BadRequest, format!("what was sent is not the source {digest}"))
                    .hint("run the command again"))
            }
            Ok(Err(error)) => Err(problem(&error)),
            Err(error) => Err(problem(&error)),
        }
    }
}

fn problem(error: &(dyn std::error::Error + 'static)) -> Problem {
    let mut problem = Problem::new(Code::Internal, "cannot keep the source's files");
    problem.causes = Problem::of(Code::Internal, error).causes;
    problem.causes.insert(0, error.to_string());
    problem.hint("see whether the disk is full; nothing was changed")
}
