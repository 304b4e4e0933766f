//! Bounds that the types alone do not promise.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{limits, name::Invalid};

/// An instance: 1 to 253 of letters, digits, `.`, `_` and `-`.
pub(crate) fn check_instance(instance: &str) -> Result<(), Invalid> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !instance.is_empty() && instance.len() <= limits::TEXT && instance.bytes().all(valid) {
        Ok(())
    } else {
        Err(Invalid::Text { what: "instance", rule: "1 to 253 of letters, digits, `.`, `_` and `-`" })
    }
}

pub(crate) fn check_host(host: &str) -> Result<(), Invalid> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let name = !host.is_empty() && host.len() <= limits::TEXT && host.bytes().all(valid);
    // A zone (`fe80::1%eth0`) means nothing on another host, and `IpAddr` refuses it.
    if name || host.parse::<IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(Invalid::Text { what: "host", rule: "an IPv4 address, an IPv6 address without brackets, or a host name" })
    }
}

pub(crate) fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let fits = |(name, value): (&String, &String)| {
        let bounded = |text: &str| text.len() <= limits::ATTRIBUTE && !text.chars().any(char::is_control);
        !name.is_empty() && bounded(name) && bounded(value)
    };
    if attributes.len() <= limits::ATTRIBUTES && attributes.iter().all(fits) {
        Ok(())
    } else {
        Err(Invalid::Text {
            what: "attributes",
            rule: "at most 64, each name and value at most 1024 bytes without control characters",
        })
    }
}

pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), Invalid> {
    if !text.is_empty() && text.len() <= limits::TEXT && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Invalid::Text { what, rule: "1 to 253 bytes without control characters" })
    }
}
