//! For tests only: engines, hosts, temporary state, waiting for conditions.
