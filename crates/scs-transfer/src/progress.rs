//! How far rsync has come, read from what it prints.

use scs_api::transfer::Progress;

/// A line of `--info=progress2`, e.g. `   32768  45%   12.34MB/s    0:00:12 (xfr#5, to-chk=169/396)`.
pub(crate) fn line(line: &str) -> Option<Progress> {
    let mut words = line.split_whitespace();
    let bytes = words.next()?.replace(',', "").parse().ok()?;
    let percent = words.next()?.strip_suffix('%')?.parse().ok()?;
    let rate = rate(words.next()?)?;
    Some(Progress { bytes, percent, rate })
}

fn rate(word: &str) -> Option<u64> {
    let word = word.strip_suffix("B/s")?;
    let (number, unit) = match word.char_indices().next_back()? {
        (at, 'k' | 'K') => (&word[..at], 1024.0),
        (at, 'M') => (&word[..at], 1024.0 * 1024.0),
        (at, 'G') => (&word[..at], 1024.0 * 1024.0 * 1024.0),
        _ => (word, 1.0),
    };
    let number: f64 = number.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and saturating is what is meant"
    )]
    let bytes = (number * unit) as u64;
    Some(bytes)
}

/// A line of `--stats`: bytes of the files that differed.
pub(crate) fn transferred(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("Total transferred file size:")?;
    rest.split_whitespace().next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rsync_prints_is_understood_whatever_else_it_prints() {
        let seen = line("      32,768  45%   12.50MB/s    0:00:12 (xfr#5, to-chk=169/396)");
        assert_eq!(seen, Some(Progress { bytes: 32768, percent: 45, rate: 13_107_200 }));
        assert_eq!(line("0   0%    0.00kB/s    0:00:00"), Some(Progress::default()));
        for other in ["", "Number of files: 2", "1 2 3", "x 45% 1MB/s", "1 45% -1MB/s", "1 999% 1MB/s", "1 5% infB/s"] {
            assert_eq!(line(other), None, "{other:?}");
        }
        assert_eq!(transferred("Total transferred file size: 1,003 bytes"), Some(1003));
        assert_eq!(transferred("Total file size: 3 bytes"), None);
    }
}
