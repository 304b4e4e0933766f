//! A ledger that is written all the time, and what proves that nothing happened to it: whoever runs writes down that it runs ten times
//! a second, into its volume, so that two at a time are seen whatever host they are on and whichever copy they write.

use scs_e2e::hosts::{HOSTS, Hosts, LONG};
use scs_e2e::project::Project;
use scs_e2e::wait_for;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

/// Where every host keeps its volumes.
pub const VOLUMES: &str = "/var/lib/scs/host/volumes";
const COPY: &str = "/var/lib/scs/host/volumes/prod/books/ledger/data/data";
const KEPT: &str = "/run/kept";

/// The ledger, on h2 at first, and its client on h1, where the server is.
pub struct Ledger {
    pub hosts: Hosts,
    client: Child,
    _project: Project,
}

/// What a move said, and how it ended.
pub struct Moved {
    pub code: i32,
    pub said: String,
}

impl Ledger {
    /// One that is being written, with 48 MB beside its rows and 4 MB that change all the time.
    pub fn new() -> Self {
        let project = Project::empty();
        project.write("deployment.yaml", DEPLOYMENT);
        project.write("deployment.prod.yaml", OVERLAY);
        project.write("images/ledger/image.yaml", IMAGE);
        project.write("images/ledger/configure.sh", CONFIGURE);
        let hosts = Hosts::joined(project.path());
        hosts.give_base();
        let _ = hosts.ok(&["up", "-d"]);
        let ballast = "dd if=/dev/urandom of=/data/ballast bs=1M count=48 2>&1";
        let _ = hosts.ok(&["exec", "ledger", "--", "sh", "-c", ballast]);
        let server = format!("{}:9640", hosts.address("h1"));
        let certificates = "/var/lib/scs/host/certificates";
        let forward = ["disco", "forward", "--server", &server, "--certificates", certificates, "--patience", "50s"];
        hosts.start("h1", "forward", &[&forward[..], &["5000:prod/books/ledger/rows"]].concat(), &[]);
        let client = hosts.command("h1", "sh", &["-c", CLIENT, "sh", KEPT]).spawn().expect("a shell can be started");
        let ledger = Self { hosts, client, _project: project };
        ledger.goes_on();
        ledger
    }

    /// Moves it to a host; once the move says that it does this, something happens.
    pub fn moves(&self, to: &str, when: &str, happens: impl FnOnce()) -> Moved {
        let mut command = self.hosts.desk(&["move", "ledger", to, "--force", "--bandwidth", "16MB"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("scs starts");
        let mut said = String::new();
        let mut happens = Some(happens);
        for line in BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok) {
            said += &format!("{line}\n");
            if line.contains(when)
                && let Some(happens) = happens.take()
            {
                happens();
            }
        }
        let code = child.wait().expect("it ends").code().unwrap_or(-1);
        assert!(happens.is_none(), "the move never came to `{when}`, and ended with {code}:\n{said}{}", self.words());
        Moved { code, said }
    }

    /// Host that the ledger runs on, once one container of it runs, and `scs ps` says so.
    pub fn host(&self) -> String {
        wait_for("the ledger to run once, and to be shown where it is", LONG, || {
            let shown = self.hosts.instance("ledger", 0).unwrap_or_default();
            let mut running = Vec::new();
            for (host, _) in HOSTS {
                running.extend(self.hosts.containers(host).into_iter().map(|it| ((*host).to_owned(), it)));
            }
            let report = &shown["report"];
            match &running[..] {
                [(host, container)]
                    if shown["host"] == **host
                        && report["phase"] == "running"
                        && report["container"]["id"].as_str().is_some_and(|id| container.contains(id)) =>
                {
                    Ok(host.clone())
                }
                _ => Err(format!("{running:?} run, and ps shows {shown:#}{}", self.words())),
            }
        })
    }

    /// Waits until further rows are acknowledged.
    pub fn goes_on(&self) {
        let before = self.acknowledged().len();
        wait_for("further rows to be acknowledged", LONG, || {
            let now = self.acknowledged().len();
            if now >= before + 5 {
                return Ok(());
            }
            Err(format!("{before} before, {now} now{}{}", self.hosts.said("h1", "forward"), self.words()))
        });
    }

    /// Proves that everything has come together again, that every acknowledged row is there, and that there was never a second writer.
    /// Gives the host that it is on.
    pub fn proved(&self) -> String {
        let host = self.host();
        self.goes_on();
        let acknowledged = self.acknowledged();
        let rows = self.hosts.on(&host, "cat", &[&format!("{COPY}/rows")]);
        let rows: BTreeSet<u64> = rows.lines().filter_map(|row| row.parse().ok()).collect();
        let lost: Vec<&u64> = acknowledged.difference(&rows).collect();
        assert!(lost.is_empty(), "{lost:?} were acknowledged and are lost{}", self.words());
        self.one_at_a_time();
        host
    }

    /// How many containers have run so far, by what they wrote.
    pub fn runs(&self) -> usize {
        self.beats().len()
    }

    fn one_at_a_time(&self) {
        let mut runs: Vec<(f64, f64, String)> =
            self.beats().into_iter().map(|(run, (first, last))| (first, last, run)).collect();
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        for pair in runs.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "two wrote at a time: {pair:?} of {runs:?}{}", self.words());
        }
    }

    /// When each run wrote first and last, by the clock that all hosts share, in any copy of the volume.
    fn beats(&self) -> BTreeMap<String, (f64, f64)> {
        let mut runs: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (host, _) in HOSTS {
            let said = self.hosts.on(host, "sh", &["-c", &format!("cat {COPY}/beats 2>/dev/null || true")]);
            for (run, time) in said.lines().filter_map(|line| line.split_once(' ')) {
                // A line that a power failure cut short says nothing.
                let Ok(time) = time.parse::<f64>() else { continue };
                let times = runs.entry(run.to_owned()).or_insert((time, time));
                *times = (times.0.min(time), times.1.max(time));
            }
        }
        runs
    }

    fn acknowledged(&self) -> BTreeSet<u64> {
        let said = self.hosts.on("h1", "sh", &["-c", &format!("cat {KEPT} 2>/dev/null || true")]);
        said.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// For a failed test.
    pub fn words(&self) -> String {
        self.hosts.last_words()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // This is `nsenter`; the shell ends with its host.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// Adds one row after the other for ever, and writes down the number of each that was acknowledged.
const CLIENT: &str = "\
number=0
while :; do
    number=$((number + 1))
    answer=$(curl --silent --fail --max-time 60 \"http://127.0.0.1:5000/cgi-bin/add?$number\")
    if test \"$answer\" = \"kept $number\"
    then echo $number >> \"$1\"
    else sleep 0.1
    fi
done
";

const DEPLOYMENT: &str = "\
version: 1
service: books
containers:
  ledger:
    image: { source: { path: images/ledger } }
    volume: { data: { method: local } }
    stop_grace_period: 1s
";

const OVERLAY: &str = "\
version: 1
containers:
  ledger: { place: { host: h2 } }
";

const IMAGE: &str = "\
version: 1
engine:
  docker:
    from: scs-test-base:1
    command: [/bin/start]
config: { method: shell }
provide:
  rows: { port: 5000, health: { tcp: true, interval: 200ms } }
volume:
  data: { path: /data }
";

const CONFIGURE: &str = "\
#!/bin/sh
set -e
mkdir -p /www/cgi-bin /data
cat > /bin/start <<'END'
#!/bin/sh
beat() {
    while :; do
        read -r now idle < /proc/uptime
        echo \"$SCS_RUN_ID $now\" >> /data/beats
        sleep 0.1
    done
}
change() {
    while :; do
        dd if=/dev/urandom of=/data/changing bs=64k count=64 conv=notrunc 2> /dev/null
        sleep 1
    done
}
beat &
change &
exec httpd -f -p 5000 -h /www
END
cat > /www/cgi-bin/add <<'END'
#!/bin/sh
echo \"$QUERY_STRING\" >> /data/rows && sync -d /data/rows || exit 1
printf 'Content-Type: text/plain\\r\\n\\r\\nkept %s\\n' \"$QUERY_STRING\"
END
chmod 755 /bin/start /www/cgi-bin/add
";
