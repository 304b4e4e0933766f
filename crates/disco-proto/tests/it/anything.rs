//! Whatever comes from a peer, the decoder answers and does not panic.

use disco_proto::{Frames, Message, decode, encode};
use proptest::prelude::*;

/// Lines that are nearly messages, as a mutated example is.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let examples: Vec<&'static str> = include_str!("../../../../docs/protocol.md")
        .lines()
        .filter_map(|line| line.strip_prefix("→ ").or_else(|| line.strip_prefix("← ")))
        .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..6);
    (prop::sample::select(examples), edits).prop_map(|(example, edits)| {
        let mut line = example.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(line.len().max(1));
            match kind {
                _ if line.is_empty() => line.push(byte),
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                _ => drop(line.remove(at)),
            }
        }
        line
    })
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(line in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&line);
    }

    #[test]
    fn what_is_nearly_a_message_is_decoded_or_refused(line in nearly()) {
        if let Ok(message) = decode(&line) {
            // What was understood can be said again and is understood the same.
            let mut written = Vec::new();
            encode(&message, &mut written);
            let again: Message = decode(&written[..written.len() - 1]).unwrap();
            prop_assert_eq!(again, message);
        }
    }

    #[test]
    fn lines_come_out_as_they_went_in(
        lines in prop::collection::vec("[a-z]{1,40}", 0..20),
        cuts in prop::collection::vec(1usize..50, 1..20),
    ) {
        let stream: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let (mut frames, mut rest, mut out) = (Frames::new(), stream.as_slice(), Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            frames.push(now);
            rest = later;
            while let Some(line) = frames.next_line().unwrap() {
                out.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        prop_assert_eq!(out, lines);
    }
}
