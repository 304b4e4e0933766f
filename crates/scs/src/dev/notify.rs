//! Words to systemd: that we are ready, and that we end. Silent where nobody listens.

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};
use std::os::unix::ffi::OsStrExt as _;

/// Ready.
pub fn ready() {
    say("READY=1");
}

/// Ending.
pub fn stopping() {
    say("STOPPING=1");
}

fn say(words: &str) {
    let Some(address) = std::env::var_os(crate::env::NOTIFY_SOCKET).filter(|address| !address.is_empty()) else {
        return;
    };
    let send = || -> rustix::io::Result<()> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path => SocketAddrUnix::new(path)?,
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        sendto(&socket, words.as_bytes(), SendFlags::NOSIGNAL, &address)?;
        Ok(())
    };
    if let Err(error) = send() {
        tracing::debug!(%error, "systemd was not told");
    }
}
