//! The codec against its description, and against anything.

#![allow(clippy::unwrap_used)]

mod anything;
mod codec;
mod description;
mod fuzz;
mod snapshot;
