//! Without an engine and without a server.

use crate::support::{Place, shown, snapshot};

const ONE: &str = "version: 1\nservice: one\ncontainers:\n  web: { image: nginx:1 }\n";

#[test]
fn up_without_an_engine_says_so_and_leaves_nothing_behind() {
    let place = Place::with(ONE);
    snapshot!(place.shown(&["up", "-d"]), @r"
    exit 69
    --- stderr
    error: the container engine at unix:///nonexistent/docker.sock does not answer
      because: nothing is there: is Docker installed and started (`sudo systemctl start docker`)?
    hint: is it running, and may you use it? `scs doctor` says more; DOCKER_HOST names another one
    ");
    assert!(!place.path().join("state").exists());
}

#[test]
fn bad_manifests_are_found_before_the_engine_is_asked() {
    assert_eq!(Place::with("version: 1\nservcie: x\n").code(&["up", "-d"]), 65);
}

#[test]
fn ps_where_nothing_was_ever_started_is_an_empty_list() {
    snapshot!(Place::with(ONE).shown(&["ps"]), @r"
    exit 0
    --- stderr
    nothing runs here; `scs up` brings a service up, `scs ps --all` lists every one
    ");
    assert_eq!(Place::with(ONE).stdout(&["ps", "-o", "json"]), "[]\n");
}

#[test]
fn down_where_nothing_was_ever_started_has_nothing_to_do() {
    snapshot!(Place::with(ONE).shown(&["down"]), @r"
    exit 0
    --- stderr
    dev/one is not up
    ");
}

#[test]
fn looking_without_a_server_while_containers_may_run_is_unavailable() {
    let place = Place::with(ONE);
    place.write("state/dev.pid", "1\n");
    snapshot!(place.shown(&["ps"]), @r"
    exit 69
    --- stderr
    error: `scs dev` does not run (socket [DIR]/state/scs.sock)
      because: No such file or directory (os error 2)
    hint: `scs up` starts it; `scs doctor` looks deeper
    ");
}

#[test]
fn an_unreadable_secret_is_named_with_file_and_line() {
    let place = Place::with(
        "version: 1\nservice: one\nsecrets:\n  db: { file: nowhere.txt }\ncontainers:\n  web:\n    image: nginx:1\n    \
         manifest: { secret: { PASSWORD: {} } }\n    secrets: { PASSWORD: db }\n",
    );
    snapshot!(place.shown(&["up", "-d"]), @r"
    exit 65
    --- stderr
    error: the secret `db` cannot be read: nowhere.txt: No such file or directory (os error 2)
     --> deployment.yaml:4:15
      |
    4 |   db: { file: nowhere.txt }
      |               ^^^^^^^^^^^
      |
      = help: nothing was changed
    error: 1 error in the manifests
    hint: correct them and run `scs validate`; nothing was changed
    ");
}

#[test]
fn run_without_discovery_says_where_to_get_it() {
    snapshot!(Place::with(ONE).shown(&["run", "web"]), @r"
    exit 69
    --- stderr
    error: there is no discovery server: `scs dev` does not run, and none is named
    hint: name one with `--disco HOST:PORT`, or run `scs dev`
    ");
}

#[test]
fn deleting_without_a_terminal_needs_a_yes() {
    let place = Place::with(ONE);
    place.write("state/idle", "");
    let mut command = place.command(&["volume", "rm", "dev/one/web/data"]);
    // The engine comes first here; what matters is that nothing is asked and nothing waits.
    assert!(shown(&mut command).starts_with("exit 69"), "{}", shown(&mut command));
}

#[test]
fn doctor_without_an_engine_ends_with_69() {
    assert_eq!(Place::new().code(&["doctor"]), 69);
}

#[test]
fn a_log_filter_that_makes_no_sense_is_a_usage_error() {
    let place = Place::with(ONE);
    assert_eq!(place.command(&["run", "web"]).env("SCS_LOG", "=,=").output().unwrap().status.code(), Some(64));
}
