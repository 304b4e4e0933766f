//! The control plane over a model world: an agent that runs nothing, and a real store in a directory of its own.

#[path = "it/api.rs"]
mod api;
#[path = "it/changes.rs"]
mod changes;
#[path = "it/durability.rs"]
mod durability;
#[path = "it/secrets.rs"]
mod secrets;
#[path = "it/volumes.rs"]
mod volumes;
#[path = "it/world.rs"]
mod world;
