//! Pieces of a container's log put together to whole lines. Pure.
//!
//! The engine cuts lines at 16 KiB, and sends every piece with a time of its own before it and a line end after the last.

use crate::image::time;
use bytes::Bytes;
use scs_ports::engine::{LogChunk, Stream};
use std::time::SystemTime;

/// Bytes after which a line is passed on in parts, so that a container that never ends its line does not fill the memory.
const LONGEST: usize = 1 << 20;

/// The lines begun on both streams.
#[derive(Debug, Default)]
pub(super) struct Lines {
    stdout: Begun,
    stderr: Begun,
}

#[derive(Debug, Default)]
struct Begun {
    time: Option<SystemTime>,
    bytes: Vec<u8>,
}

impl Lines {
    /// Takes in a piece and gives out the lines that it ends.
    pub fn take_in(&mut self, stream: Stream, piece: &[u8]) -> Vec<LogChunk> {
        let begun = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut ended = Vec::new();
        for part in piece.split_inclusive(|it| *it == b'\n') {
            let (time, text) = split_time(part);
            begun.time = begun.time.or(time);
            begun.bytes.extend_from_slice(text);
            if text.ends_with(b"\n") || begun.bytes.len() >= LONGEST {
                ended.push(begun.end(stream));
            }
        }
        ended
    }

    /// The lines that were begun and will not be ended.
    pub fn rest(&mut self) -> Vec<LogChunk> {
        let both = [(&mut self.stdout, Stream::Stdout), (&mut self.stderr, Stream::Stderr)];
        let rest = both.into_iter().filter(|(it, _)| !it.bytes.is_empty()).map(|(it, stream)| it.end(stream));
        rest.collect()
    }
}

impl Begun {
    fn end(&mut self, stream: Stream) -> LogChunk {
        let Begun { time, mut bytes } = std::mem::take(self);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        // A terminal ends its lines with both.
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        LogChunk { stream, time, bytes: Bytes::from(bytes) }
    }
}

/// `2026-01-01T00:00:00.000000000Z text` in its two parts; a piece without a time is all text.
fn split_time(piece: &[u8]) -> (Option<SystemTime>, &[u8]) {
    // The longest form has 35 bytes: nine decimals and an offset.
    let Some(end) = piece.iter().take(36).position(|it| *it == b' ') else { return (None, piece) };
    let parsed = std::str::from_utf8(&piece[..end]).ok().and_then(time);
    if parsed.is_some() { (parsed, &piece[end + 1..]) } else { (None, piece) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&str], expected: &[&str]) {
        let mut lines = Lines::default();
        let mut all: Vec<_> = pieces.iter().flat_map(|it| lines.take_in(Stream::Stdout, it.as_bytes())).collect();
        all.extend(lines.rest());
        let texts: Vec<_> = all.iter().map(|it| String::from_utf8_lossy(&it.bytes).into_owned()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn pieces_without_a_line_end_are_joined_and_keep_the_first_time() {
        let mut lines = Lines::default();
        assert_eq!(lines.take_in(Stream::Stdout, b"2026-01-01T00:00:01Z one ").len(), 0);
        let line = lines.take_in(Stream::Stdout, b"2026-01-01T00:00:02Z and two\n").remove(0);
        assert_eq!(&line.bytes[..], b"one and two");
        assert_eq!(line.time, time("2026-01-01T00:00:01Z"));
    }

    #[test]
    fn both_streams_are_kept_apart() {
        let mut lines = Lines::default();
        assert_eq!(lines.take_in(Stream::Stdout, b"2026-01-01T00:00:01Z out").len(), 0);
        let line = lines.take_in(Stream::Stderr, b"2026-01-01T00:00:01Z err\n").remove(0);
        assert_eq!((line.stream, &line.bytes[..]), (Stream::Stderr, &b"err"[..]));
    }

    #[test]
    fn a_last_line_without_an_end_and_empty_lines_are_given_out() {
        check(&["2026-01-01T00:00:01Z \n", "2026-01-01T00:00:01Z last"], &["", "last"]);
    }

    #[test]
    fn the_line_end_of_a_terminal_is_taken_off() {
        check(&["2026-01-01T00:00:01.123456789Z hello\r\n"], &["hello"]);
    }

    #[test]
    fn what_is_no_time_stays_in_the_text() {
        check(&["no time here\n"], &["no time here"]);
    }

    #[test]
    fn a_line_without_an_end_is_passed_on_in_parts() {
        let mut lines = Lines::default();
        assert_eq!(lines.take_in(Stream::Stdout, &vec![b'x'; LONGEST]).len(), 1);
    }
}
