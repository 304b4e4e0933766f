//! The example blog on this machine: scs for it, what runs of it, and visits of its site.

use crate::shell;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Where it lies, and the program that runs it.
pub struct Blog {
    pub program: PathBuf,
    pub folder: PathBuf,
}

/// What the demo needs to know of a slot.
pub struct Slot {
    pub phase: String,
    pub container: String,
    pub name: String,
    pub address: String,
}

impl Blog {
    pub fn scs(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder);
        command
    }

    fn instances(&self) -> Result<Vec<Value>> {
        let text = shell::output(&mut self.scs(&["ps", "-o", "json"]))?;
        serde_json::from_str(&text).context("`scs ps -o json` printed no list")
    }

    pub fn slot(&self, role: &str) -> Result<Slot> {
        let instances = self.instances()?;
        let report = instances
            .iter()
            .map(|instance| &instance["report"])
            .find(|report| report["slot"]["role"] == role)
            .with_context(|| format!("`scs ps` lists no {role}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let container = &report["container"];
        let provides = container["provides"].as_object().and_then(|provides| provides.values().next());
        Ok(Slot {
            phase: text(&report["phase"]),
            container: text(&container["id"]),
            name: text(&container["name"]),
            address: provides.map(|provide| text(&provide["address"])).unwrap_or_default(),
        })
    }

    pub fn site(&self) -> Result<String> {
        for instance in self.instances()? {
            let address = &instance["report"]["container"]["provides"]["http"]["local_address"];
            if let Some(address) = address.as_str() {
                return Ok(format!("http://{address}"));
            }
        }
        bail!("no role of the blog provides http on this machine")
    }

    pub fn visitor(&self, site: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command.arg(self.folder.join("site.py")).args(["--url", site]).args(arguments);
        command
    }

    pub fn visit(&self, site: &str, arguments: &[&str]) -> Result<()> {
        shell::run(&mut self.visitor(site, arguments))
    }
}
