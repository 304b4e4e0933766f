//! The pure state machine of discovery: sessions, provisions, requirements, matching, acknowledgements.
//!
//! [`Core::handle`] is given what happened and says what to do; [`Core::next_deadline`] says when it wants to be called at the
//! latest. There is no clock, no socket, no randomness in here: the same inputs give the same effects.
//!
//! Deliveries are state, not events. Per requirement the core remembers what the subscriber was last *told* and computes the
//! difference to what is *true* whenever the subscriber can take it, so a slow one costs no more memory than a quick one and
//! skips what was true in between.

mod brake;
mod connection;
mod core;
mod deliver;
mod difference;
mod drain;
mod grants;
mod input;
mod matching;
mod observe;
mod options;
mod packed;
mod provide;
mod recent;
mod record;
mod registry;
mod require;
mod requirements;
mod save;
mod session;
mod stats;
mod timers;
mod token;
mod told;
mod view;

pub use crate::{
    brake::BrakeView,
    core::Core,
    grants::{Grants, NotAScope, Permit, Scope},
    input::{Alarm, Conn, Effect, Input, Time},
    matching::{Attributes, Verdict},
    observe::{Filter, Observed, What},
    options::{BrakeOptions, Limits, Options},
    save::Saving,
    stats::{ProvisionStats, Stats},
    view::{ProvisionView, RegistryView, RequirementView, SessionView},
};
