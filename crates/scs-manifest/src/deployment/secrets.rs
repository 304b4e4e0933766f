//! `secrets`: how each secret comes to be.

use crate::compiled::SecretSource;
use crate::diagnostic::Diagnostic;
use crate::reader::{Reader, Spanned, is_secret, is_variable};
use crate::tree::{Entry, Node};
use indexmap::IndexMap;

pub(super) fn read(entry: Option<&Entry>, reader: &mut Reader) -> IndexMap<String, Spanned<SecretSource>> {
    let mut secrets = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`secrets`") {
        if !is_secret(name) {
            let finding =
                Diagnostic::error(&entry.key, format!("`{}` cannot be the name of a secret", name.escape_debug()));
            reader.push(finding.help("letters, digits, `_`, `-` and `.`"));
        }
        let source = source(&entry.node, reader);
        // A wrong source is noted; the name exists all the same, for those that refer to it.
        secrets.insert(name.to_owned(), Spanned::new(source.unwrap_or(SecretSource::Generate(32)), &entry.key));
    }
    secrets
}

fn source(node: &Node, reader: &mut Reader) -> Option<SecretSource> {
    let mut fields = reader.fields(node, "a secret")?;
    let given = fields.one_of(&["generate", "file", "environment", "command"], reader);
    reader.finish(&fields);
    let (key, node) = given?;
    match key {
        // Below 8 characters a generated secret can be guessed; above 4096 nothing takes it.
        "generate" => reader.count32(node, 8, 4096).map(SecretSource::Generate),
        "file" => reader.filled(node).map(SecretSource::File),
        "environment" => variable(node, reader).map(SecretSource::Environment),
        _ => reader.command(node).map(SecretSource::Command),
    }
}

/// The name of an environment variable.
pub(super) fn variable(node: &Node, reader: &mut Reader) -> Option<String> {
    let name = reader.filled(node)?;
    if !is_variable(&name) {
        reader.error(&node.span, format!("`{}` cannot be the name of an environment variable", name.escape_debug()));
        return None;
    }
    Some(name)
}
