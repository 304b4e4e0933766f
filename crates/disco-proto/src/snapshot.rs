//! A registry on disk: sessions and what they provide, as lines of JSON that are read whole or not at all.
//!
//! The first line says what it is, the last one how many lines and which SHA-256 came before it. A file that was cut off, damaged, or
//! written by something else has no such end, and is refused.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read, Write},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    check::{check_attributes, check_text},
    limits,
    model::{Endpoint, Health, Protocol, Provision, Reason},
    name::{Invalid, Name},
};

/// What the first line says.
const FORMAT: &str = "disco-snapshot/1";

/// Sessions and provisions in one file at most, all together. Far beyond what a server can hold, and little enough to be refused before
/// the memory is full.
pub const ENTRIES: usize = 4_000_000;

/// What a server knew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Which start of which server wrote it.
    pub epoch: String,
    /// Its revision then.
    pub rev: u64,
    /// Whoever provided something.
    pub sessions: Vec<SavedSession>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSession {
    /// Its id.
    pub session: String,
    /// Who it is, in its own words.
    pub agent: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Milliseconds that it outlives its connection.
    pub window: u64,
    /// Milliseconds that it may still be away, if it is away on purpose or has said that it will be.
    pub parked: Option<u64>,
    /// What it provided.
    pub provisions: Vec<SavedProvision>,
}

/// One provision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedProvision {
    /// As subscribers got it.
    pub endpoint: Arc<Endpoint>,
    /// Its provider's incarnation.
    pub incarnation: u64,
    /// Why it is going, and for how many milliseconds it stays usable.
    pub leaving: Option<(Reason, u64)>,
}

/// A file is no snapshot; nothing of it may be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It could not be read.
    #[error("the snapshot cannot be read")]
    Io(#[from] io::Error),
    /// It is something else, or of another version.
    #[error("this is no {FORMAT}")]
    Foreign,
    /// It was cut off.
    #[error("the snapshot has no end: it was cut off after {lines} lines")]
    Short {
        /// How many whole lines there are.
        lines: u64,
    },
    /// It was changed after it was written.
    #[error("the snapshot is damaged: its checksum is another")]
    Damaged,
    /// A line says what no server writes.
    #[error("line {line} of the snapshot: {why}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// It has more than a server can hold.
    #[error("the snapshot has more than {ENTRIES} entries")]
    Large,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Snapshot {
        format: String,
        epoch: String,
        rev: u64,
    },
    Session {
        session: String,
        agent: String,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        attributes: BTreeMap<String, String>,
        window: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parked: Option<u64>,
    },
    /// Of the session before it.
    #[serde(skip_deserializing)]
    Provides(Provides<'a>),
    #[serde(rename = "provides", skip_serializing)]
    Provided(Provided),
    End {
        lines: u64,
        sha256: String,
    },
}

/// As it is written, without a copy.
#[derive(Serialize)]
struct Provides<'a> {
    name: &'a Name,
    instance: &'a str,
    host: &'a str,
    port: u16,
    protocol: Protocol,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
    health: Health,
    incarnation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaving: Option<(Reason, u64)>,
}

/// As it is read.
#[derive(Deserialize)]
struct Provided {
    #[serde(flatten)]
    provision: Provision,
    #[serde(default)]
    leaving: Option<(Reason, u64)>,
}

/// Counts and digests what passes through.
struct Sealed<W> {
    to: W,
    digest: Sha256,
    lines: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Sealed<W> {
    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        self.lines += 1;
        self.digest.update(&self.buffer);
        self.to.write_all(&self.buffer)
    }
}

/// Writes a snapshot. It is one only once all of it is on disk under its name: write elsewhere, sync, rename.
pub fn write(snapshot: &Snapshot, to: impl Write) -> io::Result<()> {
    let mut file = Sealed { to, digest: Sha256::new(), lines: 0, buffer: Vec::new() };
    let (format, epoch) = (FORMAT.to_owned(), snapshot.epoch.clone());
    file.line(&Line::Snapshot { format, epoch, rev: snapshot.rev })?;
    for saved in &snapshot.sessions {
        file.line(&Line::Session {
            session: saved.session.clone(),
            agent: saved.agent.clone(),
            attributes: saved.attributes.clone(),
            window: saved.window,
            parked: saved.parked,
        })?;
        for SavedProvision { endpoint, incarnation, leaving } in &saved.provisions {
            file.line(&Line::Provides(Provides {
                name: &endpoint.name,
                instance: &endpoint.instance,
                host: &endpoint.host,
                port: endpoint.port,
                protocol: endpoint.protocol,
                attributes: &endpoint.attributes,
                health: endpoint.health,
                incarnation: *incarnation,
                leaving: *leaving,
            }))?;
        }
    }
    let (lines, sha256) = (file.lines, hex(&file.digest.clone().finalize()));
    file.line(&Line::End { lines, sha256 })?;
    file.to.flush()
}

/// Reads a snapshot: all of it, or nothing.
pub fn read(mut from: impl BufRead) -> Result<Snapshot, Unreadable> {
    let mut snapshot = Snapshot::default();
    let (mut digest, mut lines, mut entries) = (Sha256::new(), 0_u64, 0_usize);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let bound = limits::LINE as u64;
        let count = Read::take(&mut from, bound).read_until(b'\n', &mut buffer)?;
        let Some(text) = buffer.strip_suffix(b"\n") else {
            return Err(match lines {
                0 => Unreadable::Foreign,
                _ if count == limits::LINE => Unreadable::Line { line: lines + 1, why: "it has no end".to_owned() },
                _ => Unreadable::Short { lines },
            });
        };
        let wrong = |why: String| Unreadable::Line { line: lines + 1, why };
        let line = match serde_json::from_slice::<Line<'_>>(text) {
            Ok(line) => line,
            Err(_) if lines == 0 => return Err(Unreadable::Foreign),
            Err(error) => return Err(wrong(error.to_string())),
        };
        match line {
            Line::Snapshot { format, epoch, rev } if lines == 0 && format == FORMAT => {
                (snapshot.epoch, snapshot.rev) = (epoch, rev);
            }
            _ if lines == 0 => return Err(Unreadable::Foreign),
            Line::Snapshot { .. } => return Err(wrong("a second beginning".to_owned())),
            Line::Session { session, agent, attributes, window, parked } => {
                let provisions = Vec::new();
                let saved = SavedSession { session, agent, attributes, window, parked, provisions };
                saved.check().map_err(|error| wrong(error.to_string()))?;
                snapshot.sessions.push(saved);
            }
            Line::Provided(Provided { provision, leaving }) => {
                provision.check().map_err(|error| wrong(error.to_string()))?;
                let session = snapshot.sessions.last_mut().ok_or_else(|| wrong("it is nobody's".to_owned()))?;
                let endpoint = Arc::new(Endpoint::of(&provision));
                session.provisions.push(SavedProvision { endpoint, incarnation: provision.incarnation, leaving });
            }
            Line::Provides(_) => unreachable!("this one is only written"),
            Line::End { lines: counted, sha256 } => {
                if counted != lines || sha256 != hex(&digest.finalize()) {
                    return Err(Unreadable::Damaged);
                }
                return match from.read(&mut [0])? {
                    0 => Ok(snapshot),
                    _ => Err(wrong("something follows the end".to_owned())),
                };
            }
        }
        entries += 1;
        if entries > ENTRIES {
            return Err(Unreadable::Large);
        }
        lines += 1;
        digest.update(&buffer);
    }
}

impl SavedSession {
    fn check(&self) -> Result<(), Invalid> {
        check_text("session", &self.session)?;
        check_text("agent", &self.agent)?;
        check_attributes(&self.attributes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
