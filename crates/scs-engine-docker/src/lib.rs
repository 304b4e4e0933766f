//! The engine port over Docker's API.
