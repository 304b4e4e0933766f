//! The bounds of everything that comes from a peer.

/// Bytes of one line, its newline included. A list of 4,000 endpoints of 256 bytes fits; nothing a person writes comes near.
pub const LINE: usize = 1024 * 1024;

/// Bytes of one label of a name, as in DNS.
pub const LABEL: usize = 63;

/// Bytes of an instance, a requirement's id, an agent's words about itself, or a host name (253 is DNS's own bound).
pub const TEXT: usize = 253;

/// Attributes of one provision or session.
pub const ATTRIBUTES: usize = 64;

/// Bytes of one attribute's name or value.
pub const ATTRIBUTE: usize = 1024;

/// Conditions and preferences of one requirement, and values of one condition.
pub const CONDITIONS: usize = 64;
