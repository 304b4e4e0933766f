//! A short run over the committed corpus, for whoever has no `cargo fuzz`: every input as it is, then a bounded number of mutations of
//! them. The same each time, so that what fails once fails again.

use std::{fs, path::Path};

/// Feeds `fuzz/corpus/TARGET` and so many mutations to a check.
///
/// # Panics
/// When the check does, after the input was printed; and when there is no corpus.
pub fn run(target: &str, mutations: u64, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("an input can be read")).collect();
    assert!(corpus.len() > 3, "{} holds no corpus", folder.display());
    for (path, input) in paths.iter().zip(&corpus) {
        checked(check, input, &path.display().to_string());
    }
    let mut random = Random(0x5c5);
    for number in 0..mutations {
        checked(check, &mutated(&corpus, &mut random), &format!("mutation {number}"));
    }
}

#[expect(clippy::print_stderr, reason = "it is a failing test's nature to talk")]
fn checked(check: fn(&[u8]), input: &[u8], name: &str) {
    struct Told<'a>(&'a str, &'a [u8]);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!(
                    "{} fails; kept in fuzz/corpus, it will be tried each time:\n{}",
                    self.0,
                    self.1.escape_ascii()
                );
            }
        }
    }
    let _told = Told(name, input);
    check(input);
}

fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.one_of(corpus).clone();
    for _ in 0..=random.below(5) {
        let (at, other) = (random.below(input.len() + 1), random.one_of(corpus));
        let end = (at + random.below(40)).min(input.len());
        let from = random.below(other.len());
        let piece = &other[from..(from + random.below(40)).min(other.len())];
        match random.below(5) {
            0 => input.insert(at, random.byte()),
            1 if at < input.len() => input[at] = random.byte(),
            2 => drop(input.drain(at..end)),
            3 => drop(input.splice(at..at, piece.iter().copied())),
            _ => drop(input.splice(at..end, piece.iter().copied())),
        }
    }
    input
}

/// xorshift64*: repeatable, and good enough to break things with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { usize::try_from(self.next() % bound as u64).unwrap_or(0) }
    }

    /// As often a sign that means something to JSON or YAML as any other.
    fn byte(&mut self) -> u8 {
        const SIGNS: &[u8] = b"{}[]\",:'&*!|>-#%@\\\n\r\t 0e.+~\xc3\xa9\xef\xbb\xbf";
        if self.next().is_multiple_of(2) { SIGNS[self.below(SIGNS.len())] } else { self.next().to_le_bytes()[0] }
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
