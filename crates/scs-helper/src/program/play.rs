//! `play`: does what a test tells it, so that tests need no shell in their images.

use crate::arguments::{Arguments, duration};
use crate::{Failure, sys};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::{env, fs, thread};

pub(crate) fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    sys::leave_on_signals();
    for step in arguments.rest() {
        let step = step.to_string_lossy().into_owned();
        let (verb, value) = step.split_once('=').unwrap_or((&step, ""));
        let mut out = io::stdout();
        match verb {
            "out" => writeln!(out, "{value}")?,
            "err" => writeln!(io::stderr(), "{value}")?,
            "env" => writeln!(out, "{}", env::var(value).unwrap_or_default())?,
            "id" => {
                let own = fs::metadata("/proc/self")?;
                writeln!(out, "{}:{}", own.uid(), own.gid())?;
            }
            "cwd" => writeln!(out, "{}", env::current_dir()?.display())?,
            "cat" => drop(io::copy(&mut io::stdin(), &mut out)?),
            "read" => out.write_all(&fs::read(value).map_err(|error| Failure::at("read", value.as_ref(), &error))?)?,
            "write" => {
                let (path, text) = value.split_once(':').unwrap_or((value, ""));
                fs::write(path, text).map_err(|error| Failure::at("write", path.as_ref(), &error))?;
            }
            "append" => {
                let (path, text) = value.split_once(':').unwrap_or((value, ""));
                let mut file = fs::OpenOptions::new().append(true).create(true).open(path);
                let appended = file.as_mut().map_err(|error| Failure::at("open", path.as_ref(), error))?;
                writeln!(appended, "{text}").map_err(|error| Failure::at("write", path.as_ref(), &error))?;
            }
            "sleep" => thread::sleep(duration(value).ok_or_else(|| Failure::usage("sleep=TIME, e.g. sleep=1s"))?),
            "deaf" => sys::ignore_signals(),
            "exit" => return value.parse().map_err(|_| Failure::usage("exit=CODE, from 0 to 255")),
            other => return Err(Failure::usage(format!("there is no step `{other}`"))),
        }
        out.flush()?;
    }
    Ok(0)
}
