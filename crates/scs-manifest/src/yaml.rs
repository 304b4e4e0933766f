//! From a file's text to a tree, with everything bounded that a hostile or broken file could blow up.

mod builder;
#[cfg(test)]
mod tests;

use crate::diagnostic::Diagnostic;
use crate::source::{File, Span};
use crate::tree::Node;
use builder::Builder;
use granit_parser::{ErrorKind, Parser, ScanError};
use std::sync::Arc;

/// No manifest written by hand comes near this; a tenth of it is already a long book chapter.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest documented key is at depth 8; parameters may nest further. Low enough for recursion on any stack.
pub const MAX_DEPTH: usize = 64;
/// Values in a file, those that aliases repeat included: bounds memory at some 20 MB.
pub const MAX_NODES: usize = 100_000;

/// The tree of a file, or `None` when it has none. Findings are appended; a tree may come with errors, so that what else
/// is wrong can be found in the same pass.
pub fn parse(file: &File, found: &mut Vec<Diagnostic>) -> Option<Node> {
    if file.text.len() > MAX_BYTES {
        found.push(
            Diagnostic::error(
                &file.span(),
                format!("{} has {} bytes; a manifest has at most {MAX_BYTES}", file.name, file.text.len()),
            )
            .help("is this the right file?"),
        );
        return None;
    }
    // The parser's own bounds are one above ours, so that ours answer, with a better message.
    let options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
        emit_comments: false,
    };
    let mut builder = Builder::new(Arc::from(file.name.as_str()));
    for event in Parser::new_from_str_with_options(&file.text, options) {
        let outcome = match event {
            Ok((event, span)) => builder.event(&event, span, found),
            Err(error) => Err(scan_error(&error, file)),
        };
        if let Err(fatal) = outcome {
            found.push(*fatal);
            return None;
        }
    }
    let root = builder.finish();
    if root.is_none() && !found.iter().any(|finding| *finding.primary.file == *file.name) {
        found.push(Diagnostic::error(&file.span(), format!("{} is empty", file.name)));
    }
    root
}

fn scan_error(error: &ScanError, file: &File) -> Box<Diagnostic> {
    let mark = error.marker();
    let message = match error.kind() {
        // The parser looks ahead, so that its bound can be met before ours.
        ErrorKind::RecursionLimitExceeded => format!("nested deeper than {MAX_DEPTH} levels"),
        _ => format!("not YAML: {}", error.info()),
    };
    let at = mark.byte_offset().unwrap_or(0).min(file.text.len());
    let span =
        Span { file: Arc::from(file.name.as_str()), start: at, end: at, line: mark.line(), column: mark.col() + 1 };
    let rest = file.text.get(at..).unwrap_or("");
    let indent_is_tab = rest.starts_with('\t') || file.text.get(..at).is_some_and(|before| before.ends_with('\t'));
    let help = indent_is_tab.then(|| "YAML is indented with spaces, never with tabs".to_owned());
    Box::new(Diagnostic::error(&span, message).maybe_help(help))
}
