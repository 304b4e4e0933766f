//! Certificates that are replaced while everything goes on: read again when their files change.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{ClientConfig, ServerConfig};

use crate::{
    credentials::{Credentials, Files, Unusable},
    tls,
    verify::Expected,
};

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Peers whose sessions are remembered; beyond that, all are forgotten, which costs a handshake each.
const PEERS: usize = 1024;

/// The certificate of this process, and what it connects and takes connections with. A connection that is open stays as it is when the
/// certificate changes; the next one takes the new.
#[derive(Debug)]
pub struct Live {
    files: Files,
    secret: [u8; 32],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    credentials: Arc<Credentials>,
    servers: tls::Servers,
    client: Arc<ClientConfig>,
    /// One for each peer: with it the sessions that can be resumed, and it has few.
    https: HashMap<Expected, Arc<ClientConfig>>,
    stamps: Stamps,
    looked: Instant,
}

/// What tells one content of a file from the next without reading it.
type Stamps = [Option<(u64, i64, i64, u64)>; 3];

impl Live {
    /// Reads certificate, key and authorities. `secret` is that of the registry, for tickets that other servers take, too; without it they
    /// end with this process.
    ///
    /// # Errors
    /// Why they cannot be used.
    pub fn open(files: Files, secret: Option<[u8; 32]>) -> Result<Self, Unusable> {
        let secret = secret.unwrap_or_else(|| {
            let mut bytes = [0; 32];
            // Without randomness there is no TLS either, which the first handshake says.
            let _ = aws_lc_rs::rand::fill(&mut bytes);
            bytes
        });
        let state = Mutex::new(State::read(&files, &secret)?);
        Ok(Self { files, secret, state })
    }

    /// Where the files are.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is used now.
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.fresh().credentials)
    }

    /// What the next client of the discovery protocol is taken with.
    pub fn disco_server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.fresh().servers.disco)
    }

    /// What the next client of the HTTP API is taken with.
    pub fn https_server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.fresh().servers.https)
    }

    /// What the next client of an HTTP API is taken with that may have no certificate yet, because it comes to get one; [`identity_of`] says
    /// who it is, or that it has none. See [`first_contact`].
    ///
    /// [`identity_of`]: crate::identity_of
    /// [`first_contact`]: crate::first_contact
    pub fn joining_server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.fresh().servers.joining)
    }

    /// What the next connection to a server or host that speaks HTTP is made with. Take it anew for each; where a name is expected, what is
    /// given to TLS as the server's name decides nothing.
    ///
    /// # Errors
    /// Where TLS cannot be used at all.
    pub fn https_client(&self, expected: &Expected) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut state = self.fresh();
        if let Some(config) = state.https.get(expected) {
            return Ok(Arc::clone(config));
        }
        let config = tls::https_client(&state.credentials, expected.clone())?;
        if state.https.len() >= PEERS {
            state.https.clear();
        }
        state.https.insert(expected.clone(), Arc::clone(&config));
        Ok(config)
    }

    /// What the next connection to a discovery server is made with. Take it anew for each, so that a renewed certificate is used; and flush
    /// what was written, since a TLS stream may keep it.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.fresh().client)
    }

    /// Reads the files again if they have changed; says whether they had.
    ///
    /// # Errors
    /// Why the new ones cannot be used; what was used before is used on.
    pub fn reload(&self) -> Result<bool, Unusable> {
        self.look(&mut self.lock())
    }

    fn fresh(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if state.looked.elapsed() >= LOOK
            && let Err(error) = self.look(&mut state)
        {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, hint = error.hint(), "the new certificate cannot be used; going on with the one before");
        }
        state
    }

    fn look(&self, state: &mut State) -> Result<bool, Unusable> {
        state.looked = Instant::now();
        let now = stamps(&self.files);
        if now == state.stamps {
            return Ok(false);
        }
        // Whatever comes of it is said once for each change.
        state.stamps = now;
        *state = State::read(&self.files, &self.secret)?;
        let certificate = &state.credentials.certificate;
        tracing::info!(serial = certificate.serial, holder = %state.credentials.identity, "a new certificate is used");
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(files: &Files, secret: &[u8; 32]) -> Result<Self, Unusable> {
        let stamps = stamps(files);
        let credentials = Credentials::read(files, SystemTime::now())?;
        let unusable = |source| Unusable::Tls { path: files.certificate.clone(), source };
        let servers = tls::servers(&credentials, secret).map_err(unusable)?;
        let client = tls::disco_client(&credentials).map_err(unusable)?;
        let (credentials, https) = (Arc::new(credentials), HashMap::new());
        Ok(Self { credentials, servers, client, https, stamps, looked: Instant::now() })
    }
}

fn stamps(files: &Files) -> Stamps {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.size()))
    };
    [stamp(&files.certificate), stamp(&files.key), stamp(&files.authorities)]
}
