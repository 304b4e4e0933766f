//! `docs/benchmarks.md`, of which each measurement writes its own part.

use crate::shell;
use anyhow::{Context, Result};
use std::fs;

/// Puts a part, under its heading, in place of what it said before.
pub fn keep(heading: &str, text: &str) -> Result<()> {
    let page = shell::root().join("docs/benchmarks.md");
    let before = fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    fs::write(&page, with(&before, heading, text)).with_context(|| format!("cannot write {}", page.display()))
}

fn with(page: &str, heading: &str, text: &str) -> String {
    let heading = format!("## {heading}\n");
    let part = format!("{heading}\n{}\n", text.trim());
    let Some(from) = page.find(&heading) else { return format!("{}\n\n{part}", page.trim_end()) };
    let rest = &page[from + heading.len()..];
    match rest.find("\n## ") {
        Some(to) => format!("{}{part}{}", &page[..from], &rest[to..]),
        None => format!("{}{part}", &page[..from]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_the_others_stay() {
        let page = with("# Title\n\nWords.\n", "One", "1");
        let page = with(&page, "Two", "2");
        assert_eq!(page, "# Title\n\nWords.\n\n## One\n\n1\n\n## Two\n\n2\n");
        assert_eq!(with(&page, "One", "new\n\nlines"), "# Title\n\nWords.\n\n## One\n\nnew\n\nlines\n\n## Two\n\n2\n");
        assert_eq!(with(&page, "Two", "new"), "# Title\n\nWords.\n\n## One\n\n1\n\n## Two\n\nnew\n");
    }
}
