//! `scs ca`: makes an authority, issues certificates, replaces the authority while everything goes on.

use super::{Context, Outcome};
use crate::cli::ca::{Ca, CaVerb, Init, Issue, Kind, List, Place, Rotate, Show};
use crate::cli::target::Format;
use crate::exit::{Exit, Failure};
use crate::output::{table, text};
use scs_pki::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use scs_pki::{Authority, Certificate, Identity, Order, Unissued};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Runs it.
pub fn run(context: &Context, args: &Ca) -> Outcome {
    match &args.verb {
        CaVerb::Init(args) => init(context, args),
        CaVerb::Issue(args) => issue(context, args),
        CaVerb::Rotate(args) => rotate(context, args),
        CaVerb::Ls(args) => list(context, args),
        CaVerb::Show(args) => show(context, args),
    }
}

fn place(context: &Context, place: &Place) -> PathBuf {
    place.ca.clone().unwrap_or_else(|| context.settings.state.join("ca"))
}

fn init(context: &Context, args: &Init) -> Outcome {
    let directory = place(context, &args.place);
    let name = args.name.clone().unwrap_or_else(crate::wiring::installation::host_name);
    if name.is_empty() || name.len() > 40 || name.chars().any(char::is_control) {
        return Err(Failure::usage(format!("`{name}` is no name for an authority")).hint("take 1 to 40 characters"));
    }
    if args.place.ca.is_none() {
        crate::dev::prepare(&context.settings.state).map_err(|error| {
            Failure::failed(format!("cannot use {}", context.settings.state.display())).because(&error)
        })?;
    }
    Authority::create(&directory, &name, SystemTime::now()).map_err(|error| failure(&error))?;
    context.printer.line(directory.display().to_string())?;
    context.printer.note(format!(
        "made the authority {name}; whoever has its keys gets in everywhere, so keep {} to yourself",
        directory.display()
    ));
    context.printer.note("next: `scs ca issue server NAME --address …`, then `scs ca issue host NAME --provide …`");
    Ok(Exit::DONE)
}

fn issue(context: &Context, args: &Issue) -> Outcome {
    let kind = match args.kind {
        Kind::Server => scs_pki::Kind::Server,
        Kind::Host => scs_pki::Kind::Host,
        Kind::Person => scs_pki::Kind::Person,
    };
    let mut identity = Identity::new(kind, &args.name).map_err(|error| Failure::usage(error.to_string()))?;
    identity.provide.clone_from(&args.provide);
    identity.require.clone_from(&args.require);
    let valid = scs_manifest::duration::parse(&args.valid).filter(|valid| *valid >= Duration::from_secs(60));
    let valid = valid.ok_or_else(|| {
        Failure::usage(format!("`{}` is no time for a certificate to be valid", args.valid))
            .hint("take a minute at least, e.g. 12h or 90d")
    })?;
    let authority = Authority::open(&place(context, &args.place)).map_err(|error| failure(&error))?;
    let directory = args
        .to
        .clone()
        .unwrap_or_else(|| context.settings.state.join("certificates").join(format!("{kind}-{}", args.name)));
    let order = Order { identity, addresses: args.address.clone(), valid };
    let issued = authority.issue(&order, SystemTime::now()).map_err(|error| failure(&error))?;
    let files = issued.write(&directory).map_err(|error| failure(&error))?;
    if args.output.output == Format::Json {
        let mut said = said(&issued.certificate, Some(&order.identity));
        said["files"] = json!({ "certificate": files.certificate, "key": files.key, "authorities": files.authorities });
        context.printer.json(&said)?;
        return Ok(Exit::DONE);
    }
    context.printer.line(directory.display().to_string())?;
    context.printer.note(format!(
        "tls.crt, tls.key and ca.crt of {}, valid until {}",
        order.identity,
        text::time(issued.certificate.not_after)
    ));
    let identity = &order.identity;
    if kind != scs_pki::Kind::Server && identity.provide.is_empty() && identity.require.is_empty() {
        context.printer.warn(format!("{identity} may neither provide nor require anything"));
        context.printer.hint("say where with `--provide ENV/SERVICE` and `--require ENV/SERVICE`");
    }
    Ok(Exit::DONE)
}

fn rotate(context: &Context, args: &Rotate) -> Outcome {
    let now = SystemTime::now();
    let mut authority = Authority::open(&place(context, &args.place)).map_err(|error| failure(&error))?;
    if args.finish {
        authority.retire(args.anyway, now).map_err(|error| failure(&error))?;
        context.printer.note("the older authority is trusted no more, and its key is deleted");
        context.printer.note("issue certificates anew where ca.crt still names it: it goes with the next one");
        return Ok(Exit::DONE);
    }
    authority.rotate(now).map_err(|error| failure(&error))?;
    let rotation = authority.rotation(now).map_err(|error| failure(&error))?;
    context.printer.note(format!("{} issues from now on; the one before is trusted, too", rotation.current.subject));
    context.printer.note("next: issue every certificate anew, in any order; then `scs ca rotate --finish`");
    for holder in &rotation.waiting {
        context.printer.line(holder)?;
    }
    Ok(Exit::DONE)
}

fn list(context: &Context, args: &List) -> Outcome {
    let now = SystemTime::now();
    let authority = Authority::open(&place(context, &args.place)).map_err(|error| failure(&error))?;
    let rotation = authority.rotation(now).map_err(|error| failure(&error))?;
    let mut issued = authority.issued().map_err(|error| failure(&error))?;
    issued.retain(|entry| args.all || SystemTime::from(entry.not_after) > now);
    if args.output.output == Format::Json {
        let authorities: Vec<_> = std::iter::once(&rotation.current)
            .chain(&rotation.older)
            .map(|certificate| said(certificate, None))
            .collect();
        context
            .printer
            .json(&json!({ "authorities": authorities, "waiting": rotation.waiting, "certificates": issued }))?;
        return Ok(Exit::DONE);
    }
    context.printer.note(format!("{}, until {}", rotation.current.subject, text::time(rotation.current.not_after)));
    for older in &rotation.older {
        context.printer.note(format!("{}, trusted until `scs ca rotate --finish`", older.subject));
    }
    if !rotation.waiting.is_empty() {
        context.printer.note(format!("not issued anew since: {}", rotation.waiting.join(", ")));
    }
    let mut rows = table::new(&["HOLDER", "SERIAL", "UNTIL", "PROVIDES", "REQUIRES", "ADDRESSES"]);
    for entry in &issued {
        rows.add_row([
            entry.holder(),
            entry.serial.get(..12).unwrap_or(&entry.serial).to_owned(),
            text::time(entry.not_after.into()),
            entry.provide.join(" "),
            entry.require.join(" "),
            entry.addresses.join(" "),
        ]);
    }
    if issued.is_empty() {
        context.printer.note("no certificate is valid");
    } else {
        context.printer.line(table::text(&rows))?;
    }
    Ok(Exit::DONE)
}

fn show(context: &Context, args: &Show) -> Outcome {
    let file = if args.file.is_dir() { args.file.join("tls.crt") } else { args.file.clone() };
    let unreadable = || Failure::failed(format!("{} holds no certificate", file.display()));
    let pem = std::fs::read(&file)
        .map_err(|error| Failure::failed(format!("cannot read {}", file.display())).because(&error))?;
    let der = CertificateDer::from_pem_slice(&pem).map_err(|_| unreadable())?;
    let certificate = Certificate::read(&der).map_err(|_| unreadable())?;
    let identity = certificate.identity().ok();
    if args.output.output == Format::Json {
        context.printer.json(&said(&certificate, identity.as_ref()))?;
        return Ok(Exit::DONE);
    }
    let list = |scopes: &[disco_core::Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut rows = vec![
        ("holder", identity.as_ref().map_or_else(|| certificate.subject.clone(), ToString::to_string)),
        ("issuer", certificate.issuer.clone()),
        ("serial", certificate.serial.clone()),
        ("valid", format!("{} to {}", text::time(certificate.not_before), text::time(certificate.not_after))),
    ];
    if let Some(identity) = &identity {
        rows.push(("provides", list(&identity.provide)));
        rows.push(("requires", list(&identity.require)));
    }
    rows.push(("addresses", certificate.addresses.join(" ")));
    for (what, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        context.printer.line(format!("{what:<10} {value}"))?;
    }
    if !certificate.valid_at(SystemTime::now()) {
        context.printer.warn("it is not valid now");
    }
    Ok(Exit::DONE)
}

fn said(certificate: &Certificate, identity: Option<&Identity>) -> serde_json::Value {
    let scopes = |scopes: &[disco_core::Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut said = json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "not_before": text::time(certificate.not_before),
        "not_after": text::time(certificate.not_after),
        "addresses": certificate.addresses,
    });
    if let Some(identity) = identity {
        said["kind"] = identity.kind.as_str().into();
        said["name"] = identity.name.as_str().into();
        said["provide"] = scopes(&identity.provide).into();
        said["require"] = scopes(&identity.require).into();
    }
    said
}

/// An error of the authority, in the words of the command line.
pub fn failure(error: &Unissued) -> Failure {
    let message = error.to_string();
    let hint = match error {
        Unissued::Exists(_) => "`scs ca rotate` replaces it; `--ca DIR` makes another elsewhere".to_owned(),
        Unissued::Missing(_) => "`scs ca init` makes one; `--ca DIR` says where one lies".to_owned(),
        Unissued::File { .. } => "see who owns it and whether the disk is full; nothing was issued".to_owned(),
        Unissued::Damaged { .. } => "restore it from a backup; nothing was changed".to_owned(),
        Unissued::Another { .. } => "take another directory with `--to DIR`; nothing was written there".to_owned(),
        Unissued::Rotating => "`scs ca ls` says who waits; `scs ca rotate --finish` ends it".to_owned(),
        Unissued::NotRotating => "`scs ca rotate` begins one".to_owned(),
        Unissued::Waiting(_) => "issue theirs anew, or turn them away with `--anyway`; nothing was changed".to_owned(),
        Unissued::Order(_) => "nothing was issued".to_owned(),
        Unissued::Request(_) | Unissued::Answer(_) => "make a new request; nothing was issued or written".to_owned(),
        Unissued::Made(_) => "this is a defect; nothing was issued".to_owned(),
    };
    let failure = match error {
        Unissued::Order(_) => Failure::usage(message),
        _ => Failure::failed(message),
    };
    let failure = match std::error::Error::source(error) {
        Some(cause) => failure.because(cause),
        None => failure,
    };
    failure.hint(hint)
}
