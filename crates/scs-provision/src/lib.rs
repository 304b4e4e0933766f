//! Volumes and networks of a host.
