//! `scs volume`: lists, deletes, exports and imports. Deleting here is the only way data goes.

use super::{Context, Outcome};
use crate::cli::target::Format;
use crate::cli::things::{VolumeExport, VolumeImport, VolumeList, VolumeRemove};
use crate::exit::{Exit, Failure};
use crate::output::{table, text};
use crate::paths;
use futures_util::StreamExt as _;
use hyper::Method;
use scs_api::volume::VolumeInfo;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use tokio_util::io::ReaderStream;

/// Lists them.
pub async fn list(context: &Context, args: &VolumeList) -> Outcome {
    let client = context.running_server().await?;
    let mut volumes: Vec<VolumeInfo> = client.get("/v1/volumes").await?;
    volumes.retain(|volume| {
        let mut parts = volume.id.split('/');
        let (environment, service) = (parts.next(), parts.next());
        let matches = |wanted: &Option<String>, part: Option<&str>| wanted.is_none() || wanted.as_deref() == part;
        matches(&args.env, environment) && matches(&args.service, service)
    });
    if args.output.output == Format::Json {
        context.printer.json(&volumes)?;
        return Ok(Exit::DONE);
    }
    if volumes.is_empty() {
        context.printer.note("there are no volumes");
        return Ok(Exit::DONE);
    }
    let mut rows = table::new(&["VOLUME", "METHOD", "HOST", "IN USE", "SIZE", "PLACE"]);
    for volume in &volumes {
        rows.add_row([
            volume.id.as_str(),
            &volume.method,
            &volume.host,
            if volume.in_use { "yes" } else { "no" },
            &volume.bytes.map_or_else(|| "–".to_owned(), text::size),
            volume.place.as_deref().unwrap_or("–"),
        ]);
    }
    context.printer.line(table::text(&rows))?;
    Ok(Exit::DONE)
}

/// Deletes one.
pub async fn remove(context: &Context, args: &VolumeRemove) -> Outcome {
    let client = context.running_server().await?;
    context.sure(args.yes, &format!("Delete volume {} with its data?", args.id))?;
    client.tell(Method::DELETE, &path(&args.id, ""), None::<&()>).await?;
    context.printer.note(format!("{} is deleted", args.id));
    Ok(Exit::DONE)
}

/// Writes one as a tar archive.
pub async fn export(context: &Context, args: &VolumeExport) -> Outcome {
    if args.to.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::usage("an archive is no sight for a terminal")
            .hint("say `--to FILE`, or lead the output somewhere"));
    }
    let client = context.running_server().await?;
    let volumes: Vec<VolumeInfo> = client.get("/v1/volumes").await?;
    let in_use = volumes.iter().any(|volume| volume.id == args.id && volume.in_use);
    if in_use {
        let torn = "what is written meanwhile may be torn in the archive, or end it; `scs stop` its role first for one to rely on";
        context.printer.warn(format!("{} is in use: {torn}", args.id));
    }
    // `tar` does not finish where files change under it, which a broken connection does not tell.
    let broken = |failure: Failure| {
        if in_use {
            let why = "the archive broke off: files of the volume changed while they were read, or its host is gone";
            Failure::failed(why).hint("nothing was kept; `scs stop` the role that uses the volume, and export it again")
        } else {
            failure
        }
    };
    let mut bytes = client.download(&path(&args.id, "/data")).await?;
    let Some(file) = &args.to else {
        while let Some(chunk) = bytes.next().await {
            context.printer.bytes(&chunk.map_err(|error| broken(error.into()))?)?;
        }
        return Ok(Exit::DONE);
    };
    let unwritten = |error: std::io::Error| {
        Failure::failed(format!("cannot write {}", file.display())).because(&error).hint("the volume is as it was")
    };
    // Beside its final place, so that a broken export never looks like a whole one.
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new().prefix(".scs-export-").tempfile_in(parent).map_err(unwritten)?;
    while let Some(chunk) = bytes.next().await {
        temporary.write_all(&chunk.map_err(|error| broken(error.into()))?).map_err(unwritten)?;
    }
    temporary.as_file().sync_all().map_err(unwritten)?;
    let written = temporary.persist(file).map_err(|error| unwritten(error.error))?;
    let size = written.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    context.printer.note(format!("{} is in {} ({})", args.id, file.display(), text::size(size)));
    Ok(Exit::DONE)
}

/// Puts an archive's files into one.
pub async fn import(context: &Context, args: &VolumeImport) -> Outcome {
    let client = context.running_server().await?;
    let bytes = match &args.from {
        Some(file) => {
            let opened = tokio::fs::File::open(file).await.map_err(|error| {
                Failure::usage(format!("cannot read {}", file.display()))
                    .because(&error)
                    .hint("the volume is as it was")
            })?;
            ReaderStream::with_capacity(opened, 256 << 10).boxed()
        }
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("there is no archive on standard input").hint("say `--from FILE`"));
        }
        None if !args.yes && !context.settings.yes => {
            return Err(
                Failure::usage("the archive comes on standard input, so there is nobody to ask").hint("say `--yes`")
            );
        }
        None => ReaderStream::with_capacity(tokio::io::stdin(), 256 << 10).boxed(),
    };
    context.sure(args.yes, &format!("Replace what volume {} holds?", args.id))?;
    client.upload(&path(&args.id, "/data"), bytes).await?;
    context.printer.note(format!("{} holds the archive's files now", args.id));
    Ok(Exit::DONE)
}

/// An id is a path of its own: `environment/service/role/name`.
fn path(id: &str, rest: &str) -> String {
    let parts: Vec<String> = id.split('/').map(paths::escape).collect();
    format!("/v1/volumes/{}{rest}", parts.join("/"))
}
