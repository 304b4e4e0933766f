//! The discovery client: connect, resume, last known good.
//!
//! A process has one [`Service`], run as a task, and any number of cheap [`Handle`]s to it. What is provided and required is
//! remembered and said again whenever the connection comes back, so a server's restart needs no attention. While no server
//! can be reached, subscribers keep their endpoints, marked with the time since when.

mod backoff;
mod cache;
mod connection;
mod error;
pub mod forward;
mod handle;
mod requirement;
mod saver;
mod service;
mod set;
mod state;
mod tls;

pub use error::{Cause, Error};
pub use handle::{Handle, Subscription, Withdraw};
pub use service::{Options, Service};
pub use set::EndpointSet;
pub use tls::Tls;

pub use disco_proto::{
    Condition, Endpoint, Health, Name, Protocol, Provision, Query, Reason, Version,
    message::{Identity, List, ListedProvision, ListedRequirement, Listing, Withdrawn},
};
