//! Volumes that come from other hosts and go to them.

use super::volumes::{Volumes, problem};
use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _};
use scs_api::error::{Code, Problem};
use scs_api::transfer::{Progress, Survey};
use scs_control::agents::{Channel, CopyEvent, HostAddress, Peers, VolumeAt, VolumeCopy, VolumeOffer};
use scs_ports::volume::VolumeId;
use scs_transfer::{Open, Pull};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;

/// How often it is said how far a copy has come.
const OFTEN: Duration = Duration::from_millis(500);

/// The name of the hidden command that joins rsync to this process.
pub const BRIDGE: &str = "transfer-bridge";

/// Volumes that come from other hosts and go to them.
#[derive(Debug, Clone)]
pub struct Transfers {
    volumes: Volumes,
    peers: Option<Arc<dyn Peers>>,
    offers: Arc<Mutex<HashMap<VolumeId, Offer>>>,
    copies: Arc<Mutex<HashMap<VolumeId, AbortHandle>>>,
}

/// What may be read, and by whom.
#[derive(Debug, Clone)]
struct Offer {
    transfer: String,
    to: String,
    directory: PathBuf,
}

impl Transfers {
    /// Of a host that reaches others through `peers`; one that is alone copies nothing.
    #[must_use]
    pub fn new(volumes: Volumes, peers: Option<Arc<dyn Peers>>) -> Self {
        Self { volumes, peers, offers: Arc::default(), copies: Arc::default() }
    }

    /// Lets a host read a volume; says what it holds.
    pub async fn offer(&self, offer: VolumeOffer) -> Result<Survey, Problem> {
        let directory = self.volumes.directory(&offer.volume, false).await?;
        let looked = directory.clone();
        let found = tokio::task::spawn_blocking(move || scs_transfer::survey(&looked)).await;
        let survey = found.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
            Problem::of(Code::Failed, &error).hint(format!("volume {} is as it was", offer.volume.id))
        })?;
        let (id, VolumeOffer { transfer, to, .. }) = (offer.volume.id.clone(), offer);
        self.offers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Offer { transfer, to, directory });
        Ok(survey)
    }

    /// Sends an offered volume to whom it is offered.
    pub async fn serve(&self, to: &str, transfer: &str, volume: &VolumeId, channel: Channel) -> Result<(), Problem> {
        let offer = self.offers.lock().unwrap_or_else(PoisonError::into_inner).get(volume).cloned();
        let Some(offer) = offer.filter(|offer| offer.to == to && offer.transfer == transfer) else {
            let message = format!("volume {volume} is not offered to host {to} for this move");
            return Err(Problem::new(Code::NotFound, message).hint("nothing was sent"));
        };
        scs_transfer::serve(&offer.directory, Box::new(channel))
            .await
            .map_err(|error| Problem::of(Code::Failed, &error))
    }

    /// Makes a volume like that of another host. One copy of a volume at a time.
    pub async fn copy(&self, copy: VolumeCopy) -> Result<BoxStream<'static, CopyEvent>, Problem> {
        let Some(peers) = self.peers.clone() else {
            return Err(Problem::new(Code::Failed, "this host is alone: there is no other to copy from"));
        };
        self.end_copy(&copy.volume.id).await;
        let request = self.volumes.request(&copy.volume).await?;
        let method = self.volumes.method(&copy.volume)?;
        let ensured = method.receive(&request).await.map_err(|error| problem(&error))?;
        let into = self.volumes.files(ensured.source).await?;
        let pull = Pull {
            into,
            source: copy.source,
            compare: copy.compare,
            warm: copy.warm,
            bandwidth: copy.bandwidth,
            bridge: bridge()?,
        };
        let source = Source { peers, peer: copy.from, transfer: copy.transfer, volume: copy.volume.id.clone() };
        // A part of another volume comes with the files of that one; what is left is its marker, which is written.
        let whole = copy.volume.parent.is_none();
        let (events, stream) = mpsc::channel(16);
        let task = tokio::spawn(async move {
            let event = if whole { run(&pull, &source, &events).await } else { CopyEvent::Done(Default::default()) };
            let _ = events.send(event).await;
        });
        self.copies.lock().unwrap_or_else(PoisonError::into_inner).insert(copy.volume.id, task.abort_handle());
        let ends = Ends(task.abort_handle());
        Ok(ReceiverStream::new(stream)
            .inspect(move |_| {
                let _ = &ends;
            })
            .boxed())
    }

    /// Ends a copy that is under way, and waits until it has ended.
    async fn end_copy(&self, volume: &VolumeId) {
        let running = self.copies.lock().unwrap_or_else(PoisonError::into_inner).remove(volume);
        if let Some(running) = running {
            running.abort();
            while !running.is_finished() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Notes that a permit has passed on.
    pub async fn hand_over(&self, volume: &VolumeAt, to: &str) -> Result<(), Problem> {
        let method = self.volumes.method(volume)?;
        method.hand_over(&volume.id, volume.epoch, to).await.map_err(|error| problem(&error))
    }
}

/// Ends a copy that nobody waits for.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(pull: &Pull, source: &Source, events: &mpsc::Sender<CopyEvent>) -> CopyEvent {
    let (progress, mut seen) = watch::channel(Progress::default());
    let copying = pull.run(source, &progress);
    let telling = async {
        loop {
            if seen.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let now = *seen.borrow_and_update();
            // A reader that is behind hears the next one.
            let _ = events.try_send(CopyEvent::Progress(now));
            tokio::time::sleep(OFTEN).await;
        }
    };
    tokio::select! {
        () = telling => unreachable!("it never ends"),
        done = copying => match done {
            Ok(copied) => CopyEvent::Done(copied),
            Err(error) => CopyEvent::Failed { problem: Problem::of(Code::Failed, &error), fatal: error.is_fatal() },
        },
    }
}

/// The offer of another host.
struct Source {
    peers: Arc<dyn Peers>,
    peer: HostAddress,
    transfer: String,
    volume: VolumeId,
}

#[async_trait]
impl Open for Source {
    async fn open(&self) -> io::Result<scs_transfer::Channel> {
        Ok(Box::new(self.peers.open(&self.peer, &self.transfer, &self.volume).await?))
    }
}

/// This very program, as rsync's way out.
fn bridge() -> Result<Vec<String>, Problem> {
    let program = std::env::current_exe().map_err(|error| Problem::of(Code::Internal, &error))?;
    Ok(vec![program.display().to_string(), BRIDGE.to_owned()])
}
