//! The control plane: desired state, secrets, HTTP API, and orchestration.
