//! The command line: options first, then the rest.

use crate::Failure;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What is left of the command line.
pub(crate) struct Arguments {
    rest: std::collections::VecDeque<OsString>,
}

impl Arguments {
    pub fn new(arguments: impl Iterator<Item = OsString>) -> Self {
        Arguments { rest: arguments.collect() }
    }

    /// The next argument, which must be text.
    pub fn next_text(&mut self) -> Result<String, Failure> {
        let next = self.rest.pop_front().ok_or_else(|| Failure::usage("an argument is missing"))?;
        next.into_string().map_err(|it| Failure::usage(format!("`{}` is not UTF-8", it.display())))
    }

    /// The next argument if it is an option; a `--` ends the options and is taken away.
    pub fn option(&mut self) -> Result<Option<String>, Failure> {
        let Some(next) = self.rest.front() else { return Ok(None) };
        if next == "--" {
            self.rest.pop_front();
            return Ok(None);
        }
        if next.as_encoded_bytes().starts_with(b"--") { self.next_text().map(Some) } else { Ok(None) }
    }

    /// An option's value, read by `parse`.
    pub fn value<T>(&mut self, option: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Failure> {
        let text = self.next_text().map_err(|_| Failure::usage(format!("the value of {option} is missing")))?;
        parse(&text).ok_or_else(|| Failure::usage(format!("`{text}` will not do as the value of {option}")))
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> Vec<OsString> {
        std::mem::take(&mut self.rest).into()
    }

    /// Everything that is left, as paths, of which there is at least one.
    pub fn paths(&mut self) -> Result<Vec<PathBuf>, Failure> {
        let paths: Vec<_> = self.rest().into_iter().map(PathBuf::from).collect();
        if paths.is_empty() { Err(Failure::usage("a path is missing")) } else { Ok(paths) }
    }
}

/// An option that a command does not have.
pub(crate) fn unknown(option: &str) -> Failure {
    Failure::usage(format!("there is no option {option}"))
}

/// Reads `250ms`, `30s`, `5m`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|it: char| !it.is_ascii_digit())?;
    let number: u64 = text[..unit].parse().ok()?;
    let millis = match &text[unit..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}
