//! Paths with whatever was typed in them, escaped.

use std::fmt::Write as _;

/// A path with a query; pairs without a value are left out.
#[must_use]
pub fn query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut text = path.to_owned();
    let mut separator = '?';
    for (name, value) in pairs {
        if let Some(value) = value {
            let _ = write!(text, "{separator}{name}={}", escape(value));
            separator = '&';
        }
    }
    text
}

/// Percent-encodes all but the unreserved characters.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_stays_one_part_of_the_path() {
        assert_eq!(escape("../x?y"), "..%2Fx%3Fy");
        let pairs = [("a", Some("1 &2".to_owned())), ("b", None), ("c", Some("ü".to_owned()))];
        assert_eq!(query("/v1/logs", &pairs), "/v1/logs?a=1%20%262&c=%C3%BC");
    }
}
