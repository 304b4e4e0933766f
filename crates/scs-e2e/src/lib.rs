//! End-to-end suites over real binaries and a real engine.
