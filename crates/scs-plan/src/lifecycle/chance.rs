//! Growing pauses with jitter, from a seed that is handed in.

use std::time::Duration;

/// A small random number generator (splitmix64): jitter and run ids need spread, not secrecy.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A run id: 12 hexadecimal digits, so that it is a DNS label and unlikely to come twice.
    pub(crate) fn run_id(&mut self) -> String {
        format!("{:012x}", self.next() >> 16)
    }

    /// `first`, doubled for every failure after the first up to `most`, a quarter more or less.
    pub(crate) fn pause(&mut self, failures: u32, first: Duration, most: Duration) -> Duration {
        let base = first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(most);
        let thousandths = 750 + u32::try_from(self.next() % 501).unwrap_or(0);
        base.saturating_mul(thousandths) / 1000
    }
}

/// FNV-1a: a fingerprint that stays the same from one version of this program to the next, as it is kept on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        for byte in number.to_be_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}
