//! Help, completion, and what is told to those who type something wrong.

use crate::support::{Place, snapshot};

#[test]
fn help_lists_every_command_and_goes_to_standard_output() {
    snapshot!(Place::new().shown(&["--help"]), @"");
}

#[test]
fn help_of_a_command_says_what_can_be_typed() {
    snapshot!(Place::new().shown(&["up", "--help"]), @"");
}

#[test]
fn an_unknown_command_is_a_usage_error_with_a_suggestion() {
    snapshot!(Place::new().shown(&["pss"]), @"");
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    snapshot!(Place::new().shown(&["up", "--detatch"]), @"");
}

#[test]
fn a_role_that_is_none_is_a_usage_error() {
    snapshot!(Place::new().shown(&["exec", "a/b/c", "--", "ls"]), @"");
}

#[test]
fn a_bad_environment_is_a_usage_error() {
    snapshot!(Place::with("version: 1\nservice: x\n").shown(&["ps", "--env", "Prod!"]), @"");
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
    snapshot!(Place::new().shown(&["version"]), @"");
}
