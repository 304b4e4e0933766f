//! What passes over the WebSocket of a command in a container: binary messages, whose first byte is their channel.
//!
//! | channel | from | content |
//! |---|---|---|
//! | 0 | client | bytes for standard input |
//! | 1 | server | bytes of standard output, or of the terminal |
//! | 2 | server | bytes of standard error |
//! | 3 | client | size of the terminal: columns and rows, two big-endian u16 |
//! | 4 | client | end of standard input |
//! | 9 | server | exit code, a big-endian i64; the last message |
//! | 10 | server | a [`Problem`] as JSON; the last message |

use crate::error::Problem;
use bytes::{Bytes, BytesMut};

/// The largest piece of input that is taken at once.
pub const LARGEST: usize = 1 << 20;

mod channel {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const RESIZE: u8 = 3;
    pub(super) const END: u8 = 4;
    pub(super) const EXIT: u8 = 9;
    pub(super) const PROBLEM: u8 = 10;
}

/// What goes into a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Bytes for its standard input.
    Data(Bytes),
    /// Its terminal has another size now.
    Resize {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// Its standard input ends.
    End,
}

/// What comes out of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes of its standard output, or of its terminal.
    Stdout(Bytes),
    /// Bytes of its standard error.
    Stderr(Bytes),
    /// It has ended.
    Exit(i64),
    /// It could not be run, or followed to its end.
    Failed(Problem),
}

impl Input {
    /// The message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Data(bytes) => message(channel::STDIN, bytes),
            Self::Resize { columns, rows } => {
                let [columns, rows] = [columns.to_be_bytes(), rows.to_be_bytes()];
                message(channel::RESIZE, &[columns, rows].concat())
            }
            Self::End => message(channel::END, &[]),
        }
    }

    /// What a message says; nothing where its channel is that of a later version, or its content none.
    #[must_use]
    pub fn decode(mut message: Bytes) -> Option<Self> {
        let channel = take_channel(&mut message)?;
        match channel {
            channel::STDIN => Some(Self::Data(message)),
            channel::RESIZE => {
                let size: [u8; 4] = message.as_ref().try_into().ok()?;
                let [columns, rows] = [[size[0], size[1]], [size[2], size[3]]].map(u16::from_be_bytes);
                Some(Self::Resize { columns, rows })
            }
            channel::END => Some(Self::End),
            _ => None,
        }
    }
}

impl Output {
    /// The message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Stdout(bytes) => message(channel::STDOUT, bytes),
            Self::Stderr(bytes) => message(channel::STDERR, bytes),
            Self::Exit(code) => message(channel::EXIT, &code.to_be_bytes()),
            Self::Failed(problem) => {
                message(channel::PROBLEM, &serde_json::to_vec(problem).expect("a problem has text keys only"))
            }
        }
    }

    /// What a message says; nothing where its channel is that of a later version, or its content none.
    #[must_use]
    pub fn decode(mut message: Bytes) -> Option<Self> {
        let channel = take_channel(&mut message)?;
        match channel {
            channel::STDOUT => Some(Self::Stdout(message)),
            channel::STDERR => Some(Self::Stderr(message)),
            channel::EXIT => message.as_ref().try_into().map(i64::from_be_bytes).map(Self::Exit).ok(),
            channel::PROBLEM => serde_json::from_slice(&message).map(Self::Failed).ok(),
            _ => None,
        }
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Failed(_))
    }
}

fn take_channel(message: &mut Bytes) -> Option<u8> {
    (!message.is_empty()).then(|| message.split_to(1)[0])
}

fn message(channel: u8, content: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(1 + content.len());
    message.extend_from_slice(&[channel]);
    message.extend_from_slice(content);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn what_is_written_is_read_back() {
        for input in [Input::Data(Bytes::from_static(b"\0a")), Input::Resize { columns: 300, rows: 7 }, Input::End] {
            assert_eq!(Input::decode(input.encode()), Some(input));
        }
        let problem = Problem::new(Code::Failed, "it ended").hint("look");
        let bytes = Bytes::from_static(b"x");
        for output in [Output::Stdout(bytes.clone()), Output::Stderr(bytes), Output::Exit(-3), Output::Failed(problem)]
        {
            assert_eq!(Output::decode(output.encode()), Some(output));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_description() {
        assert_eq!(Input::Resize { columns: 258, rows: 3 }.encode().as_ref(), [3, 1, 2, 0, 3]);
        assert_eq!(Input::End.encode().as_ref(), [4]);
        assert_eq!(Output::Exit(1).encode().as_ref(), [9, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn what_makes_no_sense_says_nothing() {
        for message in [&[][..], &[3, 1], &[77, 1], &[1]] {
            assert_eq!(Input::decode(Bytes::copy_from_slice(message)), None, "{message:?}");
        }
        for message in [&[][..], &[9, 1], &[10, b'{'], &[0]] {
            assert_eq!(Output::decode(Bytes::copy_from_slice(message)), None, "{message:?}");
        }
    }
}
