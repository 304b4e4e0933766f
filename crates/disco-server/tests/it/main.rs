//! The server over real sockets, as seen by somebody who knows nothing of it but `docs/protocol.md`.

#![allow(clippy::unwrap_used)]

mod conformance;
