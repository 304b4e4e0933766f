//! The engine's failures in the port's words. Docker tells many of them apart in prose only.

use crate::call::Subject;
use bollard::errors::Error as ApiError;
use scs_ports::engine::{BoxError, Error};
use std::io::ErrorKind;

/// Why nobody answers, where we can tell, with what to do about it.
#[derive(Debug, thiserror::Error)]
enum Hint {
    #[error(
        "permission to open it is denied: add yourself to the group `docker` (`sudo usermod -aG docker $USER`, then log in \
         again), or run a rootless engine"
    )]
    Permission,
    #[error("nothing is there: is Docker installed and started (`sudo systemctl start docker`)?")]
    Absent,
    #[error("nobody listens there: is Docker started (`sudo systemctl start docker`)?")]
    Refused,
}

pub(crate) fn unreachable(address: &str, source: BoxError) -> Error {
    let source = match io_kind(&*source) {
        Some(ErrorKind::PermissionDenied) => Hint::Permission.into(),
        Some(ErrorKind::NotFound) => Hint::Absent.into(),
        Some(ErrorKind::ConnectionRefused) => Hint::Refused.into(),
        _ if source.to_string().starts_with("Socket not found") => Hint::Absent.into(),
        _ => source,
    };
    Error::Unreachable { address: address.to_owned(), source }
}

/// The kind of the first I/O error among the causes.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

pub(crate) fn translate(address: &str, subject: &Subject, error: ApiError) -> Error {
    match error {
        ApiError::DockerResponseServerError { status_code, message } => refused(subject, status_code, message),
        ApiError::DockerStreamError { error } => words(subject, &error),
        ApiError::IOError { .. }
        | ApiError::HyperResponseError { .. }
        | ApiError::HyperLegacyError { .. }
        | ApiError::SocketNotFoundError(_) => unreachable(address, error.into()),
        other => words(subject, &other.to_string()),
    }
}

fn refused(subject: &Subject, status: u16, message: String) -> Error {
    match status {
        404 => Error::NotFound { what: missing(&message).unwrap_or_else(|| subject.what.clone()) },
        409 => Error::Conflict { what: disputed(&message).unwrap_or_else(|| subject.what.clone()), message },
        403 if message.contains("active endpoints") => Error::Conflict { what: subject.what.clone(), message },
        501 => Error::Unsupported { what: format!("{}: {message}", subject.action) },
        _ => words(subject, &message),
    }
}

fn words(subject: &Subject, message: &str) -> Error {
    if let Some((address, port)) = taken_port(message) {
        return Error::PortTaken { address, port };
    }
    Error::Refused { action: subject.action.clone(), message: message.trim().to_owned() }
}

/// What is missing, where that is another thing than what was asked about: creating a container wants its image.
fn missing(message: &str) -> Option<String> {
    let lower = message.to_ascii_lowercase();
    let rest = |marker: &str| lower.find(marker).map(|at| message[at + marker.len()..].trim());
    let word = |text: &str| text.split_whitespace().next().map(|it| it.trim_end_matches(',').to_owned());
    if let Some(image) = rest("no such image:").and_then(word) {
        return Some(format!("image `{image}`"));
    }
    if let Some(network) = lower.strip_prefix("network ").and_then(|it| it.strip_suffix(" not found")) {
        return Some(format!("network `{}`", &message[8..8 + network.len()]));
    }
    None
}

/// The container name that is taken, in Docker's `The container name "/x" is already in use`.
fn disputed(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("container name \"")?;
    let (name, _) = rest.split_once('"')?;
    Some(format!("container name `{}`", name.trim_start_matches('/')))
}

/// The port that is taken, in any of the wordings that Docker's port allocator and proxy have had since 20.10.
fn taken_port(message: &str) -> Option<(String, u16)> {
    if !message.contains("already allocated") && !message.contains("address already in use") {
        return None;
    }
    let markers = [
        "failed to bind host port for ",
        "failed to bind host port ",
        "Bind for ",
        "listen tcp4 ",
        "listen tcp6 ",
        "listen tcp ",
        "listen udp4 ",
        "listen udp6 ",
        "listen udp ",
    ];
    markers.iter().find_map(|marker| {
        let (_, rest) = message.rsplit_once(marker)?;
        socket(rest.split([' ', '/']).next()?.trim_end_matches([':', ',']))
    })
}

/// Reads `1.2.3.4:80`, `1.2.3.4:80:5.6.7.8:90` (the first of both), `[::1]:80` and Docker's `:::80`.
fn socket(text: &str) -> Option<(String, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once("]:")?;
        return Some((address.to_owned(), port.split(':').next()?.parse().ok()?));
    }
    if text.split(':').next()?.contains('.') {
        let mut parts = text.split(':');
        return Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?));
    }
    let (address, port) = text.rsplit_once(':')?;
    Some((address.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status_code: u16, message: &str) -> Error {
        let error = ApiError::DockerResponseServerError { status_code, message: message.to_owned() };
        translate("unix:///x", &Subject::container("start", "web"), error)
    }

    #[test]
    fn a_taken_port_is_read_from_every_wording() {
        let wordings = [
            "driver failed programming external connectivity on endpoint web (1f): Bind for 127.0.0.1:8080 failed: port \
             is already allocated",
            "driver failed programming external connectivity on endpoint web (1f): Error starting userland proxy: listen \
             tcp4 127.0.0.1:8080: bind: address already in use",
            "failed to set up container networking: driver failed programming external connectivity on endpoint web: \
             failed to bind host port for 127.0.0.1:8080:172.17.0.2:80/tcp: address already in use",
            "failed to bind host port 127.0.0.1:8080/tcp: address already in use",
        ];
        for wording in wordings {
            match of(500, wording) {
                Error::PortTaken { address, port } => assert_eq!((address.as_str(), port), ("127.0.0.1", 8080)),
                other => panic!("{wording}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_taken_port_of_ipv6_is_read_with_and_without_brackets() {
        assert_eq!(taken_port("Bind for :::8080 failed: port is already allocated"), Some(("::".to_owned(), 8080)));
        let proxy = "listen tcp6 [::1]:8080: bind: address already in use";
        assert_eq!(taken_port(proxy), Some(("::1".to_owned(), 8080)));
    }

    #[test]
    fn an_address_that_the_host_does_not_have_is_no_taken_port() {
        let message =
            "Error starting userland proxy: listen tcp4 203.0.113.9:80: bind: cannot assign requested address";
        assert!(matches!(of(500, message), Error::Refused { .. }));
    }

    #[test]
    fn the_missing_image_of_a_new_container_is_named() {
        let error = of(404, "No such image: nothing:latest").to_string();
        assert_eq!(error, "there is no image `nothing:latest`");
        assert_eq!(of(404, "network scs not found").to_string(), "there is no network `scs`");
        assert_eq!(of(404, "No such container: web").to_string(), "there is no container `web`");
    }

    #[test]
    fn a_taken_name_is_a_conflict_over_the_name() {
        let message = "Conflict. The container name \"/web\" is already in use by container \"12ab\".";
        assert!(of(409, message).to_string().starts_with("container name `web` is in use"));
    }

    #[test]
    fn a_forbidden_socket_says_how_to_get_permission() {
        let error = unreachable("unix:///x", std::io::Error::from(ErrorKind::PermissionDenied).into());
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("usermod -aG docker"), "{source}");
    }
}
