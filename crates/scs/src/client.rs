//! The client of the server, and what its errors are to whoever typed the command.

pub use scs_client::{Client, Sender, socket};

use crate::exit::Failure;
use crate::output::say;
use scs_api::error::Problem;
use scs_client::{Error, Whom};
use std::io;
use std::path::Path;

/// The client of the `scs dev` that listens on this socket; its warnings are said.
#[must_use]
pub fn of_socket(path: &Path) -> Client {
    Client::own(path).hearing(|warning| say(&format!("warning: {warning}")))
}

/// `scs dev` is this user's own: its troubles are told as such. A server is somebody's, also where its socket is here.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unreachable { whom: Whom::Own(path), source } => {
                let what = match source.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "`scs dev` does not run",
                    io::ErrorKind::PermissionDenied => "`scs dev` is somebody else's",
                    _ => "`scs dev` does not answer",
                };
                Self::unavailable(format!("{what} (socket {})", path.display()))
                    .because(source)
                    .hint("`scs up` starts it; `scs doctor` looks deeper")
            }
            Error::Broken { whom: Whom::Own(_), path, source } => {
                Self::unavailable(format!("`scs dev` stopped answering to {path}"))
                    .because(source.as_ref())
                    .hint("containers keep running; `scs up` starts it again, `scs doctor` says where its log is")
            }
            Error::Strange { whom: Whom::Own(_), source, .. } => Self::failed(error.to_string()).because(source).hint(
                "is it another version? `scs version` shows both; `scs dev --stop` ends the old one, containers \
                     keep running",
            ),
            _ => Problem::from(error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_dead_is_not_taken_for_this_users_own() {
        let said = |whom: Whom| {
            let source = io::Error::from(io::ErrorKind::ConnectionRefused);
            format!("{:?}", Failure::from(Error::Unreachable { whom, source }))
        };
        assert!(said(Whom::Own("/own/scs.sock".into())).contains("`scs dev` does not run"));
        let server = said(Whom::Socket("/server/scs.sock".into()));
        assert!(server.contains("the server at /server/scs.sock does not answer"), "{server}");
        assert!(!server.contains("scs dev") && !server.contains("scs up"), "{server}");
    }
}
