//! Tickets that let a client resume a TLS session: with this server after a restart, or with another of the same registry, since their
//! keys follow from the registry's secret, whom the server trusts, and the time.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
    rand,
};
use rustls::server::ProducesTickets;

/// Keys change this often, and tickets of the key before are still taken.
const PERIOD: u64 = 6 * 3600;

pub(crate) struct Tickets {
    root: Prk,
}

/// Without keys.
impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl Tickets {
    pub(crate) fn new(secret: &[u8; 32], trust: &[u8; 32]) -> Self {
        Self { root: Salt::new(HKDF_SHA256, trust).extract(secret) }
    }

    fn key(&self, period: u64) -> Option<LessSafeKey> {
        let info = [b"scs tls ticket".as_slice(), &period.to_be_bytes()];
        let key = self.root.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(key)))
    }

    fn seal(&self, plain: &[u8], period: u64) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let key = self.key(period)?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).ok()?;
        let mut ticket = period.to_be_bytes().to_vec();
        ticket.extend_from_slice(&nonce);
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (period, rest) = ticket.split_first_chunk()?;
        let period = u64::from_be_bytes(*period);
        if period != now && Some(period) != now.checked_sub(1) {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let key = self.key(period)?;
        let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        PERIOD as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, period())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, period())
    }
}

fn period() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_a_server_of_the_same_secret_and_trust_and_for_a_while() {
        let tickets = Tickets::new(&[1; 32], &[2; 32]);
        let ticket = tickets.seal(b"session", 100).unwrap();
        let restarted = Tickets::new(&[1; 32], &[2; 32]);
        assert_eq!(restarted.open(&ticket, 100).as_deref(), Some(b"session".as_slice()));
        assert_eq!(restarted.open(&ticket, 101).as_deref(), Some(b"session".as_slice()));
        assert_eq!(restarted.open(&ticket, 102), None, "its key is too old");
        assert_eq!(restarted.open(&ticket, 99), None, "it is from the future");
        assert_eq!(Tickets::new(&[1; 32], &[3; 32]).open(&ticket, 100), None, "others are trusted there");
        assert_eq!(Tickets::new(&[4; 32], &[2; 32]).open(&ticket, 100), None, "another registry");
    }

    #[test]
    fn what_is_no_ticket_is_not_taken() {
        let tickets = Tickets::new(&[1; 32], &[2; 32]);
        let mut ticket = tickets.seal(b"session", 1).unwrap();
        for length in 0..ticket.len() {
            assert_eq!(tickets.open(&ticket[..length], 1), None);
        }
        *ticket.last_mut().unwrap() ^= 1;
        assert_eq!(tickets.open(&ticket, 1), None);
    }
}
