//! Single values: text, numbers, names, durations, sizes.

use super::{Reader, Spanned};
use crate::diagnostic::{Diagnostic, choices, suggest};
use crate::tree::{Kind, Node, Scalar, Value};
use crate::{duration, size};
use std::time::Duration;

/// Longer waits are slips of the pen, and sums of them would overflow clocks.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

impl Reader {
    fn scalar<'a>(&mut self, node: &'a Node, expected: &str) -> Option<&'a Scalar> {
        match &node.value {
            Value::Scalar(scalar) if scalar.kind != Kind::Null => Some(scalar),
            _ => {
                self.error(&node.span, format!("expected {expected}, found {}", node.described()));
                None
            }
        }
    }

    /// Text, and no number or truth value that only looks like it.
    pub(crate) fn text(&mut self, node: &Node) -> Option<String> {
        let scalar = self.scalar(node, "text")?;
        if scalar.kind == Kind::Text {
            return Some(scalar.text.clone());
        }
        let finding = Diagnostic::error(&node.span, format!("expected text, found {}", node.described()));
        self.push(finding.help(format!("quote it to make it text: \"{}\"", scalar.text)));
        None
    }

    /// Text that is not empty.
    pub(crate) fn filled(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.is_empty() {
            self.error(&node.span, "this is empty");
            return None;
        }
        Some(text)
    }

    /// Any single value, as it was written.
    pub(crate) fn written(&mut self, node: &Node) -> Option<String> {
        self.scalar(node, "a single value").map(|scalar| scalar.text.clone())
    }

    pub(crate) fn truth(&mut self, node: &Node) -> Option<bool> {
        let scalar = self.scalar(node, "true or false")?;
        if let Kind::Bool(truth) = scalar.kind {
            return Some(truth);
        }
        let finding = Diagnostic::error(&node.span, format!("expected true or false, found `{}`", scalar.text));
        let meant = match scalar.text.to_lowercase().as_str() {
            "yes" | "on" => Some("write `true`".to_owned()),
            "no" | "off" => Some("write `false`".to_owned()),
            _ => None,
        };
        self.push(finding.maybe_help(meant));
        None
    }

    /// A whole number within bounds.
    pub(crate) fn count(&mut self, node: &Node, min: u64, max: u64) -> Option<u64> {
        let expected =
            if max == u64::MAX { "a whole number".to_owned() } else { format!("a whole number from {min} to {max}") };
        let scalar = self.scalar(node, &expected)?;
        let number = match &scalar.kind {
            Kind::Number(number) => number.as_u64().filter(|number| (min..=max).contains(number)),
            _ => None,
        };
        if number.is_none() {
            let quoted = scalar.kind == Kind::Text && matches!(Scalar::plain(&scalar.text).kind, Kind::Number(_));
            let help = quoted.then(|| format!("write it without quotes: {}", scalar.text));
            let message = format!("expected {expected}, found `{}`", scalar.text);
            self.push(Diagnostic::error(&node.span, message).maybe_help(help));
        }
        number
    }

    /// A whole number within bounds that fits 32 bits.
    pub(crate) fn count32(&mut self, node: &Node, min: u32, max: u32) -> Option<u32> {
        self.count(node, min.into(), max.into()).and_then(|count| u32::try_from(count).ok())
    }

    pub(crate) fn port(&mut self, node: &Node) -> Option<u16> {
        self.count(node, 1, u16::MAX.into()).and_then(|port| u16::try_from(port).ok())
    }

    /// A number above 0.
    pub(crate) fn positive(&mut self, node: &Node) -> Option<f64> {
        let scalar = self.scalar(node, "a number above 0")?;
        let number = match &scalar.kind {
            Kind::Number(number) => number.as_f64().filter(|number| *number > 0.0),
            _ => None,
        };
        if number.is_none() {
            self.error(&node.span, format!("expected a number above 0, found `{}`", scalar.text));
        }
        number
    }

    pub(crate) fn duration(&mut self, node: &Node) -> Option<Duration> {
        let scalar = self.scalar(node, "a duration such as 250ms, 30s or 5m")?;
        let help = match (&scalar.kind, duration::parse(&scalar.text)) {
            (Kind::Text, Some(duration)) if duration <= LONGEST => return Some(duration),
            (Kind::Text, Some(_)) => Some("a year is the longest".to_owned()),
            (Kind::Number(_), _) => Some(format!("give the unit: {}s", scalar.text)),
            _ => None,
        };
        let message = format!("expected a duration such as 250ms, 30s or 5m, found `{}`", scalar.text);
        self.push(Diagnostic::error(&node.span, message).maybe_help(help));
        None
    }

    /// A duration above 0.
    pub(crate) fn pause(&mut self, node: &Node) -> Option<Duration> {
        let duration = self.duration(node)?;
        if duration.is_zero() {
            self.error(&node.span, "this has to be longer than nothing");
            return None;
        }
        Some(duration)
    }

    /// Bytes.
    pub(crate) fn size(&mut self, node: &Node) -> Option<u64> {
        let scalar = self.scalar(node, "a size such as 256MiB")?;
        let help = match (&scalar.kind, size::parse(&scalar.text)) {
            (Kind::Text, Some(bytes)) if bytes > 0 => return Some(bytes),
            (Kind::Number(_), _) => Some(format!("give the unit: {}MiB", scalar.text)),
            _ => Some("units are B, KiB, MiB, GiB, TiB, kB, MB, GB and TB".to_owned()),
        };
        let message = format!("expected a size such as 256MiB, found `{}`", scalar.text);
        self.push(Diagnostic::error(&node.span, message).maybe_help(help));
        None
    }

    /// One word of a few.
    pub(crate) fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|(word, _)| *word);
        let scalar = self.scalar(node, &choices(names()))?;
        if let Some((_, value)) = words.iter().find(|(word, _)| scalar.kind == Kind::Text && *word == scalar.text) {
            return Some(*value);
        }
        let message = format!("expected {}, found `{}`", choices(names()), scalar.text);
        self.push(Diagnostic::error(&node.span, message).maybe_help(suggest(&scalar.text, names())));
        None
    }

    /// A DNS label, as every part of an endpoint's name is.
    pub(crate) fn label(&mut self, node: &Node) -> Option<Spanned<String>> {
        let text = self.text(node)?;
        self.check_label(&text, &node.span, "this name").then(|| Spanned::new(text, &node.span))
    }

    /// Whether it is a DNS label; reports it if not.
    pub(crate) fn check_label(&mut self, text: &str, span: &crate::source::Span, what: &str) -> bool {
        let fine = is_label(text);
        if !fine {
            let finding = Diagnostic::error(span, format!("{what}, `{text}`, is not a DNS label"));
            let lower = text.to_lowercase().replace(['_', '.', ' '], "-");
            let help = "lower-case letters, digits and inner hyphens, 63 at most".to_owned();
            self.push(finding.help(if is_label(&lower) { format!("{help}: `{lower}` would do") } else { help }));
        }
        fine
    }

    /// An absolute path inside a container.
    pub(crate) fn container_path(&mut self, node: &Node) -> Option<String> {
        let path = self.filled(node)?;
        let plain = path.split('/').skip(1).all(|part| part != ".." && part != ".");
        if !path.starts_with('/') || !plain || path.contains('\0') {
            self.error(&node.span, format!("expected an absolute path inside the container, found `{path}`"));
            return None;
        }
        Some(path)
    }

    /// A path inside the source or another directory, which it must not leave.
    pub(crate) fn inner_path(&mut self, node: &Node) -> Option<String> {
        let path = self.filled(node)?;
        if path.starts_with('/') || path.split('/').any(|part| part == "..") || path.contains('\0') {
            self.error(&node.span, format!("expected a relative path that stays inside its directory, found `{path}`"));
            return None;
        }
        Some(path)
    }

    /// Permission bits, written in octal: `0750`, `0o750` or `"750"`.
    pub(crate) fn mode(&mut self, node: &Node) -> Option<u32> {
        let scalar = self.scalar(node, "permission bits such as 0750")?;
        let digits = scalar.text.strip_prefix("0o").unwrap_or(&scalar.text);
        let octal = (3..=5).contains(&digits.len()) && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten().filter(|mode| *mode <= 0o7777);
        if mode.is_none() {
            self.error(&node.span, format!("expected permission bits such as 0750, found `{}`", scalar.text));
        }
        mode
    }
}

/// Whether a text is a DNS label: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, 63 bytes at most.
#[must_use]
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a text can be the name of an environment variable.
#[must_use]
pub(crate) fn is_variable(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a text can be the name of a secret, hence of a file.
#[must_use]
pub(crate) fn is_secret(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['.', '-'])
}
