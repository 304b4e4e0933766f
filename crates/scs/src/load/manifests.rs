//! Finds and reads the manifests of a deployment: the base, and the overlay of its environment.

use crate::exit::Failure;
use scs_manifest::{Diagnostic, File, Tree};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The base's name where none is given.
pub const BASE: &str = "deployment.yaml";
/// Longest manifest that is read whole; what is longer is refused by its size.
const LONGEST: u64 = 1 << 20;

/// The texts of a deployment.
#[derive(Debug)]
pub struct Read {
    /// Base first.
    pub files: Vec<File>,
    /// Their paths.
    pub paths: Vec<PathBuf>,
    /// Directory of the base, absolute.
    pub origin: PathBuf,
    /// What was wrong with a file before its text could be looked at.
    unread: Vec<Diagnostic>,
}

impl Read {
    /// The merged tree.
    ///
    /// # Errors
    /// All that is wrong with any of the files.
    pub fn merged(&self) -> Result<Tree, Vec<Diagnostic>> {
        if self.unread.is_empty() { scs_manifest::load(&self.files) } else { Err(self.unread.clone()) }
    }
}

/// Reads the files that are named, or those of the current directory. One file brings its overlay with it.
///
/// # Errors
/// Where a file is not there or cannot be read.
pub fn read(given: &[PathBuf], environment: &str) -> Result<Read, Failure> {
    let paths = paths(given, environment).ok_or_else(|| {
        Failure::usage("there is no deployment.yaml in this directory")
            .hint("`scs init` writes one to start from; `-f FILE` names one elsewhere")
    })?;
    let mut files = Vec::new();
    let mut unread = Vec::new();
    for path in &paths {
        match text(path) {
            Ok(Ok(text)) => files.push(File::new(path.display().to_string(), text)),
            Ok(Err(what)) => {
                let file = File::new(path.display().to_string(), "");
                unread.push(Diagnostic::error(&file.span(), what).help("is this the right file?"));
                files.push(file);
            }
            Err(error) => {
                return Err(Failure::usage(format!("cannot read {}", path.display()))
                    .because(&error)
                    .hint("`-f` names a manifest; `scs init` writes one to start from"));
            }
        }
    }
    let origin = directory(&paths)?;
    Ok(Read { files, paths, origin, unread })
}

/// The directory of the base, absolute.
fn directory(paths: &[PathBuf]) -> Result<PathBuf, Failure> {
    let parent = paths.first().and_then(|base| base.parent()).filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    parent.canonicalize().map_err(|error| {
        Failure::usage(format!("cannot find the directory {}", parent.display())).because(&error).hint("see `-f`")
    })
}

/// The directory of manifests that name a service; `None` where there are none.
///
/// # Errors
/// Where it is not there.
pub fn origin(given: &[PathBuf], environment: &str) -> Result<Option<PathBuf>, Failure> {
    paths(given, environment).map(|paths| directory(&paths)).transpose()
}

/// Environments that have an overlay beside the base.
pub fn overlaid(given: &[PathBuf]) -> Vec<String> {
    // The base comes first, whatever the environment.
    let Some(base) = paths(given, "").and_then(|paths| paths.into_iter().next()) else { return Vec::new() };
    let name = base.file_name().and_then(|name| name.to_str()).unwrap_or(BASE);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let beside = base.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What cannot be listed suggests nothing.
    let files = std::fs::read_dir(beside).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    names
        .filter_map(|file| {
            let environment = file.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(extension)?;
            let environment = environment.strip_suffix('.').unwrap_or(environment).to_owned();
            (scs_manifest::merge::overlay_name(name, &environment) == file).then_some(environment)
        })
        .collect()
}

/// The files to read; `None` where none is named and none is here.
fn paths(given: &[PathBuf], environment: &str) -> Option<Vec<PathBuf>> {
    let base = match given {
        [] => PathBuf::from(BASE),
        [directory] if directory.is_dir() => directory.join(BASE),
        [one] => one.clone(),
        several => return Some(several.to_vec()),
    };
    if given.is_empty() && !base.exists() {
        return None;
    }
    let overlay = base
        .file_name()?
        .to_str()
        .map(|name| base.with_file_name(scs_manifest::merge::overlay_name(name, environment)));
    let overlay = overlay.filter(|overlay| overlay.exists());
    Some(std::iter::once(base).chain(overlay).collect())
}

/// A file's text, or what is wrong with it as a manifest.
pub fn text(path: &Path) -> io::Result<Result<String, String>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Ok(Err(format!(
            "{} has {} bytes; a manifest has at most {LONGEST}",
            path.display(),
            length.max(LONGEST + 1)
        )));
    }
    Ok(String::from_utf8(bytes).map_err(|error| {
        format!("{} is no text in UTF-8 (byte {} is wrong)", path.display(), error.utf8_error().valid_up_to())
    }))
}

/// The service that manifests name, even where something else is wrong with them; `None` where there are none.
///
/// # Errors
/// Where a file that was named cannot be read.
pub fn service_name(given: &[PathBuf], environment: &str) -> Result<Option<String>, Failure> {
    if paths(given, environment).is_none() {
        return Ok(None);
    }
    let read = read(given, environment)?;
    let merged = read.merged().ok();
    let named = merged
        .as_ref()
        .and_then(|tree| tree.root.get("service"))
        .and_then(|node| node.to_json().as_str().map(str::to_owned));
    Ok(named.or_else(|| read.files.iter().rev().find_map(|file| service_line(&file.text))))
}

/// `service: NAME` at the start of a line, of a text that may not even parse.
fn service_line(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("service:"))?;
    let value = value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_of_a_broken_manifest_is_still_known() {
        assert_eq!(service_line("version: 1\nservice: blog # ours\n  : [").as_deref(), Some("blog"));
        assert_eq!(service_line("version: 1\n"), None);
    }

    #[test]
    fn the_overlays_beside_a_base_are_its_environments() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["deployment.yaml", "deployment.prod.yaml", "deployment.old.yml", "other.dev.yaml"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(overlaid(&[directory.path().to_owned()]), ["prod"]);
        assert_eq!(overlaid(&[directory.path().join("other.yaml")]), ["dev"]);
        assert!(overlaid(&[directory.path().join("nowhere/deployment.yaml")]).is_empty());
    }

    #[test]
    fn one_file_brings_the_overlay_of_its_environment_and_several_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("deployment.yaml");
        let overlay = directory.path().join("deployment.prod.yaml");
        std::fs::write(&base, "").unwrap();
        std::fs::write(&overlay, "").unwrap();
        assert_eq!(paths(std::slice::from_ref(&base), "prod"), Some(vec![base.clone(), overlay]));
        assert_eq!(paths(&[directory.path().to_owned()], "dev"), Some(vec![base.clone()]));
        assert_eq!(paths(&[base.clone(), base.clone()], "prod"), Some(vec![base.clone(), base]));
    }
}
