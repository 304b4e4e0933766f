//! Scripts against the core.
