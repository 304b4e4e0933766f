//! The suite of the volume port, for methods that make volumes of their own.

use crate::engine::MountSource;
use crate::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// What a volume method is tested with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Environment of the volumes, unique to the test.
    pub environment: String,
    /// Options that the method needs.
    pub options: Map<String, Value>,
    /// Root of the parent, for `sub`.
    pub parent: Option<MountSource>,
}

impl Setup {
    /// A request for a volume of this name that has not been seen before, from the installation `owner-1`.
    #[must_use]
    pub fn request(&self, name: &str) -> VolumeRequest {
        VolumeRequest {
            id: VolumeId {
                environment: self.environment.clone(),
                service: "blog".to_owned(),
                role: "web".to_owned(),
                index: 0,
                name: name.to_owned(),
            },
            known: false,
            epoch: 1,
            owner: "owner-1".to_owned(),
            options: self.options.clone(),
            parent: self.parent.clone(),
            origin: PathBuf::from("/"),
        }
    }
}

/// Makes a test of each function here, over a new method from `$setup`: an async function that returns the method
/// in an `Arc`, a [`Setup`], and anything that is to live as long as the test.
#[macro_export]
macro_rules! volume_conformance {
    ($setup:path) => {
        $crate::volume_conformance!($setup;
            a_volume_is_made_once,
            a_known_volume_that_is_missing_is_never_made_anew,
            an_epoch_that_has_passed_is_refused,
            the_highest_epoch_is_remembered,
            data_that_was_given_up_is_not_taken_for_a_fresh_volume,
            another_installation_is_kept_out,
            inspecting_changes_nothing,
            releasing_keeps_the_data,
            only_destroying_deletes,
            an_option_that_is_not_known_is_named,
            volumes_do_not_share_a_place,
            a_copy_is_nobodys_before_its_permit_comes,
            a_permit_that_was_handed_over_is_no_longer_good,
        );
    };
    ($setup:path; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (method, setup, _guard) = $setup().await;
                $crate::conformance::volume::$case(&*method, &setup).await;
            }
        )*
    };
}

async fn ensure(method: &dyn VolumeProvisioner, request: &VolumeRequest) -> Ensured {
    method.ensure(request).await.unwrap_or_else(|error| panic!("{}: {error:?}", request.id))
}

async fn refused(method: &dyn VolumeProvisioner, request: &VolumeRequest) -> Error {
    match method.ensure(request).await {
        Err(error) => error,
        Ok(ensured) => panic!("{request:?} should be refused, not {ensured:?}"),
    }
}

async fn inspect(method: &dyn VolumeProvisioner, id: &VolumeId) -> Option<Ensured> {
    method.inspect(id).await.unwrap_or_else(|error| panic!("{id}: {error:?}"))
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_volume_is_made_once(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    let first = ensure(method, &request).await;
    assert!(first.fresh);
    assert_eq!(first.epoch, 1);
    for known in [false, true] {
        let again = ensure(method, &VolumeRequest { known, ..request.clone() }).await;
        assert_eq!(again, Ensured { fresh: false, ..first.clone() });
    }
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn a_known_volume_that_is_missing_is_never_made_anew(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = VolumeRequest { known: true, ..setup.request("data") };
    let error = refused(method, &request).await;
    assert!(matches!(&error, Error::Missing { id, .. } if *id == request.id), "{error:?}");
    assert_eq!(inspect(method, &request.id).await, None);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn an_epoch_that_has_passed_is_refused(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    ensure(method, &VolumeRequest { epoch: 5, ..request.clone() }).await;
    match refused(method, &VolumeRequest { epoch: 4, known: true, ..request }).await {
        Error::StaleEpoch { seen, asked, .. } => assert_eq!((seen, asked), (5, 4)),
        other => panic!("{other:?}"),
    }
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn the_highest_epoch_is_remembered(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    for (asked, seen) in [(2, 2), (7, 7), (0, 7), (7, 7)] {
        let known = asked != 2;
        let ensured = ensure(method, &VolumeRequest { epoch: asked, known, ..request.clone() }).await;
        assert_eq!(ensured.epoch, seen, "asked with {asked}");
    }
    assert_eq!(inspect(method, &request.id).await.map(|it| it.epoch), Some(7));
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn data_that_was_given_up_is_not_taken_for_a_fresh_volume(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    ensure(method, &request).await;
    let error = refused(method, &VolumeRequest { epoch: 3, ..request.clone() }).await;
    assert!(matches!(error, Error::GivenUp { seen: 1, asked: 3, .. }), "{error}");
    let left = inspect(method, &request.id).await.expect("still there");
    assert_eq!(left.epoch, 1, "left as it was");
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn another_installation_is_kept_out(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    ensure(method, &request).await;
    let other = VolumeRequest { owner: "owner-2".to_owned(), ..request.clone() };
    let error = refused(method, &other).await;
    assert!(matches!(error, Error::Foreign { .. } | Error::Missing { .. }), "{error:?}");
    assert!(!ensure(method, &request).await.fresh);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn inspecting_changes_nothing(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    assert_eq!(inspect(method, &request.id).await, None);
    let made = ensure(method, &request).await;
    assert!(made.fresh, "looking for it has not made it");
    assert_eq!(inspect(method, &request.id).await, Some(Ensured { fresh: false, ..made }));
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn releasing_keeps_the_data(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    let made = ensure(method, &request).await;
    if let MountSource::Host(path) = &made.source
        && path.is_dir()
    {
        std::fs::write(path.join("kept"), "data").expect("a test may write to a volume");
    }
    for _ in 0..2 {
        method.release(&request.id).await.expect("releasing is idempotent");
    }
    let again = ensure(method, &VolumeRequest { known: true, ..request }).await;
    assert_eq!(again, Ensured { fresh: false, ..made });
    if let MountSource::Host(path) = &again.source
        && path.is_dir()
    {
        assert_eq!(std::fs::read_to_string(path.join("kept")).ok().as_deref(), Some("data"));
    }
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn only_destroying_deletes(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("data");
    let made = ensure(method, &request).await;
    for _ in 0..2 {
        method.destroy(&request.id).await.expect("destroying is idempotent");
    }
    if let MountSource::Host(path) = &made.source {
        assert!(!path.exists(), "{} is still there", path.display());
    }
    assert_eq!(inspect(method, &request.id).await, None);
    let error = refused(method, &VolumeRequest { known: true, ..request.clone() }).await;
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    assert!(ensure(method, &request).await.fresh);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn an_option_that_is_not_known_is_named(method: &dyn VolumeProvisioner, setup: &Setup) {
    let mut request = setup.request("data");
    request.options.insert("colour".to_owned(), Value::from("blue"));
    match refused(method, &request).await {
        Error::Option { option, .. } => assert_eq!(option, "colour"),
        other => panic!("{other:?}"),
    }
    assert_eq!(inspect(method, &request.id).await, None);
}

#[expect(missing_docs, reason = "named by what it shows")]
pub async fn volumes_do_not_share_a_place(method: &dyn VolumeProvisioner, setup: &Setup) {
    let first = ensure(method, &setup.request("data")).await;
    let second = ensure(method, &setup.request("logs")).await;
    let mut replica = setup.request("data");
    replica.id.index = 1;
    if setup.parent.is_none() {
        let third = ensure(method, &replica).await;
        assert_ne!(first.source, third.source);
    }
    assert_ne!(first.source, second.source);
}

/// What is copied into cannot be used before the permit that it is copied for.
pub async fn a_copy_is_nobodys_before_its_permit_comes(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("copied");
    let at = |epoch| VolumeRequest { epoch, known: true, ..request.clone() };
    let received = method.receive(&at(3)).await.expect("made, though it is known elsewhere");
    assert_eq!(method.receive(&at(3)).await.expect("once more").source, received.source);
    for epoch in [0, 1, 2] {
        let error = refused(method, &at(epoch)).await;
        assert!(matches!(error, Error::Receiving { until: 3, asked, .. } if asked == epoch), "{error}");
    }
    let ensured = ensure(method, &at(3)).await;
    assert_eq!((ensured.source, ensured.fresh, ensured.epoch), (received.source, false, 3));
    let error = method.receive(&at(3)).await.expect_err("it is in use");
    assert!(matches!(error, Error::StaleEpoch { seen: 3, asked: 3, .. }), "{error}");
}

/// After a permit was handed over nothing starts under it, until a later one comes back.
pub async fn a_permit_that_was_handed_over_is_no_longer_good(method: &dyn VolumeProvisioner, setup: &Setup) {
    let request = setup.request("handed-over");
    let at = |epoch| VolumeRequest { epoch, known: true, ..request.clone() };
    let made = ensure(method, &request).await;
    method.hand_over(&request.id, 1, "h2").await.expect("noted");
    method.hand_over(&request.id, 1, "h2").await.expect("once more");
    let error = refused(method, &at(1)).await;
    assert!(matches!(&error, Error::HandedOver { to, asked: 1, .. } if to == "h2"), "{error}");
    assert!(method.inspect(&request.id).await.expect("seen").is_some(), "the data stays");
    let back = method.receive(&at(3)).await.expect("brought up to date");
    assert_eq!(back.source, made.source);
    assert_eq!(ensure(method, &at(3)).await.epoch, 3);
}
