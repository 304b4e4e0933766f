//! The table.

use std::{fmt::Write, time::Duration};

use crate::process::Cost;

/// One server's part of a row.
pub struct Cell {
    pub peer: &'static str,
    /// In words, with its unit.
    pub shown: String,
    /// To compare with: the smaller the better, or the larger.
    pub number: Option<f64>,
    pub cost: Option<Cost>,
}

/// Which numbers are good.
#[derive(Clone, Copy, PartialEq)]
pub enum Better {
    Smaller,
    Larger,
}

/// One row.
pub struct Row {
    pub what: String,
    pub better: Better,
    pub goal: &'static str,
    /// Whether our number meets it.
    pub met: Option<bool>,
    pub cells: Vec<Cell>,
    /// What the row does not say by itself: what limits it, what is not measured.
    pub note: Option<String>,
}

impl Row {
    fn cell(&self, peer: &str) -> String {
        let Some(cell) = self.cells.iter().find(|cell| cell.peer == peer) else { return "–".to_owned() };
        let shares = cell.cost.map(|cost| cost.shares());
        let shares = shares.map(|(server, load)| format!(" <br>{:.0} % / {:.0} %", server * 100.0, load * 100.0));
        format!("{}{}", cell.shown, shares.unwrap_or_default())
    }

    /// How many times better than the best peer.
    fn ratio(&self) -> String {
        let own = self.cells.iter().find(|cell| cell.peer == "disco").and_then(|cell| cell.number);
        let peers = self.cells.iter().filter(|cell| !cell.peer.starts_with("disco"));
        let best = peers.filter_map(|cell| Some((cell.number?, cell.peer))).min_by(|a, b| match self.better {
            Better::Smaller => a.0.total_cmp(&b.0),
            Better::Larger => b.0.total_cmp(&a.0),
        });
        match (own, best) {
            (Some(own), Some((number, peer))) => {
                let ratio = if self.better == Better::Smaller { number / own } else { own / number };
                format!("{ratio:.1} × {peer}")
            }
            _ => "–".to_owned(),
        }
    }
}

/// The whole table in Markdown.
pub fn table(rows: &[Row], peers: &[&str]) -> String {
    let mut text = format!("| what | {} | better than the best peer | goal | met |\n", peers.join(" | "));
    let _ = writeln!(text, "|---|{}---|---|---|", "---|".repeat(peers.len()));
    for row in rows {
        let cells: Vec<String> = peers.iter().map(|peer| row.cell(peer)).collect();
        let met = row.met.map_or("–", |met| if met { "yes" } else { "**no**" });
        let _ = writeln!(text, "| {} | {} | {} | {} | {met} |", row.what, cells.join(" | "), row.ratio(), row.goal);
    }
    text.push('\n');
    for row in rows {
        if let Some(note) = &row.note {
            let _ = writeln!(text, "- {}: {note}", row.what);
        }
    }
    text
}

/// What one server's cost comes to for each of so many things.
pub fn each(cost: Cost, count: usize) -> String {
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    format!("{:.1} µs of processor at the server and {:.1} µs at the load", micros(cost.server), micros(cost.load))
}

/// Milliseconds, as many digits as mean something.
pub fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        large if large >= 100.0 => format!("{large:.0} ms"),
        middle if middle >= 1.0 => format!("{middle:.1} ms"),
        small => format!("{small:.3} ms"),
    }
}

/// The value at a part of the whole, in thousandths.
pub fn at(times: &mut [Duration], thousandths: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * thousandths / 1000).min(times.len() - 1)]
}
