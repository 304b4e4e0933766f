//! A container as the engine describes it, in the port's terms.

use crate::image::time;
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, NetworkSettings, PortMap};
use scs_manifest::compiled::Protocol;
use scs_ports::engine::{Container, Exit, Port, State};
use std::net::IpAddr;

/// Its name without the slash that Docker puts before it.
pub(super) fn name(inspected: &ContainerInspectResponse) -> &str {
    inspected.name.as_deref().unwrap_or_default().trim_start_matches('/')
}

pub(super) fn container(inspected: ContainerInspectResponse) -> Container {
    let name = name(&inspected).to_owned();
    let state = inspected.state.unwrap_or_default();
    let networks = inspected.network_settings.unwrap_or_default();
    Container {
        id: inspected.id.unwrap_or_default(),
        name,
        image: inspected.image.unwrap_or_default(),
        labels: inspected.config.and_then(|it| it.labels).unwrap_or_default().into_iter().collect(),
        addresses: addresses(&networks),
        ports: networks.ports.map(ports).unwrap_or_default(),
        started: state.started_at.as_deref().and_then(time),
        pid: state.pid.and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0),
        state: status(state),
    }
}

fn status(state: ContainerState) -> State {
    use ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::CREATED) if state.exit_code.unwrap_or(0) == 0 => State::Created,
        Some(Status::RUNNING | Status::RESTARTING | Status::STOPPING) => State::Running,
        Some(Status::PAUSED) => State::Paused,
        // A start that failed leaves it "created", with an exit code and the reason.
        _ => State::Exited(Exit {
            code: state.exit_code.unwrap_or(-1),
            out_of_memory: state.oom_killed.unwrap_or(false),
            error: state.error.filter(|it| !it.is_empty()),
        }),
    }
}

fn addresses(networks: &NetworkSettings) -> Vec<IpAddr> {
    let mut named: Vec<_> = networks.networks.iter().flatten().collect();
    named.sort_by_key(|(name, _)| name.as_str());
    let texts = named.into_iter().flat_map(|(_, it)| [it.ip_address.as_deref(), it.global_ipv6_address.as_deref()]);
    texts.flatten().filter_map(|it| it.parse().ok()).collect()
}

fn ports(map: PortMap) -> Vec<Port> {
    let mut ports: Vec<_> = map
        .into_iter()
        .filter_map(|(key, bindings)| {
            let (number, protocol) = key.split_once('/')?;
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => return None,
            };
            Some((number.parse().ok()?, protocol, bindings?))
        })
        .flat_map(|(container_port, protocol, bindings)| {
            bindings.into_iter().filter_map(move |it| {
                let host_address = it.host_ip.as_deref()?.parse().ok()?;
                Some(Port { container_port, protocol, host_address, host_port: it.host_port?.parse().ok()? })
            })
        })
        .collect();
    ports.sort_by_key(|it| (it.container_port, it.protocol, it.host_address, it.host_port));
    ports
}
