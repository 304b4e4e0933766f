//! What builders print, read for the step that runs, its last lines, and what it leaves behind. Pure.

use super::LAST_LINES;
use std::collections::{BTreeMap, VecDeque};

/// The engine's own builder.
#[derive(Debug, Default)]
pub(super) struct Classic {
    begun: String,
    step: String,
    output: VecDeque<String>,
    cached: bool,
    made: Vec<String>,
}

impl Classic {
    /// Takes in a piece of what it prints; gives out the lines that it ends.
    pub fn take_in(&mut self, piece: &str) -> Vec<String> {
        self.begun.push_str(piece);
        let mut lines = Vec::new();
        while let Some(end) = self.begun.find('\n') {
            let line: String = self.begun.drain(..=end).collect();
            lines.extend(self.line(&line));
        }
        lines
    }

    /// The line that was begun and will not be ended.
    pub fn rest(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.begun);
        if line.is_empty() { None } else { self.line(&line) }
    }

    fn line(&mut self, line: &str) -> Option<String> {
        let line = without_colors(line);
        let line = line.trim_end();
        if let Some((_, step)) = line.strip_prefix("Step ").and_then(|it| it.split_once(" : ")) {
            step.clone_into(&mut self.step);
            self.output.clear();
            self.cached = false;
        } else if line == " ---> Using cache" {
            self.cached = true;
        } else if let Some(id) = line.strip_prefix(" ---> ").filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit())) {
            // A step `FROM` shows the image it starts with, which is not the build's.
            if !self.cached && !self.step.to_ascii_uppercase().starts_with("FROM") {
                self.made.push(id.to_owned());
            }
        } else if !line.starts_with(" ---> ") && !line.starts_with("Removing intermediate container ") {
            remember(&mut self.output, line);
        }
        (!line.is_empty() && !is_bookkeeping(line)).then(|| line.to_owned())
    }

    /// The instruction that runs, and the last lines it printed.
    pub fn step(&self) -> (String, Vec<String>) {
        (self.step.clone(), self.output.iter().cloned().collect())
    }

    /// Ids of the images that this build made, the last one first.
    pub fn made(&self) -> Vec<String> {
        self.made.iter().rev().cloned().collect()
    }
}

/// `docker build --progress plain` of BuildKit: every line is `#STEP text`.
#[derive(Debug, Default)]
pub(super) struct BuildKit {
    steps: BTreeMap<u32, (String, VecDeque<String>)>,
    failed: Option<u32>,
    /// Lines that are not of a step: the client's own words.
    other: VecDeque<String>,
}

impl BuildKit {
    /// Takes in a line; gives it out as it is to be shown.
    pub fn take_in(&mut self, line: &str) -> Option<String> {
        let line = without_colors(line);
        let line = line.trim_end();
        let Some((number, text)) = line.strip_prefix('#').and_then(|it| it.split_once(' ')) else {
            remember(&mut self.other, line);
            return None;
        };
        let Ok(number) = number.parse() else { return None };
        let (name, output) = self.steps.entry(number).or_default();
        if name.is_empty() {
            text.clone_into(name);
        } else if text.starts_with("ERROR") {
            self.failed = self.failed.or(Some(number));
        } else if let Some((_, text)) = text.split_once(' ').filter(|(time, _)| time.parse::<f64>().is_ok()) {
            remember(output, text);
            return Some(text.to_owned());
        }
        Some(text.to_owned())
    }

    /// The step that failed, the last lines it printed, and the client's last words.
    pub fn failure(&self) -> (Option<String>, Vec<String>, String) {
        let step = self.failed.and_then(|it| self.steps.get(&it));
        let name = step.map(|(name, _)| name.split_once("] ").map_or(name.as_str(), |(_, it)| it).to_owned());
        let output = step.map(|(_, output)| output.iter().cloned().collect()).unwrap_or_default();
        let words = self.other.iter().rev().find(|it| !it.is_empty() && !it.starts_with("---")).cloned();
        (name, output, words.unwrap_or_default())
    }
}

/// What the engine's own builder tells of itself and nobody needs: ids of layers, and our own labels.
fn is_bookkeeping(line: &str) -> bool {
    let label = line.starts_with("Step ") && line.contains(" : LABEL scs.");
    label || line.starts_with(" ---> ") || line.starts_with("Removing intermediate container ")
}

fn remember(lines: &mut VecDeque<String>, line: &str) {
    if line.is_empty() {
        return;
    }
    if lines.len() == LAST_LINES {
        lines.pop_front();
    }
    lines.push_back(line.to_owned());
}

/// The line without the escape sequences that builders color errors with.
fn without_colors(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once(|it: char| it.is_ascii_alphabetic()).map_or("", |(_, it)| it);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_builder_names_the_step_its_output_and_what_it_made() {
        let mut transcript = Classic::default();
        let pieces = [
            "Step 1/4 : FROM scs-base:bookworm\n",
            " ---> 79ae29bbbd33\n",
            "Step 2/4 : ENV A=1\n",
            " ---> Using cache\n",
            " ---> aaaaaaaaaaaa\n",
            "Step 3/4 : ENV B=2\n",
            " ---> Running in 111111111111\n",
            "Removing intermediate container 111111111111\n",
            " ---> bbbbbbbbbbbb\n",
            "Step 4/4 : RUN make\n",
            " ---> Running in 222222222222\n",
            "hel",
            "lo\n\u{1b}[91mwrong\n\u{1b}[0m",
        ];
        let lines: Vec<_> = pieces.iter().flat_map(|it| transcript.take_in(it)).collect();
        assert!(lines.contains(&"hello".to_owned()), "{lines:?}");
        assert_eq!(transcript.step(), ("RUN make".to_owned(), vec!["hello".to_owned(), "wrong".to_owned()]));
        assert_eq!(transcript.made(), ["bbbbbbbbbbbb"]);
    }

    #[test]
    fn buildkit_names_the_step_and_its_output() {
        let mut transcript = BuildKit::default();
        for line in [
            "#1 [internal] load build definition from Dockerfile",
            "#1 DONE 0.0s",
            "#5 [2/3] RUN make",
            "#5 0.214 hello",
            "#5 ERROR: executor failed running [/bin/sh -c make]: exit code: 1",
            "------",
            " > [2/3] RUN make:",
            "------",
            "failed to solve: executor failed running [/bin/sh -c make]: exit code: 1",
        ] {
            transcript.take_in(line);
        }
        let (step, output, words) = transcript.failure();
        assert_eq!(step.as_deref(), Some("RUN make"));
        assert_eq!(output, ["hello"]);
        assert!(words.starts_with("failed to solve"), "{words}");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut transcript = Classic::default();
        transcript.take_in("Step 1/1 : RUN x\n");
        for number in 0..100 {
            transcript.take_in(&format!("line {number}\n"));
        }
        let (_, output) = transcript.step();
        assert_eq!(output.len(), LAST_LINES);
        assert_eq!(output.last().map(String::as_str), Some("line 99"));
    }
}
