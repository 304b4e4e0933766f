//! Makes a container and starts it.

use crate::console::Console;
use crate::failure;
use crate::files::{Files, environment};
use crate::labels::Made;
use crate::lease::Leases;
use crate::options::Options;
use crate::own::{Owning, Users};
use crate::provision::Prepared;
use scs_api::agent::Assignment;
use scs_manifest::compiled::{Protocol, SecretAs};
use scs_manifest::template;
use scs_plan::lifecycle::{Address, Container, Desired, Failure, View};
use scs_ports::engine::{self, Create, Engine, Mount, MountSource, Port};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Size of a log file and how many are kept: 30 MB a container (`design/lifecycle.md` leaves the number to us).
const LOG_ROTATION: (u64, u32) = (10_000_000, 3);

/// Everything a launch needs.
pub(crate) struct Launch {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) users: Users,
    pub(crate) leases: Leases,
    pub(crate) console: Option<Console>,
    pub(crate) options: Arc<Options>,
    pub(crate) cluster: String,
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) instance: String,
    pub(crate) desired: Arc<Desired>,
    pub(crate) image: String,
    pub(crate) view: Arc<View>,
    pub(crate) prepared: Prepared,
}

impl Launch {
    /// Gives the running container. What was half made is removed again.
    pub(crate) async fn run(mut self) -> Result<engine::Container, Failure> {
        let files = Files::of(&self.options.state, &self.instance);
        self.fix_ports()?;
        if self.assignment.leased {
            self.leases.ready(&self.assignment.slot).await?;
        }
        let create = self.create(&files)?;
        let id = self.engine.create(&create).await.map_err(|error| failure::of(&error))?;
        match self.start(&files, &id).await {
            Ok(Some(container)) => Ok(container),
            Ok(None) => Err(failure::saying("the container was removed while it started")),
            Err(failure) => {
                if !failure.unknown {
                    match self.engine.remove(&id).await {
                        Ok(()) => self.leases.forget(&id),
                        Err(error) => {
                            tracing::warn!(container = create.name, %error, "a container that did not start stays for now");
                        }
                    }
                }
                Err(failure)
            }
        }
    }

    /// Volumes get their owners once the container is made, whose files name them, and before anything runs in it.
    async fn start(&self, files: &Files, id: &str) -> Result<Option<engine::Container>, Failure> {
        let owning = Owning {
            engine: &*self.engine,
            options: &self.options,
            users: &self.users,
            image: &self.image,
            instance: &self.instance,
            container: id,
            scs: files.scs(),
        };
        owning.give(&self.prepared.fresh).await?;
        let attached = match &self.console {
            Some(_) => Some(self.engine.attach(id).await.map_err(|error| failure::of(&error))?),
            None => None,
        };
        if self.assignment.leased {
            // Before anything of it runs, so that nothing of it outlives the lease.
            self.leases.add(&self.assignment.slot, id, &files.scs())?;
        }
        self.engine.start(id).await.map_err(|error| failure::of(&error))?;
        if let (Some(console), Some(process)) = (&self.console, attached) {
            if let Some((columns, rows)) = console.tty {
                // One that has ended already needs no size.
                let _ = process.control.resize(columns, rows).await;
            }
            // Whoever has gone is not served.
            let _ = console.taken.send(process);
        }
        let container = self.engine.container(id).await.map_err(|error| failure::of(&error))?;
        let runs = container.as_ref().is_some_and(|it| it.state == engine::State::Running);
        if self.assignment.leased && runs && !Leases::sees(id) {
            return Err(failure::saying(
                "`fence: lease` needs an engine on this machine itself: the container's processes are not seen from here, so nothing could end them",
            ));
        }
        Ok(container)
    }

    fn create(&self, files: &Files) -> Result<Create, Failure> {
        let Assignment { slot, .. } = &*self.assignment;
        let role = &self.desired.role;
        let process = &role.process;
        let attachment = &self.prepared.attachment;
        let labels = Made {
            owner: &self.options.owner,
            cluster: &self.cluster,
            slot,
            instance: &self.instance,
            desired: &self.desired,
            epoch: self.prepared.epoch,
            announce: Some(attachment.announce),
            announce_v6: attachment.announce_v6,
        };
        let mut mounts = self.prepared.mounts.clone();
        for (path, target) in [(files.scs(), "/run/scs"), (files.secrets(), "/run/secrets")] {
            mounts.push(Mount { source: MountSource::Host(path), target: target.to_owned(), read_only: true });
        }
        let number = slot.index + 1;
        Ok(Create {
            name: format!("{}_{}_{}_{number}_{}", slot.environment, slot.service, slot.role, self.instance),
            image: self.image.clone(),
            labels: labels.labels(),
            // A host's own name stays where its network is shared.
            hostname: (attachment.network != "host").then(|| role.name.clone()),
            command: process.command.clone(),
            environment: self.variables()?,
            mounts,
            ports: attachment.ports.clone(),
            network: attachment.network.clone(),
            memory: process.memory,
            cpus: process.cpus,
            ulimits: process.ulimits.clone(),
            shm_size: process.shm_size,
            cap_add: process.cap_add.clone(),
            tmpfs: process.tmpfs.clone(),
            init: process.init,
            log_rotation: Some(LOG_ROTATION),
            stdin: self.console.is_some(),
            tty: self.console.as_ref().is_some_and(|console| console.tty.is_some()),
            ..Create::default()
        })
    }

    fn variables(&self) -> Result<BTreeMap<String, String>, Failure> {
        let role = &self.desired.role;
        let mut variables = BTreeMap::new();
        for (name, text) in &role.process.environment {
            let value = template::render(text, &|name| self.look_up(name));
            let value = value.map_err(|error| failure::saying(format!("environment variable {name}: {error}")))?;
            variables.insert(name.clone(), value);
        }
        for (name, secret) in &role.secrets {
            let value = self.assignment.secrets.get(&secret.from);
            if secret.r#as == SecretAs::Environment
                && let Some(value) = value
            {
                variables.insert(name.clone(), value.expose().to_owned());
            }
        }
        variables.extend(environment(&self.assignment.slot, &self.instance, role, &self.view));
        Ok(variables)
    }

    fn look_up(&self, name: &str) -> Option<String> {
        let mut parts = name.split('.');
        let (kind, name, field) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (host, port) = match kind {
            "require" => {
                let seen = self.view.requirements.get(name)?;
                let Some(first) = seen.endpoints.first() else { return Some(String::new()) };
                (first.host.clone(), first.port)
            }
            "provide" => {
                let provide = self.desired.role.provide.get(name)?;
                let attachment = &self.prepared.attachment;
                let port = bound(&attachment.ports, provide.port, provide.protocol, attachment.announce)
                    .map_or(provide.port, |port| port.host_port);
                (attachment.announce.to_string(), port)
            }
            _ => return None,
        };
        match field {
            "host" => Some(host),
            "port" => Some(port.to_string()),
            "address" => Some(join(&host, port)),
            _ => None,
        }
    }

    /// Where a template names its own address, the port must be known before the start, so it is not left to the engine.
    fn fix_ports(&mut self) -> Result<(), Failure> {
        let named = |text: &String| {
            let parts = template::parse(text).unwrap_or_default();
            parts.iter().any(|part| matches!(part, template::Part::Name { name, .. } if name.starts_with("provide.")))
        };
        if !self.desired.role.process.environment.values().any(named) {
            return Ok(());
        }
        let mut chosen: BTreeMap<(u16, Protocol), u16> = BTreeMap::new();
        for port in self.prepared.attachment.ports.iter_mut().filter(|port| port.host_port == 0) {
            let key = (port.container_port, port.protocol);
            let free = match chosen.get(&key) {
                Some(free) => *free,
                None => free_port(port.host_address)
                    .map_err(|error| failure::saying(format!("no free port on {}: {error}", port.host_address)))?,
            };
            chosen.insert(key, free);
            port.host_port = free;
        }
        Ok(())
    }
}

/// A port that is free now. Somebody may take it before the container does; then the start fails and is tried again.
fn free_port(address: IpAddr) -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind((address, 0))?.local_addr()?.port())
}

/// Where a container's port is bound for others: on the announced address, else anywhere that is not loopback, else there.
fn bound(ports: &[Port], container_port: u16, protocol: Protocol, announce: IpAddr) -> Option<&Port> {
    let of = || ports.iter().filter(move |port| port.container_port == container_port && port.protocol == protocol);
    of().find(|port| port.host_address == announce)
        .or_else(|| of().find(|port| !port.host_address.is_loopback()))
        .or_else(|| of().next())
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What a life has to know about a container.
pub(crate) fn facts(container: &engine::Container, desired: &Desired, announce: Option<IpAddr>) -> Container {
    let mut provides = BTreeMap::new();
    // One that has ended is reached nowhere: the engine has let go of its ports, and what is in the manifest is not where it was.
    let ended = matches!(container.state, engine::State::Exited(_));
    for (name, provide) in desired.role.provide.iter().filter(|_| !ended) {
        let announce = announce.or_else(|| container.addresses.first().copied());
        let announce = announce.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
        let port = bound(&container.ports, provide.port, provide.protocol, announce);
        let shared = desired.role.network.method == "host";
        let announced = port.map_or(provide.port, |port| port.host_port);
        let same = |port: &&Port| port.container_port == provide.port && port.protocol == provide.protocol;
        let loopback = container.ports.iter().filter(same).find(|port| port.host_address.is_loopback());
        let local = loopback.map(|port| join(&port.host_address.to_string(), port.host_port));
        let local = local.or_else(|| shared.then(|| format!("127.0.0.1:{}", provide.port)));
        let announced = join(&announce.to_string(), announced);
        // The gateway's, which alone is neither loopback nor all of them.
        let v6 = |port: &&Port| {
            let address = port.host_address;
            address.is_ipv6() && !address.is_loopback() && !address.is_unspecified() && address != announce
        };
        let own = container.ports.iter().filter(same).find(v6).map(|port| (port.host_address, port.host_port));
        // Bound on all of them, it is reached at the gateway's all the same.
        let all = |port: &&Port| port.host_address.is_ipv6() && port.host_address.is_unspecified();
        let through_all = || {
            let gateway = crate::labels::announce_v6(&container.labels)?;
            Some((gateway, container.ports.iter().filter(same).find(all)?.host_port))
        };
        let announced_v6 = own.or_else(through_all).map(|(address, port)| join(&address.to_string(), port));
        provides.insert(name.clone(), Address { announced, local, announced_v6 });
    }
    Container {
        id: container.id.clone(),
        name: container.name.clone(),
        image: container.image.clone(),
        started: container.started,
        provides,
    }
}
