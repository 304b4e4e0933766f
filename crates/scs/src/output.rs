//! The one printer: data to standard output, everything else to standard error.

pub mod failure;
pub mod plan;
pub mod progress;
pub mod table;
pub mod text;

use crate::exit::Failure;
use crate::settings::Screen;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::io::{self, Write as _};

/// Green: as wanted.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Yellow: worth a look.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// Red: wrong, or goes away.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Cyan: what was asked for, names.
pub const NAME: Style = AnsiColor::Cyan.on_default();
/// Dim: detail.
pub const DIM: Style = Style::new().dimmed();
/// Bold: headings.
pub const BOLD: Style = Style::new().bold();

/// Writes for people and programs.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// What the screen can do.
    pub screen: Screen,
}

impl Printer {
    /// Data: one line to standard output.
    ///
    /// # Errors
    /// Where nobody reads, or the disk behind it is full.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.write_all(b"\n")).map_err(|e| unwritten(&e))
    }

    /// Data: bytes as they are.
    ///
    /// # Errors
    /// Where nobody reads, or the disk behind it is full.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|e| unwritten(&e))
    }

    /// Data: a document as indented JSON.
    ///
    /// # Errors
    /// Where nobody reads, or the disk behind it is full.
    pub fn json(&self, document: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string_pretty(document).expect("our own types serialise"))
    }

    /// Data: a document as one line of JSON.
    ///
    /// # Errors
    /// Where nobody reads, or the disk behind it is full.
    pub fn json_line(&self, document: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(document).expect("our own types serialise"))
    }

    /// Something worth knowing, to standard error; silent with `-q`.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.screen.quiet {
            say(text.as_ref());
        }
    }

    /// A warning, to standard error, whatever `-q` says.
    pub fn warn(&self, text: impl AsRef<str>) {
        say(&format!("{} {}", self.err(ODD, "warning:"), text.as_ref()));
    }

    /// Text in a style, for standard output.
    #[must_use]
    pub fn out(&self, style: Style, text: impl std::fmt::Display) -> String {
        styled(self.screen.stdout_color, style, text)
    }

    /// Text in a style, for standard error.
    #[must_use]
    pub fn err(&self, style: Style, text: impl std::fmt::Display) -> String {
        styled(self.screen.stderr_color, style, text)
    }

    /// Asks a yes-or-no question on the terminal; no is the answer to everything but a yes.
    #[must_use]
    pub fn confirm(&self, question: &str) -> bool {
        let mut stderr = io::stderr().lock();
        let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        asked.is_ok()
            && io::stdin().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}

/// Writes a line to standard error. Nobody is left to tell when that fails.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn styled(color: bool, style: Style, text: impl std::fmt::Display) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_string() }
}

fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::NobodyReads;
    }
    Failure::failed("cannot write to standard output").because(error).hint("see whether the disk is full")
}
