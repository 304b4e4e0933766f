//! Client and server over real sockets.

#![allow(clippy::unwrap_used)]

mod conversation;
mod support;
