//! Tables for people: no frames, the last column wraps or is cut where the terminal is narrow.

use comfy_table::{ContentArrangement, Table, presets};

/// A table without frames, as wide as it has to be.
#[must_use]
pub fn new(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table as text, without blanks at the ends of lines.
#[must_use]
pub fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
