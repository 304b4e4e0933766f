//! Findings as people read them: the source line shown, the place marked.

use super::{Diagnostic, Severity};
use crate::source::{File, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// All findings with the lines they point at, as text; with escape codes if `color`.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], files: &[File], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&renderer.render(&[group(diagnostic, files)]));
        text.push('\n');
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, files: &'a [File]) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    // Places in one file share a snippet, so that lines appear in their order.
    let mut names: Vec<&str> = vec![&diagnostic.primary.file];
    names.extend(diagnostic.related.iter().map(|related| &*related.span.file));
    let mut shown: Vec<&str> = Vec::new();
    for name in names {
        if shown.contains(&name) {
            continue;
        }
        shown.push(name);
        group = match files.iter().find(|file| file.name == name) {
            Some(file) if !file.text.is_empty() => group.element(snippet(diagnostic, file)),
            _ => group.element(Origin::path(name)),
        };
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

fn snippet<'a>(diagnostic: &'a Diagnostic, file: &'a File) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let mut snippet = Snippet::source(file.text.as_str()).path(file.name.as_str());
    if *diagnostic.primary.file == *file.name {
        snippet = snippet.annotation(AnnotationKind::Primary.span(shown_range(&diagnostic.primary, &file.text)));
    }
    for related in diagnostic.related.iter().filter(|related| *related.span.file == *file.name) {
        let range = shown_range(&related.span, &file.text);
        snippet = snippet.annotation(AnnotationKind::Context.span(range).label(related.message.as_str()));
    }
    snippet
}

/// The span's part on its first line, within the text and on character boundaries, whatever it was.
fn shown_range(span: &Span, text: &str) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    let end = floor(span.end).max(start);
    let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    start..end.min(line_end)
}
