//! Where the API of a server is: `https://HOST[:PORT]`, or `unix:PATH` on the server's own machine.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Port of the API where none is named.
pub const PORT: u16 = 9641;

/// Where the API of a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Address {
    /// Over TLS.
    Https {
        /// Name or IP address; an IPv6 address without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A socket on this machine.
    Unix(PathBuf),
}

impl Address {
    /// `HOST:PORT` as it is connected to; `None` for a socket.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        match self {
            Self::Https { host, port } if host.contains(':') => Some(format!("[{host}]:{port}")),
            Self::Https { host, port } => Some(format!("{host}:{port}")),
            Self::Unix(_) => None,
        }
    }
}

/// A text is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a server: `https://HOST[:PORT]`, or `unix:/PATH/scs.sock` on its own machine")]
pub struct NotAnAddress(String);

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let wrong = || NotAnAddress(text.chars().take(200).collect());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(wrong()) };
        }
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(wrong)?) })
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
        if host.is_empty() || !named {
            return Err(wrong());
        }
        let port = port.map_or(Ok(PORT), |port| port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong))?;
        Ok(Self::Https { host: host.to_ascii_lowercase(), port })
    }
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Https { .. } => write!(f, "https://{}", self.authority().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (text, shown) in [
            ("https://198.51.100.11", "https://198.51.100.11:9641"),
            ("https://Scs.Example.org:443/", "https://scs.example.org:443"),
            ("https://[2001:db8::1]:9641", "https://[2001:db8::1]:9641"),
            ("unix:///run/scs.sock", "unix:/run/scs.sock"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "http://a",
            "https://",
            "https://a:0",
            "https://a:port",
            "https://[::1",
            "unix:relative",
            "https://a/b",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
