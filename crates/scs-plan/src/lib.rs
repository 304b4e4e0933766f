//! Pure decisions: desired and observed state to plan, stop order, what follows from the loss of a host, and the state machine of one container's life.

pub mod change;
#[cfg(test)]
mod fixture;
pub mod lease;
pub mod lifecycle;
pub mod loss;
pub mod movement;
pub mod order;
pub mod placement;
pub mod plan;
pub mod slot;
