//! `scs dev` as a systemd user service (a system service for root), which survives a reboot.

use crate::exit::Failure;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Name of the unit.
pub const NAME: &str = "scs-dev.service";

/// Where the unit goes.
#[must_use]
pub fn path(root: bool, configuration: Option<&Path>) -> Option<PathBuf> {
    if root {
        return Some(PathBuf::from("/etc/systemd/system").join(NAME));
    }
    configuration.map(|configuration| configuration.join("systemd/user").join(NAME))
}

/// The unit's text.
///
/// # Errors
/// Where a path holds what a unit cannot.
pub fn text(program: &Path, environment: &[(&str, String)], root: bool) -> Result<String, Failure> {
    let program = program.to_str().filter(|path| !path.contains(['"', '\\', '\n', '%'])).ok_or_else(|| {
        Failure::usage(format!("{} cannot stand in a systemd unit", program.display()))
            .hint("install scs at a plainer path")
    })?;
    let mut text = String::from("[Unit]\nDescription=scs: Docker services of this user\n");
    if root {
        text.push_str("After=docker.service network-online.target\nWants=network-online.target\n");
    }
    text.push_str("\n[Service]\nType=notify\n");
    for (name, value) in environment {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        let _ = writeln!(text, "Environment=\"{name}={value}\"");
    }
    let _ = write!(
        text,
        "ExecStart=\"{program}\" dev\nRestart=on-failure\nRestartSec=1\n# Containers keep running while it is away.\n\
         KillMode=process\n\n[Install]\nWantedBy={}\n",
        if root { "multi-user.target" } else { "default.target" },
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_holds_the_environment_it_was_installed_with() {
        let environment = [("SCS_STATE_DIR", "/data/50% full".to_owned())];
        insta::assert_snapshot!(text(Path::new("/usr/bin/scs"), &environment, false).unwrap(), @r#"
        [Unit]
        Description=scs: Docker services of this user

        [Service]
        Type=notify
        Environment="SCS_STATE_DIR=/data/50%% full"
        ExecStart="/usr/bin/scs" dev
        Restart=on-failure
        RestartSec=1
        # Containers keep running while it is away.
        KillMode=process

        [Install]
        WantedBy=default.target
        "#);
    }
}
