//! One pattern of `.dockerignore`: Go's `filepath.Match` with Docker's `**`. Matching takes time in proportion to pattern ×
//! path, whatever the pattern.

/// A compiled pattern. Which form it takes follows Docker's matcher, whose plain forms differ a little from its general
/// one (`**foo` matches `xfoo`, `**foo*` does not).
#[derive(Debug, Clone)]
pub(super) enum Glob {
    Exact(String),
    /// `foo/**`
    Prefix(String),
    /// `**/foo`
    Suffix(String),
    General(Vec<Token>),
}

#[derive(Debug, Clone)]
pub(super) enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `**/`: any number of whole directories, none included.
    Directories,
    /// `**` at the end.
    Rest,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    pub(super) fn parse(pattern: &str) -> Result<Self, &'static str> {
        let mut tokens = Vec::new();
        let mut literal = true;
        let mut suffix = false;
        let mut chars = pattern.chars().peekable();
        let mut first = true;
        while let Some(char) = chars.next() {
            let token = match char {
                '*' if chars.next_if_eq(&'*').is_some() => {
                    chars.next_if_eq(&'/');
                    let rest = chars.peek().is_none();
                    if rest && !first && literal && !suffix {
                        let stem = pattern.trim_end_matches('/').strip_suffix("**").unwrap_or(pattern);
                        return Ok(Glob::Prefix(stem.to_owned()));
                    }
                    suffix = first;
                    literal = literal && first;
                    if rest { Token::Rest } else { Token::Directories }
                }
                '*' => Token::Many,
                '?' => Token::One,
                '[' => class(&mut chars)?,
                '\\' => {
                    literal = false;
                    Token::Char(chars.next().ok_or("nothing follows the last `\\`")?)
                }
                char => Token::Char(char),
            };
            literal = literal && (matches!(token, Token::Char(_)) || (first && suffix));
            tokens.push(token);
            first = false;
        }
        Ok(match (literal, suffix) {
            (true, false) => Glob::Exact(pattern.to_owned()),
            (true, true) => Glob::Suffix(pattern[2..].to_owned()),
            (false, _) => Glob::General(tokens),
        })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Glob::Exact(exact) => path == exact,
            Glob::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Glob::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/').is_some_and(|name| path == name)
            }
            Glob::General(tokens) => general(tokens, path),
        }
    }
}

/// The inside of `[…]`, by the rules of Go's `filepath.Match`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "`[` is never closed";
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let one = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next() {
        None => Err(OPEN),
        Some('-' | ']') => Err("`-` and `]` inside of `[…]` need a `\\` before them"),
        Some('\\') => chars.next().ok_or(OPEN),
        Some(char) => Ok(char),
    };
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = one(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { one(chars)? } else { low };
        if low > high {
            return Err("a range of `[…]` runs backwards");
        }
        ranges.push((low, high));
    }
}

/// Follows all ways through the tokens at once. `at[i]`: token `i` comes next; `inside[i]`: within the directories of
/// token `i`, which may only be left after a `/`.
fn general(tokens: &[Token], path: &str) -> bool {
    let mut at = vec![false; tokens.len() + 1];
    let mut inside = vec![false; tokens.len() + 1];
    at[0] = true;
    skip_empty(tokens, &mut at);
    for char in path.chars() {
        let mut next_at = vec![false; at.len()];
        let mut next_inside = vec![false; at.len()];
        for (i, token) in tokens.iter().enumerate() {
            let here = at[i];
            match token {
                Token::Directories if here || inside[i] => {
                    next_inside[i] = true;
                    next_at[i + 1] |= char == '/';
                }
                Token::Many if here && char != '/' => next_at[i] = true,
                Token::Rest if here => next_at[i] = true,
                Token::Char(expected) if here && *expected == char => next_at[i + 1] = true,
                Token::One if here && char != '/' => next_at[i + 1] = true,
                Token::Class { negated, ranges }
                    if here && ranges.iter().any(|(low, high)| (*low..=*high).contains(&char)) != *negated =>
                {
                    next_at[i + 1] = true;
                }
                _ => {}
            }
        }
        skip_empty(tokens, &mut next_at);
        (at, inside) = (next_at, next_inside);
    }
    at[tokens.len()]
}

fn skip_empty(tokens: &[Token], at: &mut [bool]) {
    for (i, token) in tokens.iter().enumerate() {
        if at[i] && matches!(token, Token::Many | Token::Directories | Token::Rest) {
            at[i + 1] = true;
        }
    }
}
