//! `scs init`: a small deployment to start from, which works as it is. Nothing that is there is overwritten.

use super::{Context, Outcome};
use crate::cli::manifest::Init;
use crate::exit::{Exit, Failure};
use crate::settings::check_label;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Runs it.
pub fn run(context: &Context, args: &Init) -> Outcome {
    let directory = &args.directory;
    let unwritten = |path: &Path, error: &io::Error| {
        Failure::failed(format!("cannot write {}", path.display())).because(error).hint("see who owns the directory")
    };
    fs::create_dir_all(directory).map_err(|error| unwritten(directory, &error))?;
    let files = scs_manifest::init::files(&service(directory));
    let there = files.iter().map(|file| directory.join(&file.name)).find(|path| path.exists());
    if let Some(path) = there {
        return Err(Failure::failed(format!("{} is there already; nothing was written", path.display()))
            .hint("name another directory: `scs init DIR`"));
    }
    for file in &files {
        let path = directory.join(&file.name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| unwritten(parent, &error))?;
        }
        let mode = if file.text.starts_with("#!") { 0o755 } else { 0o644 };
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut opened| opened.write_all(file.text.as_bytes()))
            .map_err(|error| unwritten(&path, &error))?;
        context.printer.note(format!("wrote {}", path.display()));
    }
    let here = directory == Path::new(".");
    let go = if here { String::new() } else { format!("cd {} && ", directory.display()) };
    context.printer.hint(&format!("`{go}scs up` brings it up; `scs down` ends it"));
    Ok(Exit::DONE)
}

/// A service name made of the directory's.
fn service(directory: &Path) -> String {
    let absolute = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let name = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let name = name.trim_matches('-');
    if check_label("service", name).is_ok() { name.to_owned() } else { "hello".to_owned() }
}
