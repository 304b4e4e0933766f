//! Over fakes.
