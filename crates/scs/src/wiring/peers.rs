//! The other hosts of a cluster, as a place to get images from: each is built on one host, and fetched from there by the others.

use crate::contexts::Address;
use crate::exit::Failure;
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use hyper::Method;
use scs_api::image::{Claim, ClaimRequest, Holder};
use scs_client::Client;
use scs_control::agents::ByteStream;
use scs_image::cache::{Cache, Error, Stream};
use scs_pki::{Expected, Kind, Live};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// How long the server may think.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two questions whether another host has finished its build.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a claim is repeated while its image is built: three times in its lease.
const REPEAT: Duration = Duration::from_secs(10);

/// The server that knows who has what, and the hosts that have it.
#[derive(Debug)]
pub struct Peers {
    server: Client,
    live: Arc<Live>,
    /// Claims of this host, repeated for as long as they are here.
    claims: Mutex<BTreeMap<String, AbortOnDropHandle<()>>>,
}

impl Peers {
    /// The hosts of the cluster of this server.
    ///
    /// # Errors
    /// Where the address is that of a socket.
    pub fn new(server: &Address, live: Arc<Live>) -> Result<Self, Failure> {
        let address = server.authority().ok_or_else(|| Failure::failed(format!("{server} is no address for hosts")))?;
        let server = Client::tls(address, live.clone(), Expected::Server).within(PATIENCE);
        Ok(Self { server, live, claims: Mutex::default() })
    }

    /// The same hosts, as a place that volumes come from.
    #[must_use]
    pub fn neighbours(&self) -> scs_remote::Neighbours {
        scs_remote::Neighbours::new(self.live.clone())
    }

    /// A source's files, as the server has them.
    ///
    /// # Errors
    /// Where it has none, or does not answer.
    pub async fn bundle(&self, digest: &str) -> Result<ByteStream, scs_client::Error> {
        let stream = self.server.download(&format!("/v1/bundles/{digest}")).await?;
        Ok(Box::pin(stream.map_err(std::io::Error::other)))
    }

    /// Lets others have their turn: the image is there, or will not be.
    pub async fn release(&self, digest: &str) {
        let claim = self.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        if claim.is_none() {
            return;
        }
        drop(claim);
        let released = self.server.tell(Method::DELETE, &path(digest), None::<&()>).await;
        if let Err(error) = released {
            // It ends by itself a little later.
            tracing::debug!(%error, digest, "the claim to build an image is left to end");
        }
    }

    /// Says again and again that the image is still being built.
    fn hold(&self, digest: &str) {
        let (server, digest_of_task) = (self.server.clone(), digest.to_owned());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(REPEAT).await;
                let again: Result<Claim, _> = server.post(&path(&digest_of_task), &ClaimRequest::default()).await;
                if let Err(error) = again {
                    tracing::debug!(%error, "a claim to build an image could not be repeated");
                }
            }
        });
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.insert(digest.to_owned(), AbortOnDropHandle::new(task));
    }

    async fn fetch(&self, digest: &str, holder: &Holder) -> Result<Stream, scs_client::Error> {
        let expected = Expected::Named(Kind::Host, holder.host.clone());
        let client = Client::tls(&*holder.address, self.live.clone(), expected).within(PATIENCE);
        let stream = client.download(&format!("/v1/images/{digest}")).await?;
        Ok(Box::pin(stream.map_err(std::io::Error::other)))
    }
}

fn path(digest: &str) -> String {
    format!("/v1/images/{digest}/claim")
}

#[async_trait]
impl Cache for Peers {
    fn name(&self) -> String {
        "the other hosts".to_owned()
    }

    async fn get(&self, digest: &str) -> Result<Option<Stream>, Error> {
        let mut ask = ClaimRequest::default();
        loop {
            let claim: Claim = match self.server.post(&path(digest), &ask).await {
                Ok(claim) => claim,
                Err(error) => return Err(Error::Unavailable(error.into())),
            };
            match claim {
                Claim::Build => {
                    self.hold(digest);
                    return Ok(None);
                }
                Claim::Wait { host } => {
                    tracing::debug!(host, digest, "another host builds the image");
                    tokio::time::sleep(PAUSE).await;
                }
                Claim::Fetch { from } => {
                    for holder in from {
                        match self.fetch(digest, &holder).await {
                            Ok(stream) => return Ok(Some(stream)),
                            Err(error) => {
                                tracing::warn!(%error, host = holder.host, digest, "an image is not to be had there");
                                ask.failed.push(holder.host);
                            }
                        }
                    }
                }
            }
        }
    }

    async fn put(&self, digest: &str, _image: Stream) -> Result<(), Error> {
        // It is in this host's engine, from where the others get it.
        self.release(digest).await;
        Ok(())
    }
}
