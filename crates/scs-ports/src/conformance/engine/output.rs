//! Output of containers, and commands inside them.
#![expect(missing_docs, reason = "named by what they show")]

use super::{World, done, soon};
use crate::conformance::read_all;
use crate::engine::{Create, Error, Exec, LogChunk, Logs, Stream};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt;

async fn ended(world: &World, command: &[&str]) -> String {
    let id = world.run(&world.container("one", command)).await;
    done("wait", soon("the container's end", world.engine.wait(&id)).await);
    id
}

async fn lines(world: &World, id: &str, request: &Logs) -> Vec<LogChunk> {
    let stream = done("logs", world.engine.logs(id, request).await);
    let all: Vec<_> = soon("the end of the output", stream.collect()).await;
    all.into_iter().map(|it| done("a line", it)).collect()
}

fn texts(lines: &[LogChunk]) -> Vec<String> {
    lines.iter().map(|it| String::from_utf8_lossy(&it.bytes).into_owned()).collect()
}

pub async fn output_comes_in_lines_of_both_streams(world: &World) {
    let before = SystemTime::now() - Duration::from_secs(1);
    let id = ended(world, &["play", "out=one", "err=two", "out=", "out=three"]).await;
    let all = lines(world, &id, &Logs::default()).await;
    let of = |stream| texts(&all.iter().filter(|it| it.stream == stream).cloned().collect::<Vec<_>>());
    assert_eq!(of(Stream::Stdout), ["one", "", "three"]);
    assert_eq!(of(Stream::Stderr), ["two"]);
    assert!(all.iter().all(|it| it.time.is_some_and(|time| time > before)), "{all:?}");
    world.remove(&id).await;
}

pub async fn the_last_lines_can_be_asked_for(world: &World) {
    let id = ended(world, &["play", "out=1", "out=2", "out=3"]).await;
    assert_eq!(texts(&lines(world, &id, &Logs { tail: Some(2), ..Logs::default() }).await), ["2", "3"]);
    assert_eq!(texts(&lines(world, &id, &Logs { tail: Some(0), ..Logs::default() }).await), [""; 0]);
    world.remove(&id).await;
}

pub async fn output_can_be_narrowed_in_time(world: &World) {
    let id = ended(world, &["play", "out=1", "sleep=50ms", "out=2", "sleep=50ms", "out=3"]).await;
    let all = lines(world, &id, &Logs::default()).await;
    let middle = all[1].time;
    assert_eq!(texts(&lines(world, &id, &Logs { since: middle, ..Logs::default() }).await), ["2", "3"]);
    assert_eq!(texts(&lines(world, &id, &Logs { until: middle, ..Logs::default() }).await), ["1", "2"]);
    world.remove(&id).await;
}

pub async fn following_goes_on_until_the_container_ends(world: &World) {
    let id = world.run(&world.container("one", &["play", "out=1", "sleep=300ms", "out=2"])).await;
    let all = lines(world, &id, &Logs { follow: true, ..Logs::default() }).await;
    assert_eq!(texts(&all), ["1", "2"]);
    world.remove(&id).await;
}

pub async fn a_command_runs_inside_with_its_own_environment(world: &World) {
    let id = world.runs("one").await;
    let request = Exec {
        environment: BTreeMap::from([("COLOR".to_owned(), "red; $HOME \"quoted\"".to_owned())]),
        ..world.command(&["play", "env=COLOR", "err=oops", "exit=7"])
    };
    let process = done("exec", world.engine.exec(&id, &request).await);
    let (out, err) = read_all("the command's output", process.output).await;
    assert_eq!((out.as_str(), err.as_str()), ("red; $HOME \"quoted\"\n", "oops\n"));
    assert_eq!(done("its exit code", process.control.exit_code().await), Some(7));
    world.remove(&id).await;
}

pub async fn a_command_reads_its_input(world: &World) {
    let id = world.runs("one").await;
    let request = Exec { stdin: true, ..world.command(&["play", "cat"]) };
    let mut process = done("exec", world.engine.exec(&id, &request).await);
    let mut input = process.input.take().expect("its input is attached");
    let writing = async {
        input.write_all(b"hello\n").await.expect("it can be written to");
        input.shutdown().await.expect("it can be ended");
    };
    let reading = read_all("what it sends back", process.output);
    let ((), (out, _)) = soon("the command", async { tokio::join!(writing, reading) }).await;
    assert_eq!(out, "hello\n");
    assert_eq!(done("its exit code", process.control.exit_code().await), Some(0));
    world.remove(&id).await;
}

pub async fn a_command_that_runs_has_no_exit_code_yet(world: &World) {
    let id = world.runs("one").await;
    let process = done("exec", world.engine.exec(&id, &world.command(&["play", "sleep=1h"])).await);
    assert_eq!(done("its exit code", process.control.exit_code().await), None);
    world.remove(&id).await;
}

pub async fn no_command_runs_in_a_stopped_container(world: &World) {
    let id = ended(world, &["play"]).await;
    match world.engine.exec(&id, &world.command(&["play"])).await {
        Err(Error::Conflict { .. }) => {}
        other => panic!("{other:?}"),
    }
    world.remove(&id).await;
}

pub async fn a_file_of_a_container_is_read_whether_it_runs_or_not(world: &World) {
    let read = async |id: &str, path: &str| {
        done("reading a file", soon("a file", world.engine.read_file(id, path)).await)
            .map(|it| String::from_utf8_lossy(&it).trim_end().to_owned())
    };
    let request = world.container("one", &["play", "write=/told:yes", "out=ready", "sleep=1h"]);
    let id = world.create(&request).await;
    assert_eq!(read(&id, "/told").await, None, "it has not begun");
    done("start", world.engine.start(&id).await);
    world.ready(&id).await;
    assert_eq!(read(&id, "/told").await.as_deref(), Some("yes"));
    done("stop", world.engine.stop(&id, std::time::Duration::from_secs(1)).await);
    assert_eq!(read(&id, "/told").await.as_deref(), Some("yes"));
    assert_eq!(read(&id, "/nothing/there").await, None);
    world.remove(&id).await;
    match world.engine.read_file(&id, "/told").await {
        Err(Error::NotFound { what }) => assert!(what.contains("container"), "{what}"),
        other => panic!("{other:?}"),
    }
}

pub async fn the_rest_of_a_file_is_read_from_where_one_was(world: &World) {
    let id = ended(world, &["play", "write=/told:0123456789"]).await;
    let read = async |path: &str, from: u64| {
        let rest = done("the rest of a file", soon("a file", world.engine.rest_of_file(&id, path, from)).await)?;
        let pieces: Vec<_> = soon("its end", rest.collect()).await;
        Some(
            pieces
                .into_iter()
                .map(|it| String::from_utf8_lossy(&it.expect("it comes")).into_owned())
                .collect::<String>(),
        )
    };
    assert_eq!(read("/told", 0).await.as_deref(), Some("0123456789"));
    assert_eq!(read("/told", 7).await.as_deref(), Some("789"));
    assert_eq!(read("/told", 10).await.as_deref(), Some(""));
    assert_eq!(read("/told", 11).await.as_deref(), Some("0123456789"), "it was cut");
    assert_eq!(read("/nothing/there", 0).await, None);
    world.remove(&id).await;
}

pub async fn who_attaches_before_the_start_misses_nothing(world: &World) {
    let id = world.create(&world.container("one", &["play", "out=1", "err=2", "exit=3"])).await;
    let process = done("attach", soon("the attachment", world.engine.attach(&id)).await);
    assert!(process.input.is_none(), "it was made without");
    assert_eq!(done("its exit code", process.control.exit_code().await), None);
    done("start", world.engine.start(&id).await);
    let (out, err) = read_all("its output", process.output).await;
    assert_eq!((out.as_str(), err.as_str()), ("1\n", "2\n"));
    done("wait", soon("the container's end", world.engine.wait(&id)).await);
    assert_eq!(done("its exit code", process.control.exit_code().await), Some(3));
    world.remove(&id).await;
}

pub async fn an_attached_container_reads_its_input_to_its_end(world: &World) {
    let id = world.create(&Create { stdin: true, ..world.container("one", &["play", "cat"]) }).await;
    let mut process = done("attach", soon("the attachment", world.engine.attach(&id)).await);
    done("start", world.engine.start(&id).await);
    let mut input = process.input.take().expect("its input is attached");
    let writing = async {
        input.write_all(b"hello\n").await.expect("it can be written to");
        input.shutdown().await.expect("it can be ended");
    };
    let reading = read_all("what it sends back", process.output);
    let ((), (out, _)) = soon("the container", async { tokio::join!(writing, reading) }).await;
    assert_eq!(out, "hello\n");
    assert_eq!(done("wait", soon("the container's end", world.engine.wait(&id)).await).code, 0);
    world.remove(&id).await;
}

pub async fn an_attached_terminal_can_be_resized(world: &World) {
    let request = Create { stdin: true, tty: true, ..world.container("one", &["play", "out=ready", "sleep=1h"]) };
    let id = world.create(&request).await;
    let mut process = done("attach", soon("the attachment", world.engine.attach(&id)).await);
    done("start", world.engine.start(&id).await);
    let mut out = Vec::new();
    while !out.ends_with(b"\n") {
        let chunk = soon("its output", process.output.next()).await.expect("it goes on");
        out.extend_from_slice(&done("a chunk", chunk).bytes);
    }
    assert_eq!(String::from_utf8_lossy(&out), "ready\r\n", "a terminal ends its lines with both");
    done("resize", process.control.resize(100, 40).await);
    world.remove(&id).await;
}
