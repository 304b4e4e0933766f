//! Contexts: the servers this user works with, each with the certificate it is entered with and the environments it is for.
//!
//! They lie in the user's configuration directory, one directory each: `context.json` says where the server is, and beside it are
//! `tls.crt`, `tls.key` and `ca.crt`. `current` names the one that is used where none is named.

mod address;

pub use address::Address;

use crate::exit::Failure;
use crate::settings::check_label;
use scs_pki::Files;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name that stands for this machine's own `scs dev`, which needs no context.
pub const LOCAL: &str = "local";

/// Where a server is, and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where its API is.
    pub server: Address,
    /// Environments it is bound to; any where empty.
    #[serde(default)]
    pub environments: Vec<String>,
}

/// One context of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub record: Record,
    directory: PathBuf,
}

impl Context {
    /// Certificate, key and authorities.
    #[must_use]
    pub fn certificates(&self) -> Files {
        Files::within(&self.directory)
    }

    /// Where its certificate lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The environment a command works in: the one that was given if the context is for it, or the only one it is for.
    ///
    /// # Errors
    /// Where it is for others, or for several and none was given.
    pub fn environment(&self, given: Option<&str>) -> Result<Option<String>, Failure> {
        let (name, bound) = (&self.name, &self.record.environments);
        match given {
            Some(given) if !bound.is_empty() && !bound.iter().any(|it| it == given) => {
                Err(Failure::usage(format!("context {name} is for {}, not for {given}", bound.join(" and "))).hint(
                    "name another context with `--context`, or the environment with `--env`; nothing was changed",
                ))
            }
            Some(given) => Ok(Some(given.to_owned())),
            None if bound.len() == 1 => Ok(bound.first().cloned()),
            None if bound.len() > 1 => {
                Err(Failure::usage(format!("context {name} is for {}: which one is meant?", bound.join(" and ")))
                    .hint("say `--env NAME`"))
            }
            None => Ok(None),
        }
    }
}

/// The contexts of a user.
#[derive(Debug, Clone)]
pub struct Contexts {
    directory: PathBuf,
}

impl Contexts {
    /// Those below a configuration directory.
    #[must_use]
    pub fn new(configuration: &Path) -> Self {
        Self { directory: configuration.join("scs/contexts") }
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// Where the directory cannot be read, or one of them makes no sense.
    pub fn list(&self) -> Result<Vec<Context>, Failure> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| unreadable(&self.directory, &error))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| self.path(name).join("context.json").exists()).collect();
        names.sort();
        names.iter().map(|name| self.get(name)).collect()
    }

    /// The one of this name.
    ///
    /// # Errors
    /// Where there is none, or it makes no sense.
    pub fn get(&self, name: &str) -> Result<Context, Failure> {
        check_label("context", name)?;
        let directory = self.path(name);
        let path = directory.join("context.json");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::usage(format!("there is no context {name}"))
                    .hint("`scs context ls` lists those there are; `scs context add NAME URL --token …` makes one"));
            }
            text => text.map_err(|error| unreadable(&path, &error))?,
        };
        let record = serde_json::from_slice(&text).map_err(|error| unreadable(&path, &error))?;
        Ok(Context { name: name.to_owned(), record, directory })
    }

    /// The name that is used where none is given; [`LOCAL`] where nothing was chosen.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub fn current(&self) -> Result<String, Failure> {
        let path = self.directory.join("current");
        match fs::read_to_string(&path) {
            Ok(name) => Ok(name.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LOCAL.to_owned()),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// Makes it the one that is used where none is named.
    ///
    /// # Errors
    /// Where there is none of this name, or the choice cannot be written.
    pub fn choose(&self, name: &str) -> Result<(), Failure> {
        if name != LOCAL {
            self.get(name)?;
        }
        let write = || {
            make_directory(&self.directory)?;
            replace(&self.directory.join("current"), name.as_bytes())
        };
        write().map_err(|error| unwritable(&self.directory, &error))
    }

    /// Keeps a context; its certificates are written by whoever got them, into [`Context::certificates`].
    ///
    /// # Errors
    /// Where the name is none or taken, or it cannot be written.
    pub fn add(&self, name: &str, record: Record) -> Result<Context, Failure> {
        let context = self.free(name, record)?;
        let write = || {
            make_directory(&context.directory)?;
            replace(&context.directory.join("context.json"), &serde_json::to_vec_pretty(&context.record)?)
        };
        write().map_err(|error| unwritable(&context.directory, &error))?;
        Ok(context)
    }

    /// The same as [`Contexts::add`] would make, with nothing written yet.
    ///
    /// # Errors
    /// Where the name is none or taken.
    pub fn free(&self, name: &str, record: Record) -> Result<Context, Failure> {
        check_label("context", name)?;
        if name == LOCAL {
            return Err(
                Failure::usage(format!("`{LOCAL}` stands for this machine's own `scs dev`")).hint("take another name")
            );
        }
        let directory = self.path(name);
        if directory.join("context.json").exists() {
            return Err(Failure::failed(format!("there is a context {name} already"))
                .hint(format!("take another name, or remove it with `scs context rm {name}`; nothing was changed")));
        }
        Ok(Context { name: name.to_owned(), record, directory })
    }

    /// Forgets one, its key included. Where it was the current one, this machine's own `scs dev` is from now on.
    ///
    /// # Errors
    /// Where there is none of this name, or it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let context = self.get(name)?;
        if self.current()? == name {
            self.choose(LOCAL)?;
        }
        fs::remove_dir_all(&context.directory).map_err(|error| unwritable(&context.directory, &error))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, content)?;
    crate::wiring::installation::persist(&beside, path)
}

fn unreadable(path: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::failed(format!("cannot read {}", path.display()))
        .because(error)
        .hint("`scs context rm` and `scs context add` make it anew")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write to {}", path.display()))
        .because(error)
        .hint("see who owns it and whether the disk is full")
}

#[cfg(test)]
mod tests;
