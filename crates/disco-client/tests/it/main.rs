//! Client and server over real sockets.

#![allow(clippy::unwrap_used)]

mod conversation;
mod failing;
mod faults;
mod forwarding;
mod restarting;
mod scripted;
mod strangers;
mod support;
mod tls;
mod withdrawing;
