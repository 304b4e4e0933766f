//! Ports: the traits behind which outside systems sit, their conformance suites and in-memory fakes.
//!
//! Every trait is object-safe and chosen by configuration at run time. Every implementation, the fakes included, passes
//! the suite of its port in [`conformance`].

pub mod conformance;
pub mod engine;
pub mod fake;
pub mod network;
pub mod state;
pub mod volume;
