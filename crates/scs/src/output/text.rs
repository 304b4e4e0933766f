//! Times, sizes and digests as people read them.

use std::time::{Duration, SystemTime};

/// How long ago: `4s`, `12m`, `3h`, `5d`.
#[must_use]
pub fn age(since: SystemTime, now: SystemTime) -> String {
    let seconds = now.duration_since(since).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A point in time in UTC, to the second.
#[must_use]
pub fn time(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A point in time in UTC, to the millisecond.
#[must_use]
pub fn precise_time(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// A number of bytes: `4.2 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Lossy on purpose: one digit after the point is shown.
    #[allow(clippy::cast_precision_loss)]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A duration: `0.9s`, `61.0s`.
#[must_use]
pub fn took(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// A digest short enough for a table.
#[must_use]
pub fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// The text in at most `width` characters, cut with an ellipsis.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A moment as it is typed: a time, or how long ago.
///
/// # Errors
/// Says what would do where it is neither.
pub fn moment(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.into());
    }
    if let Ok(at) = text.parse::<jiff::civil::DateTime>()
        && let Ok(at) = at.to_zoned(jiff::tz::TimeZone::UTC)
    {
        return Ok(at.timestamp().into());
    }
    scs_manifest::duration::parse(text)
        .and_then(|ago| now.checked_sub(ago))
        .ok_or_else(|| format!("`{text}` is neither a time (2026-01-31T12:00:00Z) nor how long ago (5m)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ages = [5, 65, 7_200, 260_000].map(|seconds| age(now - Duration::from_secs(seconds), now));
        assert_eq!(ages, ["5s", "1m", "2h", "3d"]);
    }

    #[test]
    fn moments_are_times_or_ages() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert_eq!(moment("5m", now), Ok(now - Duration::from_secs(300)));
        assert_eq!(moment("2001-09-09T01:46:40Z", SystemTime::UNIX_EPOCH), Ok(now));
        assert!(moment("yesterday", now).unwrap_err().contains("yesterday"));
    }

    #[test]
    fn sizes_have_one_digit_after_the_point() {
        assert_eq!([0, 1023, 1536, 5 << 30].map(size), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }
}
