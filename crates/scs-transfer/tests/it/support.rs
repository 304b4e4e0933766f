//! A source and a target, and what each holds.

use async_trait::async_trait;
use scs_api::transfer::{Compare, Copied, Progress};
use scs_transfer::{Channel, Error, Open, Pull, serve, survey};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// Two directories that a pipe joins.
pub struct Pair {
    _base: tempfile::TempDir,
    pub source: PathBuf,
    pub target: PathBuf,
}

/// What there is of a file: all that a copy keeps.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    links: u64,
    content: Vec<u8>,
    attributes: Vec<u8>,
}

impl Pair {
    pub fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let [source, target] = ["source", "it's the target"].map(|name| base.path().join(name));
        for directory in [&source, &target] {
            fs::create_dir(directory).unwrap();
        }
        Self { _base: base, source, target }
    }

    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn pull(&self, compare: Compare) -> Pull {
        Pull {
            into: self.target.clone(),
            source: survey(&self.source).unwrap(),
            compare,
            warm: false,
            bandwidth: None,
            bridge: vec![env!("CARGO_BIN_EXE_scs-transfer-bridge").to_owned()],
        }
    }

    pub async fn run(&self, pull: &Pull) -> Result<Copied, Error> {
        pull.run(self, &watch::Sender::new(Progress::default())).await
    }

    pub async fn copy(&self, compare: Compare) -> Copied {
        self.run(&self.pull(compare)).await.unwrap()
    }

    pub fn is_same(&self) {
        let (source, target) = (tree(&self.source), tree(&self.target));
        assert_eq!(source.keys().collect::<Vec<_>>(), target.keys().collect::<Vec<_>>());
        for (name, entry) in &source {
            assert_eq!(entry, &target[name], "{name:?}");
        }
    }
}

#[async_trait]
impl Open for Pair {
    async fn open(&self) -> io::Result<Channel> {
        let (here, there) = tokio::io::duplex(64 << 10);
        let source = self.source.clone();
        tokio::spawn(async move {
            // Its failures are those of the other side, too.
            let _ = serve(&source, Box::new(there)).await;
        });
        Ok(Box::new(here))
    }
}

fn tree(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::from([(PathBuf::new(), entry(root))]);
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            let one = entry(&path);
            if path.is_dir() && !path.is_symlink() {
                left.push(path.clone());
            }
            found.insert(path.strip_prefix(root).unwrap().to_owned(), one);
        }
    }
    found
}

fn entry(path: &Path) -> Entry {
    let metadata = fs::symlink_metadata(path).unwrap();
    let content = if metadata.is_file() {
        fs::read(path).unwrap()
    } else if metadata.is_symlink() {
        fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec()
    } else {
        Vec::new()
    };
    let mut attributes = vec![0; 4096];
    let length = rustix::fs::lgetxattr(path, "user.note", &mut attributes[..]).unwrap_or(0);
    attributes.truncate(length);
    Entry {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        links: metadata.nlink(),
        content,
        attributes,
    }
}
