//! Volume methods.

mod bind;
mod docker;
mod kept;
mod local;
mod marker;
mod sub;

pub use bind::Bind;
pub use docker::Named;
pub use local::Local;
pub use sub::Sub;

use crate::options::Wrong;
use crate::{Host, Registry};
use scs_ports::engine::BoxError;
use scs_ports::volume::{Error, VolumeId, VolumeProvisioner};
use std::io;
use std::sync::Arc;

/// The volume methods of a host: `local`, `sub`, `bind`, `docker`.
#[must_use]
pub fn volumes(host: &Host) -> Registry<dyn VolumeProvisioner> {
    Registry::<dyn VolumeProvisioner>::new("volume")
        .with("local", Arc::new(Local::new(host)))
        .with("sub", Arc::new(Sub::new(host)))
        .with("bind", Arc::new(Bind::new(host)))
        .with("docker", Arc::new(Named::new(host)))
}

fn option_error(id: &VolumeId, wrong: Wrong) -> Error {
    Error::Option { id: id.clone(), option: wrong.option, message: wrong.message }
}

fn failed(id: &VolumeId, action: impl Into<String>, source: impl Into<BoxError>) -> Error {
    Error::Failed { id: id.clone(), action: action.into(), source: source.into() }
}

/// Runs what waits for a disk off the runtime's own threads.
async fn blocking<T: Send + 'static>(
    id: &VolumeId,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(failed(id, "work on its files", io::Error::other(error))))
}
