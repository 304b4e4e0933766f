//! The cluster itself: hosts that are real enough to be believed, and nothing left of them afterwards.

use scs_cluster::{Guard, Host};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn hosts_reach_each_other_until_cut_off_and_lose_power_without_losing_their_disk() {
    let cluster = Guard::new(false);
    let [h1, h2, h3, desk] = ["h1", "h2", "h3", "desk"].map(|name| cluster.host(name).expect("it is there"));

    for host in [&h1, &h2, &h3] {
        assert_eq!(on(host, &["docker", "info", "--format", "{{.Name}}"]), Some(host.spec.name.to_owned()));
        assert!(reaches(&desk, host), "the desk reaches {}", host.spec.name);
    }
    assert!(reaches(&h1, &h2) && reaches(&h1, &h3), "hosts reach each other, in a data center and across");

    cluster.cut("h2").expect("it can be cut");
    assert!(!reaches(&h1, &h2), "a host that is cut off is silent");
    assert!(reaches(&h1, &h3));
    cluster.heal("h2").expect("it can be healed");
    eventually("h2 to be back", || reaches(&h1, &h2));

    cluster.cut("west").expect("it can be cut");
    assert!(!reaches(&h1, &h3), "a data center that is cut off is silent");
    assert!(reaches(&h1, &h2), "the other one works");
    cluster.heal("west").expect("it can be healed");
    eventually("h3 to be back", || reaches(&h1, &h3));

    let network = on(&h1, &["docker", "network", "create", "kept"]).expect("the engine works");
    assert!(
        on(&h1, &["sh", "-c", "echo kept >/var/lib/scs/file; touch /run/gone; sleep 1000 >&- 2>&- & echo"]).is_some()
    );
    h1.power_off().expect("it can be switched off");
    assert!(!reaches(&h2, &h1), "a host without power is silent");
    h1.power_on().expect("it can be switched on");
    h1.wait_for_engine().expect("its engine comes back");
    assert_eq!(on(&h1, &["docker", "network", "inspect", "--format", "{{.Id}}", "kept"]), Some(network));
    assert_eq!(on(&h1, &["cat", "/var/lib/scs/file"]).as_deref(), Some("kept"));
    assert_eq!(on(&h1, &["cat", "/run/gone"]), None, "/run does not survive");
    assert_eq!(on(&h1, &["pgrep", "-x", "sleep", "-a"]).as_deref().map(|it| it.contains("1000")), Some(false));
    eventually("h1 to be back", || reaches(&h2, &h1));

    h2.kill_engine().expect("it can be killed");
    assert_eq!(on(&h2, &["docker", "info", "--format", "{{.Name}}"]).as_deref().unwrap_or_default(), "");
    h2.start_engine().and_then(|()| h2.wait_for_engine()).expect("it starts again");

    let disk = h1.disk().parent().expect("disks lie in the cluster's directory").to_owned();
    drop(cluster);
    assert!(!disk.exists(), "the disks are gone");
    for host in [&h1, &h2, &h3, &desk] {
        assert_eq!(host.pid(), None, "{} is off", host.spec.name);
    }
}

/// What a command on a host prints, where it succeeds.
fn on(host: &Host, words: &[&str]) -> Option<String> {
    let mut command = host.enter().expect("it is on").command(words[0]);
    let output = command.args(&words[1..]).stdin(Stdio::null()).output().expect("it can be started");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a packet gets there and back: nothing listens there, so a host that hears us refuses at once.
fn reaches(from: &Host, to: &Host) -> bool {
    let Ok(way) = from.enter() else { return false };
    let knock = format!("timeout 1 bash -c '</dev/tcp/{}/9'", to.spec.address);
    let output = way.command("bash").args(["-c", &knock]).stdin(Stdio::null()).output().expect("bash is there");
    String::from_utf8_lossy(&output.stderr).contains("refused")
}

fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !happens() {
        assert!(Instant::now() < deadline, "waited for {what}");
    }
}
