//! The control plane over a model world: an agent that runs nothing, and a real store in a directory of its own.

mod api;
mod changes;
mod durability;
mod hosts;
mod losses;
mod membership;
mod moves;
mod people;
mod restored;
mod secrets;
mod volumes;
mod world;
