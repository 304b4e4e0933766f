//! Gives fresh volumes to their owners, by the names that are known inside the image.
//!
//! Where we may, it is done from here, with the list of users that the container holds: that takes a tenth of the time that a helper
//! container takes, which does everything else.

use crate::failure;
use crate::files::HELPER;
use crate::labels::names;
use crate::options::Options;
use crate::provision::Fresh;
use scs_helper::accounts;
use scs_plan::lifecycle::Failure;
use scs_ports::engine::{Create, Engine, Error, Mount, MountSource};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;

#[cfg(test)]
mod tests;

/// Whether user ids inside containers are the same outside; asked of the engine once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Users(Arc<OnceCell<bool>>);

impl Users {
    async fn same(&self, engine: &dyn Engine) -> Result<bool, Error> {
        self.0.get_or_try_init(|| async { Ok(!engine.info().await?.remapped) }).await.copied()
    }
}

/// For which container, made and not yet started.
pub(crate) struct Owning<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) options: &'a Options,
    pub(crate) users: &'a Users,
    pub(crate) image: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) container: &'a str,
    /// What is mounted at `/run/scs`.
    pub(crate) scs: PathBuf,
}

impl Owning<'_> {
    /// Sets owner and mode of each.
    pub(crate) async fn give(&self, fresh: &[Fresh]) -> Result<(), Failure> {
        for (number, fresh) in fresh.iter().enumerate() {
            let given = match &fresh.source {
                MountSource::Host(path) if fresh.ours => self.directly(path, fresh).await,
                _ => false,
            };
            if !given {
                self.in_a_container(number, fresh).await?;
            }
        }
        Ok(())
    }

    /// Whether it could be done from here. Why not does not matter: the other way says what is wrong.
    async fn directly(&self, path: &Path, fresh: &Fresh) -> bool {
        if !self.users.same(self.engine).await.unwrap_or(false) {
            return false;
        }
        let ids = match &fresh.owner {
            Some(owner) => match self.ids(owner).await {
                Some(ids) => Some(ids),
                None => return false,
            },
            None => None,
        };
        let given = ids.map_or(Ok(()), |(user, group)| lchown(path, Some(user), Some(group)));
        // After the owner, whose change takes the set-id bits away.
        let given = given.and_then(|()| match fresh.mode {
            Some(mode) => fs::set_permissions(path, Permissions::from_mode(mode)),
            None => Ok(()),
        });
        if given.is_ok() {
            remove_marker(&fresh.marker);
        }
        given.is_ok()
    }

    async fn ids(&self, owner: &str) -> Option<(u32, u32)> {
        // A user and a group in numbers are looked up nowhere.
        if owner.contains(':')
            && owner.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
            && let Ok(ids) = accounts::lookup(owner, "", "")
        {
            return Some(ids);
        }
        let users = self.text(accounts::USERS).await?;
        let groups = if owner.contains(':') { self.text(accounts::GROUPS).await? } else { String::new() };
        accounts::lookup(owner, &users, &groups).ok()
    }

    async fn text(&self, path: &str) -> Option<String> {
        let content = self.engine.read_file(self.container, path).await.ok()??;
        String::from_utf8(content.into()).ok()
    }

    /// By the helper, as root in a container of the same image.
    async fn in_a_container(&self, number: usize, fresh: &Fresh) -> Result<(), Failure> {
        if self.options.helper.is_none() {
            tracing::warn!("no helper: a fresh volume keeps the owner it was made with");
            return Ok(());
        }
        let mut command = vec!["own".to_owned()];
        if let Some(owner) = &fresh.owner {
            command.extend(["--owner".to_owned(), owner.clone()]);
        }
        if let Some(mode) = fresh.mode {
            command.extend(["--mode".to_owned(), format!("{mode:04o}")]);
        }
        command.push("/volume".to_owned());
        let labels = [(names::OWNER, self.options.owner.as_str()), (names::PURPOSE, "own")];
        let mount = |source, target: &str, read_only| Mount { source, target: target.to_owned(), read_only };
        let create = Create {
            name: format!("scs-own-{}-{number}", self.instance),
            image: self.image.to_owned(),
            labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            entrypoint: Some(vec![HELPER.to_owned()]),
            command: Some(command),
            user: Some("0".to_owned()),
            mounts: vec![
                mount(fresh.source.clone(), "/volume", false),
                mount(MountSource::Host(self.scs.clone()), "/run/scs", true),
            ],
            network: "none".to_owned(),
            ..Create::default()
        };
        let id = self.engine.create(&create).await.map_err(|error| failure::of(&error))?;
        let ended = match self.engine.start(&id).await {
            Ok(()) => self.engine.wait(&id).await,
            Err(error) => Err(error),
        };
        let output = match &ended {
            Ok(exit) if exit.code != 0 => crate::logs::last_lines(self.engine, &id).await,
            _ => Vec::new(),
        };
        let removed = self.engine.remove(&id).await;
        let exit = ended.map_err(|error| failure::of(&error))?;
        removed.map_err(|error| failure::of(&error))?;
        if exit.code != 0 {
            let owner = fresh.owner.as_deref().unwrap_or("its owner");
            let message = format!("cannot give a fresh volume to {owner}: {}", output.join(" "));
            return Err(Failure { message, details: output, unknown: false });
        }
        remove_marker(&fresh.marker);
        Ok(())
    }
}

fn remove_marker(marker: &Path) {
    if let Err(error) = fs::remove_file(marker) {
        tracing::debug!(path = %marker.display(), %error, "the owner of a volume will be set once more");
    }
}
