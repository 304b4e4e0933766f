//! The second act: the same blog on three hosts, its database moved to another one while the site is read.

use super::blog::Blog;
use crate::{packages, shell};
use anyhow::{Context, Result, bail};
use scs_cluster::Cluster;
use std::cell::RefCell;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What happens next, longer than it takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks at something.
const PAUSE: Duration = Duration::from_millis(100);

/// What differs from the overlay of the example: the database may move within its data center, and the site is looked at where it is.
const CHANGES: [(&str, &str); 2] =
    [("place: { host: h1 }", "place: { match: { dc: east } }"), ("https://blog.example", "http://198.51.100.12:8080")];

/// Where readers find the site: its role runs on h2.
const SITE: &str = "http://198.51.100.12:8080";

const POST: &str = "Hello from three hosts";

/// Shows it. Where hosts cannot be made it says so and shows nothing.
pub fn show(blog: &Blog) -> Result<()> {
    shell::say("second act: three hosts in two data centers, on this machine");
    if !packages::is_root() {
        eprintln!("  left out: hosts on one machine need namespaces, which only root may make");
        return Ok(());
    }
    packages::install(&[packages::HOSTS])?;
    let stage = Stage::raise(blog)?;
    stage.give_images(blog)?;
    stage.join_all()?;
    eprintln!();
    shell::run(&mut stage.scs(&["host", "ls"])?)?;

    shell::say("scs up -d --env prod   (the images are there, and go from host to host)");
    let started = Instant::now();
    shell::run(&mut stage.scs(&["up", "-d", "--env", "prod"])?)?;
    eprintln!("up after {:.1} s", started.elapsed().as_secs_f64());
    shell::run(&mut stage.visitor(&["install"])?)?;
    shell::run(&mut stage.visitor(&["publish", POST, "Written before the database moved."])?)?;
    shell::run(&mut stage.scs(&["ps", "--env", "prod"])?)?;

    shell::say("scs move mysql-master h2 --env prod   (while the site is read)");
    let (done, readings) =
        stage.read_while(|| shell::run(&mut stage.scs(&["move", "mysql-master", "h2", "--env", "prod"])?))?;
    done?;
    shell::run(&mut stage.visitor(&["read", POST])?)?;
    shell::run(&mut stage.scs(&["ps", "--env", "prod"])?)?;
    shell::say("what happened");
    eprintln!("  the database and its data are on h2; site and backup were told inside their running containers");
    eprintln!(
        "  {} readers got the post, {} did not; between two who did, {:.1} s at most",
        readings.served,
        readings.failed,
        readings.longest.as_secs_f64()
    );
    eprintln!("\ndocs/tutorial-three-hosts.md builds the same step by step.");
    Ok(())
}

/// What readers saw.
#[derive(Default)]
struct Readings {
    served: usize,
    failed: usize,
    /// The longest time between the ends of two readings that brought the post.
    longest: Duration,
}

/// Three hosts with a server on h1, and the desk; ended when dropped.
struct Stage {
    cluster: Cluster,
    program: PathBuf,
    /// The example's folder with an overlay for these hosts, among their disks.
    project: PathBuf,
    running: RefCell<Vec<Child>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        shell::say("ending the three hosts");
        for child in self.running.get_mut() {
            // The way into a host; what it started ends with its host.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Err(error) = self.cluster.down() {
            eprintln!("the hosts could not be removed: {error:#}");
        }
    }
}

impl Stage {
    /// Hosts with engines, what a broken off run left of them removed first.
    fn raise(blog: &Blog) -> Result<Self> {
        let folder = shell::root().join("target/demo");
        let cluster = Cluster::at(&folder);
        cluster.down()?;
        let project = folder.join("project");
        fs::create_dir_all(&project)?;
        shell::run(Command::new("cp").arg("-r").arg(format!("{}/.", blog.folder.display())).arg(&project))?;
        let overlay = project.join("deployment.prod.yaml");
        let mut text = fs::read_to_string(&overlay)?;
        for (theirs, ours) in CHANGES {
            if !text.contains(theirs) {
                bail!("{} does not say `{theirs}` any more: the demo counts on it", overlay.display());
            }
            text = text.replace(theirs, ours);
        }
        fs::write(&overlay, text)?;
        let stage = Self { cluster, program: blog.program.clone(), project, running: RefCell::default() };
        stage.cluster.up(false)?;
        for host in stage.cluster.hosts() {
            eprintln!("  {:<5} {:<5} {}", host.spec.name, host.spec.center, host.spec.address);
        }
        Ok(stage)
    }

    /// Gives h1 what the first act has built: other hosts get it from there.
    fn give_images(&self, blog: &Blog) -> Result<()> {
        let mut images = Vec::new();
        for role in ["mysql-master", "wordpress"] {
            let container = blog.slot(role)?.container;
            let format = ["inspect", "--format", "{{.Image}}", &container];
            let id = shell::output(Command::new("docker").args(format))?;
            let tags = ["image", "inspect", "--format", "{{join .RepoTags \" \"}}", id.trim()];
            let tags = shell::output(Command::new("docker").args(tags))?;
            images.push(
                tags.split_whitespace().next().with_context(|| format!("the image of {role} has no name"))?.to_owned(),
            );
        }
        let mut save = Command::new("docker").arg("save").args(&images).stdout(Stdio::piped()).spawn()?;
        let stream = save.stdout.take().context("no output to read")?;
        let mut load = self.on("h1", "docker", &["load", "--quiet"])?;
        shell::run(load.stdin(stream).stdout(Stdio::null()))?;
        if !save.wait()?.success() {
            bail!("the images {} could not be saved", images.join(", "));
        }
        Ok(())
    }

    /// Starts the server and the three agents; ends when every host has joined, and the desk has a context.
    fn join_all(&self) -> Result<()> {
        self.start("h1", "server", &["server", "--advertise", self.address("h1")?])?;
        let socket = "unix:/var/lib/scs/server/scs.sock";
        self.wait("the server to answer", || {
            let added = shell::succeeds(&mut self.on_scs("h1", &["context", "add", "here", socket])?);
            Ok(added && shell::succeeds(&mut self.owner(&["host", "ls"])?))
        })?;
        let server = format!("https://{}", self.address("h1")?);
        let hosts = [("h1", "dc=east"), ("h2", "dc=east"), ("h3", "dc=west")];
        for (host, label) in hosts {
            let token = token(&shell::output(&mut self.owner(&["host", "token"])?)?)?;
            let agent =
                ["agent", "--server", &server, "--token", &token, "--advertise", self.address(host)?, "--label", label];
            self.start(host, "agent", &agent)?;
        }
        self.wait("three hosts to join", || {
            let list = shell::output(&mut self.owner(&["host", "ls", "-o", "json"])?)?;
            Ok(list.matches("\"yes\"").count() == hosts.len())
        })?;
        let token =
            token(&shell::output(&mut self.owner(&["person", "token", "ada", "--role", "admin", "--env", "prod"])?)?)?;
        let mut context =
            self.scs(&["context", "add", "prod", &server, "--token", &token, "--env", "prod", "--use"])?;
        shell::output(&mut context).map(drop)
    }

    /// Does something while readers ask for the post, one after another, from before it to after it.
    fn read_while<T>(&self, happens: impl FnOnce() -> T) -> Result<(T, Readings)> {
        let over = AtomicBool::new(false);
        let mut visit = self.visitor(&["read", POST, "--once"])?;
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut readings = Readings::default();
                let (started, mut last, mut was) = (Instant::now(), Instant::now(), true);
                loop {
                    let ending = over.load(Ordering::Relaxed);
                    let served = shell::succeeds(&mut visit);
                    if served != was {
                        let what = if served { "the post is served" } else { "the site has no database" };
                        eprintln!("  {:5.1} s  {what}", started.elapsed().as_secs_f64());
                        was = served;
                    }
                    if served {
                        readings.longest = readings.longest.max(last.elapsed());
                        last = Instant::now();
                        readings.served += 1;
                    } else {
                        readings.failed += 1;
                    }
                    if ending && (served || last.elapsed() > PATIENCE) {
                        return readings;
                    }
                }
            });
            let done = happens();
            over.store(true, Ordering::Relaxed);
            let readings = reader.join().map_err(|_| anyhow::anyhow!("the reader broke off"))?;
            Ok((done, readings))
        })
    }

    fn address(&self, host: &str) -> Result<&'static str> {
        Ok(self.cluster.host(host)?.spec.address)
    }

    /// A program on a host.
    fn on(&self, host: &str, program: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = self.cluster.host(host)?.enter()?.command(program);
        command.args(arguments);
        Ok(command)
    }

    fn on_scs(&self, host: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = self.on(host, "env", &[])?;
        command.arg(format!("--chdir={}", self.project.display())).arg(&self.program).args(arguments);
        Ok(command)
    }

    /// scs at the desk.
    fn scs(&self, arguments: &[&str]) -> Result<Command> {
        self.on_scs("desk", arguments)
    }

    /// scs beside the server, which may do everything.
    fn owner(&self, arguments: &[&str]) -> Result<Command> {
        self.on_scs("h1", &[&["--context", "here"], arguments].concat())
    }

    /// A visitor at the desk.
    fn visitor(&self, arguments: &[&str]) -> Result<Command> {
        let script = self.project.join("site.py");
        let mut command = self.on("desk", "python3", &[])?;
        command.arg(script).args(["--url", SITE]).args(arguments);
        Ok(command)
    }

    /// Starts scs on a host for as long as the stage stands; what it says goes to a file.
    fn start(&self, host: &str, log: &str, arguments: &[&str]) -> Result<()> {
        let file = File::create(self.cluster.host(host)?.disk().join(format!("{log}.log")))?;
        let child =
            self.on_scs(host, arguments)?.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        self.running.borrow_mut().push(child);
        Ok(())
    }

    /// Waits until it is so.
    fn wait(&self, what: &str, so: impl Fn() -> Result<bool>) -> Result<()> {
        let started = Instant::now();
        while !so()? {
            if started.elapsed() > PATIENCE {
                let log = self.cluster.host("h1")?.disk().join("server.log");
                bail!("waited {} s for {what}; the server said:\n{}", PATIENCE.as_secs(), fs::read_to_string(log)?);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// The token in what a command printed.
fn token(printed: &str) -> Result<String> {
    let found = printed.split_whitespace().find(|word| word.starts_with("scs1-"));
    Ok(found.with_context(|| format!("no token in: {printed}"))?.to_owned())
}
