//! `cargo xtask demo`: the example blog on one machine, its database killed, and the site coming back; then on three hosts, its database
//! moved while the site is read.

mod blog;
mod hosts;

use crate::{docs, engine, packages, shell};
use anyhow::{Result, bail};
use blog::Blog;
use clap::Args;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the site may be away after its database was killed before the demo counts as failed.
const AWAY: Duration = Duration::from_secs(60);

/// How it is shown.
#[derive(Args)]
pub struct Options {
    /// Ends everything again instead of leaving the blog of the first act running
    #[arg(long)]
    end: bool,
    /// Leaves the second act out, the one on three hosts
    #[arg(long)]
    one_machine: bool,
}

/// Shows it.
pub fn run(options: &Options) -> Result<()> {
    packages::install(&[packages::ENGINE, packages::BASE, packages::SITE])?;
    let engine = engine::ensure()?;
    shell::say("building scs");
    shell::run(&mut shell::cargo(&["build", "--workspace", "--bin", "scs"]))?;
    let blog = Blog { program: docs::binary(), folder: shell::root().join("examples/blog") };
    let shown = show(&blog).and_then(|()| if options.one_machine { Ok(()) } else { hosts::show(&blog) });
    if options.end || shown.is_err() {
        shell::say("scs down");
        let ended = shell::run(&mut blog.scs(&["down"]));
        return shown.and(ended);
    }
    engine.keep();
    let program = std::env::current_dir()
        .ok()
        .and_then(|here| blog.program.strip_prefix(here).ok().map(PathBuf::from))
        .unwrap_or_else(|| blog.program.clone());
    let folder = "examples/blog/deployment.yaml";
    eprintln!("\nThe blog of one machine goes on running: {}", blog.site()?);
    eprintln!("To look at it and to end it:");
    for words in ["ps", "logs --tail 20", "explain wordpress.mysql", "down"] {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        eprintln!("  {} {verb} --file {folder} {rest}", program.display());
    }
    Ok(())
}

fn show(blog: &Blog) -> Result<()> {
    shell::say("scs up -d   (the first time it builds a base system and two images: a few minutes)");
    let started = Instant::now();
    shell::run(&mut blog.scs(&["up", "-d"]))?;
    eprintln!("up after {:.1} s", started.elapsed().as_secs_f64());
    let site = blog.site()?;
    shell::say(&format!("installing WordPress at {site} and publishing a post"));
    blog.visit(&site, &["install"])?;
    blog.visit(&site, &["publish", "Hello from scs", "Written before the database was killed."])?;

    let before = blog.slot("mysql-master")?;
    let wordpress = blog.slot("wordpress")?.container;
    shell::say(&format!("killing the database (docker kill {})", before.name));
    shell::run(Command::new("docker").args(["kill", &before.container]).stdout(Stdio::null()))?;
    let killed = Instant::now();
    watch(blog, &site, killed)?;
    let after = blog.slot("mysql-master")?;
    let same = blog.slot("wordpress")?.container == wordpress;
    shell::say("what happened");
    eprintln!("  mysql-master  {} → {}   a new container", before.address, after.address);
    eprintln!(
        "  wordpress     told of the new address inside its running container{}",
        if same { ", the same as before" } else { "" }
    );
    if !same {
        bail!("wordpress was restarted, which it should not have been");
    }
    eprintln!("\nThe site: {site}   (user admin, password in examples/blog/README.md)");
    Ok(())
}

/// Asks for the post until it is there again, and shows each change.
fn watch(blog: &Blog, site: &str, killed: Instant) -> Result<()> {
    let mut error = std::io::stderr();
    let mut was = None;
    loop {
        let served = shell::succeeds(&mut blog.visitor(site, &["read", "Hello from scs", "--once"]));
        let after = killed.elapsed();
        if was != Some(served) {
            writeln!(
                error,
                "  {:5.1} s  {}",
                after.as_secs_f64(),
                if served { "the post is served" } else { "the site has no database" }
            )?;
            was = Some(served);
        } else if !served && error.is_terminal() {
            write!(error, "  {:5.1} s\r", after.as_secs_f64())?;
        }
        if served && blog.slot("mysql-master").is_ok_and(|slot| slot.phase == "running") {
            return Ok(());
        }
        if after > AWAY {
            bail!("the site did not come back within {} s; `scs ps` and `scs logs` say more", AWAY.as_secs());
        }
    }
}
