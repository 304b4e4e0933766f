//! The router between data centers: a network namespace that holds a bridge for each, and every host's cable.

use crate::process::Holder;
use crate::{CENTERS, Spec, shell};
use anyhow::{Context, Result};
use std::path::Path;

/// The router, while it runs.
#[derive(Debug, Clone)]
pub struct Router {
    pid: u32,
}

/// What can be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// A host's cable.
    Host(String),
    /// A data center's way to the others; hosts within it still reach each other.
    Center(String),
}

impl Router {
    fn holder(directory: &Path) -> Holder {
        Holder::remembered(directory.join("router.pid"))
    }

    /// The router of a cluster that runs.
    pub fn find(directory: &Path) -> Option<Self> {
        Self::holder(directory).pid().map(|pid| Self { pid })
    }

    /// The router, made where it does not run.
    pub fn ensure(directory: &Path) -> Result<Self> {
        if let Some(router) = Self::find(directory) {
            return Ok(router);
        }
        let mut first = String::from("ip link set lo up\nsysctl -qw net.ipv4.ip_forward=1\n");
        for center in CENTERS {
            let name = center.name;
            // A data center hangs on the router by a cable of its own, so that it can be cut off as a whole.
            first += &format!(
                "ip link add br-{name} type bridge\n\
                 ip link set br-{name} up\n\
                 ip link add {name} type veth peer name up-{name}\n\
                 ip link set up-{name} master br-{name} up\n\
                 ip addr add {} dev {name}\n\
                 ip link set {name} up\n",
                center.gateway
            );
        }
        // What is cut off must not be looked for elsewhere.
        first += "ip route add unreachable 198.51.100.0/24 metric 4000\n";
        // Where the kernel filters what crosses a bridge, it takes a packet for seen before it is routed, and never translates its address.
        first +=
            "modprobe -q br_netfilter || true\nsysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true\n";
        let pid = Self::holder(directory).start(&["--net"], &first).context("cannot make the router")?;
        Ok(Self { pid })
    }

    /// Ends it; its bridges and cables go with it.
    pub fn remove(directory: &Path) -> Result<()> {
        Self::holder(directory).kill()
    }

    /// Its process, by which its namespace is named.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Plugs a host in, whose namespace this process holds.
    pub fn plug(&self, spec: &Spec, host: u32) -> Result<()> {
        let center = CENTERS.iter().find(|center| center.name == spec.center).context("no such data center")?;
        let (gateway, length) = center.gateway.split_once('/').context("a gateway has a prefix length")?;
        let name = spec.name;
        self.unplug(spec);
        self.ip(&format!("link add {name} type veth peer name eth0 netns {host}"))?;
        self.ip(&format!("link set {name} master br-{} up", spec.center))?;
        let inside = |line: &str| shell::run(&mut shell::words(&format!("nsenter --target {host} --net ip {line}")));
        inside(&format!("addr add {}/{length} dev eth0", spec.address))?;
        inside("link set eth0 up")?;
        inside(&format!("route add default via {gateway}"))?;
        Ok(())
    }

    /// Pulls a host's cable out, where there is one.
    pub fn unplug(&self, spec: &Spec) {
        let _ = self.ip(&format!("link del {}", spec.name));
    }

    /// Cuts a link or restores it. Taken down in the router, so that whoever is cut off sees silence and not a dead cable of its own.
    pub fn set_link(&self, link: &Link, up: bool) -> Result<()> {
        match link {
            // Out of the bridge rather than down: the host's own end keeps its carrier.
            Link::Host(name) if up => self.ip(&format!("link set {name} master br-{}", center_of(name)?))?,
            Link::Host(name) => self.ip(&format!("link set {name} nomaster"))?,
            Link::Center(name) if up => self.ip(&format!("link set up-{name} master br-{name}"))?,
            Link::Center(name) => self.ip(&format!("link set up-{name} nomaster"))?,
        };
        Ok(())
    }

    /// Runs `ip` in the router's namespace.
    pub fn ip(&self, line: &str) -> Result<String> {
        shell::run(&mut shell::words(&format!("nsenter --target {} --net ip {line}", self.pid)))
    }
}

fn center_of(host: &str) -> Result<&'static str> {
    crate::HOSTS.iter().find(|spec| spec.name == host).map(|spec| spec.center).context("no such host")
}
