//! Containers as Docker makes them: limits, mounts, terminals, rotation.

use futures_util::StreamExt;
use scs_ports::engine::{Engine, Error, Exec, Logs, Mount, MountSource, Process};
use scs_testkit::{StateDir, TestEngine, wait_for};
use std::process::Command;
use std::time::Duration;

/// What `docker inspect` says, which knows more than the port.
fn inspect(id: &str, format: &str) -> String {
    let output = Command::new("docker").args(["inspect", "--format", format, id]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn text(process: Process) -> String {
    let mut text = String::new();
    let mut output = process.output;
    while let Some(chunk) = output.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk.unwrap().bytes));
    }
    text
}

fn play(steps: &[&str]) -> Exec {
    let command = ["/scs-helper", "play"].iter().chain(steps).map(|it| (*it).to_owned()).collect();
    Exec { command, ..Exec::default() }
}

#[tokio::test]
async fn limits_and_settings_reach_docker() {
    let engine = TestEngine::new("scs-own").await;
    let mut request = engine.container("one", &["play", "sleep=1h"]).await;
    request.hostname = Some("web".to_owned());
    request.memory = Some(64 << 20);
    request.cpus = Some(0.5);
    request.ulimits.insert("nofile".to_owned(), (1024, 2048));
    request.shm_size = Some(16 << 20);
    request.cap_add = vec!["NET_ADMIN".to_owned()];
    request.tmpfs.insert("/run".to_owned(), "size=1m".to_owned());
    request.init = true;
    request.log_rotation = Some((1 << 20, 3));
    request.environment.insert("A".to_owned(), "b=c".to_owned());
    let id = engine.docker().create(&request).await.unwrap();
    let expected = [
        ("{{.Config.Hostname}}", "web"),
        ("{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}", "67108864 67108864"),
        ("{{.HostConfig.NanoCpus}}", "500000000"),
        ("{{range .HostConfig.Ulimits}}{{.Name}} {{.Soft}} {{.Hard}}{{end}}", "nofile 1024 2048"),
        ("{{.HostConfig.ShmSize}}", "16777216"),
        ("{{.HostConfig.CapAdd}}", "[NET_ADMIN]"),
        ("{{index .HostConfig.Tmpfs \"/run\"}}", "size=1m"),
        ("{{.HostConfig.Init}}", "true"),
        ("{{.HostConfig.RestartPolicy.Name}}", "no"),
        ("{{.HostConfig.LogConfig.Type}} {{index .HostConfig.LogConfig.Config \"max-size\"}}", "json-file 1048576"),
        ("{{index .HostConfig.LogConfig.Config \"max-file\"}}", "3"),
        ("{{json .Config.Env}}", "[\"A=b=c\"]"),
    ];
    for (format, value) in expected {
        assert_eq!(inspect(&id, format), value, "{format}");
    }
}

#[tokio::test]
async fn the_engine_keeps_nothing_of_what_is_for_who_attached_alone() {
    let engine = TestEngine::new("scs-own").await;
    let mut request = engine.container("one", &["play", "out=hello"]).await;
    request.unlogged = true;
    let id = engine.docker().create(&request).await.unwrap();
    let process = engine.docker().attach(&id).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    assert_eq!(text(process).await, "hello\n");
    assert_eq!(inspect(&id, "{{.HostConfig.LogConfig.Type}} {{.LogPath}}"), "none");
}

#[tokio::test]
async fn a_directory_of_the_host_is_mounted_and_a_missing_one_is_never_made() {
    let (engine, state) = (TestEngine::new("scs-own").await, StateDir::new());
    std::fs::write(state.join("greeting"), "hello").unwrap();
    let mut request = engine.container("one", &["play", "read=/data/greeting", "write=/data/new:text"]).await;
    let mount = |source: MountSource, read_only| Mount { source, target: "/data".to_owned(), read_only };
    request.mounts = vec![mount(MountSource::Host(state.path().to_owned()), false)];
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    assert_eq!(engine.docker().wait(&id).await.unwrap().code, 0);
    assert_eq!(std::fs::read_to_string(state.join("new")).unwrap(), "text");

    request.name = engine.named("two");
    request.mounts[0].read_only = true;
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    assert_eq!(engine.docker().wait(&id).await.unwrap().code, 1, "it is mounted read-only");

    request.name = engine.named("three");
    request.mounts = vec![mount(MountSource::Host(state.join("missing")), false)];
    let refused = engine.docker().create(&request).await;
    assert!(matches!(&refused, Err(Error::Refused { message, .. }) if message.contains("missing")), "{refused:?}");
    assert!(!state.join("missing").exists());
}

#[tokio::test]
async fn a_command_that_is_not_there_fails_the_start_and_says_which() {
    let engine = TestEngine::new("scs-own").await;
    let mut request = engine.container("one", &[]).await;
    request.command = Some(vec!["/nothing".to_owned()]);
    let id = engine.docker().create(&request).await.unwrap();
    let error = engine.docker().start(&id).await.expect_err("it cannot be started");
    assert!(matches!(&error, Error::Refused { message, .. } if message.contains("/nothing")), "{error:?}");
}

#[tokio::test]
async fn a_command_inside_has_user_directory_and_terminal() {
    let engine = TestEngine::new("scs-own").await;
    let request = engine.container("one", &["play", "sleep=1h"]).await;
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    let exec = Exec { user: Some("33:34".to_owned()), directory: Some("/proc".to_owned()), ..play(&["id", "cwd"]) };
    let process = engine.docker().exec(&id, &exec).await.unwrap();
    assert_eq!(text(process).await, "33:34\n/proc\n");
    let exec = Exec { tty: Some((80, 24)), stdin: true, ..play(&["out=hello", "sleep=300ms"]) };
    let process = engine.docker().exec(&id, &exec).await.unwrap();
    process.control.resize(100, 50).await.unwrap();
    assert_eq!(text(process).await, "hello\r\n", "a terminal ends its lines so");
}

#[tokio::test]
async fn a_command_that_is_not_in_the_container_ends_with_an_exit_code() {
    let engine = TestEngine::new("scs-own").await;
    let request = engine.container("one", &["play", "sleep=1h"]).await;
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    let exec = Exec { command: vec!["/nothing".to_owned()], ..Exec::default() };
    let mut process = engine.docker().exec(&id, &exec).await.unwrap();
    let mut said = String::new();
    while let Some(chunk) = process.output.next().await {
        said.push_str(&String::from_utf8_lossy(&chunk.unwrap().bytes));
    }
    let code = process.control.exit_code().await.unwrap();
    assert!(matches!(code, Some(126 | 127)), "{code:?}: {said}");
}

#[tokio::test]
async fn a_line_longer_than_dockers_pieces_comes_whole() {
    let engine = TestEngine::new("scs-own").await;
    // Docker cuts lines at 16 KiB.
    let long = format!("out={}", "x".repeat(100_000));
    let request = engine.container("one", &["play", &long, "out=short"]).await;
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    engine.docker().wait(&id).await.unwrap();
    let lines: Vec<_> = engine.docker().logs(&id, &Logs::default()).await.unwrap().collect().await;
    let lengths: Vec<_> = lines.into_iter().map(|it| it.unwrap().bytes.len()).collect();
    assert_eq!(lengths, [100_000, 5]);
}

#[tokio::test]
async fn a_container_of_the_hosts_network_has_no_address_of_its_own() {
    let engine = TestEngine::new("scs-own").await;
    let mut request = engine.container("one", &["play", "sleep=1h"]).await;
    request.network = "host".to_owned();
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    let container = engine.docker().container(&id).await.unwrap().unwrap();
    assert_eq!((container.addresses, container.ports), (vec![], vec![]));
}

#[tokio::test]
async fn a_server_in_a_container_answers_on_its_published_port_and_its_own_address() {
    let engine = TestEngine::new("scs-own").await;
    let mut request = engine.container("one", &["serve", "--port", "80", "--body", "hello"]).await;
    request.ports = vec![scs_ports::engine::Port {
        container_port: 80,
        protocol: scs_manifest::compiled::Protocol::Tcp,
        host_address: [127, 0, 0, 1].into(),
        host_port: 0,
    }];
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    let container = engine.docker().container(&id).await.unwrap().unwrap();
    let published = (container.ports[0].host_address, container.ports[0].host_port);
    for address in [published, (container.addresses[0], 80)] {
        let answer = wait_for("an answer", Duration::from_secs(20), async || get(address).await);
        assert!(answer.await.ends_with("hello"));
    }
}

async fn get(address: (std::net::IpAddr, u16)) -> Result<String, String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.map_err(|it| it.to_string())?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.map_err(|it| it.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|it| it.to_string())?;
    if answer.is_empty() { Err("an empty answer".to_owned()) } else { Ok(answer) }
}

#[tokio::test]
async fn a_short_name_is_not_taken_for_the_beginning_of_an_id() {
    let engine = TestEngine::new("scs-own").await;
    let request = engine.container("one", &["play"]).await;
    let id = engine.docker().create(&request).await.unwrap();
    assert_eq!(engine.docker().container(&id[..6]).await.unwrap(), None);
    let image = engine.docker().image(&request.image).await.unwrap().unwrap();
    let digits = &image.id.trim_start_matches("sha256:")[..6];
    assert_eq!(engine.docker().image(digits).await.unwrap(), None);
}

#[tokio::test]
async fn a_bridge_with_ipv6_has_a_gateway_of_both_kinds() {
    if !std::path::Path::new("/proc/net/if_inet6").exists() {
        return eprintln_skip("the kernel has no IPv6");
    }
    let engine = TestEngine::new("scs-own").await;
    let network = scs_ports::engine::BridgeNetwork { name: engine.named("net"), labels: engine.labels(), ipv6: true };
    let gateways = engine.docker().ensure_network(&network).await.unwrap();
    assert!(gateways.v4.is_some_and(|it| it.is_ipv4()) && gateways.v6.is_some_and(|it| it.is_ipv6()), "{gateways:?}");
    assert_eq!(engine.docker().ensure_network(&network).await.unwrap(), gateways);
    let mut request = engine.container("one", &["play", "sleep=1h"]).await;
    request.network.clone_from(&network.name);
    let id = engine.docker().create(&request).await.unwrap();
    engine.docker().start(&id).await.unwrap();
    let addresses = engine.docker().container(&id).await.unwrap().unwrap().addresses;
    assert!(addresses.iter().any(|it| it.is_ipv4()) && addresses.iter().any(|it| it.is_ipv6()), "{addresses:?}");
    engine.docker().remove(&id).await.unwrap();
    engine.docker().remove_network(&network.name).await.unwrap();
}

/// Says loudly that something could not be tested here.
fn eprintln_skip(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

#[tokio::test]
async fn many_who_make_one_network_at_once_get_the_same() {
    let engine = TestEngine::new("scs-own").await;
    let network = scs_ports::engine::BridgeNetwork { name: engine.named("net"), labels: engine.labels(), ipv6: false };
    let made = futures_util::future::join_all((0..4).map(|_| engine.docker().ensure_network(&network))).await;
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    let settled = engine.docker().ensure_network(&network).await.unwrap();
    assert!(made.contains(&settled), "{made:?}");
    let filter = format!("name={}", network.name);
    let output = Command::new("docker").args(["network", "ls", "--quiet", "--filter", &filter]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    engine.docker().remove_network(&network.name).await.unwrap();
}
