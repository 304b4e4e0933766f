//! `.dockerignore`: which paths of a source do not count. Follows Docker's own matcher (moby/patternmatcher): patterns are
//! anchored at the root, match a path or one of its parent directories, `!` takes paths back in, the last match wins. Pure.

mod glob;

use glob::Glob;

/// The patterns of a `.dockerignore`.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    includes: bool,
    glob: Glob,
}

/// A pattern that Docker refuses too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern {
    /// Line, from 1.
    pub line: usize,
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub message: &'static str,
}

impl Ignore {
    /// Reads the text of a `.dockerignore`.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let mut patterns = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            // A comment starts in the first column: Docker looks for `#` before it trims.
            let pattern = line.trim();
            if line.starts_with('#') || pattern.is_empty() {
                continue;
            }
            let bad = |message| BadPattern { line: index + 1, pattern: pattern.to_owned(), message };
            let (includes, path) = match pattern.strip_prefix('!') {
                Some(rest) if rest.trim().is_empty() => return Err(bad("`!` needs a pattern")),
                Some(rest) => (true, rest.trim()),
                None => (false, pattern),
            };
            let cleaned = clean(path);
            let anchored = if cleaned.len() > 1 { cleaned.trim_start_matches('/') } else { &cleaned };
            patterns.push(Pattern { includes, glob: Glob::parse(anchored).map_err(bad)? });
        }
        Ok(Ignore { patterns })
    }

    /// Whether a path (with `/`, below the root) is left out.
    #[must_use]
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for pattern in &self.patterns {
            // A pattern that would change nothing need not be tried.
            if pattern.includes == excluded && with_parents(path).any(|path| pattern.glob.matches(path)) {
                excluded = !pattern.includes;
            }
        }
        excluded
    }

    /// Whether some pattern takes paths back in, so that an excluded directory has to be looked into all the same.
    #[must_use]
    pub fn includes_again(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.includes)
    }
}

/// The parent directories of a path, outermost first, and the path itself.
fn with_parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end]).chain(std::iter::once(path))
}

/// Shortest equal path by its text alone, as Go's `filepath.Clean` makes it.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests;
