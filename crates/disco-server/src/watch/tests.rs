//! Watching a registry whose task runs, and whose one client speaks through a pipe.

use std::time::Duration;

use disco_core::{Conn, Core, Grants, What};
use disco_proto::Reason;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::traffic::Traffic;
use crate::{admit::Pass, connection, handle::Handle, registry};

struct World {
    handle: Handle,
    provider: BufReader<DuplexStream>,
    stop: CancellationToken,
}

impl World {
    async fn start() -> Self {
        let core = Core::new(disco_core::Options::new("epoch", [0; 32]), Duration::ZERO);
        let (events, received) = mpsc::channel(16);
        let stop = CancellationToken::new();
        tokio::spawn(registry::run(core, received, None, None, stop.clone()));
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(ours);
        let talk =
            connection::Talk { conn: Conn(1), pass: Pass::Fixed(Grants::Everything), buffered: false, direct: None };
        let client = events.clone();
        tokio::spawn(async move { connection::run(talk, reader, writer, &Traffic::default(), &client).await });
        let mut world = Self { handle: Handle::new(&events), provider: BufReader::new(theirs), stop };
        world.say("session.open", r#"{"protocol":"disco/1","agent":"provider"}"#).await;
        world
    }

    async fn say(&mut self, method: &str, params: &str) {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}\n");
        self.provider.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.provider.read_line(&mut answer).await.unwrap();
        assert!(answer.contains("result"), "{answer}");
    }

    async fn provide(&mut self, name: &str, port: u16) {
        self.say("provide", &format!(r#"{{"name":"{name}","instance":"a","host":"192.0.2.1","port":{port}}}"#)).await;
    }
}

const DB: &str = "dev/blog/mysql/mysql";

fn db() -> Filter {
    Filter { role: Some("mysql".to_owned()), ..Filter::default() }
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_and_goes_on_with_every_change_of_it() {
    let mut world = World::start().await;
    world.provide("dev/blog/web/http", 80).await;
    world.provide(DB, 1).await;
    let (present, mut changes) = world.handle.watch(db()).await.unwrap();
    let ports: Vec<u16> = present.endpoints.iter().map(|endpoint| endpoint.port).collect();
    assert_eq!((present.rev, present.complete, ports), (2, false, vec![1]));

    world.provide("dev/blog/web/http", 81).await;
    world.provide(DB, 2).await;
    world.say("withdraw", &format!(r#"{{"name":"{DB}","instance":"a","reason":"died"}}"#)).await;
    let changed = changes.next().await.unwrap();
    assert_eq!((changed.rev, changed.what, changed.endpoint.port), (4, What::Updated, 2));
    let gone = changes.next().await.unwrap();
    assert_eq!((gone.rev, gone.what), (5, What::Dropped(Reason::Died)));

    world.stop.cancel();
    assert_eq!(changes.next().await, Err(Missed::Ended));
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_to_start_anew() {
    let mut world = World::start().await;
    let (_, mut changes) = world.handle.watch(db()).await.unwrap();
    for count in 0..=BEHIND {
        world.provide(DB, if count % 2 == 0 { 1 } else { 2 }).await;
    }
    assert_eq!(changes.next().await, Err(Missed::Behind));
    let (present, _) = world.handle.watch(db()).await.unwrap();
    assert_eq!(present.rev, BEHIND as u64 + 1);
}
