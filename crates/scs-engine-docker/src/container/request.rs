//! What is asked of the engine to make a container.

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, PortBinding, PortMap, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};
use scs_manifest::compiled::Protocol;
use scs_ports::engine::{Create, MountSource, Port};
use std::collections::{BTreeSet, HashMap};

pub(super) fn body(request: &Create) -> ContainerCreateBody {
    let exposed: BTreeSet<_> = request.ports.iter().map(port_key).collect();
    ContainerCreateBody {
        image: Some(request.image.clone()),
        hostname: request.hostname.clone(),
        user: request.user.clone(),
        cmd: request.command.clone(),
        entrypoint: request.entrypoint.clone(),
        env: Some(request.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(request.labels.clone().into_iter().collect()),
        exposed_ports: Some(exposed.into_iter().collect()),
        open_stdin: Some(request.stdin),
        attach_stdin: Some(request.stdin),
        stdin_once: Some(request.stdin),
        tty: Some(request.tty),
        host_config: Some(host(request)),
        ..Default::default()
    }
}

fn host(request: &Create) -> HostConfig {
    HostConfig {
        network_mode: Some(request.network.clone()).filter(|it| !it.is_empty()),
        port_bindings: Some(bindings(&request.ports)),
        // Who restarts a container is scs alone: an engine that does it too could bring a second writer to a volume.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        mounts: Some(request.mounts.iter().map(mount).collect()),
        memory: request.memory.map(signed),
        // Without this the engine allows as much again in swap.
        memory_swap: request.memory.map(signed),
        nano_cpus: request.cpus.map(nano_cpus),
        ulimits: Some(request.ulimits.iter().map(|(name, limits)| ulimit(name, *limits)).collect()),
        shm_size: request.shm_size.map(signed),
        cap_add: Some(request.cap_add.clone()),
        tmpfs: Some(request.tmpfs.clone().into_iter().collect()),
        init: Some(request.init),
        log_config: match (request.unlogged, request.log_rotation) {
            (true, _) => Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            (false, rotation) => rotation.map(|(size, files)| log_config(size, files)),
        },
        ..Default::default()
    }
}

fn port_key(port: &Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.container_port)
}

fn bindings(ports: &[Port]) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: Some(port.host_address.to_string()),
            // Left empty, the engine picks one.
            host_port: (port.host_port > 0).then(|| port.host_port.to_string()),
        };
        map.entry(port_key(port)).or_default().get_or_insert_with(Vec::new).push(binding);
    }
    map
}

/// A mount in the engine's newer form, which refuses a host path that is not there; the older one makes a directory of it.
fn mount(mount: &scs_ports::engine::Mount) -> Mount {
    let (typ, source) = match &mount.source {
        MountSource::Host(path) => (MountType::BIND, path.display().to_string()),
        MountSource::Named(name) => (MountType::VOLUME, name.clone()),
    };
    Mount {
        target: Some(mount.target.clone()),
        source: Some(source),
        typ: Some(typ),
        read_only: Some(mount.read_only),
        ..Default::default()
    }
}

/// The `local` driver rotates by itself and is the compact one, but its files are not JSON; `json-file` is what log
/// collectors on a host expect to find.
fn log_config(size: u64, files: u32) -> HostConfigLogConfig {
    let config = HashMap::from([
        ("max-size".to_owned(), size.max(1).to_string()),
        ("max-file".to_owned(), files.max(1).to_string()),
    ]);
    HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(config) }
}

fn ulimit(name: &str, (soft, hard): (u64, u64)) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(signed(soft)), hard: Some(signed(hard)) }
}

/// The engine's numbers are signed.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is clamped; below one billionth of a core nothing is lost"
)]
fn nano_cpus(cores: f64) -> i64 {
    (cores * 1e9).clamp(0.0, 1e15) as i64
}
