//! The way from the cluster to what this machine reaches: a cable from the router, and address translation.

use crate::network::Router;
use crate::{process, shell};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Opens the way where it is not open yet. What goes out is only what no data center's network holds.
pub fn open(directory: &Path, router: &Router) -> Result<()> {
    let remembered = directory.join("outside");
    if remembered.exists() {
        return Ok(());
    }
    let taken = shell::run(&mut shell::words("ip -o -4 addr show"))?;
    // Addresses for measuring devices (RFC 2544), which are nobody's either.
    let Some(number) = (0..=255).find(|number| !taken.contains(&format!("198.18.{number}."))) else {
        bail!("no network for the way outside is free: 198.18.0.0 to 198.18.255.0 are all in use");
    };
    let (ours, theirs) = (format!("198.18.{number}.1"), format!("198.18.{number}.2"));
    let cable = format!("scs-out{number}");
    fs::write(&remembered, format!("{number}\n")).with_context(|| format!("cannot write {}", remembered.display()))?;
    shell::run(&mut shell::words(&format!("ip link add {cable} type veth peer name outside netns {}", router.pid())))?;
    shell::run(&mut shell::words(&format!("ip addr add {ours}/30 dev {cable}")))?;
    shell::run(&mut shell::words(&format!("ip link set {cable} up")))?;
    router.ip(&format!("addr add {theirs}/30 dev outside"))?;
    router.ip("link set outside up")?;
    router.ip(&format!("route add default via {ours}"))?;
    // Hosts are seen from outside under the router's address: nobody else has a way to theirs.
    shell::run(&mut shell::words(&format!(
        "nsenter --target {} --net iptables -t nat -A POSTROUTING -o outside -j MASQUERADE",
        router.pid()
    )))?;
    shell::run(&mut shell::words("sysctl -qw net.ipv4.ip_forward=1"))?;
    for rule in rules(number) {
        shell::run(&mut shell::words(&format!("iptables {}", rule.replacen("{}", "-I", 1))))?;
    }
    Ok(())
}

/// Closes it, wherever [`open`] got to.
pub fn close(directory: &Path) -> Result<()> {
    let remembered = directory.join("outside");
    let Ok(text) = fs::read_to_string(&remembered) else { return Ok(()) };
    if let Ok(number) = text.trim().parse() {
        for rule in rules(number) {
            // One that is not there is fine.
            let _ = shell::run(&mut shell::words(&format!("iptables {}", rule.replacen("{}", "-D", 1))));
        }
        let _ = shell::run(&mut shell::words(&format!("ip link del scs-out{number}")));
    }
    process::remove(&remembered)
}

/// The machine's own rules, `{}` being what to do with each.
fn rules(number: u32) -> [String; 3] {
    let cable = format!("scs-out{number}");
    [
        format!("-t nat {{}} POSTROUTING -s 198.18.{number}.0/30 -j MASQUERADE"),
        format!("{{}} FORWARD -i {cable} -j ACCEPT"),
        format!("{{}} FORWARD -o {cable} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    ]
}
