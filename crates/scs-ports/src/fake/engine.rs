//! A container engine in memory: what a test scripts and looks at. The port itself is in `engine/port.rs`.

mod model;
mod port;
mod process;

use super::lock;
use crate::engine::{Build, Container, Create, Error, Exec, Exit, Image, Labels, Port, State, Stream};
use bytes::Bytes;
use model::Model;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A container engine in memory.
///
/// Containers go through the states of real ones: created, running, exited. Ports are bound at the start and are unique
/// by address, names are unique, networks and volumes in use cannot be removed, events and logs are streamed.
#[derive(Debug, Clone)]
pub struct Engine {
    model: Arc<Mutex<Model>>,
}

/// The methods of the port, for [`Engine::fail_next`], [`Engine::hang_next`] and [`Engine::calls`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named like the methods they stand for")]
pub enum Op {
    Info,
    Images,
    Image,
    Pull,
    Build,
    Import,
    Save,
    Load,
    Tag,
    RemoveImage,
    Create,
    Start,
    Stop,
    Signal,
    Remove,
    Rename,
    Container,
    Containers,
    Wait,
    Commit,
    Exec,
    Attach,
    ReadFile,
    Logs,
    Events,
    EnsureNetwork,
    RemoveNetwork,
    Volume,
    CreateVolume,
    RemoveVolume,
}

/// What process 1 of a container does once it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Written at the start, one line each.
    pub lines: Vec<(Stream, String)>,
    /// Ends by itself after so long with this exit code; runs until stopped without it.
    pub ends: Option<(Duration, i64)>,
    /// Files it has written, by path.
    pub files: BTreeMap<String, Bytes>,
    /// Copies its standard input to its output, and ends with 0 when that ends.
    pub echo: bool,
    /// Exit code when it is asked to stop; `None` is deaf to it and is killed after the grace period (137).
    pub stops_with: Option<i64>,
}

impl Default for Behaviour {
    /// Runs until it is asked to stop, then ends with 0.
    fn default() -> Self {
        Behaviour { lines: Vec::new(), ends: None, files: BTreeMap::new(), echo: false, stops_with: Some(0) }
    }
}

impl Behaviour {
    /// Ends by itself with this exit code, after `after`.
    #[must_use]
    pub fn ends(after: Duration, code: i64) -> Self {
        Behaviour { ends: Some((after, code)), ..Behaviour::default() }
    }
}

/// What a command run inside a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it writes at once.
    pub output: Vec<(Stream, Bytes)>,
    /// How long it takes; `None` runs for ever.
    pub after: Option<Duration>,
    /// Its exit code.
    pub code: i64,
    /// Copies its standard input to its output, and ends when that ends.
    pub echo: bool,
}

impl Default for Outcome {
    /// Says nothing and ends at once with 0.
    fn default() -> Self {
        Outcome::exit(0)
    }
}

impl Outcome {
    /// Ends at once with this exit code.
    #[must_use]
    pub fn exit(code: i64) -> Self {
        Outcome { output: Vec::new(), after: Some(Duration::ZERO), code, echo: false }
    }

    /// Never ends.
    #[must_use]
    pub fn hang() -> Self {
        Outcome { after: None, ..Outcome::exit(0) }
    }

    /// Copies its input to its output.
    #[must_use]
    pub fn echo() -> Self {
        Outcome { echo: true, ..Outcome::exit(0) }
    }

    /// Also writes this to standard output.
    #[must_use]
    pub fn stdout(mut self, text: &str) -> Self {
        self.output.push((Stream::Stdout, Bytes::copy_from_slice(text.as_bytes())));
        self
    }

    /// Also writes this to standard error.
    #[must_use]
    pub fn stderr(mut self, text: &str) -> Self {
        self.output.push((Stream::Stderr, Bytes::copy_from_slice(text.as_bytes())));
        self
    }

    /// Takes so long.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new()
    }
}

impl Engine {
    /// An engine with no image, container, network or volume. Commands run in its containers end at once with 0.
    #[must_use]
    pub fn new() -> Self {
        Engine { model: Arc::new(Mutex::new(Model::new())) }
    }

    /// Gives it an image; returns its id.
    pub fn add_image(&self, reference: &str, labels: &Labels) -> String {
        lock(&self.model).add_image(reference, labels, 0).id
    }

    /// Gives an image a file.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn add_file(&self, image: &str, path: &str, content: &str) {
        let mut model = lock(&self.model);
        let id = model.image(image).map(|it| it.info.id.clone());
        let stored =
            id.and_then(|id| model.images.get_mut(&id)).unwrap_or_else(|| panic!("there is no image `{image}`"));
        stored.files.insert(path.to_owned(), Bytes::copy_from_slice(content.as_bytes()));
    }

    /// User ids inside its containers are other ones outside from now on.
    pub fn remap_users(&self) {
        lock(&self.model).remapped = true;
    }

    /// Lets [`Op::Pull`] find this reference.
    pub fn add_remote_image(&self, reference: &str, labels: &Labels) {
        lock(&self.model).remote.insert(reference.to_owned(), labels.clone());
    }

    /// The images it has.
    #[must_use]
    pub fn all_images(&self) -> Vec<Image> {
        lock(&self.model).images.values().map(|image| image.info.clone()).collect()
    }

    /// Decides what process 1 of a container does at each of its starts. The last one set counts.
    pub fn on_start(&self, script: impl Fn(&Create) -> Behaviour + Send + Sync + 'static) {
        lock(&self.model).scripts.start = Arc::new(script);
    }

    /// Decides what a command run in a container does. The last one set counts.
    pub fn on_exec(&self, script: impl Fn(&Container, &Exec) -> Outcome + Send + Sync + 'static) {
        lock(&self.model).scripts.exec = Arc::new(script);
    }

    /// Decides how a build ends, given its tar: the lines it prints, or why it fails. The last one set counts.
    pub fn on_build(&self, script: impl Fn(&Build, &[u8]) -> Result<Vec<String>, Error> + Send + Sync + 'static) {
        lock(&self.model).scripts.build = Arc::new(script);
    }

    /// Makes the next call of this method fail, once; several queue up.
    pub fn fail_next(&self, op: Op, error: Error) {
        lock(&self.model).faults.entry(op).or_default().push_back(model::Fault::Fail(error));
    }

    /// Makes the next call of this method never answer.
    pub fn hang_next(&self, op: Op) {
        lock(&self.model).faults.entry(op).or_default().push_back(model::Fault::Hang);
    }

    /// The engine goes away (`false`) or comes back: calls fail with `Unreachable`, event streams end, containers run on.
    pub fn set_reachable(&self, reachable: bool) {
        let mut model = lock(&self.model);
        model.reachable = reachable;
        if !reachable {
            model.watchers.clear();
        }
    }

    /// A port of the host is taken by somebody else from now on.
    pub fn take_port(&self, address: IpAddr, port: u16) {
        lock(&self.model).taken.push((address, port));
    }

    /// Containers started from now on report these addresses instead of invented ones, so that a test can listen there.
    pub fn set_addresses(&self, addresses: Vec<IpAddr>) {
        lock(&self.model).addresses = Some(addresses);
    }

    /// Process 1 of a container ends with this exit code.
    ///
    /// # Panics
    /// If no such container runs.
    pub fn exit(&self, id: &str, code: i64) {
        self.exit_as(id, Exit { code, out_of_memory: false, error: None });
    }

    /// Process 1 of a container ends so.
    ///
    /// # Panics
    /// If no such container runs.
    pub fn exit_as(&self, id: &str, exit: Exit) {
        assert!(lock(&self.model).end(id, exit, None), "no container `{id}` runs");
    }

    /// Process 1 of a container writes a line.
    ///
    /// # Panics
    /// If there is no such container.
    pub fn write(&self, id: &str, stream: Stream, line: &str) {
        assert!(lock(&self.model).write(id, stream, line), "there is no container `{id}`");
    }

    /// Somebody removes a container behind the tested code's back, as `docker rm -f` does.
    pub fn vanish(&self, id: &str) {
        lock(&self.model).remove(id);
    }

    /// What a container was made with.
    #[must_use]
    pub fn created(&self, id: &str) -> Option<Create> {
        lock(&self.model).find(id).map(|unit| unit.request.clone())
    }

    /// All containers, in the order of their making.
    #[must_use]
    pub fn all(&self) -> Vec<Container> {
        lock(&self.model).containers.values().map(|unit| unit.info.clone()).collect()
    }

    /// The names of the containers that run, sorted.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.all().into_iter().filter(|it| it.state == State::Running).map(|it| it.name).collect();
        names.sort();
        names
    }

    /// The ports bound on the host just now.
    #[must_use]
    pub fn bound(&self) -> Vec<Port> {
        lock(&self.model).bound().cloned().collect()
    }

    /// Every call so far with what it was about: a name, id, reference, or nothing. Queries included.
    #[must_use]
    pub fn calls(&self) -> Vec<(Op, String)> {
        lock(&self.model).calls.clone()
    }

    /// The calls so far that may change something (no queries), for tests of "a second time changes nothing".
    #[must_use]
    pub fn changes(&self) -> Vec<(Op, String)> {
        let queries = [
            Op::Info,
            Op::Images,
            Op::Image,
            Op::Container,
            Op::Containers,
            Op::Wait,
            Op::Logs,
            Op::Events,
            Op::Volume,
        ];
        self.calls().into_iter().filter(|(op, _)| !queries.contains(op)).collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        lock(&self.model).calls.clear();
    }

    /// Every command run so far, with the id of its container.
    #[must_use]
    pub fn execs(&self) -> Vec<(String, Exec)> {
        lock(&self.model).execs.clone()
    }

    /// Every signal sent so far, with the id of its container.
    #[must_use]
    pub fn signals(&self) -> Vec<(String, String)> {
        lock(&self.model).signals.clone()
    }
}
