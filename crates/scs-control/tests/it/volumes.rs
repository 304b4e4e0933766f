//! Volumes: granted, known, kept, moved by nobody, deleted on their own command alone.

use crate::world::{Plane, World, all, blog, caller, role, until, words};
use futures_util::{StreamExt, stream};
use scs_api::deploy::RoleRequest;
use scs_api::error::Code;
use scs_control::RoleAction;
use serde_json::json;

const DATA: &str = "dev/blog/mysql/data";

#[tokio::test]
async fn a_volume_is_new_once_and_known_from_then_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let granted = |at: usize| {
        let model = plane.world.model();
        let grant = model
            .assigned
            .get(at)
            .map(|it| it.assignments.iter().find(|it| it.slot.role == "mysql").map(|it| it.volumes["data"]));
        grant.flatten()
    };
    let first = (0..).find_map(granted).expect("granted");
    assert_eq!((first.known, first.epoch), (false, 1));
    until("it is known", || {
        let assigned = plane.world.assigned();
        if assigned.assignments.iter().any(|it| it.volumes.get("data").is_some_and(|it| it.known)) {
            Ok(())
        } else {
            Err(assigned)
        }
    })
    .await;
    plane.down("dev", "blog").await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let assigned = plane.world.assigned();
    assert!(assigned.assignments.iter().all(|it| it.volumes.values().all(|it| it.known && it.epoch == 1)));
}

#[tokio::test]
async fn another_method_for_a_known_volume_is_refused_before_anything_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    until("it is known", || {
        let assigned = plane.world.assigned();
        if assigned.assignments.iter().any(|it| it.volumes.values().any(|it| it.known)) {
            Ok(())
        } else {
            Err(assigned)
        }
    })
    .await;
    let mut moved = blog("dev", 1);
    moved.roles["mysql"].volumes["data"].method = "docker".to_owned();
    moved.roles["mysql"].spec_digest = "other".to_owned();
    let revision = plane.world.assigned().revision;
    let refused = plane.up(&moved).await.expect_err("refused by the plan already");
    assert_eq!(refused.code, Code::Conflict);
    assert_eq!(refused.message, format!("volume {DATA} was made by method local, not docker"));
    let request = crate::world::up(&moved, 1);
    let refused = plane.handle.up("dev", "blog", request).await.err().expect("refused");
    assert!(refused.hint.expect("a hint").contains("no data was touched"));
    assert_eq!(plane.world.assigned().revision, revision);
}

#[tokio::test]
async fn a_volume_is_deleted_only_when_nobody_wants_or_uses_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    assert_eq!(plane.handle.remove_volume(DATA).await.expect_err("refused").code, Code::Conflict);
    let listed = plane.handle.volumes().await.expect("listed").value;
    assert_eq!((listed[0].id.as_str(), listed[0].in_use), (DATA, true));
    assert_eq!(listed[0].place.as_deref(), Some("/volumes/data"));

    plane.down("dev", "blog").await;
    assert_eq!(plane.handle.volumes().await.expect("listed").value.len(), 1, "data stays");
    plane.handle.remove_volume(DATA).await.expect("removed");
    assert_eq!(plane.world.model().removed_volumes, [DATA]);
    assert!(plane.handle.volumes().await.expect("listed").value.is_empty());
    assert_eq!(plane.handle.remove_volume(DATA).await.expect_err("gone").code, Code::NotFound);
}

#[tokio::test]
async fn a_volume_of_a_role_that_is_gone_may_be_deleted_while_its_service_is_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let mut other = blog("dev", 1);
    other.roles.shift_remove("mysql");
    plane.up(&other).await.expect("accepted");
    plane.handle.remove_volume(DATA).await.expect("removed");
}

#[tokio::test]
async fn content_is_copied_out_any_time_and_in_while_nobody_writes() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let exported: Vec<_> = plane.handle.export_volume(DATA).await.expect("a stream").collect().await;
    assert_eq!(exported[0].as_ref().expect("whole").as_ref(), format!("content of {DATA}").as_bytes());
    let tar = || stream::iter([Ok(b"tar".as_slice().into())]).boxed();
    assert_eq!(plane.handle.import_volume(DATA, tar()).await.expect_err("refused").code, Code::Conflict);
    let request = RoleRequest { index: None, caller: caller() };
    all(plane.handle.role("dev", "blog", "mysql", RoleAction::Stop, request).await.expect("accepted")).await;
    plane.handle.import_volume(DATA, tar()).await.expect("written");
    assert_eq!(plane.world.model().imported, b"tar");
}

#[tokio::test]
async fn instances_share_a_shared_volume_and_have_no_permit() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    let mut site = blog("dev", 1);
    let uploads = json!({"path": "/u", "access": "shared", "owner": null, "mode": null, "method": "local"});
    site.roles["wordpress"] = role("wordpress", &json!({"replicas": 2, "volumes": {"uploads": uploads}}));
    let events = plane.up(&site).await.expect("accepted");
    assert_eq!(words(&events), ["mysql running", "wordpress running", "wordpress running", "done at 1"]);
    let assigned = plane.world.assigned();
    let grants: Vec<_> = assigned.assignments.iter().filter_map(|it| it.volumes.get("uploads")).collect();
    assert_eq!((grants.len(), grants[0].epoch), (2, 0));
    let ids: Vec<String> = plane.handle.volumes().await.expect("listed").value.into_iter().map(|it| it.id).collect();
    assert_eq!(ids, [DATA, "dev/blog/wordpress/uploads"]);
}
