//! Git sources, through the git program: fetched into a cache of bare repositories, resolved to a commit, checked out
//! once. The user's and the system's configuration do not count, so that a commit gives the same files everywhere;
//! credentials come from ssh or from the URL. Submodules are not fetched.

use super::Error;
use crate::lock;
use scs_ports::engine::Progress;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// What may be fetched over; above all not `ext`, which runs commands.
const PROTOCOLS: &str = "https:http:ssh:git:file";

/// A commit that was checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit, 40 (or 64) hexadecimal digits.
    pub commit: String,
    /// Its files; not to be changed, others read them too.
    pub directory: PathBuf,
}

/// Fetches a repository into `cache` and checks out a branch, tag or commit (the default branch without one). A commit
/// that is there already is not fetched again.
pub async fn checkout(
    cache: &Path,
    url: &str,
    reference: Option<&str>,
    progress: &dyn Progress,
) -> Result<Checkout, Error> {
    let reference = reference.unwrap_or("HEAD");
    let refused = |message: &str| Error::Git {
        action: format!("use {reference} of {}", shown(url)),
        message: message.to_owned(),
    };
    if url.is_empty() || url.starts_with('-') {
        return Err(refused("this is not the address of a repository"));
    }
    if reference.starts_with('-') || reference.contains([':', '^', '~', ' ', '\0', '\n']) {
        return Err(refused("this is not a branch, a tag or a commit"));
    }
    let name = scs_manifest::digest::sha256_hex(url.as_bytes());
    let lock = lock::acquire(&cache.join("locks"), &format!("git-{}", &name[..16]), progress).await;
    let _lock = lock.map_err(|error| Error::Io { action: "lock", path: error.path, source: error.source })?;
    let repository = Repository { directory: cache.join(format!("{}.git", &name[..16])), url };
    if !repository.directory.join("HEAD").is_file() {
        let directory = repository.directory.display().to_string();
        repository.git("make a repository", &["init", "--quiet", "--bare", "--", &directory], &[], None).await?;
    }
    let commit = repository.resolve(reference, progress).await?;
    let directory = cache.join("trees").join(&commit);
    if !directory.is_dir() {
        repository.unpack(&commit, &directory).await?;
    }
    Ok(Checkout { commit, directory })
}

struct Repository<'a> {
    directory: PathBuf,
    url: &'a str,
}

impl Repository<'_> {
    async fn resolve(&self, reference: &str, progress: &dyn Progress) -> Result<String, Error> {
        let whole = [40, 64].contains(&reference.len()) && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
        if whole && self.commit(reference).await.is_ok() {
            return Ok(reference.to_lowercase());
        }
        progress.line(&format!("fetching {reference} of {}", shown(self.url)));
        let action = format!("fetch {reference} of {}", shown(self.url));
        let spec = format!("+{reference}:refs/scs/fetched");
        let fetch = ["fetch", "--quiet", "--no-tags", "--depth=1", "--", self.url, &spec];
        match self.git(&action, &fetch, &[], Some(progress)).await {
            Ok(_) => self.commit("refs/scs/fetched").await,
            // Part of a commit's name, or a server that gives out only what a ref names: all of it, then.
            Err(error) if reference.len() >= 7 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                let all = ["fetch", "--quiet", "--no-tags", "--", self.url, "+refs/*:refs/scs/all/*"];
                self.git(&action, &all, &[], Some(progress)).await?;
                self.commit(reference).await.map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }

    async fn commit(&self, reference: &str) -> Result<String, Error> {
        let name = format!("{reference}^{{commit}}");
        self.git(&format!("find {reference}"), &["rev-parse", "--verify", "--quiet", &name], &[], None).await
    }

    async fn unpack(&self, commit: &str, into: &Path) -> Result<(), Error> {
        let trees = into.parent().expect("a tree lies in the directory of trees");
        std::fs::create_dir_all(trees).map_err(Error::io("make", trees))?;
        let temporary = tempfile::Builder::new().prefix(".checkout-").tempdir_in(trees);
        let temporary = temporary.map_err(Error::io("write to", trees))?;
        let tree = temporary.path().join("tree");
        std::fs::create_dir(&tree).map_err(Error::io("make", &tree))?;
        let environment = [("GIT_INDEX_FILE", temporary.path().join("index"))];
        let work_tree = format!("--work-tree={}", tree.display());
        let checkout = [&work_tree, "checkout", "--quiet", "--force", commit, "--", "."];
        self.git(&format!("check out {commit}"), &checkout, &environment, None).await?;
        std::fs::rename(&tree, into).map_err(Error::io("write", into))
    }

    /// Runs git and gives what it prints, without white space around it.
    async fn git(
        &self,
        action: &str,
        arguments: &[&str],
        environment: &[(&str, PathBuf)],
        progress: Option<&dyn Progress>,
    ) -> Result<String, Error> {
        let failed = |message: String| Error::Git { action: action.to_owned(), message };
        let mut command = Command::new("git");
        command.arg(format!("--git-dir={}", self.directory.display())).args(arguments);
        // What a caller inside of a repository has set would lead git elsewhere.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS"] {
            command.env_remove(name);
        }
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", PROTOCOLS);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("LC_ALL", "C");
        command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes").envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(format!("git cannot be started: {error}")))?;
        let mut lines = BufReader::new(child.stderr.take().expect("it was piped")).split(b'\n');
        let mut last = String::new();
        let reading = async {
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !line.is_empty() {
                    if let Some(progress) = progress {
                        progress.line(&line);
                    }
                    last = line;
                }
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), reading);
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let message = if last.is_empty() { format!("it ended with {}", output.status) } else { last };
            return Err(failed(message));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// An address without the password that may be in it.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or_default();
            match host.rsplit_once('@') {
                Some((_, bare)) => format!("{scheme}://{bare}{}", &rest[host.len()..]),
                None => url.to_owned(),
            }
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
