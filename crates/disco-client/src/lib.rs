//! The discovery client: connect, resume, last known good.
