//! Certificates: an authority, who somebody is and what they may do, and TLS that asks for it.
//!
//! [`Authority`] issues; [`Identity`] is what a certificate says of its holder; [`Live`] keeps the certificate of this process
//! up to date and gives out TLS configurations; [`Trouble`] says in words why two did not come together.
//! The one cryptographic provider is aws-lc-rs, named wherever rustls could look for a default.

mod authority;
mod certificate;
mod credentials;
mod files;
mod first_contact;
mod holder;
mod identity;
mod live;
mod request;
mod tickets;
mod tls;
mod trouble;
mod verify;

pub use authority::{Authority, Entry, Issued, Order, Rotation, Signed, Unissued};
pub use certificate::{Certificate, Unreadable};
pub use credentials::{Credentials, Files, Unusable};
pub use first_contact::{Fingerprint, NotAFingerprint, first_contact};
pub use holder::{Holder, holder_of};
pub use identity::{Identity, Kind, NotAnIdentity};
pub use live::Live;
pub use request::Request;
pub use rustls;
pub use tls::identity_of;
pub use trouble::{Side, Trouble};
pub use verify::Expected;
