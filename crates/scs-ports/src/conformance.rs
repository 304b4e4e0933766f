//! What every implementation of a port must do, as functions that panic where one does not. Fakes and real ones run the
//! same. A macro of each suite makes a test of each function:
//!
//! ```ignore
//! scs_ports::state_conformance!(setup); // `async fn setup() -> (Arc<Store>, TempDir)`, called for each test
//! ```

pub mod engine;
pub mod network;
pub mod state;
pub mod volume;

use crate::engine::{Error, LogChunk, Stream};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::time::Duration;

/// How long anything in a suite may take before it counts as stuck. Real engines on a loaded machine were seen to need 10 s
/// for a start.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits, and panics when it takes too long.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(LIMIT, future).await else { panic!("waited {LIMIT:?} for {what}") };
    done
}

/// Reads all there is, as text of standard output and standard error.
async fn read_all(what: &str, mut stream: BoxStream<'static, Result<LogChunk, Error>>) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    let reading = async {
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.unwrap_or_else(|error| panic!("reading {what}: {error:?}"));
            let text = String::from_utf8_lossy(&chunk.bytes);
            match chunk.stream {
                Stream::Stdout => out.push_str(&text),
                Stream::Stderr => err.push_str(&text),
            }
        }
    };
    soon(what, reading).await;
    (out, err)
}
