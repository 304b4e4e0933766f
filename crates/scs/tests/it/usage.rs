//! Help, completion, and what is told to those who type something wrong.

use crate::support::{Place, snapshot};

#[test]
fn help_lists_every_command_and_goes_to_standard_output() {
    snapshot!(Place::new().shown(&["--help"]), @r"
    exit 0
    --- stdout
    Runs the same Docker services on one laptop or across data centers

    Usage: scs [OPTIONS] <COMMAND>

    Commands:
      init        Write a small deployment to start from
      validate    Check the manifests; needs no engine and no network
      config      Print the merged manifests, and where each value comes from
      compile     Print roles with every default filled in, and their digests, as JSON
      diff        Show what one environment does differently from another
      schema      Print the JSON Schema of a manifest
      plan        Show what `scs up` would do
      up          Bring the service up, or to what the manifests say now
      down        Stop and remove the service's containers; volumes stay
      restart     Start containers anew
      stop        Stop roles and keep them stopped
      start       Start roles that were stopped
      layout      Bring about a named placement of the service, e.g. that of the quiet hours
      move        Move a role to another host, its data included
      build       Build images and start nothing
      history     List what was brought up before
      rollback    Go back to an earlier revision; data does not roll back
      ps          List what runs
      logs        Show what containers write
      exec        Run a command inside a container
      explain     Say why a requirement has the endpoints it has
      disco       Announce endpoints, find them, lead to them: without containers, or just to look
      secret      Look after secrets
      volume      Look after volumes
      prune       Remove images and directories that nothing uses any more; never a volume
      host        Look after the hosts of a cluster
      person      Look after the people of a cluster, and what they may do
      audit       Show who changed what
      doctor      Say what this machine lacks, and what is left over
      dev         Run server and agent of this machine in the foreground
      server      Run a discovery server of one's own in the foreground
      agent       Run the containers of this host, for a server, in the foreground
      context     Look after the servers this user works with
      ca          Look after the certificates of servers, hosts and people
      run         Run one container in the foreground, for systemd or Puppet to own; or a one-off
                  command in its place
      completion  Print the completion script of a shell
      version     Print the version, and that of the server

    Options:
          --context <NAME>  Which server to speak to, as `scs context ls` lists them [env: SCS_CONTEXT]
      -q, --quiet           Say only what went wrong
          --color <WHEN>    When to use colors [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
      -V, --version         Print version

    Start with `scs init`. Exit codes: 0 done, 1 failed, 2 changes (plan --detailed-exitcode), 64 usage,
    65 bad manifest, 69 engine or server unavailable, 75 locked, 130 interrupted.
    ");
}

#[test]
fn help_of_a_command_says_what_can_be_typed() {
    snapshot!(Place::new().shown(&["up", "--help"]), @r"
    exit 0
    --- stdout
    Bring the service up, or to what the manifests say now

    Usage: scs up [OPTIONS]

    Options:
          --env <ENV>        Environment; `--env prod` adds deployment.prod.yaml where it is there [env:
                             SCS_ENV] [default: dev]
      -f, --file <FILE>      Manifest to read instead of deployment.yaml; several are merged in their
                             order
      -d, --detach           Return once everything runs, instead of following the logs
      -y, --yes              Do not ask [env: SCS_YES]
          --dry-run          Show the plan and do nothing
          --create-env       Begin an environment without an overlay in which nothing was ever up
          --take-over        Take over a service that was brought up from another directory
          --reset-placement  Place what was moved by hand as the manifest says
          --context <NAME>   Which server to speak to, as `scs context ls` lists them [env: SCS_CONTEXT]
      -q, --quiet            Say only what went wrong
          --color <WHEN>     When to use colors [default: auto] [possible values: auto, always, never]
      -h, --help             Print help
    ");
}

#[test]
fn an_unknown_command_is_a_usage_error_with_a_suggestion() {
    snapshot!(Place::new().shown(&["pss"]), @r"
    exit 64
    --- stderr
    error: unrecognized subcommand 'pss'

      tip: a similar subcommand exists: 'ps'

    Usage: scs [OPTIONS] <COMMAND>
    hint: `scs --help` and `scs COMMAND --help` say what can be typed
    ");
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    snapshot!(Place::new().shown(&["up", "--detatch"]), @r"
    exit 64
    --- stderr
    error: unexpected argument '--detatch' found

      tip: a similar argument exists: '--detach'

    Usage: scs up --detach
    hint: `scs --help` and `scs COMMAND --help` say what can be typed
    ");
}

#[test]
fn a_role_that_is_none_is_a_usage_error() {
    snapshot!(Place::new().shown(&["exec", "a/b/c", "--", "ls"]), @r"
    exit 64
    --- stderr
    error: invalid value 'a/b/c' for '<[SERVICE/]ROLE[.INDEX]>': a role is written ROLE or SERVICE/ROLE; the environment goes into --env
    hint: `scs --help` and `scs COMMAND --help` say what can be typed
    ");
}

#[test]
fn a_bad_environment_is_a_usage_error() {
    snapshot!(Place::with("version: 1\nservice: x\n").shown(&["ps", "--env", "Prod!"]), @r"
    exit 64
    --- stderr
    error: `Prod!` is no name for an environment
    hint: names are up to 63 small letters, digits and hyphens, and neither start nor end with a hyphen
    ");
}

#[test]
fn every_shell_gets_a_completion_script() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.stdout(&["completion", shell]);
        assert!(script.contains("rollback"), "{shell} completes no commands");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_scs");
    let line = format!("set -o pipefail; '{program}' schema deployment | head -c 1");
    let output = std::process::Command::new("bash").arg("-c").arg(line).current_dir(place.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_reference_of_commands_names_every_command_and_variable() {
    let page = Place::new().stdout(&["docs", "commands"]);
    for words in
        ["## scs up", "### scs secret rotate", "`--detailed-exitcode`", "SCS_STATE_DIR", "| 130 | interrupted |"]
    {
        assert!(page.contains(words), "no {words} in\n{page}");
    }
    assert!(!page.contains("until-idle"), "what is hidden stays hidden");
}

#[test]
fn the_reference_of_manifests_names_their_keys() {
    let page = Place::new().stdout(&["docs", "manifests"]);
    assert!(page.contains("liveupdate") && page.contains("stop_grace_period"), "{page}");
}

#[test]
fn the_version_is_told_without_a_server() {
    snapshot!(Place::new().shown(&["version"]), @r"
    exit 0
    --- stdout
    scs [VERSION]
    ");
}

#[test]
fn hosts_and_people_are_looked_after_by_words_of_their_own() {
    let code = |arguments: &[&str]| Place::new().code(arguments);
    assert_eq!(code(&["host", "token", "--rejoin"]), 64, "whoever joins again is named");
    assert_eq!(code(&["host", "label", "h1"]), 64);
    assert_eq!(code(&["host", "label", "h1", "dc"]), 64);
    assert_eq!(code(&["person", "token", "alice"]), 64, "a role is needed");
    assert_eq!(code(&["person", "token", "alice", "--role", "boss"]), 64);
    snapshot!(Place::new().shown(&["person", "token", "alice", "--role", "boss", "--env", "dev"]), @r"
    exit 64
    --- stderr
    error: invalid value 'boss' for '--role <ROLE>': roles are read, deploy and admin
    hint: `scs --help` and `scs COMMAND --help` say what can be typed
    ");
    snapshot!(Place::new().shown(&["host", "label", "h1", "dc"]), @r"
    exit 64
    --- stderr
    error: invalid value 'dc' for '<LABEL>...': a label is NAME=VALUE, or NAME- to take it away
    hint: `scs --help` and `scs COMMAND --help` say what can be typed
    ");
}
