//! `scs`: parses what was typed, resolves settings, runs the command, and turns its outcome into an exit code.

mod cli;
mod client;
mod commands;
mod contexts;
mod dev;
mod env;
mod exit;
mod joining;
mod load;
mod membership;
mod output;
mod paths;
mod reach;
mod settings;
mod wiring;

use clap::Parser as _;
use clap::error::ErrorKind;
use exit::{Exit, Failure};
use output::Printer;
use settings::{Screen, Terminals};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Exit(code) = run();
    ExitCode::from(code)
}

fn run() -> Exit {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error),
    };
    let terminals = Terminals {
        stdin: io::stdin().is_terminal(),
        stdout: io::stdout().is_terminal(),
        stderr: io::stderr().is_terminal(),
    };
    let root = rustix::process::geteuid().is_root();
    let settings = match settings::resolve(&cli.common, &|name| std::env::var_os(name), terminals, root) {
        Ok(settings) => settings,
        Err(failure) => return failed(Screen::default(), &failure),
    };
    let screen = settings.screen;
    match commands::run(cli.command, settings) {
        Ok(exit) => exit,
        Err(failure) => failed(screen, &failure),
    }
}

fn failed(screen: Screen, failure: &Failure) -> Exit {
    Printer { screen }.failure(failure);
    failure.exit()
}

/// Help and version go to standard output and are no failure; the rest is a usage error.
fn unparsed(error: &clap::Error) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nobody may read it; then there is nobody to tell.
        let _ = error.print();
        return Exit::DONE;
    }
    let color = io::stderr().is_terminal() && std::env::var_os(env::NO_COLOR).is_none_or(|value| value.is_empty());
    let text = if color { error.render().ansi().to_string() } else { error.render().to_string() };
    // Its own last line, in the words of every other error here.
    let text = text.split("\nFor more information, try").next().unwrap_or_default();
    output::say(text.trim_end());
    Printer { screen: Screen { stderr_color: color, ..Screen::default() } }
        .hint("`scs --help` and `scs COMMAND --help` say what can be typed");
    Exit::USAGE
}
