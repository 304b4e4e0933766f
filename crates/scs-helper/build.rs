//! Builds the helper program as a static executable, so that it runs in containers of any distribution, or of none.
//!
//! It is compiled by the compiler itself and not by cargo: a build inside a build would wait for its own lock, and a
//! static build through cargo needs a target directory and flags of its own.

use std::path::Path;
use std::process::Command;
use std::{env, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src/program");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).map_err(|_| io::Error::other(format!("cargo sets no {name}")));
    let output = Path::new(&variable("OUT_DIR")?).join("scs-helper");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.args(["--edition", "2024", "--crate-name", "scs_helper", "--crate-type", "bin"]);
    rustc.args(["--target", &variable("TARGET")?]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    rustc.args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"]);
    for option in ["opt-level=s", "panic=abort", "strip=symbols", "lto=fat", "codegen-units=1"] {
        rustc.args(["-C", option]);
    }
    rustc.args(["-o".as_ref(), output.as_os_str()]).arg("src/program/main.rs");
    let status = rustc.status()?;
    if !status.success() {
        let message = format!(
            "the static helper program was not built ({status}); it needs the C library's static form, \
            which Debian has in libc6-dev"
        );
        return Err(io::Error::other(message));
    }
    Ok(())
}
