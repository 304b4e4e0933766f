//! `contrib/conformance/disco.py` against a running server.

use std::{path::Path, time::Duration};

use disco_server::Options;
use scs_pki::Kind;
use tokio::process::Command;

use crate::support::{World, options, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_conforms_to_the_description_of_its_protocol() {
    conforms(patient(options(None)), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_conforms_to_it_over_tls_too_where_every_host_is_itself() {
    let world = World::new();
    for host in ["conformance", "h0", "h1", "h2", "db1", "web1", "one", "two"] {
        world.issue(Kind::Host, host, &["*/*"], &["*/*"], std::time::SystemTime::now());
    }
    let place = world.place.path().display();
    let own = |file: &str| format!("{place}/{{host}}/{file}");
    let ca = format!("{place}/ca/ca.crt");
    let files = ["--ca", &ca, "--cert", &own("tls.crt"), "--key", &own("tls.key"), "--server-name", "localhost"];
    conforms(patient(options(Some(world.server()))), &files).await;
}

/// What is waited for once each takes a second.
fn patient(options: Options) -> Options {
    Options { hold: Duration::from_secs(1), failback: Duration::from_secs(1), ..options }
}

async fn conforms(options: Options, files: &[&str]) {
    let server = start(options).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/conformance/disco.py");
    let output = Command::new("python3")
        // No folder of compiled modules in the source tree.
        .arg("-B")
        .arg(script)
        .args(["--address", &server.address.to_string()])
        .args(files)
        .kill_on_drop(true)
        .output()
        .await
        .expect("this test needs python3 (on Debian: apt-get install python3)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(" passed, 0 failed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
