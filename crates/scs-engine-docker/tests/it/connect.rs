//! Finding the engine, and what is said when it is not there or does not answer.

use scs_engine_docker::Docker;
use scs_ports::engine::{Engine, Error};
use scs_testkit::StateDir;
use std::error::Error as _;
use std::time::Duration;
use tokio::net::UnixListener;

async fn refused(address: &str) -> Error {
    Docker::connect(Some(address)).await.expect_err("nobody is there")
}

#[tokio::test]
async fn the_api_version_is_agreed_upon() {
    let info = scs_testkit::docker().await.info().await.unwrap();
    let minor: u32 = info.api.split('.').nth(1).unwrap().parse().unwrap();
    assert!((24..=47).contains(&minor), "{info:?}");
    assert!(info.version.starts_with("Docker Engine "), "{info:?}");
}

#[tokio::test]
async fn a_socket_that_is_not_there_says_to_install_or_start_docker() {
    let state = StateDir::new();
    let error = refused(state.join("none.sock").to_str().unwrap()).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("none.sock"), "{error}");
    let hint = error.source().unwrap().to_string();
    assert!(hint.contains("installed and started"), "{hint}");
}

#[tokio::test]
async fn a_socket_nobody_listens_on_says_to_start_docker() {
    let state = StateDir::new();
    let path = state.join("left.sock");
    drop(UnixListener::bind(&path).unwrap());
    let error = refused(path.to_str().unwrap()).await;
    let hint = error.source().unwrap().to_string();
    assert!(hint.contains("is Docker started"), "{hint}");
}

#[tokio::test]
async fn an_engine_that_goes_away_in_the_middle_is_unreachable() {
    let state = StateDir::new();
    let path = state.join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let gone = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let error = refused(path.to_str().unwrap()).await;
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_retryable(), "{error:?}");
    gone.await.unwrap();
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_given_up_on() {
    // The real one, with a limit it cannot keep.
    let docker = scs_testkit::docker().await.with_limits(Duration::from_nanos(1), Duration::from_nanos(1));
    match docker.info().await {
        Err(Error::TimedOut { action, .. }) => assert_eq!(action, "say who it is"),
        other => panic!("{other:?}"),
    }
}
