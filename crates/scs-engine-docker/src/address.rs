//! Where the engine is: chosen from what the caller says, the environment and the sockets that are there.

use scs_ports::engine::Error;
use std::path::{Path, PathBuf};

const SYSTEM_SOCKET: &str = "/var/run/docker.sock";

/// What the choice depends on.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// Whether the system's socket is there, and may be opened.
    pub system_socket: Socket,
    /// Whether the rootless engine's socket is there.
    pub rootless_socket: bool,
}

/// What a socket file looks like to us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Socket {
    #[default]
    Absent,
    Forbidden,
    Open,
}

impl Surroundings {
    pub(crate) fn of_this_process() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
        let runtime_dir = text("XDG_RUNTIME_DIR").map(PathBuf::from);
        let rootless_socket = runtime_dir.as_deref().is_some_and(|it| rootless(it).exists());
        Surroundings { docker_host: text("DOCKER_HOST"), runtime_dir, system_socket: probe(), rootless_socket }
    }
}

fn probe() -> Socket {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    match std::os::unix::net::UnixStream::connect(SYSTEM_SOCKET) {
        Err(error) if error.kind() == NotFound => Socket::Absent,
        Err(error) if error.kind() == PermissionDenied => Socket::Forbidden,
        _ => Socket::Open,
    }
}

fn rootless(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("docker.sock")
}

/// The address as `unix:///path` or `http://host:port`.
pub(crate) fn choose(asked: Option<&str>, around: &Surroundings) -> Result<String, Error> {
    let asked = asked.filter(|it| !it.is_empty()).or(around.docker_host.as_deref());
    if let Some(address) = asked {
        return normal(address);
    }
    match (&around.runtime_dir, &around.system_socket) {
        (Some(dir), Socket::Absent | Socket::Forbidden) if around.rootless_socket => {
            Ok(format!("unix://{}", rootless(dir).display()))
        }
        _ => Ok(format!("unix://{SYSTEM_SOCKET}")),
    }
}

fn normal(address: &str) -> Result<String, Error> {
    if address.starts_with('/') {
        return Ok(format!("unix://{address}"));
    }
    match address.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(address.to_owned()),
        Some(("tcp" | "http", rest)) if !rest.is_empty() => Ok(format!("http://{}", rest.trim_end_matches('/'))),
        _ => {
            let what = format!("be reached at `{address}`: give unix:///path/of.sock or tcp://host:port (without TLS)");
            Err(Error::Unsupported { what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(system_socket: Socket, rootless_socket: bool) -> Surroundings {
        Surroundings { docker_host: None, runtime_dir: Some("/run/user/1000".into()), system_socket, rootless_socket }
    }

    #[test]
    fn what_the_caller_says_wins_over_the_environment() {
        let around = Surroundings { docker_host: Some("tcp://192.0.2.1:2375".to_owned()), ..Surroundings::default() };
        assert_eq!(choose(Some("/tmp/x.sock"), &around).unwrap(), "unix:///tmp/x.sock");
        assert_eq!(choose(None, &around).unwrap(), "http://192.0.2.1:2375");
        assert_eq!(choose(Some(""), &around).unwrap(), "http://192.0.2.1:2375");
    }

    #[test]
    fn a_rootless_engine_is_used_when_the_system_one_is_absent_or_forbidden() {
        let rootless = "unix:///run/user/1000/docker.sock";
        assert_eq!(choose(None, &around(Socket::Absent, true)).unwrap(), rootless);
        assert_eq!(choose(None, &around(Socket::Forbidden, true)).unwrap(), rootless);
        assert_eq!(choose(None, &around(Socket::Open, true)).unwrap(), "unix:///var/run/docker.sock");
        assert_eq!(choose(None, &around(Socket::Forbidden, false)).unwrap(), "unix:///var/run/docker.sock");
    }

    #[test]
    fn an_address_of_another_kind_is_refused_with_what_would_do() {
        for address in ["ssh://host", "unix://relative.sock", "nonsense", "tcp://"] {
            let error = choose(Some(address), &Surroundings::default()).unwrap_err().to_string();
            assert!(error.contains(address) && error.contains("unix:///"), "{error}");
        }
    }
}
