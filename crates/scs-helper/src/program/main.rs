//! The program that scs puts into containers. It uses the standard library alone, and is built twice: by cargo for lints
//! and tests, and statically by build.rs for containers.

mod accounts;
mod archive;
mod arguments;
mod exec;
mod files;
mod inside;
mod play;
mod serve;
mod sys;
mod tail;

use arguments::Arguments;
use std::io::Write;
use std::process::ExitCode;

const HELP: &str = "\
scs-helper, what scs runs inside containers

  exec [--timeout 30s] [--lock FILE] -- COMMAND…
        Runs a command in a process group of its own. At the timeout the group gets TERM, 2 s later KILL, and the exit code
        is 124. With --lock, waits until no other one with the same file runs. Else the command's exit code; 127 when it
        is not found, 126 when it cannot be run, 128 + the signal that ended it.
  own [--owner USER[:GROUP]] [--mode 0750] DIRECTORY
        Sets owner and mode of that directory alone. Names are looked up in /etc/passwd and /etc/group.
  remove [--contents] PATH…
        Removes files and whole directories; with --contents only what is in the directories.
  pack DIRECTORY
        Writes all that is in the directory to standard output as a tar archive, by the `tar` that is found in PATH.
  unpack DIRECTORY
        Puts the files of the archive on standard input in place of all that is in the directory, once all are there.
  inside [--make] DIRECTORY PATH
        Looks for a directory inside another, following no link; with --make makes it. Exit code 10: nothing is there, 11: it is
        empty, 12: something is in it, 13: there, or on the way, is no directory.
  tail [--follow] [--until-eof] [--from INDEX:DEVICE:INODE:END]… FILE…
        Prints the files' lines as `INDEX DEVICE:INODE:END LINE`; with --follow also what comes, through rotation and
        truncation, and for files not yet there. With --from a file is read on from where a line of it ended, also where it
        was rotated since and lies beside. With --until-eof ends when standard input does.
  serve --port N [--body TEXT] [--echo]
        Answers every HTTP request with 200 and the body, or sends back what it gets. For tests.
  play STEP…
        out=TEXT err=TEXT env=NAME id cwd cat read=FILE write=FILE:TEXT append=FILE:LINE sleep=TIME deaf exit=CODE,
        in order. For tests.
";

/// Exit code of a wrong command line, as of `sysexits.h`.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut arguments = Arguments::new(std::env::args_os().skip(1));
    let command = arguments.next_text();
    let done = match command.as_deref() {
        Ok("exec") => exec::run(&mut arguments),
        Ok("own") => files::own(&mut arguments),
        Ok("remove") => files::remove(&mut arguments),
        Ok("pack") => files::pack(&mut arguments),
        Ok("unpack") => files::unpack(&mut arguments),
        Ok("inside") => files::inside(&mut arguments),
        Ok("tail") => tail::run(&mut arguments),
        Ok("serve") => serve::run(&mut arguments),
        Ok("play") => play::run(&mut arguments),
        Ok("help" | "--help" | "-h") => std::io::stdout().write_all(HELP.as_bytes()).map(|()| 0).map_err(Failure::from),
        Ok(other) => Err(Failure::usage(format!("there is no command `{other}`; see `scs-helper help`"))),
        Err(_) => Err(Failure::usage("a command is missing; see `scs-helper help`")),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // Nobody is left to be told when even this fails.
            let _ = writeln!(std::io::stderr(), "scs-helper: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
struct Failure {
    /// Exit code.
    code: u8,
    /// What is told.
    message: String,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }

    fn usage(message: impl Into<String>) -> Self {
        Failure::new(USAGE, message)
    }

    /// A failure of an operation on a file.
    fn at(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Failure::new(1, format!("cannot {action} {}: {error}", path.display()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(1, error.to_string())
    }
}
