//! Sizes as people write them: `512KiB`, `256MiB`, `20GiB`; decimal `kB`, `MB`, `GB`, `TB` too.

/// Units by name, in bytes.
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Reads a whole number and a unit; bytes, or `None` for anything else, or what overflows.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = text.get(digits..)?;
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*bytes)
}

/// Writes the largest binary unit that holds the value exactly.
#[must_use]
pub fn format(bytes: u64) -> String {
    for (unit, size) in UNITS.iter().take(4).rev() {
        if bytes > 0 && bytes.is_multiple_of(*size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("256MiB", Some(268_435_456)), ("1kB", Some(1000)), ("7B", Some(7)), ("0GiB", Some(0))] {
            assert_eq!(super::parse(text), bytes, "{text}");
        }
        for text in ["", "256", "MiB", "1.5GiB", "-1MiB", "1 MiB", "99999999999TiB", "1mib"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
        assert_eq!(super::format(268_435_456), "256MiB");
        assert_eq!(super::format(1001), "1001B");
    }
}
