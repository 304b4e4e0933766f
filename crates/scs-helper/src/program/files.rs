//! `own`, `remove`, `pack`, `unpack` and `inside`: what has to be done to files as root, or with a container's own users.

use crate::Failure;
use crate::accounts;
use crate::archive;
use crate::arguments::{Arguments, unknown};
use crate::inside;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

pub(crate) fn own(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut owner, mut mode) = (None, None);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--owner" => owner = Some(arguments.value("--owner", |it| Some(it.to_owned()))?),
            "--mode" => {
                mode = Some(arguments.value("--mode", |it| u32::from_str_radix(it, 8).ok().filter(|it| *it <= 0o7777))?)
            }
            other => return Err(unknown(other)),
        }
    }
    let paths = arguments.paths()?;
    let ids = owner.map(|it| lookup(&it)).transpose()?;
    for path in &paths {
        let metadata = fs::symlink_metadata(path).map_err(|error| Failure::at("look at", path, &error))?;
        if !metadata.is_dir() {
            return Err(Failure::new(1, format!("{} is not a directory", path.display())));
        }
        if let Some((user, group)) = ids {
            chown(path, Some(user), Some(group)).map_err(|error| Failure::at("change the owner of", path, &error))?;
        }
        // After the owner, whose change takes the set-id bits away.
        if let Some(mode) = mode {
            let done = fs::set_permissions(path, Permissions::from_mode(mode));
            done.map_err(|error| Failure::at("change the mode of", path, &error))?;
        }
    }
    Ok(0)
}

/// User and group id of `USER[:GROUP]`, by the names of this container.
fn lookup(owner: &str) -> Result<(u32, u32), Failure> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    accounts::lookup(owner, &read(accounts::USERS), &read(accounts::GROUPS))
        .map_err(|unknown| Failure::new(1, unknown.to_string()))
}

pub(crate) fn remove(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut contents = false;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--contents" => contents = true,
            other => return Err(unknown(other)),
        }
    }
    for path in arguments.paths()? {
        if contents {
            let entries = fs::read_dir(&path).map_err(|error| Failure::at("read", &path, &error))?;
            for entry in entries {
                remove_all(&entry.map_err(|error| Failure::at("read", &path, &error))?.path())?;
            }
        } else {
            remove_all(&path)?;
        }
    }
    Ok(0)
}

/// Removes a file or a whole directory, never what a link points to; one that is not there is no error.
fn remove_all(path: &Path) -> Result<(), Failure> {
    let done = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::at("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Exit code of a program that is not there, as of shells.
const NO_PROGRAM: u8 = 127;

pub(crate) fn pack(arguments: &mut Arguments) -> Result<u8, Failure> {
    let error = archive::pack(&one(arguments)?).exec();
    Err(Failure::new(NO_PROGRAM, archive::Error::NoTar(error).to_string()))
}

pub(crate) fn unpack(arguments: &mut Arguments) -> Result<u8, Failure> {
    let directory = one(arguments)?;
    let unpacked = archive::unpack(&directory, &mut io::stdin().lock());
    unpacked.map(|()| 0).map_err(|error| {
        let code = if matches!(error, archive::Error::NoTar(_)) { NO_PROGRAM } else { 1 };
        Failure::new(code, error.to_string())
    })
}

pub(crate) fn inside(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut make = false;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--make" => make = true,
            other => return Err(unknown(other)),
        }
    }
    let paths = arguments.paths()?;
    let [directory, path] = paths.as_slice() else {
        return Err(Failure::usage("a directory and a path inside it are wanted"));
    };
    let found = inside::look(directory, path, make);
    let code = |found| inside::CODES.iter().find(|(it, _)| *it == found).map_or(1, |(_, code)| *code);
    found.map(code).map_err(|error| Failure::at("look at", &directory.join(path), &error))
}

/// The one path that is left.
fn one(arguments: &mut Arguments) -> Result<PathBuf, Failure> {
    if let Some(option) = arguments.option()? {
        return Err(unknown(&option));
    }
    let mut paths = arguments.paths()?;
    let last = paths.pop().filter(|_| paths.is_empty());
    last.ok_or_else(|| Failure::usage("one path is wanted"))
}
