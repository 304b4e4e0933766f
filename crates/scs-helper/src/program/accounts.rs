//! Users and groups by the names that a container's own files give them. Part of the program and of the library.

use std::fmt;

/// Where users are listed.
pub const USERS: &str = "/etc/passwd";
/// Where groups are listed.
pub const GROUPS: &str = "/etc/group";

/// A name that no file lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// It is no user.
    User(String),
    /// It is no group.
    Group(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::User(user) => write!(f, "there is no user `{user}` in {USERS} of this container"),
            Unknown::Group(group) => write!(f, "there is no group `{group}` in {GROUPS} of this container"),
        }
    }
}

impl std::error::Error for Unknown {}

/// User and group id of `USER[:GROUP]`, names or numbers, given what the two files hold. Without a group, it is the user's own.
///
/// # Errors
/// For a name that is not listed; a number need not be.
pub fn lookup(owner: &str, users: &str, groups: &str) -> Result<(u32, u32), Unknown> {
    let (user, group) = owner.split_once(':').map_or((owner, None), |(user, group)| (user, Some(group)));
    let (id, own_group) = find_user(users, user).ok_or_else(|| Unknown::User(user.to_owned()))?;
    let Some(group) = group else { return Ok((id, own_group)) };
    let group = find_group(groups, group).ok_or_else(|| Unknown::Group(group.to_owned()))?;
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

    #[test]
    fn an_owner_is_a_user_and_perhaps_a_group() {
        assert_eq!(lookup("www-data", PASSWD, ""), Ok((33, 34)));
        assert_eq!(lookup("www-data:adm", PASSWD, "adm:x:4:\n"), Ok((33, 4)));
        assert_eq!(lookup("1234:1235", "", ""), Ok((1234, 1235)));
        let unknown = lookup("www-data:adm", PASSWD, "").unwrap_err();
        assert_eq!(unknown.to_string(), "there is no group `adm` in /etc/group of this container");
    }
}
