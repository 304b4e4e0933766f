//! What a container sees of its connections: environment variables, `/run/scs` and `/run/secrets`.
//!
//! Every file is replaced by renaming a finished one over it, so a reader gets the old or the new, whole. These are a few
//! small files, written by the owning task itself, so that they are always in order and there before any command runs.
//!
//! When the machine goes down, its containers go with it, and the next ones get directories of their own: what only they read
//! need not be on disk by then. What this process reads after a crash has to be: [`keep`] is for that.

use scs_api::secret::SecretValue;
use scs_manifest::compiled::{Role, SecretAs};
use scs_plan::lifecycle::{Memo, View};
use scs_plan::slot::Slot;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Directory of one container on the host.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    root: PathBuf,
}

/// Where the helper is in the container.
pub(crate) const HELPER: &str = "/run/scs/bin/scs-helper";
/// What a live update locks: a file that is there already, since the mount is read-only.
pub(crate) const LOCK: &str = "/run/scs/lock";

impl Files {
    /// Those of an instance; nothing is made.
    pub(crate) fn of(state: &Path, instance: &str) -> Self {
        Self { root: state.join("run").join(instance) }
    }

    /// Mounted at `/run/scs`.
    pub(crate) fn scs(&self) -> PathBuf {
        self.root.join("scs")
    }

    /// Mounted at `/run/secrets`.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// Makes the directories, and puts the helper in.
    pub(crate) fn prepare(&self, helper: Option<&Path>) -> io::Result<()> {
        // The parents keep everybody else on the host out; the container's user has to read what is mounted.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.root)?;
        for inside in ["scs", "scs/require", "scs/bin", "secrets"] {
            directory(&self.root.join(inside))?;
        }
        replace(&self.scs().join("lock"), b"", 0o666)?;
        if let Some(helper) = helper {
            let target = self.scs().join("bin/scs-helper");
            let _ = fs::remove_file(&target);
            // A hard link costs nothing; across file systems it takes a copy.
            if fs::hard_link(helper, &target).is_err() {
                fs::copy(helper, &target)?;
            }
        }
        Ok(())
    }

    /// Writes what the container sees.
    pub(crate) fn write(&self, slot: &Slot, instance: &str, role: &Role, view: &View) -> io::Result<()> {
        for (name, seen) in &view.requirements {
            let document = json!({
                "name": name, "revision": view.revision, "stale": seen.stale, "endpoints": seen.endpoints,
            });
            let text = serde_json::to_string_pretty(&document).map_err(io::Error::other)? + "\n";
            replace(&self.scs().join("require").join(format!("{name}.json")), text.as_bytes(), 0o644)?;
        }
        let text = serde_json::to_vec(slot).map_err(io::Error::other)?;
        replace(&self.root.join("slot.json"), &text, 0o600)?;
        let mut text = format!("# revision {}\n", view.revision);
        for (name, value) in environment(slot, instance, role, view) {
            let _ = writeln!(text, "{name}='{}'", value.replace('\'', r"'\''"));
        }
        replace(&self.scs().join("env"), text.as_bytes(), 0o644)
    }

    /// Writes the secrets that are known; those that are not stay as they are.
    pub(crate) fn write_secrets(&self, role: &Role, values: &BTreeMap<String, SecretValue>) -> io::Result<()> {
        for (name, secret) in role.secrets.iter().filter(|(_, secret)| secret.r#as == SecretAs::File) {
            let Some(value) = values.get(&secret.from) else { continue };
            let path = self.secrets().join(name);
            if fs::read(&path).ok().as_deref() != Some(value.expose().as_bytes()) {
                // A start without a server takes it from here: an empty file must not pass for an empty secret.
                keep(&path, value.expose().as_bytes(), 0o444)?;
            }
        }
        Ok(())
    }

    /// Whose it is.
    pub(crate) fn slot(&self) -> Option<Slot> {
        serde_json::from_slice(&fs::read(self.root.join("slot.json")).ok()?).ok()
    }

    /// A secret as it was last written.
    pub(crate) fn secret(&self, name: &str) -> Option<SecretValue> {
        fs::read_to_string(self.secrets().join(name)).ok().map(SecretValue::new)
    }

    pub(crate) fn write_memo(&self, memo: &Memo) -> io::Result<()> {
        let text = serde_json::to_vec(memo).map_err(io::Error::other)?;
        replace(&self.root.join("memo.json"), &text, 0o600)
    }

    pub(crate) fn memo(&self) -> Option<Memo> {
        serde_json::from_slice(&fs::read(self.root.join("memo.json")).ok()?).ok()
    }

    /// Removes everything.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.root)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.root.display(), %error, "files of a removed container stay");
        }
    }
}

/// Variables that tell a container who it is and whom it talks to.
pub(crate) fn environment(slot: &Slot, instance: &str, role: &Role, view: &View) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = [
        ("SCS_ENVIRONMENT", slot.environment.as_str()),
        ("SCS_SERVICE", &slot.service),
        ("SCS_ROLE", &slot.role),
        ("SCS_RUN_ID", instance),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    for name in role.require.keys() {
        let endpoints = view.requirements.get(name).map(|seen| seen.endpoints.as_slice()).unwrap_or_default();
        variables.extend(requirement_variables(name, endpoints));
    }
    variables
}

/// The variables of one requirement: every address in order of preference, and host and port of the first. Without an endpoint they are
/// there and empty, so that an older value does not shine through.
#[must_use]
pub fn requirement_variables(name: &str, endpoints: &[disco_proto::Endpoint]) -> [(String, String); 4] {
    let variable = format!("SCS_REQUIRE_{}", name.to_uppercase().replace('-', "_"));
    let all: Vec<String> = endpoints.iter().map(disco_proto::Endpoint::address).collect();
    let v6: Vec<&str> =
        endpoints.iter().filter_map(|it| it.attributes.get(crate::provide::IPV6).map(String::as_str)).collect();
    // Without an endpoint they are there and empty, so that an older value does not shine through in an exec.
    let first = endpoints.first();
    [
        (format!("{variable}_HOST"), first.map(|first| first.host.clone()).unwrap_or_default()),
        (format!("{variable}_PORT"), first.map(|first| first.port.to_string()).unwrap_or_default()),
        (format!("{variable}_IPV6"), v6.join(";")),
        (variable, all.join(";")),
    ]
}

fn directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path)?;
    // Whatever the umask: the container's user has to get through.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Puts a finished file in the place of another. After a crash of the machine there may be the old one, the new one or an empty one.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    put(path, content, mode, false)
}

/// The same, whatever happens to the machine: the old one or the new one, and the new one once this has returned.
pub(crate) fn keep(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    put(path, content, mode, true)?;
    fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn put(path: &Path, content: &[u8], mode: u32, sync: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.new"));
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    if sync {
        file.sync_all()?;
    }
    fs::rename(&fresh, path)
}
