//! Which setting wins.

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

fn resolved(variables: &[(&str, &str)], terminals: Terminals, root: bool) -> Result<Settings, Failure> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    resolve(&Common::default(), &|name| variables.get(name).map(OsString::from), terminals, root)
}

const TERMINAL: Terminals = Terminals { stdin: true, stdout: true, stderr: true };

#[test]
fn state_lies_where_the_variable_says_before_anything_else() {
    let settings = resolved(&[("SCS_STATE_DIR", "/srv/scs"), ("HOME", "/home/ada")], TERMINAL, true).unwrap();
    assert_eq!(settings.state, Path::new("/srv/scs"));
}

#[test]
fn state_of_a_user_lies_in_the_xdg_state_directory_and_that_of_root_under_var_lib() {
    let user = resolved(&[("HOME", "/home/ada")], TERMINAL, false).unwrap();
    assert_eq!(user.state, Path::new("/home/ada/.local/state/scs"));
    let xdg = resolved(&[("HOME", "/home/ada"), ("XDG_STATE_HOME", "/data/state")], TERMINAL, false).unwrap();
    assert_eq!(xdg.state, Path::new("/data/state/scs"));
    assert_eq!(resolved(&[("HOME", "/root")], TERMINAL, true).unwrap().state, Path::new("/var/lib/scs"));
}

#[test]
fn without_a_home_there_is_an_error_and_no_panic() {
    assert_eq!(resolved(&[], TERMINAL, false).unwrap_err().exit(), crate::exit::Exit::USAGE);
}

#[test]
fn no_color_and_a_pipe_both_switch_colors_off() {
    let home = ("HOME", "/home/ada");
    assert!(resolved(&[home], TERMINAL, false).unwrap().screen.stdout_color);
    assert!(!resolved(&[home, ("NO_COLOR", "1")], TERMINAL, false).unwrap().screen.stdout_color);
    assert!(!resolved(&[home], Terminals::default(), false).unwrap().screen.stdout_color);
}

#[test]
fn a_bad_environment_is_named() {
    let failure = resolved(&[("HOME", "/home/ada"), ("SCS_ENV", "Prod!")], TERMINAL, false).unwrap_err();
    assert!(failure.to_string().contains("Prod!"), "{failure}");
}
