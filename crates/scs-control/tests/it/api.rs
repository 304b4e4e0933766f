//! The HTTP API over a real Unix socket.

use crate::world::{Plane, Script, World, blog, caller, origin, until, up, words};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use scs_api::agent::Phase;
use scs_api::deploy::{DownRequest, Event, PlanRequest, PlanResponse, Revision};
use scs_api::error::{Code, Problem};
use scs_api::inspect::{EndpointChange, EndpointInfo, Explanation, Instance, Version};
use scs_api::volume::VolumeInfo;
use scs_control::api::serve;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

struct Server {
    plane: Plane,
    socket: PathBuf,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    _directory: tempfile::TempDir,
}

async fn server() -> Server {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(&directory.path().join("state"), &World::new()).await;
    let socket = directory.path().join("api.sock");
    let stop = CancellationToken::new();
    let listener = UnixListener::bind(&socket).expect("bound");
    let serving = tokio::spawn(serve(listener, plane.handle.clone(), stop.clone()));
    Server { plane, socket, stop, serving, _directory: directory }
}

async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> hyper::Response<hyper::body::Incoming> {
    let stream = UnixStream::connect(socket).await.expect("connected");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "scs");
    sender.send_request(request.body(Full::new(body.into())).expect("a request")).await.expect("an answer")
}

impl Server {
    async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
        let answer = send(&self.socket, method, path, body).await;
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("a body").to_bytes())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self.ask(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {body:?}");
        serde_json::from_slice(&body).expect("as documented")
    }

    async fn post(&self, path: &str, body: &impl serde::Serialize) -> (StatusCode, Bytes) {
        self.ask(Method::POST, path, serde_json::to_vec(body).expect("serialisable")).await
    }

    async fn events(&self, path: &str, body: &impl serde::Serialize) -> Vec<Event> {
        let (status, body) = self.post(path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body:?}");
        let lines = body.split(|it| *it == b'\n').filter(|it| !it.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("an event a line")).collect()
    }

    async fn problem(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (u16, Problem) {
        let (status, body) = self.ask(method, path, body).await;
        (status.as_u16(), serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{path}: no problem: {body:?}")))
    }
}

#[tokio::test]
async fn a_service_is_planned_brought_up_looked_at_and_taken_down() {
    let server = server().await;
    let version: Version = server.get("/v1/version").await;
    assert_eq!((version.version.as_str(), version.engine.as_deref()), ("1.2.3", Some("Model 1")));
    assert!(version.services.is_empty());

    let request = PlanRequest { deployment: blog("dev", 1), origin: origin(), reset_placement: false };
    let (status, body) = server.post("/v1/services/dev/blog/plan", &request).await;
    assert_eq!(status, StatusCode::OK);
    let plan: PlanResponse = serde_json::from_slice(&body).expect("a plan");
    assert_eq!(plan.plan.steps.len(), 2);

    let events = server.events("/v1/services/dev/blog/up", &up(&blog("dev", 1), plan.plan.base_revision)).await;
    assert_eq!(words(&events), ["mysql running", "wordpress running", "done at 1"]);
    let instances: Vec<Instance> = server.get("/v1/instances?environment=dev&role=wordpress").await;
    assert_eq!((instances.len(), instances[0].report.phase), (1, Phase::Running));
    let history: Vec<Revision> = server.get("/v1/services/dev/blog/history").await;
    assert!(history[0].current && history[0].who == "test");
    let explained: Explanation = server.get("/v1/services/dev/blog/roles/wordpress/requirements/mysql").await;
    assert_eq!(explained.query, "dev/blog/mysql/mysql");
    assert_eq!((explained.told.len(), explained.applied.as_str()), (1, "the container has applied it"));

    let (_, logs) = server.ask(Method::GET, "/v1/logs?environment=dev&follow=true&tail=5", "").await;
    assert_eq!(logs.split(|it| *it == b'\n').filter(|it| !it.is_empty()).count(), 2);
    let restarted =
        server.events("/v1/services/dev/blog/roles/wordpress/restart", &json!({"index": null, "who": "x"})).await;
    assert_eq!(words(&restarted), ["wordpress running", "done at 2"]);
    let events = server.events("/v1/services/dev/blog/down", &DownRequest { caller: caller() }).await;
    assert_eq!(words(&events), ["wordpress removed", "mysql removed", "done at 3"]);
    let volumes: Vec<VolumeInfo> = server.get("/v1/volumes").await;
    assert_eq!((volumes[0].id.as_str(), volumes[0].in_use), ("dev/blog/mysql/data", false));
}

#[tokio::test]
async fn what_is_refused_is_a_problem_with_its_status() {
    let server = server().await;
    let get = async |path: &str| server.problem(Method::GET, path, "").await;
    assert_eq!(get("/v1/nothing").await.0, 404);
    assert_eq!(get("/v1/services/dev/blog/history").await.1.code, Code::NotFound);
    assert_eq!(get("/v1/services/dev/..%2Fblog/history").await.1.code, Code::BadRequest);
    assert_eq!(get("/v1/services/dev/blog/up").await.0, 400);
    assert_eq!(get("/v1/bundles/xyz").await.1.code, Code::BadRequest);
    assert_eq!(get("/v1/volumes/dev/blog/mysql/data").await.1.code, Code::NotFound);
    assert_eq!(get("/v1/instances/run-9/exec?command=%5B%22ls%22%5D").await.1.code, Code::BadRequest);
    let (status, problem) = server.problem(Method::POST, "/v1/services/dev/blog/up", "{").await;
    assert_eq!((status, problem.code), (400, Code::BadRequest));

    let stale = serde_json::to_vec(&up(&blog("dev", 1), 9)).expect("serialisable");
    let (status, problem) = server.problem(Method::POST, "/v1/services/dev/blog/up", stale).await;
    assert_eq!((status, problem.code), (409, Code::StalePlan));

    server.plane.world.script("mysql", Some(Script::Stands(Phase::Image, "building".to_owned())));
    let body = serde_json::to_vec(&up(&blog("dev", 1), 0)).expect("serialisable");
    let running = send(&server.socket, Method::POST, "/v1/services/dev/blog/up", body.clone()).await;
    assert_eq!(running.status(), StatusCode::OK, "the stream has begun");
    let (status, problem) = server.problem(Method::POST, "/v1/services/dev/blog/up", body).await;
    assert_eq!((status, problem.code), (423, Code::Locked));
}

#[tokio::test]
async fn a_request_that_is_too_large_or_holds_a_secret_is_refused_without_quoting_it() {
    let server = server().await;
    let path = "/v1/services/dev/blog/secrets/db";
    let (status, problem) = server.problem(Method::PUT, path, r#"{"value": ["hunter2"]}"#).await;
    assert_eq!(status, 400);
    let text = format!("{problem:?}");
    assert!(!text.contains("hunter2") && text.contains("line 1"), "{text}");
    // Refused before it was read to its end; a client still writing may see that first.
    let answer = send(&server.socket, Method::PUT, path, vec![b' '; 33 << 20]).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn endpoints_are_listed_resolved_and_watched() {
    let server = server().await;
    let all: Vec<EndpointInfo> = server.get("/v1/disco?environment=dev").await;
    assert_eq!(all[0].name, "dev/blog/mysql/mysql");
    assert!(server.get::<Vec<EndpointInfo>>("/v1/disco?environment=test").await.is_empty());
    let (_, body) = server.post("/v1/disco/resolve", &json!({"environment": "dev", "endpoint": "mysql"})).await;
    assert_eq!(serde_json::from_slice::<Vec<EndpointInfo>>(&body).expect("a list"), all);

    let mut watching = send(&server.socket, Method::GET, "/v1/disco/watch", "").await.into_body();
    let line = watching.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    let change: EndpointChange = serde_json::from_slice(&line).expect("a change");
    assert_eq!(change.change, "present");
    // A stream that has no end of its own does not keep the server from ending.
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), server.serving)
        .await
        .expect("ends")
        .expect("whole")
        .expect("in order");
}

#[tokio::test]
async fn bundles_go_in_and_out() {
    let server = server().await;
    let path = format!("/v1/bundles/{}", "a".repeat(64));
    assert_eq!(server.ask(Method::HEAD, &path, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(server.ask(Method::PUT, &path, vec![7; 40 << 20]).await.0, StatusCode::NO_CONTENT);
    assert_eq!(server.ask(Method::HEAD, &path, "").await.0, StatusCode::OK);
    assert_eq!(server.ask(Method::GET, &path, "").await.1.len(), 40 << 20);
}

#[tokio::test]
async fn a_command_is_carried_over_a_web_socket() {
    let server = server().await;
    server.plane.up(&blog("dev", 1)).await.expect("accepted");
    let connect = async |instance: &str| {
        let stream = UnixStream::connect(&server.socket).await.expect("connected");
        let uri = format!("ws://scs/v1/instances/{instance}/exec?command=%5B%22cat%22%5D&stdin=true");
        tokio_tungstenite::client_async(uri, stream).await
    };
    let (mut socket, _) = connect("run-1").await.expect("a web socket");
    let mut input = vec![0];
    input.extend(b"hello");
    for message in [input, vec![3, 0, 80, 0, 24], vec![4]] {
        socket.send(Message::binary(message)).await.expect("sent");
    }
    let mut received = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message {
            received.push((bytes[0], bytes[1..].to_vec()));
        }
    }
    let expected =
        [(2, b"[\"cat\"]".to_vec()), (1, b"hello".to_vec()), (1, b"80x24".to_vec()), (9, vec![0, 0, 0, 0, 0, 0, 0, 7])];
    assert_eq!(received, expected);

    let Err(tungstenite::Error::Http(refused)) = connect("run-9").await else { panic!("not refused") };
    assert_eq!(refused.status().as_u16(), 404);
    until("no request is left", || {
        let left = *server.plane.handle.activity().borrow();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test]
async fn requests_are_counted_until_their_answers_have_gone() {
    let server = server().await;
    let watching = send(&server.socket, Method::GET, "/v1/disco/watch", "").await;
    assert_eq!(*server.plane.handle.activity().borrow(), 1);
    drop(watching);
    until("it is over", || {
        let left = *server.plane.handle.activity().borrow();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    server.ask(Method::POST, "/v1/shutdown", "").await;
    tokio::time::timeout(Duration::from_secs(10), server.plane.handle.shutdown_requested())
        .await
        .expect("asked to end");
}
