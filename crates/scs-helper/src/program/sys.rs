//! The few calls of the C library that the standard library does not offer. The only module with `unsafe`.
#![allow(unsafe_code, reason = "signals and descriptor flags have no safe form in the standard library")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

type Handler = extern "C" fn(i32);

unsafe extern "C" {
    fn kill(pid: i32, signal: i32) -> i32;
    fn signal(signal: i32, handler: Handler) -> usize;
    fn fcntl(descriptor: i32, command: i32, ...) -> i32;
    fn _exit(code: i32) -> !;
}

// The same on every architecture of Linux.
pub(crate) const SIGHUP: i32 = 1;
pub(crate) const SIGINT: i32 = 2;
pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;
const F_SETFD: i32 = 2;

/// Sends a signal to all processes of a group, if there still are any.
pub(crate) fn kill_group(group: u32, number: i32) {
    let Ok(group) = i32::try_from(group) else { return };
    if group > 1 {
        // SAFETY: kill(2) takes two numbers and touches no memory of ours; a group that is gone is an error we ignore.
        unsafe { kill(-group, number) };
    }
}

static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(number: i32) {
    CAUGHT.store(number, Ordering::SeqCst);
}

extern "C" fn leave(_number: i32) {
    // SAFETY: _exit(2) is safe in a signal handler, and does not return.
    unsafe { _exit(0) }
}

extern "C" fn ignore(_number: i32) {}

fn on(numbers: &[i32], handler: Handler) {
    for number in numbers {
        // SAFETY: the handlers above only store to an atomic, leave, or do nothing, all of which a handler may.
        unsafe { signal(*number, handler) };
    }
}

/// From now on, TERM, INT and HUP are only written down, for [`caught`].
pub(crate) fn catch_signals() {
    on(&[SIGHUP, SIGINT, SIGTERM], note);
}

/// The last signal that was written down.
pub(crate) fn caught() -> Option<i32> {
    Some(CAUGHT.load(Ordering::SeqCst)).filter(|it| *it > 0)
}

/// From now on, TERM and INT end the process with 0. Process 1 of a container is deaf to signals it has no handler for.
pub(crate) fn leave_on_signals() {
    on(&[SIGINT, SIGTERM], leave);
}

/// From now on, TERM and INT do nothing.
pub(crate) fn ignore_signals() {
    on(&[SIGINT, SIGTERM], ignore);
}

/// Lets programs that this process starts inherit an open file.
pub(crate) fn pass_on(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `file` is borrowed; F_SETFD takes one number and touches no memory.
    let done = unsafe { fcntl(file.as_raw_fd(), F_SETFD, 0) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
