//! Points in time on the wire: RFC 3339 in UTC (`2026-01-31T12:00:00.25Z`), as precise as they are known.
//!
//! For fields: `#[serde(with = "crate::time")]`, and `#[serde(default, with = "crate::time::maybe")]` where there may be none.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::SystemTime;

/// Writes one.
pub(crate) fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    timestamp(*at).serialize(serializer)
}

/// Reads one.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    Timestamp::deserialize(deserializer).map(SystemTime::from)
}

/// A clock that is beyond the year 9999 is no reason to answer nothing at all.
fn timestamp(at: SystemTime) -> Timestamp {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(bound)
}

/// The same where there may be none.
pub(crate) mod maybe {
    use super::{Deserialize, Deserializer, Serialize, Serializer, SystemTime, Timestamp, timestamp};

    #[allow(clippy::ref_option, reason = "what serde calls it with")]
    pub(crate) fn serialize<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(timestamp).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        Ok(Option::<Timestamp>::deserialize(deserializer)?.map(SystemTime::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Seen {
        #[serde(with = "crate::time")]
        at: SystemTime,
        #[serde(default, with = "crate::time::maybe")]
        ended: Option<SystemTime>,
    }

    fn written(seen: &Seen) -> String {
        serde_json::to_string(seen).unwrap()
    }

    #[test]
    fn times_are_rfc_3339_in_utc_and_read_back_as_the_same() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_250);
        let seen = Seen { at, ended: Some(at - Duration::from_nanos(1)) };
        let text = written(&seen);
        assert_eq!(text, r#"{"at":"2001-09-09T01:46:40.25Z","ended":"2001-09-09T01:46:40.249999999Z"}"#);
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
    }

    #[test]
    fn what_has_no_time_says_so() {
        let seen = Seen { at: SystemTime::UNIX_EPOCH, ended: None };
        assert_eq!(written(&seen), r#"{"at":"1970-01-01T00:00:00Z","ended":null}"#);
        assert_eq!(serde_json::from_str::<Seen>(r#"{"at":"1970-01-01T01:00:00+01:00"}"#).unwrap(), seen);
    }

    #[test]
    fn a_clock_beyond_all_calendars_is_written_as_the_last_moment() {
        let seen = Seen { at: SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40), ended: None };
        assert!(written(&seen).contains("9999-12-30"), "{}", written(&seen));
    }
}
