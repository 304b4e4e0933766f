//! The agent: makes what is assigned to its host exist and keeps it running.
