//! Projects for tests: small directories of manifests whose containers need nothing but the helper that scs puts into each.

use std::path::{Path, PathBuf};

/// A directory of manifests, removed on drop.
#[derive(Debug)]
pub struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    /// An empty project.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            directory: tempfile::Builder::new()
                .prefix("scs-project-")
                .tempdir()
                .expect("a temporary directory can be made"),
        }
    }

    /// A store that provides `db`, and a web server that requires it and writes down what it is told.
    #[must_use]
    pub fn store_and_web() -> Self {
        let project = Self::empty();
        project.write("deployment.yaml", DEPLOYMENT);
        project.write("images/store/image.yaml", STORE);
        project.write(
            "images/store/configure.sh",
            "#!/bin/sh\nset -e\necho \"$SCS_PARAM_GREETING\" > /greeting\nmkdir -p /data\n",
        );
        project.write("images/web/image.yaml", WEB);
        project.write("images/web/configure.sh", WEB_CONFIGURE);
        project
    }

    /// One role `job` of a bare base system with this command; `more` is further keys of it, indented by four spaces.
    #[must_use]
    pub fn job(command: &str, more: &str) -> Self {
        let project = Self::empty();
        let deployment =
            "version: 1\nservice: shop\ncontainers:\n  job:\n    image: { source: { path: images/job } }\n";
        project.write("deployment.yaml", &format!("{deployment}    command: {command}\n{more}"));
        project.write(
            "images/job/image.yaml",
            "version: 1\nengine: { docker: { from: { debootstrap: bookworm } } }\nconfig: { method: none }\n",
        );
        project
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("directories can be made");
        std::fs::write(&path, text).expect("files can be written");
        path
    }

    /// Replaces a text in a file, which has to stand in it.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path().join(name)).expect("the file is there");
        assert!(text.contains(old), "{name} does not hold `{old}`:\n{text}");
        self.write(name, &text.replace(old, new));
    }
}

const DEPLOYMENT: &str = "\
version: 1
service: shop
secrets:
  token: { generate: 24 }
containers:
  store:
    image: { source: { path: images/store }, config: { greeting: hello } }
    volume: { data: { method: local } }
    secrets: { TOKEN: token }
  web:
    image: { source: { path: images/web } }
    require: { db: { wait: 30s } }
    secrets: { TOKEN: token }
";

const STORE: &str = "\
version: 1
about: { title: Store }
engine:
  docker:
    from: { debootstrap: bookworm }
    command: [/run/scs/bin/scs-helper, serve, --port, '5000']
config: { method: shell, parameters: { greeting: none } }
provide:
  db: { port: 5000, health: { tcp: true, interval: 200ms } }
secret:
  TOKEN: { liveupdate: none }
volume:
  data: { path: /data, mode: 0750 }
";

const WEB: &str = "\
version: 1
about: { title: Web }
engine:
  docker:
    from: { debootstrap: bookworm }
    command: [/run/scs/bin/scs-helper, serve, --port, '80']
config: { method: shell }
provide:
  http: { port: 80, health: { http: /, interval: 200ms } }
require:
  db: { liveupdate: { command: [/usr/local/bin/told, db], debounce: 50ms } }
secret:
  TOKEN: { liveupdate: { command: [/usr/local/bin/told, token], debounce: 50ms } }
";

/// The live-update command writes down what it was told, and with which environment.
const WEB_CONFIGURE: &str = "\
#!/bin/sh
set -e
cat > /usr/local/bin/told <<'END'
#!/bin/sh
set -e
test ! -e /hang || exec sleep 600
test ! -e /fail || { echo told to fail >&2; exit 3; }
echo \"$1 $SCS_REQUIRE_DB $(cat /run/secrets/TOKEN)\" >> /told.log
END
chmod 755 /usr/local/bin/told
";
