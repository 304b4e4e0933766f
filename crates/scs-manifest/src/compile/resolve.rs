//! Requirements: whom each one asks disco for, every default of the name filled in.

use super::Context;
use super::role::{Connection, undeclared};
use crate::compiled::{ProvideMethod, Query, Require, RequireMethod};
use crate::deployment::{self, Container, Match, RequireFrom};
use crate::diagnostic::{Diagnostic, listed, nearest, suggest};
use crate::image::Manifest;
use crate::reader::{Reader, Spanned};
use crate::source::Span;
use indexmap::IndexMap;

pub(super) fn requires(
    role: &str,
    container: &Container,
    manifest: &Manifest,
    context: &Context<'_>,
    reader: &mut Reader,
) -> IndexMap<String, Require> {
    for (name, require) in &container.require {
        if !manifest.require.contains_key(name) {
            let declared = manifest.require.keys().map(String::as_str);
            reader.push(undeclared(Connection::Require, name, &require.span, manifest, declared));
        }
    }
    let mut requires = IndexMap::new();
    for (name, declared) in &manifest.require {
        let used = container.require.get(name);
        let how = used.map_or(&context.manifest.defaults.require, |used| &used.value);
        let min = how.min.or(declared.min).unwrap_or(1);
        // What the deployment does not mention is missing there, at the role.
        let span = used.map_or(&container.key, |used| &used.span);
        let method = match &how.from {
            RequireFrom::Static(addresses) => {
                if used.is_none() && addresses.is_empty() {
                    let message = format!("`{role}` requires `{name}` of fixed addresses, but none are given");
                    reader.push(
                        Diagnostic::error(span, message)
                            .help(format!("`require: {{{name}: {{addresses: [\"host:port\"]}}}}`")),
                    );
                }
                check_enough(addresses.len(), min, span, reader);
                RequireMethod::Static(addresses.clone())
            }
            RequireFrom::Disco { r#match, prefer } => {
                let asked = Asked { role, name, min, span, declared: &declared.key };
                let query = asked.resolve(r#match, context, reader);
                RequireMethod::Disco(Query { prefer: prefer.clone(), ..query })
            }
        };
        let require = Require {
            description: declared.description.clone(),
            method,
            min,
            wait: how.wait,
            liveupdate: declared.liveupdate.clone(),
        };
        requires.insert(name.clone(), require);
    }
    requires
}

fn check_enough(n_addresses: usize, min: u32, span: &Span, reader: &mut Reader) {
    // None at all is an error of the list itself.
    if n_addresses > 0 && n_addresses < min as usize {
        reader.error(span, format!("it insists on {min} endpoints (`min`), and {n_addresses} cannot be enough"));
    }
}

/// A requirement being resolved.
struct Asked<'a> {
    role: &'a str,
    name: &'a str,
    min: u32,
    /// Where the deployment makes the connection.
    span: &'a Span,
    /// Where the image declares it.
    declared: &'a Span,
}

impl Asked<'_> {
    fn resolve(&self, r#match: &Match, context: &Context<'_>, reader: &mut Reader) -> Query {
        let own_environment = context.request.environment;
        let own_service = &context.manifest.service.value;
        let part = |part: &Option<Spanned<String>>, default: &str| {
            part.as_ref().map_or(default.to_owned(), |part| part.value.clone())
        };
        let environment = part(&r#match.environment, own_environment);
        let service = part(&r#match.service, own_service);
        let endpoint = part(&r#match.endpoint, self.name);
        // What lies elsewhere nobody here can check.
        let elsewhere = environment != own_environment || service != *own_service;
        let role = match &r#match.role {
            Some(role) if elsewhere => role.value.clone(),
            None if elsewhere => "*".to_owned(),
            Some(role) if role.value != "*" => {
                self.check_role(role, &endpoint, r#match, context, reader);
                role.value.clone()
            }
            Some(any) => {
                if self.providers(&endpoint, context).is_empty() {
                    self.nobody(&endpoint, &any.span, context, reader);
                }
                "*".to_owned()
            }
            None => self.only_provider(&endpoint, r#match, context, reader),
        };
        Query { environment, service, role, endpoint, r#match: r#match.attributes.clone(), prefer: Vec::new() }
    }

    /// The roles other than this one that provide an endpoint through disco.
    fn providers<'a>(&self, endpoint: &str, context: &'a Context<'_>) -> Vec<&'a str> {
        let others = context.manifest.containers.keys().filter(|role| *role != self.role);
        others.filter(|role| announces(role, endpoint, context) == Some(true)).map(String::as_str).collect()
    }

    fn only_provider(&self, endpoint: &str, r#match: &Match, context: &Context<'_>, reader: &mut Reader) -> String {
        let providers = self.providers(endpoint, context);
        match providers.as_slice() {
            [only] => (*only).to_owned(),
            [] => {
                let span = r#match.endpoint.as_ref().map_or(self.span, |endpoint| &endpoint.span);
                self.nobody(endpoint, span, context, reader);
                "*".to_owned()
            }
            several => {
                let mut finding = Diagnostic::error(
                    self.span,
                    format!("`{}` requires `{endpoint}`, which {} provide", self.role, listed(several.iter().copied())),
                );
                for role in several {
                    finding = finding.related(&context.manifest.containers[*role].key, "one of them");
                }
                let first = several[0];
                reader.push(finding.help(format!(
                    "choose: `require: {{{}: {{match: {{role: {first}}}}}}}`, or `role: \"*\"` for all of them",
                    self.name
                )));
                "*".to_owned()
            }
        }
    }

    /// Nobody provides it: an error unless it is optional.
    fn nobody(&self, endpoint: &str, span: &Span, context: &Context<'_>, reader: &mut Reader) {
        // An image that cannot be read might provide it; that error comes first.
        if self.min == 0 || context.images.len() < context.manifest.containers.len() {
            return;
        }
        let provided = provided(context, self.role);
        let quiet =
            provided.iter().find(|(role, name)| *name == endpoint && announces(role, name, context) == Some(false));
        let help = if let Some((role, _)) = quiet {
            format!("`{role}` provides it with the method `static`, which announces it to nobody")
        } else if let Some(near) = nearest(endpoint, provided.iter().map(|(_, name)| *name)) {
            let roles = provided.iter().filter(|(_, name)| *name == near).map(|(role, _)| *role);
            format!("{} provides `{near}`: `match: {{endpoint: {near}}}`", listed(roles))
        } else if provided.is_empty() {
            "no other role provides anything; `method: static` names addresses, `min: 0` makes it optional".to_owned()
        } else {
            let all: Vec<String> = provided.iter().map(|(role, name)| format!("{role}/{name}")).collect();
            format!(
                "provided are {}; `match: {{endpoint: …}}` asks for another name, `min: 0` makes it optional",
                listed(all.iter().map(String::as_str))
            )
        };
        let finding =
            Diagnostic::error(span, format!("`{}` requires `{endpoint}`, which no other role provides", self.role));
        let finding =
            if self.declared == span { finding } else { finding.related(self.declared, "declared by the image here") };
        reader.push(finding.help(help));
    }

    fn check_role(
        &self,
        role: &Spanned<String>,
        endpoint: &str,
        r#match: &Match,
        context: &Context<'_>,
        reader: &mut Reader,
    ) {
        let containers = &context.manifest.containers;
        if !containers.contains_key(&role.value) {
            let finding = Diagnostic::error(&role.span, format!("`{}` is no role of this manifest", role.value));
            let names = || containers.keys().map(String::as_str);
            let help = suggest(&role.value, names()).unwrap_or_else(|| format!("roles are {}", listed(names())));
            reader.push(finding.help(help));
            return;
        }
        match announces(&role.value, endpoint, context) {
            Some(true) => {}
            Some(false) => {
                let message = format!(
                    "`{}` provides `{endpoint}` with the method `static`, which announces it to nobody",
                    role.value
                );
                reader.push(
                    Diagnostic::error(&role.span, message)
                        .help("use `method: disco` there, or name its addresses here with `method: static`"),
                );
            }
            None => {
                let Some(manifest) = context.images.get(&role.value) else { return };
                let names = || manifest.provide.keys().map(String::as_str);
                let span = r#match.endpoint.as_ref().map_or(&role.span, |endpoint| &endpoint.span);
                let finding = Diagnostic::error(span, format!("`{}` provides no `{endpoint}`", role.value));
                let withheld = containers[&role.value].withheld.get(endpoint);
                let help = match (nearest(endpoint, names()), manifest.provide.is_empty()) {
                    _ if withheld.is_some() => format!("its image does, but the role says `{endpoint}: null`"),
                    (Some(near), _) => format!("it provides `{near}`: `match: {{endpoint: {near}}}`"),
                    (None, true) => "its image provides nothing".to_owned(),
                    (None, false) => format!("it provides {}; `match: {{endpoint: …}}` chooses", listed(names())),
                };
                reader.push(finding.related(&manifest.span, "its image manifest").help(help));
            }
        }
    }
}

/// Whether a role announces an endpoint through disco; `None` if it provides no such endpoint, or nobody can tell.
pub(super) fn announces(role: &str, endpoint: &str, context: &Context<'_>) -> Option<bool> {
    context.images.get(role)?.provide.get(endpoint)?;
    let said = context.manifest.containers.get(role)?.provide.get(endpoint);
    let how: &deployment::Provide = said.map_or(&context.manifest.defaults.provide, |said| &said.value);
    Some(how.method.value == ProvideMethod::Disco)
}

/// What roles other than this one provide: (role, endpoint).
fn provided<'a>(context: &'a Context<'_>, but: &str) -> Vec<(&'a str, &'a str)> {
    let roles = context.manifest.containers.keys().filter(|role| *role != but);
    roles
        .flat_map(|role| {
            let manifest = context.images.get(role);
            manifest.into_iter().flat_map(|manifest| manifest.provide.keys()).map(|name| (role.as_str(), name.as_str()))
        })
        .collect()
}
