//! The fake engine's state, and how it changes.

use super::{Behaviour, Op, Outcome};
use crate::engine::{
    Build, Container, Create, Error, Event, EventKind, Exec, Exit, Image, Labels, LogChunk, NamedVolume, Port, State,
    Stream,
};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{mpsc, watch};

type StartScript = Arc<dyn Fn(&Create) -> Behaviour + Send + Sync>;
type ExecScript = Arc<dyn Fn(&Container, &Exec) -> Outcome + Send + Sync>;
type BuildScript = Arc<dyn Fn(&Build, &[u8]) -> Result<Vec<String>, Error> + Send + Sync>;

/// What a test decided.
pub(super) struct Scripts {
    pub start: StartScript,
    pub exec: ExecScript,
    pub build: BuildScript,
}

impl std::fmt::Debug for Scripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripts").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) enum Fault {
    Fail(Error),
    Hang,
}

#[derive(Debug)]
pub(super) struct StoredImage {
    pub info: Image,
    pub content: Bytes,
    pub files: BTreeMap<String, Bytes>,
}

#[derive(Debug)]
pub(super) struct Unit {
    pub info: Container,
    pub request: Create,
    pub behaviour: Behaviour,
    /// Which start this is, so that a timer of an earlier one does not end it.
    pub run: u64,
    pub log: Vec<LogChunk>,
    /// Sent at every change of the state or the log.
    pub changed: watch::Sender<()>,
}

#[derive(Debug, Clone)]
pub(super) struct Bridge {
    pub gateway: IpAddr,
    pub gateway_v6: Option<IpAddr>,
    hosts: u8,
}

#[derive(Debug)]
pub(super) struct Model {
    pub reachable: bool,
    pub remapped: bool,
    pub scripts: Scripts,
    pub faults: HashMap<Op, VecDeque<Fault>>,
    pub images: BTreeMap<String, StoredImage>,
    pub remote: BTreeMap<String, Labels>,
    pub containers: BTreeMap<u64, Unit>,
    pub networks: BTreeMap<String, Bridge>,
    pub volumes: BTreeMap<String, NamedVolume>,
    pub watchers: Vec<(Labels, mpsc::UnboundedSender<Event>)>,
    pub addresses: Option<Vec<IpAddr>>,
    pub taken: Vec<(IpAddr, u16)>,
    pub calls: Vec<(Op, String)>,
    pub execs: Vec<(String, Exec)>,
    pub signals: Vec<(String, String)>,
    next: u64,
}

impl Model {
    pub fn new() -> Self {
        Model {
            reachable: true,
            remapped: false,
            scripts: Scripts {
                start: Arc::new(|_| Behaviour::default()),
                exec: Arc::new(|_, _| Outcome::default()),
                build: Arc::new(|_, _| Ok(Vec::new())),
            },
            faults: HashMap::new(),
            images: BTreeMap::new(),
            remote: BTreeMap::new(),
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            watchers: Vec::new(),
            addresses: None,
            taken: Vec::new(),
            calls: Vec::new(),
            execs: Vec::new(),
            signals: Vec::new(),
            next: 0,
        }
    }

    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    // === images ===

    pub fn add_image(&mut self, reference: &str, labels: &Labels, size: u64) -> Image {
        let id = format!("sha256:{:064x}", self.number());
        let info = Image {
            id: id.clone(),
            references: Vec::new(),
            labels: labels.clone(),
            size,
            created: Some(SystemTime::now()),
        };
        self.images.insert(id.clone(), StoredImage { info, content: Bytes::new(), files: BTreeMap::new() });
        self.name_image(&id, reference);
        self.images[&id].info.clone()
    }

    /// A name belongs to one image: the one it was given last.
    pub fn name_image(&mut self, id: &str, name: &str) {
        let name = full_name(name);
        for image in self.images.values_mut() {
            image.info.references.retain(|it| *it != name);
            if image.info.id == id {
                image.info.references.push(name.clone());
            }
        }
    }

    pub fn image(&self, reference: &str) -> Option<&StoredImage> {
        let name = full_name(reference);
        self.images.get(reference).or_else(|| self.images.values().find(|it| it.info.references.contains(&name)))
    }

    // === containers ===

    pub fn find(&self, id: &str) -> Option<&Unit> {
        self.containers.values().find(|unit| unit.info.id == id || unit.info.name == id)
    }

    pub fn find_mut(&mut self, id: &str) -> Option<&mut Unit> {
        self.containers.values_mut().find(|unit| unit.info.id == id || unit.info.name == id)
    }

    pub fn bound(&self) -> impl Iterator<Item = &Port> {
        self.containers.values().filter(|it| it.info.state == State::Running).flat_map(|it| &it.info.ports)
    }

    pub fn write(&mut self, id: &str, stream: Stream, line: &str) -> bool {
        let Some(unit) = self.find_mut(id) else { return false };
        let bytes = Bytes::copy_from_slice(line.as_bytes());
        unit.log.push(LogChunk { stream, time: Some(SystemTime::now()), bytes });
        unit.changed.send_replace(());
        true
    }

    /// Process 1 of a container writes to its terminal or its output, not in lines.
    pub fn echo(&mut self, id: &str, bytes: &[u8]) {
        let Some(unit) = self.find_mut(id) else { return };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for line in bytes.split(|byte| *byte == b'\n') {
            let bytes = Bytes::copy_from_slice(line);
            unit.log.push(LogChunk { stream: Stream::Stdout, time: Some(SystemTime::now()), bytes });
        }
        unit.changed.send_replace(());
    }

    /// Ends a running container (of that start only, if one is named); whether it was running.
    pub fn end(&mut self, id: &str, exit: Exit, run: Option<u64>) -> bool {
        let Some(unit) = self.find_mut(id) else { return false };
        if unit.info.state != State::Running || run.is_some_and(|run| run != unit.run) {
            return false;
        }
        let code = exit.code;
        unit.info.state = State::Exited(exit);
        unit.info.pid = None;
        unit.info.addresses.clear();
        unit.info.ports.clear();
        unit.changed.send_replace(());
        let (id, labels) = (unit.info.id.clone(), unit.info.labels.clone());
        self.tell(&Event { id, labels, kind: EventKind::Died(code) });
        true
    }

    pub fn remove(&mut self, id: &str) {
        self.end(id, Exit { code: 137, out_of_memory: false, error: None }, None);
        let found = self.containers.iter().find(|(_, unit)| unit.info.id == id || unit.info.name == id);
        let Some(key) = found.map(|(key, _)| *key) else { return };
        if let Some(unit) = self.containers.remove(&key) {
            self.tell(&Event { id: unit.info.id, labels: unit.info.labels, kind: EventKind::Removed });
        }
    }

    /// Makes it run, or says which port is taken.
    pub fn start(&mut self, id: &str) -> Result<(), Error> {
        let unit = self.find(id).ok_or_else(|| no_container(id))?;
        if unit.info.state == State::Running {
            return Ok(());
        }
        let request = unit.request.clone();
        let ports = self.bind(&request.ports)?;
        let addresses = self.addresses_on(&request.network);
        let behaviour = (self.scripts.start)(&request);
        let number = self.number();
        let unit = self.find_mut(id).expect("it was there above, and the model is locked");
        unit.run = number;
        unit.behaviour = behaviour.clone();
        unit.info.state = State::Running;
        unit.info.started = Some(SystemTime::now());
        unit.info.pid = Some(1000 + u32::try_from(number % 30_000).unwrap_or_default());
        unit.info.ports = ports;
        unit.info.addresses = addresses;
        unit.changed.send_replace(());
        let event = Event { id: unit.info.id.clone(), labels: unit.info.labels.clone(), kind: EventKind::Started };
        let id = unit.info.id.clone();
        self.tell(&event);
        for (stream, line) in behaviour.lines {
            self.write(&id, stream, &line);
        }
        Ok(())
    }

    fn bind(&mut self, wanted: &[Port]) -> Result<Vec<Port>, Error> {
        let mut taken: Vec<_> = self.taken.clone();
        taken.extend(self.bound().map(|port| (port.host_address, port.host_port)));
        let clash = |taken: &[(IpAddr, u16)], address: IpAddr, port| {
            taken.iter().any(|(a, p)| *p == port && (*a == address || a.is_unspecified() || address.is_unspecified()))
        };
        let mut bound = Vec::new();
        for port in wanted {
            let mut port = port.clone();
            if port.host_port == 0 {
                // The first of the kernel's range of ephemeral ports, as the engine picks them.
                port.host_port = (49_153..).find(|it| !clash(&taken, port.host_address, *it)).unwrap_or(u16::MAX);
            } else if clash(&taken, port.host_address, port.host_port) {
                return Err(Error::PortTaken { address: port.host_address.to_string(), port: port.host_port });
            }
            taken.push((port.host_address, port.host_port));
            bound.push(port);
        }
        Ok(bound)
    }

    fn addresses_on(&mut self, network: &str) -> Vec<IpAddr> {
        if let Some(addresses) = &self.addresses {
            return addresses.clone();
        }
        let Some(bridge) = self.networks.get_mut(network) else { return Vec::new() };
        bridge.hosts = bridge.hosts.wrapping_add(1).max(2);
        match bridge.gateway {
            IpAddr::V4(gateway) => {
                let [a, b, c, _] = gateway.octets();
                vec![IpAddr::V4(Ipv4Addr::new(a, b, c, bridge.hosts))]
            }
            IpAddr::V6(_) => Vec::new(),
        }
    }

    // === networks ===

    pub fn bridge(&mut self, name: &str, ipv6: bool) -> Bridge {
        // 198.18.0.0/15 is set aside for tests of network devices.
        let number = u8::try_from(self.networks.len() % 250).unwrap_or_default();
        let gateway = IpAddr::V4(Ipv4Addr::new(198, 18, number, 1));
        let bridge = self.networks.entry(name.to_owned()).or_insert(Bridge { gateway, gateway_v6: None, hosts: 1 });
        if ipv6 {
            let v6 = format!("fd00:5c5::{number:x}:1").parse().expect("invariant: the format is an IPv6 address");
            bridge.gateway_v6 = Some(v6);
        }
        bridge.clone()
    }

    // === events ===

    fn tell(&mut self, event: &Event) {
        self.watchers.retain(|(labels, watcher)| !has(&event.labels, labels) || watcher.send(event.clone()).is_ok());
    }
}

/// Whether `labels` has all of `wanted`; an empty value matches any.
pub(super) fn has(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key).is_some_and(|it| value.is_empty() || it == value))
}

pub(super) fn no_container(id: &str) -> Error {
    Error::NotFound { what: format!("container `{id}`") }
}

pub(super) fn full_name(reference: &str) -> String {
    let tagged = reference.rsplit('/').next().is_some_and(|it| it.contains(':'));
    if tagged || reference.starts_with("sha256:") { reference.to_owned() } else { format!("{reference}:latest") }
}
