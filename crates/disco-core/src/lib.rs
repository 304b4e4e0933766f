//! The pure state machine of discovery: sessions, provisions, requirements, matching, acknowledgements.
