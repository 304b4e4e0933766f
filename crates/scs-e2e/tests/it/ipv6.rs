//! IPv6: a service is reached over it, and whoever requires it is told where.

use scs_e2e::Scs;
use scs_e2e::docker::docker;
use scs_e2e::project::Project;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[test]
fn containers_talk_over_ipv6_beside_a_bridge_that_has_none() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    // The usual bridge is there, and in use, without IPv6.
    let _ = scs.ok(&["up", "-d"]);
    for role in ["store", "web"] {
        project.replace(
            "deployment.yaml",
            &format!("image: {{ source: {{ path: images/{role} }}"),
            &format!("network: {{ method: bridge, ipv6: true }}\n    image: {{ source: {{ path: images/{role} }}"),
        );
    }
    let _ = scs.ok(&["up", "-d"]);
    let (store, web) = (scs.container("store"), scs.container("web"));
    let told = docker(&["exec", &web, "sh", "-c", ". /run/scs/env; echo $SCS_REQUIRE_DB_IPV6; echo $SCS_REQUIRE_DB"]);
    let (v6, v4) = told.split_once('\n').expect("two lines");
    let v6: SocketAddr = v6.parse().unwrap_or_else(|_| panic!("an address over IPv6: {told}"));
    assert!(v6.is_ipv6() && v4.parse::<SocketAddr>().is_ok_and(|it| it.is_ipv4()), "{told}");
    // From the other container, over IPv6 …
    let script =
        format!("exec 3<>/dev/tcp/{}/{} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && head -1 <&3", v6.ip(), v6.port());
    let answer = docker(&["exec", &web, "bash", "-c", &script]);
    assert!(answer.contains("200"), "{answer}");
    // … and over IPv4, from there and from this machine.
    for address in [v4, &scs.address("store", "db")] {
        assert!(ask(address.parse().expect("an address")).contains("200"), "{address}");
    }
    // On this machine also under loopback of IPv6.
    let ports = docker(&["port", &store, "5000/tcp"]);
    let loopback = ports.lines().find(|it| it.starts_with("::1:") || it.starts_with("[::1]:"));
    let port =
        loopback.and_then(|it| it.rsplit(':').next()).unwrap_or_else(|| panic!("no loopback over IPv6: {ports}"));
    assert!(ask(format!("[::1]:{port}").parse().expect("an address")).contains("200"));
}

fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).expect("it is reached");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}
