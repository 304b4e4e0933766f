//! The layers of the architecture: a crate may depend only on crates below its own.

use crate::shell;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;

/// Every crate with its layer; within a layer only the crates named in `SAME_LAYER` know each other.
const LAYERS: &[(&str, &[&str])] = &[
    ("pure core", &["disco-proto", "disco-core", "scs-manifest", "scs-plan"]),
    ("port", &["scs-ports", "scs-api"]),
    ("adapter", &["scs-engine-docker", "scs-image", "scs-pki", "scs-provision", "scs-transfer", "scs-helper"]),
    ("shell", &["disco-server", "disco-client", "scs-agent", "scs-client", "scs-control", "scs-remote"]),
    ("binary", &["scs"]),
    ("development", &["scs-cluster", "scs-testkit", "scs-e2e", "xtask"]),
];

/// Edges inside a layer: user and used.
const SAME_LAYER: &[(&str, &str)] = &[
    ("disco-core", "disco-proto"),
    ("scs-plan", "scs-manifest"),
    ("scs-plan", "disco-proto"),
    ("scs-provision", "scs-helper"),
    ("scs-agent", "disco-client"),
    ("scs-remote", "scs-client"),
    ("scs-remote", "scs-control"),
    ("xtask", "scs-cluster"),
    ("scs-e2e", "scs-cluster"),
    ("scs-e2e", "scs-testkit"),
];

/// What a pure core must not pull in, however far away.
const IMPURE: &[&str] = &["tokio", "mio", "rustix", "rand", "hyper"];

/// Checks direction and purity from what cargo itself says.
pub fn check() -> Result<()> {
    let metadata: Value =
        serde_json::from_str(&shell::output(&mut shell::cargo(&["metadata", "--format-version", "1", "--no-deps"]))?)?;
    let rank: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(rank, (_, crates))| crates.iter().map(move |name| (*name, rank)))
        .collect();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(own) = rank.get(name) else {
            wrong.push(format!("{name} has no layer: name it in crates/xtask/src/layers.rs and ARCHITECTURE.md"));
            continue;
        };
        let normal = package["dependencies"].as_array().into_iter().flatten().filter(|edge| edge["kind"].is_null());
        for used in normal.filter_map(|edge| edge["name"].as_str()) {
            let Some(below) = rank.get(used) else { continue };
            if below > own || (below == own && !SAME_LAYER.contains(&(name, used))) {
                wrong.push(format!("{name} ({}) depends on {used} ({})", LAYERS[*own].0, LAYERS[*below].0));
            }
        }
    }
    for core in LAYERS[0].1 {
        let tree = shell::output(&mut shell::cargo(&["tree", "-p", core, "-e", "normal", "--prefix", "none"]))?;
        for line in tree.lines() {
            let used = line.split(' ').next().unwrap_or_default();
            if IMPURE.contains(&used) {
                wrong.push(format!("{core} is a pure core but pulls in {used}"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("the layers do not hold:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}
