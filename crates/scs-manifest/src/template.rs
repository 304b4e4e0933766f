//! Templates in the values of environment variables: `http://{{ provide.http.address }}/`.
//!
//! An expression is a dotted name, or a quoted text, which stands for itself: `{{ "{{" }}` gives two braces. That is the
//! whole language; what needs more belongs in the image.

#[cfg(test)]
mod tests;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// Stands for itself.
    Text(&'a str),
    /// A name to look up, e.g. `require.mysql.host`.
    Name {
        /// The name.
        name: &'a str,
        /// The expression with its braces, where it stands in the template.
        range: std::ops::Range<usize>,
    },
}

/// Why a template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Braces that do not close.
    #[error("`{text}` has no closing `}}}}`")]
    Unclosed {
        /// The braces and what follows them.
        text: String,
        /// Byte of the opening braces.
        at: usize,
    },
    /// Something between the braces that is no name.
    #[error("`{text}` is no expression: write a name such as require.mysql.host")]
    Syntax {
        /// What stands there.
        text: String,
        /// Byte of the opening braces.
        at: usize,
    },
    /// A name that nobody knows.
    #[error("`{name}` is not known")]
    Unknown {
        /// The name.
        name: String,
    },
}

/// Renders a template, asking for each name.
pub fn render(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Error> {
    let mut rendered = String::with_capacity(text.len());
    for part in parse(text)? {
        match part {
            Part::Text(text) => rendered.push_str(text),
            Part::Name { name, .. } => {
                rendered.push_str(&lookup(name).ok_or_else(|| Error::Unknown { name: name.to_owned() })?);
            }
        }
    }
    Ok(rendered)
}

/// Replaces only the names that are known; the result is a template for the others.
pub fn render_known(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Error> {
    let mut rendered = String::with_capacity(text.len());
    // Neighboring texts are escaped together, or `{` and `{` would make an opening that neither of them was.
    let mut literal = String::new();
    for part in parse(text)? {
        match part {
            Part::Text(text) => literal.push_str(text),
            Part::Name { name, .. } => match lookup(name) {
                Some(value) => literal.push_str(&value),
                None => {
                    rendered.push_str(&escape(&std::mem::take(&mut literal)));
                    rendered.push_str(&format!("{{{{ {name} }}}}"));
                }
            },
        }
    }
    rendered.push_str(&escape(&literal));
    Ok(rendered)
}

/// The template that renders to exactly this text, whatever template follows it.
#[must_use]
pub fn escape(text: &str) -> String {
    let escaped = text.replace("{{", r#"{{ "{{" }}"#);
    match escaped.strip_suffix('{') {
        Some(rest) => format!(r#"{rest}{{{{ "{{" }}}}"#),
        None => escaped,
    }
}

/// Takes a template apart.
pub fn parse(text: &str) -> Result<Vec<Part<'_>>, Error> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let open = at + found;
        if open > at {
            parts.push(Part::Text(&text[at..open]));
        }
        let (part, end) = expression(text, open)?;
        parts.push(part);
        at = end;
    }
    if at < text.len() {
        parts.push(Part::Text(&text[at..]));
    }
    Ok(parts)
}

/// The expression whose braces open there, and where it ends.
fn expression(text: &str, open: usize) -> Result<(Part<'_>, usize), Error> {
    let inside = &text[open + 2..];
    // Enough to find it by, in an error.
    let unclosed = || Error::Unclosed { text: text[open..].chars().take(30).collect(), at: open };
    let start = open + 2 + (inside.len() - inside.trim_start().len());
    let rest = &text[start..];
    if let Some(quote) = rest.chars().next().filter(|c| "\"'".contains(*c)) {
        let length = rest[1..].find(quote).ok_or_else(unclosed)?;
        let after = &rest[1 + length + 1..];
        let trimmed = after.trim_start();
        let end = text.len() - trimmed.len();
        if !trimmed.starts_with("}}") {
            return Err(Error::Syntax { text: rest[..length + 2].to_owned(), at: open });
        }
        return Ok((Part::Text(&rest[1..=length]), end + 2));
    }
    let length = inside.find("}}").ok_or_else(unclosed)?;
    let name = inside[..length].trim();
    let end = open + 2 + length + 2;
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !name.split('.').all(is_part) {
        return Err(Error::Syntax { text: name.to_owned(), at: open });
    }
    Ok((Part::Name { name, range: open..end }, end))
}
