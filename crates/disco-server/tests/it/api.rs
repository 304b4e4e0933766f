//! Every route answers as the OpenAPI document says.

use std::collections::BTreeSet;

use scs_pki::{Kind, Live};
use serde_json::Value;

use crate::support::{Client, World, get, get_tls, options, start};

/// What is asked of each route, and the status that is to come.
const ASKED: &[(&str, &str, u16)] = &[
    ("/healthz", "/healthz", 200),
    ("/readyz", "/readyz", 200),
    ("/readyz", "/readyz?complete=true", 200),
    ("/readyz", "/readyz?complete=perhaps", 400),
    ("/metrics", "/metrics", 200),
    ("/openapi.json", "/openapi.json", 200),
    ("/v1/endpoints", "/v1/endpoints", 200),
    ("/v1/endpoints", "/v1/endpoints?environment=prod&role=wordpress", 200),
    ("/v1/endpoints", "/v1/endpoints?color=red", 400),
    ("/v1/endpoints/{environment}/{service}/{role}/{endpoint}", "/v1/endpoints/prod/blog/wordpress/http", 200),
    ("/v1/endpoints/{environment}/{service}/{role}/{endpoint}", "/v1/endpoints/prod/blog/*/http", 200),
    ("/v1/endpoints/{environment}/{service}/{role}/{endpoint}", "/v1/endpoints/prod/blog/mysql/mysql", 404),
    ("/v1/endpoints/{environment}/{service}/{role}/{endpoint}", "/v1/endpoints/prod/*/wordpress/http", 400),
    ("/v1/explain", "/v1/explain?name=prod/blog/wordpress/http&prefer=zone&attributes=zone=a", 200),
    ("/v1/explain", "/v1/explain?name=prod/blog", 400),
    ("/v1/explain", "/v1/explain?name=prod/blog/wordpress/http&match=zone", 400),
    ("/v1/explain", "/v1/explain", 400),
    ("/v1/sessions", "/v1/sessions", 200),
    ("/v1/watch", "/v1/watch?color=red", 400),
];

#[tokio::test]
async fn every_route_answers_as_documented() {
    let server = start(options(None)).await;
    let mut client = Client::plain(server.address).await;
    client.open().await;
    client.provide("prod/blog/wordpress/http").await;
    let document: Value = serde_json::from_str(&get(server.http, "/openapi.json").await.2).unwrap();
    let mut asked = BTreeSet::new();
    for (route, path, wanted) in ASKED {
        asked.insert(*route);
        let (status, head, body) = get(server.http, path).await;
        assert_eq!(status, *wanted, "{path}: {body}");
        let told = &document["paths"][route]["get"]["responses"][status.to_string()];
        let (kind, content) = told["content"].as_object().and_then(|content| content.iter().next()).unwrap();
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {kind} is documented\n{head}");
        if let Some(name) = content["schema"]["$ref"].as_str() {
            let schema = &document["components"]["schemas"][name.rsplit('/').next().unwrap()];
            fits(&document, schema, &serde_json::from_str(&body).unwrap(), path);
        }
    }
    let documented: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(asked, documented, "every documented route is asked");
    let (status, _, body) = get(server.http, "/nowhere").await;
    assert!(status == 404 && body.contains("not_found"), "{body}");
}

/// Whether a value has what its schema promises, and nothing else.
fn fits(document: &Value, schema: &Value, value: &Value, path: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => &document["components"]["schemas"][name.rsplit('/').next().unwrap()],
        None => schema,
    };
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| fits(document, &schema["items"], item, path));
    }
    let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else { return };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(members.contains_key(required), "{path}: `{required}` is missing in {value}");
    }
    for (name, member) in members {
        let property = properties.get(name).unwrap_or_else(|| panic!("{path}: `{name}` is not documented"));
        fits(document, property, member, path);
    }
}

#[tokio::test]
async fn a_peer_is_shown_what_its_certificate_lets_it_see() {
    let world = World::new();
    let server = start(options(Some(world.server()))).await;
    let everything = world.issue(Kind::Host, "all", &["*/*"], &["*/*"], std::time::SystemTime::now());
    let mut client = Client::tls(server.address, Live::open(everything.clone(), None).unwrap().client()).await.unwrap();
    client.open().await;
    for name in ["prod/blog/wordpress/http", "dev/blog/wordpress/http"] {
        client.provide(name).await;
    }
    let trusted = world.authority.trusted();
    let all = crate::support::config(Some(&everything), &trusted);
    let some = crate::support::config(Some(&world.host("web1")), &trusted);
    let count = |body: &str| serde_json::from_str::<Value>(body).unwrap()["endpoints"].as_array().unwrap().len();
    assert_eq!(count(&get_tls(server.http, all.clone(), "/v1/endpoints").await.2), 2);
    assert_eq!(count(&get_tls(server.http, some.clone(), "/v1/endpoints").await.2), 1);
    for path in ["/v1/endpoints/dev/blog/wordpress/http", "/v1/explain?name=dev/blog/wordpress/http", "/v1/sessions"] {
        let (status, _, body) = get_tls(server.http, some.clone(), path).await;
        assert!(status == 403 && body.contains("\"forbidden\""), "{path}: {status} {body}");
        assert_eq!(get_tls(server.http, all.clone(), path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let server = start(options(None)).await;
    let mut client = Client::plain(server.address).await;
    client.open().await;
    client.provide("prod/blog/wordpress/http").await;
    let (_, _, text) = get(server.http, "/metrics").await;
    for line in [
        "disco_connections_total 1",
        "disco_connections_open 1",
        "disco_messages_received_total 2",
        r#"disco_endpoints{state="passing"} 1"#,
        "disco_sessions_connected 1",
        "disco_heartbeat_seconds 1.0",
        "disco_registry_complete 1",
        r#"disco_build_info{version="0"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.trim_end().ends_with("# EOF"));
    let bare = text.lines().filter(|line| line.starts_with("# HELP")).any(|line| line.split(' ').count() < 4);
    assert!(!bare, "every metric has a help text\n{text}");
}
