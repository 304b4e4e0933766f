//! The discovery server: listeners and connection tasks around the pure core.
