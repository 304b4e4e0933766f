//! Session tokens: HMAC-SHA-256 over the session's id with the registry's secret, so that every server of one registry can verify
//! them without having seen them.

use sha2::{Digest, Sha256};

const BLOCK: usize = 64;

/// The token of a session, in hexadecimal.
pub(crate) fn of(secret: &[u8; 32], session: &str) -> String {
    let pad = |byte: u8| {
        let mut block = [byte; BLOCK];
        block.iter_mut().zip(secret).for_each(|(b, s)| *b ^= s);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(session).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

/// Whether a token is the session's, in a time that does not tell how much of it was right.
pub(crate) fn verifies(secret: &[u8; 32], session: &str, token: &str) -> bool {
    let expected = of(secret, session);
    expected.len() == token.len() && expected.bytes().zip(token.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 6 shortened to a key of 32 bytes, computed with Python's `hmac`.
    #[test]
    fn a_token_is_an_hmac() {
        assert_eq!(
            of(&[0xaa; 32], "what do ya want for nothing?"),
            "40f7684c3cbd90ba46f70247ca1d7cc692d673f434b66926a93c7f224ec74a5e"
        );
    }

    #[test]
    fn a_token_of_another_session_or_secret_does_not_verify() {
        let token = of(&[1; 32], "a");
        assert!(verifies(&[1; 32], "a", &token));
        assert!(!verifies(&[1; 32], "b", &token));
        assert!(!verifies(&[2; 32], "a", &token));
        assert!(!verifies(&[1; 32], "a", ""));
    }
}
