//! Whatever comes from a peer: cut into the same lines wherever the network cut it, each understood or refused, and what was
//! understood is said again in words that mean the same.

use disco_proto::{Frames, codec::TooLong, decode, encode};

/// Panics where one of that does not hold.
pub fn check(stream: &[u8]) {
    let (whole, end) = lines(stream, stream.len().max(1));
    // Sizes around nothing in particular; the first byte chooses, so that a fuzzer can.
    let step = 1 + usize::from(stream.first().copied().unwrap_or(0)) % 23;
    assert_eq!(lines(stream, step), (whole.clone(), end), "cut into pieces of {step} bytes");
    for line in &whole {
        let Ok(message) = decode(line) else { continue };
        let mut written = Vec::new();
        encode(&message, &mut written);
        assert_eq!(written.pop(), Some(b'\n'));
        assert!(!written.contains(&b'\n'), "one message is one line");
        let again = decode(&written).unwrap_or_else(|broken| {
            panic!("{}\nis not understood any more: {}", String::from_utf8_lossy(&written), broken.failure)
        });
        assert_eq!(again, message, "said again: {}", String::from_utf8_lossy(&written));
    }
}

fn lines(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<TooLong>) {
    let (mut frames, mut lines) = (Frames::new(), Vec::new());
    for piece in stream.chunks(step) {
        frames.push(piece);
        loop {
            match frames.next_line() {
                Ok(Some(line)) => lines.push(line.to_vec()),
                Ok(None) => break,
                Err(error) => return (lines, Some(error)),
            }
        }
    }
    (lines, None)
}
