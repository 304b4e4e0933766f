//! The types of the HTTP API between command line, server and agents.
