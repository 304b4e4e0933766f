//! `scs-transfer-bridge SOCKET ARGUMENT…`: the bridge by itself, for whoever uses this crate without `scs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let socket = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    scs_transfer::bridge::run(socket.as_ref(), &arguments).unwrap_or(ExitCode::FAILURE)
}
