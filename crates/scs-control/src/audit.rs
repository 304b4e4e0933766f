//! The audit log: a line of JSON for each request that changed something or tried to, in files of bounded size in the state directory.
//!
//! `audit.jsonl` is written to; when it is full it becomes `audit.1.jsonl`, that one `audit.2.jsonl`, and the oldest goes.

use scs_api::audit::Entry;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How large a file becomes.
const LARGEST: u64 = 8 << 20;
/// How many are kept, the one that is written to among them.
const FILES: usize = 5;

/// The log. Lines are written whole, one at a time.
#[derive(Debug)]
pub(crate) struct Audit {
    directory: PathBuf,
    largest: u64,
    open: Mutex<Option<File>>,
}

impl Audit {
    /// In this directory; nothing is opened before the first line.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), largest: LARGEST, open: Mutex::new(None) }
    }

    #[cfg(test)]
    fn bounded(directory: &Path, largest: u64) -> Self {
        Self { largest, ..Self::new(directory) }
    }

    /// Writes a line. What cannot be written is said in the server's own log: a full disk keeps nobody from stopping what fills it.
    pub(crate) fn note(&self, entry: &Entry) {
        let mut line = serde_json::to_vec(entry).expect("text keys only");
        line.push(b'\n');
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.write(&mut open, &line) {
            *open = None;
            tracing::error!(%error, who = entry.who, what = entry.what, outcome = entry.outcome, "the audit log cannot be written");
        }
    }

    fn write(&self, open: &mut Option<File>, line: &[u8]) -> io::Result<()> {
        if let Some(file) = open
            && file.metadata()?.len() + line.len() as u64 > self.largest
        {
            *open = None;
            self.rotate()?;
        }
        let file = match open {
            Some(file) => file,
            None => open.insert(OpenOptions::new().append(true).create(true).mode(0o600).open(self.file(0))?),
        };
        file.write_all(line)
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (0..FILES - 1).rev() {
            match std::fs::rename(self.file(number), self.file(number + 1)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        Ok(())
    }

    fn file(&self, number: usize) -> PathBuf {
        self.directory.join(if number == 0 { "audit.jsonl".to_owned() } else { format!("audit.{number}.jsonl") })
    }

    /// The last entries, the newest last. A line that makes no sense (a machine that lost power wrote half of it) is left out.
    pub(crate) fn last(&self, count: usize) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for number in 0..FILES {
            if found.len() >= count {
                break;
            }
            let file = match File::open(self.file(number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let mut entries = Vec::new();
            for line in BufReader::new(file).split(b'\n') {
                entries.extend(serde_json::from_slice::<Entry>(&line?));
            }
            entries.append(&mut found);
            found = entries;
        }
        Ok(found.split_off(found.len().saturating_sub(count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn entry(number: usize) -> Entry {
        Entry {
            at: SystemTime::UNIX_EPOCH,
            who: "person alice".to_owned(),
            what: format!("POST /v1/services/dev/blog/up?{number:04}"),
            status: 200,
            outcome: "done".to_owned(),
        }
    }

    #[test]
    fn the_log_stays_within_its_bounds_and_the_newest_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = Audit::bounded(directory.path(), 1000);
        assert!(audit.last(5).expect("empty").is_empty());
        (0..200).for_each(|number| audit.note(&entry(number)));
        let files = std::fs::read_dir(directory.path()).expect("there").map(|it| it.expect("a file"));
        let sizes: Vec<u64> = files.map(|it| it.metadata().expect("there").len()).collect();
        assert!(sizes.len() == FILES && sizes.iter().all(|it| *it <= 1000), "{sizes:?}");
        let last = audit.last(10).expect("readable");
        assert_eq!(last, (190..200).map(entry).collect::<Vec<_>>());
        // Another process goes on where this one was.
        Audit::bounded(directory.path(), 1000).note(&entry(200));
        assert_eq!(audit.last(2).expect("readable"), [entry(199), entry(200)]);
    }

    #[test]
    fn half_a_line_does_not_hide_the_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = Audit::new(directory.path());
        audit.note(&entry(1));
        let mut file = OpenOptions::new().append(true).open(directory.path().join("audit.jsonl")).expect("there");
        file.write_all(b"{\"at\":\n").expect("written");
        audit.note(&entry(2));
        assert_eq!(audit.last(9).expect("readable"), [entry(1), entry(2)]);
    }
}
