//! Images pulled from a registry, by tag and by digest.

use scs_e2e::docker::docker;
use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A registry on loopback, ended and cleared away when dropped.
struct Registry {
    process: Child,
    host: String,
    _directory: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = free.local_addr().expect("it has an address").to_string();
        drop(free);
        let settings = directory.path().join("config.yml");
        let root = directory.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: '{host}' }}\n",
            root.display()
        );
        std::fs::write(&settings, text).expect("files can be written");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed (cargo xtask test sees to it)");
        let registry = Self { process, host, _directory: directory };
        wait_for("the registry to listen", Duration::from_secs(20), || {
            TcpStream::connect(&registry.host).map(drop).map_err(|error| error.to_string())
        });
        registry
    }

    /// Pushes an image without any file under this name; gives its digest, and leaves nothing of it in the engine.
    fn push(&self, name: &str) -> String {
        let reference = self.reference(name);
        let script = "set -e; d=$(mktemp -d); echo $0 > $d/name; tar -c -C $d . | docker import - $0; rm -r $d; docker push --quiet $0";
        let pushed = Command::new("sh").args(["-c", script, &reference]).output().expect("a shell can be started");
        assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
        let digest = docker(&["inspect", "--format", "{{index .RepoDigests 0}}", &reference]);
        let _ = docker(&["rmi", &reference]);
        digest
    }

    fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // What was pulled from here is of no use to anybody. Its names go: images made of it may still need the rest.
        let format = "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}";
        let listed = Command::new("docker").args(["images", "--digests", "--format", format]).output();
        let listed = listed.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
        for name in listed.split_whitespace().filter(|it| it.starts_with(&self.host) && !it.contains("<none>")) {
            let _ = Command::new("docker").args(["rmi", name]).output();
        }
    }
}

fn project(image: &str) -> Project {
    let project = Project::empty();
    project.write(
        "deployment.yaml",
        &format!(
            "\
version: 1
service: shop
containers:
  store:
    image: {image}
    manifest:
      engine: {{ docker: {{ command: [/run/scs/bin/scs-helper, serve, --port, '5000'] }} }}
      provide: {{ db: {{ port: 5000, health: {{ tcp: true, interval: 200ms }} }} }}
"
        ),
    );
    project
}

/// The file that the image holds.
fn name_in(scs: &Scs) -> String {
    let path = format!("{}:/name", scs.container("store"));
    let output = Command::new("sh").args(["-c", "docker cp $0 - | tar -xO", &path]).output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn an_image_is_pulled_by_tag_and_by_digest_and_one_that_is_not_there_is_named() {
    let registry = Registry::start();
    let digest = registry.push("hello:1");
    for image in [registry.reference("hello:1"), digest] {
        let project = project(&image);
        let scs = Scs::new(project.path());
        let _ = scs.ok(&["up", "-d"]);
        assert_eq!(name_in(&scs), registry.reference("hello:1"), "{image}");
        let _ = scs.ok(&["down"]);
    }
    let missing = registry.reference("hello:2");
    let project = project(&missing);
    let scs = Scs::new(project.path());
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains(&missing) && run.stderr().contains("hint:"), "{}", run.shown());
}
