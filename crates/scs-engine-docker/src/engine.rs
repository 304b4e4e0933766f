//! The port's methods, each handed to the module of its subject.

use crate::Docker;
use crate::call::Subject;
use crate::image::ByteStream;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use scs_ports::engine::{
    BridgeNetwork, Build, Commit, Container, Create, Engine, Error, Event, Exec, Exit, Gateways, Image, Info, Labels,
    LogChunk, Logs, NamedVolume, Process, Progress,
};
use std::time::Duration;

#[async_trait]
impl Engine for Docker {
    async fn info(&self) -> Result<Info, Error> {
        let subject = Subject::engine("say who it is");
        let version = self.query(&subject, self.client.version()).await?;
        let info = self.query(&subject, self.client.info()).await?;
        let options = info.security_options.unwrap_or_default();
        Ok(Info {
            version: format!("Docker Engine {}", version.version.unwrap_or_default()),
            api: self.client.client_version().to_string(),
            platform: format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default()),
            id: info.id.unwrap_or_default(),
            root: info.docker_root_dir.unwrap_or_default().into(),
            rootless: options.iter().any(|it| it.contains("name=rootless")),
            remapped: options.iter().any(|it| it.contains("name=rootless") || it.contains("name=userns")),
        })
    }

    async fn images(&self, labels: &Labels) -> Result<Vec<Image>, Error> {
        self.list_images(labels).await
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, Error> {
        self.find_image(reference).await
    }

    async fn pull(&self, reference: &str, progress: &dyn Progress) -> Result<Image, Error> {
        self.pull_image(reference, progress).await
    }

    async fn build(&self, request: &Build, context: ByteStream, progress: &dyn Progress) -> Result<Image, Error> {
        self.build_image(request, context, progress).await
    }

    async fn import(&self, reference: &str, rootfs: ByteStream, labels: &Labels) -> Result<Image, Error> {
        self.import_image(reference, rootfs, labels).await
    }

    async fn save(&self, reference: &str) -> Result<ByteStream, Error> {
        self.save_image(reference).await
    }

    async fn load(&self, image: ByteStream) -> Result<(), Error> {
        self.load_image(image).await
    }

    async fn tag(&self, reference: &str, name: &str) -> Result<(), Error> {
        self.tag_image(reference, name).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), Error> {
        self.drop_image(reference).await
    }

    async fn create(&self, request: &Create) -> Result<String, Error> {
        self.create_container(request).await
    }

    async fn start(&self, id: &str) -> Result<(), Error> {
        self.start_container(id).await
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), Error> {
        self.stop_container(id, grace).await
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), Error> {
        self.signal_container(id, signal).await
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        self.remove_container(id).await
    }

    async fn rename(&self, id: &str, name: &str) -> Result<(), Error> {
        self.rename_container(id, name).await
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, Error> {
        self.find_container(id).await
    }

    async fn containers(&self, labels: &Labels) -> Result<Vec<Container>, Error> {
        self.list_containers(labels).await
    }

    async fn wait(&self, id: &str) -> Result<Exit, Error> {
        self.wait_for_end(id).await
    }

    async fn commit(&self, id: &str, request: &Commit) -> Result<Image, Error> {
        self.commit_container(id, request).await
    }

    async fn exec(&self, id: &str, request: &Exec) -> Result<Process, Error> {
        self.run_command(id, request).await
    }

    async fn attach(&self, id: &str) -> Result<Process, Error> {
        self.attach_to(id).await
    }

    async fn read_file(&self, id: &str, path: &str) -> Result<Option<Bytes>, Error> {
        self.file_of(id, path).await
    }

    async fn rest_of_file(
        &self,
        id: &str,
        path: &str,
        from: u64,
    ) -> Result<Option<BoxStream<'static, std::io::Result<Bytes>>>, Error> {
        self.rest_of(id, path, from).await
    }

    async fn logs(&self, id: &str, request: &Logs) -> Result<BoxStream<'static, Result<LogChunk, Error>>, Error> {
        self.output_of(id, request).await
    }

    async fn events(&self, labels: &Labels) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        self.watch_events(labels).await
    }

    async fn ensure_network(&self, request: &BridgeNetwork) -> Result<Gateways, Error> {
        self.ensure_bridge(request).await
    }

    async fn remove_network(&self, name: &str) -> Result<(), Error> {
        self.drop_network(name).await
    }

    async fn volume(&self, name: &str) -> Result<Option<NamedVolume>, Error> {
        self.find_volume(name).await
    }

    async fn create_volume(&self, request: &NamedVolume) -> Result<NamedVolume, Error> {
        self.make_volume(request).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        self.drop_volume(name).await
    }
}
