//! The suite of the network port.

use crate::engine::Labels;
use crate::network::{Attachment, Error, NetworkProvisioner, NetworkRequest, ProvidedPort};
use scs_manifest::compiled::Protocol;
use serde_json::{Map, Value};

/// Makes a test of each function here, over a new method from `$setup`: an async function that returns the method in an
/// `Arc`, and anything that is to live as long as the test.
#[macro_export]
macro_rules! network_conformance {
    ($setup:path) => {
        $crate::network_conformance!($setup;
            an_attachment_is_the_same_every_time,
            every_port_is_reached_under_the_announced_address,
            a_fixed_port_is_kept,
            releasing_is_idempotent_and_leaves_others_alone,
            an_option_that_is_not_known_is_named,
        );
    };
    ($setup:path; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (method, _guard) = $setup().await;
                $crate::conformance::network::$case(&*method).await;
            }
        )*
    };
}

fn request(instance: &str, publish_port: Option<u16>) -> NetworkRequest {
    let port =
        |container_port, protocol| ProvidedPort { container_port, protocol, publish_port, publish_address: None };
    NetworkRequest {
        instance: instance.to_owned(),
        ports: vec![port(80, Protocol::Tcp)],
        options: Map::new(),
        labels: Labels::new(),
    }
}

async fn ensure(method: &dyn NetworkProvisioner, request: &NetworkRequest) -> Attachment {
    method.ensure(request).await.unwrap_or_else(|error| panic!("{request:?}: {error:?}"))
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn an_attachment_is_the_same_every_time(method: &dyn NetworkProvisioner) {
    let request = request("one", None);
    let first = ensure(method, &request).await;
    assert_eq!(ensure(method, &request).await, first);
    assert!(!first.network.is_empty());
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn every_port_is_reached_under_the_announced_address(method: &dyn NetworkProvisioner) {
    let made = ensure(method, &request("one", None)).await;
    assert!(!made.announce.is_unspecified(), "nobody can connect to {}", made.announce);
    // A network of the host's own binds nothing: there the container's port is the announced one.
    let bound = made.ports.iter().any(|it| it.host_address == made.announce || it.host_address.is_unspecified());
    assert!(bound || made.network == "host", "{made:?}");
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_fixed_port_is_kept(method: &dyn NetworkProvisioner) {
    // The container's own number, which every method can give.
    let made = ensure(method, &request("one", Some(80))).await;
    assert!(made.ports.iter().all(|it| it.host_port == 80), "{made:?}");
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn releasing_is_idempotent_and_leaves_others_alone(method: &dyn NetworkProvisioner) {
    let (one, two) = (request("one", None), request("two", None));
    ensure(method, &one).await;
    let second = ensure(method, &two).await;
    for _ in 0..2 {
        method.release("one").await.expect("releasing is idempotent");
    }
    assert_eq!(ensure(method, &two).await, second);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn an_option_that_is_not_known_is_named(method: &dyn NetworkProvisioner) {
    let mut request = request("one", None);
    request.options.insert("colour".to_owned(), Value::from("blue"));
    match method.ensure(&request).await {
        Err(Error::Option { option, .. }) => assert_eq!(option, "colour"),
        other => panic!("{other:?}"),
    }
}
