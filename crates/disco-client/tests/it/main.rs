//! Client and server over real sockets.

#![allow(clippy::unwrap_used)]

mod conversation;
mod failing;
mod forwarding;
mod proxy;
mod restarting;
mod strangers;
mod support;
mod withdrawing;
