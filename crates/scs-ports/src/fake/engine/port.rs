//! The engine port over the fake engine's model.

use super::model::{self, Fault, Unit, has, no_container};
use super::{Behaviour, Engine, Op, lock, process};
use crate::engine::{self as port, *};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

impl Engine {
    /// Writes the call down, and fails or hangs where the test wants that.
    async fn enter(&self, op: Op, about: &str) -> Result<(), Error> {
        let fault = {
            let mut model = lock(&self.model);
            model.calls.push((op, about.to_owned()));
            if !model.reachable {
                let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                return Err(Error::Unreachable { address: "fake".to_owned(), source: source.into() });
            }
            model.faults.get_mut(&op).and_then(std::collections::VecDeque::pop_front)
        };
        match fault {
            None => Ok(()),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }

    fn watch(&self, id: &str) -> Result<watch::Receiver<()>, Error> {
        Ok(lock(&self.model).find(id).ok_or_else(|| no_container(id))?.changed.subscribe())
    }
}

async fn read(bytes: ByteStream, action: &str) -> Result<Bytes, Error> {
    let whole = bytes.try_fold(BytesMut::new(), |mut all, chunk| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    let refused = |error: std::io::Error| Error::Refused { action: action.to_owned(), message: error.to_string() };
    Ok(whole.await.map_err(refused)?.freeze())
}

#[async_trait]
impl port::Engine for Engine {
    async fn info(&self) -> Result<Info, Error> {
        self.enter(Op::Info, "").await?;
        Ok(Info {
            version: "Fake Engine 1".to_owned(),
            api: "1.41".to_owned(),
            platform: "linux/amd64".to_owned(),
            id: "FAKE".to_owned(),
            root: "/var/lib/fake".into(),
            rootless: false,
            remapped: lock(&self.model).remapped,
        })
    }

    async fn images(&self, labels: &Labels) -> Result<Vec<Image>, Error> {
        self.enter(Op::Images, "").await?;
        let model = lock(&self.model);
        Ok(model.images.values().map(|it| &it.info).filter(|it| has(&it.labels, labels)).cloned().collect())
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, Error> {
        self.enter(Op::Image, reference).await?;
        Ok(lock(&self.model).image(reference).map(|it| it.info.clone()))
    }

    async fn pull(&self, reference: &str, progress: &dyn Progress) -> Result<Image, Error> {
        self.enter(Op::Pull, reference).await?;
        let mut model = lock(&self.model);
        let labels = model.remote.get(reference).cloned();
        let labels = labels.ok_or_else(|| Error::NotFound { what: format!("image `{reference}`") })?;
        progress.line(&format!("Pulling {reference}"));
        Ok(model.add_image(reference, &labels, 0))
    }

    async fn build(&self, request: &Build, context: ByteStream, progress: &dyn Progress) -> Result<Image, Error> {
        self.enter(Op::Build, &request.reference).await?;
        let context = read(context, &format!("build `{}`", request.reference)).await?;
        let script = lock(&self.model).scripts.build.clone();
        for line in script(request, &context)? {
            progress.line(&line);
        }
        Ok(lock(&self.model).add_image(&request.reference, &request.labels, context.len() as u64))
    }

    async fn import(&self, reference: &str, rootfs: ByteStream, labels: &Labels) -> Result<Image, Error> {
        self.enter(Op::Import, reference).await?;
        let rootfs = read(rootfs, &format!("import `{reference}`")).await?;
        let mut model = lock(&self.model);
        let image = model.add_image(reference, labels, rootfs.len() as u64);
        if let Some(stored) = model.images.get_mut(&image.id) {
            stored.content = rootfs;
        }
        Ok(image)
    }

    async fn save(&self, reference: &str) -> Result<ByteStream, Error> {
        self.enter(Op::Save, reference).await?;
        let model = lock(&self.model);
        let image = model.image(reference).ok_or_else(|| Error::NotFound { what: format!("image `{reference}`") })?;
        // What is saved is the name, the id and the labels, as a line each: enough for `load` of any fake engine.
        let mut text = format!("{reference}\n{}\n{}\n", image.info.id, image.info.size);
        for (key, value) in &image.info.labels {
            text.push_str(&format!("{key}={value}\n"));
        }
        Ok(stream::iter([Ok(Bytes::from(text)), Ok(image.content.clone())]).boxed())
    }

    async fn load(&self, image: ByteStream) -> Result<(), Error> {
        self.enter(Op::Load, "").await?;
        let saved = read(image, "load an image").await?;
        let refused = || Error::Refused { action: "load an image".to_owned(), message: "not a saved image".to_owned() };
        let text = String::from_utf8_lossy(&saved);
        let mut lines = text.lines();
        let (Some(reference), Some(id), Some(size)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(refused());
        };
        let size = size.parse().map_err(|_| refused())?;
        let labels = lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let mut model = lock(&self.model);
        if model.images.contains_key(id) {
            model.name_image(id, reference);
            return Ok(());
        }
        let made = model.add_image(reference, &labels, size);
        if let Some(mut stored) = model.images.remove(&made.id) {
            stored.info.id = id.to_owned();
            model.images.insert(id.to_owned(), stored);
        }
        Ok(())
    }

    async fn tag(&self, reference: &str, name: &str) -> Result<(), Error> {
        self.enter(Op::Tag, name).await?;
        let mut model = lock(&self.model);
        let id = model.image(reference).map(|it| it.info.id.clone());
        model.name_image(&id.ok_or_else(|| Error::NotFound { what: format!("image `{reference}`") })?, name);
        Ok(())
    }

    async fn remove_image(&self, reference: &str) -> Result<(), Error> {
        self.enter(Op::RemoveImage, reference).await?;
        let mut model = lock(&self.model);
        let Some(image) = model.image(reference).map(|it| it.info.clone()) else { return Ok(()) };
        if image.id != reference && image.references.len() > 1 {
            let name = model::full_name(reference);
            let stored = model.images.get_mut(&image.id).expect("it was found above, and the model is locked");
            stored.info.references.retain(|it| *it != name);
            return Ok(());
        }
        if let Some(unit) = model.containers.values().find(|it| it.info.image == image.id) {
            let message = format!("container `{}` uses it", unit.info.name);
            return Err(Error::Conflict { what: format!("image `{reference}`"), message });
        }
        model.images.remove(&image.id);
        Ok(())
    }

    async fn create(&self, request: &Create) -> Result<String, Error> {
        self.enter(Op::Create, &request.name).await?;
        let mut model = lock(&self.model);
        if let Some(other) = model.find(&request.name) {
            let message = format!("the name is taken by {}", other.info.id);
            return Err(Error::Conflict { what: format!("container name `{}`", request.name), message });
        }
        let image = model.image(&request.image).map(|it| it.info.clone());
        let image = image.ok_or_else(|| Error::NotFound { what: format!("image `{}`", request.image) })?;
        let number = model.number();
        let id = format!("{number:064x}");
        // The labels of the image show on its containers, as Docker has it.
        let mut labels = image.labels;
        labels.extend(request.labels.clone());
        let info = Container {
            id: id.clone(),
            name: request.name.clone(),
            image: image.id,
            labels,
            state: State::Created,
            addresses: Vec::new(),
            ports: Vec::new(),
            started: None,
            pid: None,
        };
        let (changed, _) = watch::channel(());
        let unit =
            Unit { info, request: request.clone(), behaviour: Behaviour::default(), run: 0, log: Vec::new(), changed };
        model.containers.insert(number, unit);
        Ok(id)
    }

    async fn start(&self, id: &str) -> Result<(), Error> {
        self.enter(Op::Start, id).await?;
        let timer = {
            let mut model = lock(&self.model);
            model.start(id)?;
            let unit = model.find(id).ok_or_else(|| no_container(id))?;
            unit.behaviour.ends.map(|(after, code)| (after, code, unit.info.id.clone(), unit.run))
        };
        if let Some((after, code, id, run)) = timer {
            let weak = std::sync::Arc::downgrade(&self.model);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if let Some(model) = weak.upgrade() {
                    lock(&model).end(&id, Exit { code, out_of_memory: false, error: None }, Some(run));
                }
            });
        }
        Ok(())
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), Error> {
        self.enter(Op::Stop, id).await?;
        let (code, run) = {
            let model = lock(&self.model);
            let unit = model.find(id).ok_or_else(|| no_container(id))?;
            if unit.info.state != State::Running {
                return Ok(());
            }
            (unit.behaviour.stops_with, unit.run)
        };
        if code.is_none() {
            tokio::time::sleep(grace).await;
        }
        let exit = Exit { code: code.unwrap_or(137), out_of_memory: false, error: None };
        lock(&self.model).end(id, exit, Some(run));
        Ok(())
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), Error> {
        self.enter(Op::Signal, id).await?;
        let mut model = lock(&self.model);
        let unit = model.find(id).ok_or_else(|| no_container(id))?;
        running(unit)?;
        let (id, code) = (unit.info.id.clone(), unit.behaviour.stops_with);
        model.signals.push((id.clone(), signal.to_owned()));
        let ended = match signal.trim_start_matches("SIG") {
            "KILL" => Some(137),
            "TERM" | "INT" | "QUIT" => code,
            _ => None,
        };
        if let Some(code) = ended {
            model.end(&id, Exit { code, out_of_memory: false, error: None }, None);
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        self.enter(Op::Remove, id).await?;
        lock(&self.model).remove(id);
        Ok(())
    }

    async fn rename(&self, id: &str, name: &str) -> Result<(), Error> {
        self.enter(Op::Rename, name).await?;
        let mut model = lock(&self.model);
        let own = model.find(id).ok_or_else(|| no_container(id))?.info.id.clone();
        if let Some(other) = model.find(name)
            && other.info.id != own
        {
            let message = format!("the name is taken by {}", other.info.id);
            return Err(Error::Conflict { what: format!("container name `{name}`"), message });
        }
        let unit = model.find_mut(&own).ok_or_else(|| no_container(id))?;
        unit.info.name = name.to_owned();
        Ok(())
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, Error> {
        self.enter(Op::Container, id).await?;
        Ok(lock(&self.model).find(id).map(|it| it.info.clone()))
    }

    async fn containers(&self, labels: &Labels) -> Result<Vec<Container>, Error> {
        self.enter(Op::Containers, "").await?;
        let model = lock(&self.model);
        Ok(model.containers.values().map(|it| &it.info).filter(|it| has(&it.labels, labels)).cloned().collect())
    }

    async fn wait(&self, id: &str) -> Result<Exit, Error> {
        self.enter(Op::Wait, id).await?;
        let mut changed = self.watch(id)?;
        loop {
            changed.mark_unchanged();
            if let State::Exited(exit) = lock(&self.model).find(id).ok_or_else(|| no_container(id))?.info.state.clone()
            {
                return Ok(exit);
            }
            changed.changed().await.map_err(|_| no_container(id))?;
        }
    }

    async fn commit(&self, id: &str, request: &Commit) -> Result<Image, Error> {
        self.enter(Op::Commit, &request.reference).await?;
        let mut model = lock(&self.model);
        let base = model.find(id).ok_or_else(|| no_container(id))?.info.image.clone();
        let mut labels = model.image(&base).map(|it| it.info.labels.clone()).unwrap_or_default();
        labels.extend(request.labels.clone());
        Ok(model.add_image(&request.reference, &labels, 0))
    }

    async fn exec(&self, id: &str, request: &Exec) -> Result<Process, Error> {
        self.enter(Op::Exec, id).await?;
        let (script, container) = {
            let mut model = lock(&self.model);
            let unit = model.find(id).ok_or_else(|| no_container(id))?;
            running(unit)?;
            let container = unit.info.clone();
            model.execs.push((container.id.clone(), request.clone()));
            (model.scripts.exec.clone(), container)
        };
        Ok(process::run(script(&container, request), request.stdin))
    }

    async fn attach(&self, id: &str) -> Result<Process, Error> {
        self.enter(Op::Attach, id).await?;
        let changed = self.watch(id)?;
        let request = lock(&self.model).find(id).ok_or_else(|| no_container(id))?.request.clone();
        Ok(process::attach(self.model.clone(), id.to_owned(), changed, &request))
    }

    async fn read_file(&self, id: &str, path: &str) -> Result<Option<Bytes>, Error> {
        self.enter(Op::ReadFile, path).await?;
        let model = lock(&self.model);
        let unit = model.find(id).ok_or_else(|| no_container(id))?;
        let written = unit.behaviour.files.get(path).cloned();
        let image = unit.info.image.clone();
        Ok(written.or_else(|| model.image(&image)?.files.get(path).cloned()))
    }

    async fn logs(&self, id: &str, request: &Logs) -> Result<BoxStream<'static, Result<LogChunk, Error>>, Error> {
        self.enter(Op::Logs, id).await?;
        let mut changed = self.watch(id)?;
        let (engine, id, request) = (self.clone(), id.to_owned(), request.clone());
        let total = lock(&self.model).find(&id).map_or(0, |it| it.log.len());
        let first = request.tail.map_or(0, |tail| total.saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX)));
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            let mut next = first;
            loop {
                changed.mark_unchanged();
                let (lines, runs) = {
                    let model = lock(&engine.model);
                    let Some(unit) = model.find(&id) else { return };
                    (unit.log[next..].to_vec(), unit.info.state == State::Running)
                };
                next += lines.len();
                for line in lines {
                    let early = request.since.is_some_and(|since| line.time < Some(since));
                    let late = request.until.is_some_and(|until| line.time > Some(until));
                    if !early && !late && sender.send(Ok(line)).await.is_err() {
                        return;
                    }
                }
                if !request.follow || !runs || changed.changed().await.is_err() {
                    return;
                }
            }
        });
        Ok(stream::unfold(receiver, |mut it| async { Some((it.recv().await?, it)) }).boxed())
    }

    async fn events(&self, labels: &Labels) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        self.enter(Op::Events, "").await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.model).watchers.push((labels.clone(), sender));
        Ok(stream::unfold(receiver, |mut it| async { Some((Ok(it.recv().await?), it)) }).boxed())
    }

    async fn ensure_network(&self, request: &BridgeNetwork) -> Result<Gateways, Error> {
        self.enter(Op::EnsureNetwork, &request.name).await?;
        let bridge = lock(&self.model).bridge(&request.name, request.ipv6);
        Ok(Gateways { v4: Some(bridge.gateway), v6: bridge.gateway_v6 })
    }

    async fn remove_network(&self, name: &str) -> Result<(), Error> {
        self.enter(Op::RemoveNetwork, name).await?;
        let mut model = lock(&self.model);
        let user = model.containers.values().find(|it| it.request.network == name && it.info.state == State::Running);
        if let Some(user) = user {
            let message = format!("container `{}` is attached to it", user.info.name);
            return Err(Error::Conflict { what: format!("network `{name}`"), message });
        }
        model.networks.remove(name);
        Ok(())
    }

    async fn volume(&self, name: &str) -> Result<Option<NamedVolume>, Error> {
        self.enter(Op::Volume, name).await?;
        Ok(lock(&self.model).volumes.get(name).cloned())
    }

    async fn create_volume(&self, request: &NamedVolume) -> Result<NamedVolume, Error> {
        self.enter(Op::CreateVolume, &request.name).await?;
        let mut volume = request.clone();
        if volume.driver.is_empty() {
            volume.driver = "local".to_owned();
        }
        Ok(lock(&self.model).volumes.entry(request.name.clone()).or_insert(volume).clone())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        self.enter(Op::RemoveVolume, name).await?;
        let mut model = lock(&self.model);
        let uses = |it: &&Unit| it.request.mounts.iter().any(|m| m.source == MountSource::Named(name.to_owned()));
        if let Some(user) = model.containers.values().find(uses) {
            let message = format!("container `{}` uses it", user.info.name);
            return Err(Error::Conflict { what: format!("volume `{name}`"), message });
        }
        model.volumes.remove(name);
        Ok(())
    }
}

/// Docker's answer to a command or a signal for a container that does not run.
fn running(unit: &Unit) -> Result<(), Error> {
    if unit.info.state == State::Running {
        return Ok(());
    }
    let what = format!("container `{}`", unit.info.name);
    Err(Error::Conflict { what, message: "the container is not running".to_owned() })
}
