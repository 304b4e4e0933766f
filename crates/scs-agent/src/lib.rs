//! The agent: makes what is assigned to its host exist and keeps it running.
//!
//! What happens to a slot is decided by `scs_plan::lifecycle`, which knows no IO. This crate is the shell around it: one task
//! ([`Service`]) owns the lives of all slots, hands them facts, and carries out what they ask for in tasks of their own, which
//! report back as facts. It knows ports only; the binary wires the real engine, provisioners, images and discovery.

mod assignments;
mod console;
mod effects;
mod failure;
mod files;
mod handle;
mod labels;
mod launch;
mod lease;
mod live;
mod logs;
mod options;
mod own;
pub mod ports;
mod probe;
mod provide;
mod provision;
mod report;
mod service;
mod slots;
mod watch;

pub use assignments::Refused;
pub use console::Console;
pub use files::requirement_variables;
pub use handle::{Error, Handle, Output};
pub use lease::watchdog::run as watchdog;
pub use options::Options;
pub use ports::Ports;
pub use service::Service;

/// Labels of the containers an agent makes, for those who look at them from outside.
pub use labels::names as label;
