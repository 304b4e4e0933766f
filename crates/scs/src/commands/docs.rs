//! `scs docs`: pages that the program writes about itself.

use super::{Context, Outcome};
use crate::cli::Cli;
use crate::cli::host::{Docs, Page};
use crate::env;
use crate::exit::Exit;
use clap::{Arg, Command, CommandFactory as _};
use std::fmt::Write as _;

/// Runs it.
pub fn run(context: &Context, args: &Docs) -> Outcome {
    let page = match args.page {
        Page::Commands => commands(),
        Page::Manifests => scs_manifest::schema::reference(),
        Page::Openapi => return context.printer.json(&disco_server::http::document()).map(|()| Exit::DONE),
    };
    context.printer.bytes(page.as_bytes())?;
    Ok(Exit::DONE)
}

/// Every command with its arguments, as Markdown.
fn commands() -> String {
    let mut page = String::from("# Commands\n\n<!-- Written by `cargo xtask docs` from the program itself. -->\n\n");
    let mut root = Cli::command();
    root.build();
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        let _ = writeln!(page, "- [`scs {name}`](#scs-{name}): {about}");
    }
    page.push_str("\nEvery command understands:\n\n");
    for argument in root.get_arguments().filter(|argument| argument.is_global_set()) {
        option(&mut page, argument);
    }
    page.push_str(
        "\nWith `-o json`, every point in time is RFC 3339 in UTC (`2026-01-31T12:00:00.25Z`). So it is in the API, whose types these are.\n",
    );
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(&mut page, "scs", command, 2);
    }
    page.push_str("\n## Environment variables\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in env::TABLE {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page.push_str(
        "\n## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | done |\n| 1 | failed |\n| 2 | something would change \
         (`plan --detailed-exitcode` alone) |\n| 64 | usage |\n| 65 | bad manifest |\n| 69 | engine or server unavailable |\n\
         | 75 | somebody else is at it |\n| 130 | interrupted |\n\n`scs exec` and `scs run` end with the exit code of the command \
         they run.\n",
    );
    page
}

fn section(page: &mut String, parent: &str, command: &Command, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    let _ = writeln!(page, "\n{} {name}\n", "#".repeat(level));
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        let _ = writeln!(page, "{about}.\n");
    }
    let children: Vec<&Command> =
        command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help").collect();
    if children.is_empty() {
        let usage = command.clone().bin_name(&name).render_usage().to_string();
        let _ = writeln!(page, "```\n{}\n```\n", usage.trim_start_matches("Usage: "));
    }
    for argument in command.get_positionals() {
        let _ = writeln!(page, "- `{}`: {}", argument.to_string().trim(), help(argument));
    }
    let options = command.get_arguments().filter(|argument| !argument.is_positional());
    for argument in
        options.filter(|argument| !argument.is_global_set() && !argument.is_hide_set() && argument.get_id() != "help")
    {
        option(page, argument);
    }
    for child in children {
        section(page, &name, child, level + 1);
    }
}

fn option(page: &mut String, argument: &Arg) {
    let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let long = argument.get_long().unwrap_or_default();
    let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
    let value = value.map(|names| format!(" {}", names.join(" "))).unwrap_or_default();
    let _ = writeln!(page, "- {short}`--{long}{value}`: {}", help(argument));
}

fn help(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() && argument.get_action().takes_values() {
        let _ = write!(text, " ({})", choices.join(", "));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        let _ = write!(text, " [default: {}]", defaults.join(", "));
    }
    text
}
