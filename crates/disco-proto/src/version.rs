//! The fingerprint of an endpoint.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::Endpoint;

/// A fingerprint of an endpoint's content. Two servers that hold the same endpoint say the same version, so a
/// client that resumes elsewhere is sent nothing it has. Sixteen hexadecimal digits on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The fingerprint of everything in `endpoint` but its version: FNV-1a over the fields, each ended by a byte that is
    /// not UTF-8. It guards against missed changes, not against forgery.
    pub fn of(endpoint: &Endpoint) -> Self {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        hash.text(&endpoint.name.environment);
        hash.text(&endpoint.name.service);
        hash.text(&endpoint.name.role);
        hash.text(&endpoint.name.endpoint);
        hash.text(&endpoint.instance);
        hash.text(&endpoint.host);
        hash.bytes(&endpoint.port.to_be_bytes());
        hash.bytes(&[endpoint.protocol as u8, endpoint.health as u8, u8::from(endpoint.suspect)]);
        for (attribute, value) in &endpoint.attributes {
            hash.text(attribute);
            hash.text(value);
        }
        Self(hash.0)
    }
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version of 16 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
                let valid = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                match u64::from_str_radix(text, 16) {
                    Ok(number) if valid => Ok(Version(number)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
