//! `own` and `remove`: what has to be done to files as root, or with a container's own users.

use crate::Failure;
use crate::arguments::{Arguments, unknown};
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

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

/// User and group id of `USER[:GROUP]`, names or numbers. Without a group, it is the user's own.
fn lookup(owner: &str) -> Result<(u32, u32), Failure> {
    let (user, group) = owner.split_once(':').map_or((owner, None), |(user, group)| (user, Some(group)));
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let (id, own_group) = find_user(&passwd, user)
        .ok_or_else(|| Failure::new(1, format!("there is no user `{user}` in /etc/passwd of this container")))?;
    let Some(group) = group else { return Ok((id, own_group)) };
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let group = find_group(&groups, group)
        .ok_or_else(|| Failure::new(1, format!("there is no group `{group}` in /etc/group of this container")))?;
    Ok((id, group))
}

fn find_user(passwd: &str, user: &str) -> Option<(u32, u32)> {
    let number = user.parse::<u32>().ok();
    let ids = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        (name == user || Some(id) == number).then_some((id, group))
    });
    // A number needs no entry.
    ids.or(number.map(|it| (it, it)))
}

fn find_group(groups: &str, group: &str) -> Option<u32> {
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?
    });
    named.or_else(|| group.parse().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:34:www-data:/var/www:/bin/false\n";

    #[test]
    fn a_user_is_found_by_name_or_number_with_its_own_group() {
        assert_eq!(find_user(PASSWD, "www-data"), Some((33, 34)));
        assert_eq!(find_user(PASSWD, "33"), Some((33, 34)));
        assert_eq!(find_user(PASSWD, "1000"), Some((1000, 1000)));
        assert_eq!(find_user(PASSWD, "nobody"), None);
    }

    #[test]
    fn a_group_is_found_by_name_or_number() {
        assert_eq!(find_group("adm:x:4:\nwww:x:34:a,b\n", "www"), Some(34));
        assert_eq!(find_group("", "7"), Some(7));
        assert_eq!(find_group("broken\n", "www"), None);
    }
}
