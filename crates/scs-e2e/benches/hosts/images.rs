//! The blog's images on every host, so that nothing is built or fetched while something is measured.

use scs_e2e::docker::docker;
use scs_e2e::hosts::{HOSTS, Hosts};
use scs_e2e::table::say;
use scs_e2e::{Scs, blog};
use std::collections::BTreeSet;

/// Builds the images of the blog on this machine, where they are not there yet, and gives them to every host's engine.
pub fn give(hosts: &Hosts) {
    say("the blog's images, to every host");
    let directory = blog::copy();
    let scs = Scs::new(directory.path());
    let _ = scs.ok(&["up", "-d"]);
    let tag = |role: &str| {
        let image = docker(&["inspect", "--format", "{{.Image}}", &scs.container(role)]);
        docker(&["inspect", "--format", "{{index .RepoTags 0}}", &image])
    };
    let tags: BTreeSet<String> = ["mysql-master", "wordpress"].into_iter().map(tag).collect();
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let file = folder.path().join("images.tar").display().to_string();
    let mut save = vec!["save", "--output", &file];
    save.extend(tags.iter().map(String::as_str));
    let _ = docker(&save);
    for (host, _) in HOSTS {
        let _ = hosts.on(host, "docker", &["load", "--quiet", "--input", &file]);
    }
}
