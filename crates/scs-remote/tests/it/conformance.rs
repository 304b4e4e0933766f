//! One suite, over an agent that is here and the same over TLS.

use crate::scripted::{CHUNK, Scripted, line, slot};
use crate::world::{PATIENCE, Served, World, reached, remote, revision};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use scs_api::agent::Assignments;
use scs_api::deploy::{BuildRequest, Event};
use scs_api::error::{Code, Problem};
use scs_api::log::LogQuery;
use scs_api::routes::ExecQuery;
use scs_control::agents::{Agent, ExecInput, ExecOutput, OutputLine, Reachability, VolumeAt};
use scs_manifest::compiled::Deployment;
use scs_ports::volume::VolumeId;
use scs_testkit::wait_for;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs each property here and over TLS.
macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod here {
            $(#[tokio::test]
            async fn $name() {
                let script = super::Scripted::new("h2");
                super::$name(std::sync::Arc::clone(&script) as _, &script).await;
            })*
        }
        mod over_tls {
            $(#[tokio::test]
            async fn $name() {
                let (world, script) = (super::World::new(), super::Scripted::new("h2"));
                let served = super::Served::start(&script, world.host()).await;
                let remote = super::remote(served.address, world.server());
                super::reached(&remote).await;
                super::$name(remote, &script).await;
                served.end().await;
            })*
        }
    };
}

suite![
    what_is_assigned_arrives_and_a_refusal_is_told_as_it_was,
    the_newest_report_arrives_and_every_later_one,
    lines_of_output_are_told_to_whoever_listens,
    what_is_asked_is_answered,
    a_build_tells_its_events_to_the_end,
    logs_end_where_they_are_not_followed,
    logs_go_on_where_they_are_and_end_with_their_reader,
    a_command_hears_its_input_and_its_end_is_told,
    a_command_that_cannot_be_followed_says_why,
    a_command_ends_with_whoever_asked_for_it,
    a_volume_is_carried_whole,
    a_volume_is_read_no_further_than_somebody_takes_it,
    an_import_that_is_refused_takes_no_more,
    a_broken_archive_is_no_volume,
];

fn refusal() -> Problem {
    let mut problem = Problem::new(Code::Conflict, "it is another cluster's").hint("look there");
    problem.causes.push("its mark says so".to_owned());
    problem.output.push("line".to_owned());
    problem
}

fn volume() -> VolumeAt {
    let id = |name: &str| VolumeId {
        environment: "dev".to_owned(),
        service: "blog".to_owned(),
        role: "mysql".to_owned(),
        index: 0,
        name: name.to_owned(),
    };
    let parent = VolumeAt {
        id: id("all"),
        method: "local".to_owned(),
        options: serde_json::Map::new(),
        origin: "/srv/a b&c".into(),
        known: true,
        epoch: 3,
        parent: None,
    };
    let options = serde_json::json!({ "path": "ü/?&=%" }).as_object().unwrap().clone();
    VolumeAt { id: id("data"), method: "sub".to_owned(), options, parent: Some(Box::new(parent.clone())), ..parent }
}

async fn all_closed(script: &Scripted) {
    wait_for("everything to be let go", PATIENCE, async || match script.open() {
        0 => Ok(()),
        open => Err(format!("{open} are held")),
    })
    .await;
}

async fn what_is_assigned_arrives_and_a_refusal_is_told_as_it_was(agent: Arc<dyn Agent>, script: &Scripted) {
    assert!(matches!(&*agent.reachable().borrow(), Reachability::Reachable { .. }));
    let tombstones = (0..2000).map(|number| slot(&format!("role-{number}"))).collect();
    let assignments = Assignments { cluster: "c".to_owned(), revision: 7, tombstones, ..Assignments::default() };
    agent.assign(assignments.clone()).await.unwrap();
    let assigned = script.model().assigned.clone().unwrap();
    assert_eq!((assigned.revision, assigned.tombstones), (7, assignments.tombstones.clone()));
    script.model().refuse = Some(refusal());
    assert_eq!(agent.assign(assignments).await.unwrap_err(), refusal());
}

async fn the_newest_report_arrives_and_every_later_one(agent: Arc<dyn Agent>, script: &Scripted) {
    revision(&*agent, 1).await;
    let mut reports = agent.report();
    reports.mark_unchanged();
    script.sees(2);
    tokio::time::timeout(PATIENCE, reports.changed()).await.unwrap().unwrap();
    assert_eq!(reports.borrow_and_update().revision, 2);
    for later in 3..50 {
        script.sees(later);
    }
    revision(&*agent, 49).await;
    assert_eq!(reports.borrow().host, "h2");
}

async fn lines_of_output_are_told_to_whoever_listens(agent: Arc<dyn Agent>, script: &Scripted) {
    let mut output = agent.output();
    for number in 0..3 {
        let _ = script.output.send(OutputLine { slot: slot("web"), line: format!("step {number}") });
    }
    for number in 0..3 {
        let told = tokio::time::timeout(PATIENCE, output.recv()).await.unwrap().unwrap();
        assert_eq!(told, OutputLine { slot: slot("web"), line: format!("step {number}") });
    }
}

async fn what_is_asked_is_answered(agent: Arc<dyn Agent>, script: &Scripted) {
    assert_eq!(agent.host(), "h2");
    assert_eq!(agent.engine().await.unwrap(), "Script 1");
    assert_eq!(agent.images().await.unwrap(), BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    assert_eq!(agent.inspect_volume(volume()).await.unwrap().bytes, Some(42));
    let pruned = agent.prune(BTreeSet::from(["two".to_owned()])).await.unwrap();
    assert_eq!((pruned.removed.len(), pruned.bytes), (1, 3));
    assert_eq!(script.model().kept, BTreeSet::from(["two".to_owned()]));
    script.removed.notify_one();
    agent.remove_volume(volume()).await.unwrap();
    assert_eq!(script.model().volume, Some(volume()), "with all that its method needs");

    script.model().refuse = Some(refusal());
    assert_eq!(agent.engine().await.unwrap_err(), refusal());
    assert_eq!(agent.remove_volume(volume()).await.unwrap_err(), refusal());
    assert_eq!(agent.export_volume(volume()).await.err(), Some(refusal()));
    assert_eq!(agent.logs(LogQuery::default()).await.err(), Some(refusal()));
    assert_eq!(agent.prune(BTreeSet::new()).await.unwrap_err(), refusal());
}

async fn a_build_tells_its_events_to_the_end(agent: Arc<dyn Agent>, _: &Scripted) {
    let deployment: Deployment = serde_json::from_value(serde_json::json!({
        "version": 1, "environment": "dev", "service": "blog", "secrets": {}, "roles": {},
    }))
    .unwrap();
    let request = BuildRequest { deployment, origin: "/srv".into(), roles: vec!["web".to_owned()] };
    let events: Vec<Event> = agent.build(request).await.unwrap().collect().await;
    assert!(matches!(&events[0], Event::Output { line, .. } if line == "step"), "{events:?}");
    assert!(matches!(events.last(), Some(Event::Done { .. })), "{events:?}");
    assert_eq!(events.len(), 2);
}

async fn logs_end_where_they_are_not_followed(agent: Arc<dyn Agent>, script: &Scripted) {
    let query = LogQuery { roles: "web,db.1".to_owned(), tail: Some(2), ..LogQuery::default() };
    let lines: Vec<_> = agent.logs(query).await.unwrap().collect().await;
    assert_eq!(lines, [line("kept 1 of web,db.1"), line("kept 2 of web,db.1")]);
    all_closed(script).await;
}

async fn logs_go_on_where_they_are_and_end_with_their_reader(agent: Arc<dyn Agent>, script: &Scripted) {
    let query = LogQuery { follow: true, tail: Some(1), ..LogQuery::default() };
    let mut lines = agent.logs(query).await.unwrap();
    assert_eq!(lines.next().await, Some(line("kept 2 of ")));
    script.log.send("new".to_owned()).unwrap();
    assert_eq!(lines.next().await, Some(line("new")));
    assert_eq!(script.open(), 1);
    drop(lines);
    all_closed(script).await;
}

async fn a_command_hears_its_input_and_its_end_is_told(agent: Arc<dyn Agent>, script: &Scripted) {
    let query = ExecQuery { command: r#"["cat","a b&c"]"#.to_owned(), stdin: true, ..ExecQuery::default() };
    let mut session = agent.exec("run-1", query).await.unwrap();
    assert_eq!(session.output.next().await, Some(ExecOutput::Stderr(r#"["cat","a b&c"]"#.into())));
    let large = Bytes::from(vec![b'x'; 300_000]);
    for (input, output) in [
        (ExecInput::Data("hello".into()), ExecOutput::Stdout("hello".into())),
        (ExecInput::Resize { columns: 120, rows: 40 }, ExecOutput::Stdout("120x40".into())),
        (ExecInput::Data(large.clone()), ExecOutput::Stdout(large)),
        (ExecInput::End, ExecOutput::Exit(7)),
    ] {
        session.input.send(input).await.unwrap();
        assert_eq!(session.output.next().await, Some(output));
    }
    drop(session);
    all_closed(script).await;
    let missing = agent.exec("run-9", ExecQuery::default()).await.unwrap_err();
    assert_eq!(
        (missing.code, missing.message.as_str()),
        (Code::NotFound, "no container of run run-9 runs on this host")
    );
}

async fn a_command_that_cannot_be_followed_says_why(agent: Arc<dyn Agent>, _: &Scripted) {
    let mut session = agent.exec("run-1", ExecQuery::default()).await.unwrap();
    session.output.next().await;
    session.input.send(ExecInput::Data("fail".into())).await.unwrap();
    let told = session.output.next().await;
    assert_eq!(told, Some(ExecOutput::Failed(Problem::new(Code::Failed, "it failed"))));
}

async fn a_command_ends_with_whoever_asked_for_it(agent: Arc<dyn Agent>, script: &Scripted) {
    let mut session = agent.exec("run-1", ExecQuery::default()).await.unwrap();
    session.output.next().await;
    assert_eq!(script.open(), 1);
    drop(session);
    all_closed(script).await;
}

async fn a_volume_is_carried_whole(agent: Arc<dyn Agent>, script: &Scripted) {
    let chunks = 100;
    script.chunks.store(chunks, Ordering::SeqCst);
    let content = agent.export_volume(volume()).await.unwrap();
    agent.import_volume(volume(), content).await.unwrap();
    let imported = std::mem::take(&mut script.model().imported);
    assert_eq!(imported.len(), chunks * CHUNK);
    assert!(imported.chunks(CHUNK).enumerate().all(|(at, chunk)| chunk.iter().all(|byte| usize::from(*byte) == at)));
    assert_eq!(script.model().volume, Some(volume()));
    all_closed(script).await;
}

/// More than any buffer between the two ends holds.
const ENDLESS: usize = (4 << 30) / CHUNK;

async fn a_volume_is_read_no_further_than_somebody_takes_it(agent: Arc<dyn Agent>, script: &Scripted) {
    script.chunks.store(ENDLESS, Ordering::SeqCst);
    let mut content = agent.export_volume(volume()).await.unwrap();
    let first = content.next().await.unwrap().unwrap();
    assert!(first.iter().all(|byte| *byte == 0));
    drop(content);
    all_closed(script).await;
    let read = script.read.load(Ordering::SeqCst);
    assert!(read < ENDLESS / 10, "{read} chunks were read for one that was taken");
}

async fn an_import_that_is_refused_takes_no_more(agent: Arc<dyn Agent>, script: &Scripted) {
    script.model().refuse = Some(refusal());
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let content = stream::iter(0..ENDLESS).map(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Bytes::from_static(&[0; CHUNK]))
    });
    let refused = agent.import_volume(volume(), content.boxed()).await.unwrap_err();
    assert_eq!(refused, refusal());
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < ENDLESS / 10, "{sent} chunks were sent");
    all_closed(script).await;
}

async fn a_broken_archive_is_no_volume(agent: Arc<dyn Agent>, script: &Scripted) {
    let content = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the reader went away"))];
    agent.import_volume(volume(), stream::iter(content).boxed()).await.unwrap_err();
    all_closed(script).await;
    assert!(script.model().imported.is_empty());
}
