//! Builds, with the engine's own builder and with BuildKit.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use scs_ports::engine::{Build, Engine, Error, Labels};
use scs_testkit::{TestEngine, wait_for};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// A context with the helper program, so that no base image is needed, and this Dockerfile.
fn context(dockerfile: &str) -> Bytes {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, mode, content) in
        [("scs-helper", 0o755, scs_helper::BYTES), ("Dockerfile", 0o644, dockerfile.as_bytes())]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        tar.append_data(&mut header, name, content).unwrap();
    }
    tar.into_inner().unwrap().into()
}

async fn build(engine: &TestEngine, request: &Build, dockerfile: &str) -> (Result<String, Error>, Vec<String>) {
    let lines = Mutex::new(Vec::new());
    let progress = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let context = stream::iter([Ok(context(dockerfile))]).boxed();
    let built = engine.docker().build(request, context, &progress).await;
    (built.map(|it| it.id), lines.into_inner().unwrap())
}

fn request(engine: &TestEngine, buildkit: bool) -> Build {
    Build {
        dockerfile: "Dockerfile".to_owned(),
        reference: format!("{}:1", engine.name()),
        arguments: BTreeMap::from([("COLOR".to_owned(), "red $x \"y\"".to_owned())]),
        labels: engine.labels(),
        buildkit,
        ..Build::default()
    }
}

/// What only this test has made, containers and images without a name included.
fn left_behind(marker: &str) -> String {
    let list = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let containers = list(&["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Command}}"]);
    let images = list(&["images", "--all", "--quiet", "--filter", &format!("label=made-by={marker}")]);
    let containers = containers.lines().filter(|it| it.contains(marker)).collect::<Vec<_>>().join("\n");
    format!("{containers}{images}")
}

async fn an_image_is_built(buildkit: bool) {
    let engine = TestEngine::new("scs-build").await;
    // Its own name in it, or a second run of the test would find the step in the builder's cache.
    let dockerfile = format!(
        "FROM scratch AS first\nENV MARK={0}\nARG COLOR\nCOPY scs-helper /scs-helper\nENV COLOR=$COLOR\n\
         RUN [\"/scs-helper\", \"play\", \"out=built {0}\", \"env=COLOR\"]\nFROM first\nENV LATE=1\n",
        engine.name()
    );
    let dockerfile = dockerfile.as_str();
    let wanted = Build { target: Some("first".to_owned()), ..request(&engine, buildkit) };
    let (built, lines) = build(&engine, &wanted, dockerfile).await;
    let id = built.unwrap();
    let said = format!("built {}", engine.name());
    assert!(lines.contains(&said) && lines.iter().any(|it| it == "red $x \"y\""), "{lines:#?}");
    let found = engine.docker().image(&wanted.reference).await.unwrap().unwrap();
    assert_eq!((found.id, found.labels), (id, engine.labels()));
}

#[tokio::test]
async fn an_image_is_built_by_the_engine() {
    an_image_is_built(false).await;
}

#[tokio::test]
async fn an_image_is_built_by_buildkit() {
    an_image_is_built(true).await;
}

async fn a_failed_build_names_the_step(buildkit: bool) {
    let engine = TestEngine::new("scs-build").await;
    let marker = engine.name().to_owned();
    let dockerfile = format!(
        "FROM scratch\nLABEL made-by={marker}\nCOPY scs-helper /scs-helper\nENV B=2\n\
         RUN [\"/scs-helper\", \"play\", \"out={marker} one\", \"err=two\", \"exit=3\"]\nENV C=3\n"
    );
    let (built, _) = build(&engine, &request(&engine, buildkit), &dockerfile).await;
    match built.expect_err("it cannot be built") {
        Error::Build { step, message, mut output } => {
            assert!(step.starts_with("RUN [\"/scs-helper\""), "{step}");
            assert!(message.contains('3'), "{message}");
            // Both streams come in any order.
            output.sort();
            assert_eq!(output, [format!("{marker} one"), "two".to_owned()]);
        }
        other => panic!("{other:?}"),
    }
    // Where another build runs in this process, it is cleaned up after that.
    wait_for("nothing to be left", Duration::from_secs(60), async || match left_behind(&marker) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
}

#[tokio::test]
async fn a_failed_build_of_the_engine_names_the_step_and_leaves_nothing() {
    a_failed_build_names_the_step(false).await;
}

#[tokio::test]
async fn a_failed_build_of_buildkit_names_the_step_and_leaves_nothing() {
    a_failed_build_names_the_step(true).await;
}

#[tokio::test]
async fn a_failed_build_keeps_the_steps_that_another_one_uses() {
    let engine = TestEngine::new("scs-build").await;
    let shared = format!("FROM scratch\nENV MARK={}\nCOPY scs-helper /scs-helper\n", engine.name());
    let (first, _) = build(&engine, &request(&engine, false), &shared).await;
    let first = first.unwrap();
    let failing = format!("{shared}RUN [\"/scs-helper\", \"play\", \"exit=1\"]\n");
    let other = Build { reference: format!("{}:2", engine.name()), labels: Labels::new(), ..request(&engine, false) };
    let (second, _) = build(&engine, &other, &failing).await;
    assert!(matches!(second, Err(Error::Build { .. })), "{second:?}");
    assert!(engine.docker().image(&first).await.unwrap().is_some());
}

#[tokio::test]
async fn a_broken_dockerfile_says_so() {
    let engine = TestEngine::new("scs-build").await;
    let (built, _) = build(&engine, &request(&engine, false), "FROM scratch\nNONSENSE here\n").await;
    match built.expect_err("it cannot be built") {
        Error::Build { step, message, .. } => {
            assert!(step == "Dockerfile" && message.contains("NONSENSE"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_context_that_cannot_be_read_is_not_the_engines_fault() {
    let engine = TestEngine::new("scs-build").await;
    let broken = stream::iter([Ok(Bytes::from_static(&[0; 512])), Err(std::io::Error::other("the disk is gone"))]);
    let built = engine.docker().build(&request(&engine, false), broken.boxed(), &|_: &str| {}).await;
    match built.expect_err("it cannot be built") {
        Error::Refused { message, .. } => assert_eq!(message, "the disk is gone"),
        other => panic!("{other:?}"),
    }
}
