//! `contrib/conformance/disco.py` against a running server.

use std::{net::SocketAddr, path::Path, time::Duration};

use disco_server::{Options, Service};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_conforms_to_the_description_of_its_protocol() {
    let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    // Waited for once each.
    options.hold = Duration::from_secs(1);
    options.failback = Duration::from_secs(1);
    let service = Service::bind(options).await.unwrap();
    let address = service.local_addr().to_string();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(service.run(shutdown.clone()));

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/conformance/disco.py");
    let output = Command::new("python3")
        // No folder of compiled modules in the source tree.
        .arg("-B")
        .arg(script)
        .args(["--address", &address])
        .kill_on_drop(true)
        .output()
        .await
        .expect("this test needs python3 (on Debian: apt-get install python3)");
    shutdown.cancel();
    server.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(" passed, 0 failed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
