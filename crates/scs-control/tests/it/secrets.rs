//! Secrets: generated once, given by the caller, rotated into running containers, never shown.

use crate::world::{Plane, World, all, blog, up, words};
use scs_api::deploy::Caller;
use scs_api::deploy::UpRequest;
use scs_api::error::Code;
use scs_api::secret::{RotateSecret, SecretValue, SetSecret};
use scs_manifest::compiled::{Deployment, SecretSource};

fn value(plane: &Plane) -> String {
    plane.world.assigned().assignments[0].secrets["db"].expose().to_owned()
}

fn set(value: &str) -> SetSecret {
    SetSecret { value: SecretValue::new(value.to_owned()), caller: Caller::default() }
}

fn from_file() -> Deployment {
    let mut blog = blog("dev", 1);
    blog.secrets["db"] = SecretSource::File("db.txt".to_owned());
    blog
}

#[tokio::test]
async fn a_generated_secret_is_generated_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let first = value(&plane);
    plane.up(&blog("dev", 2)).await.expect("accepted");
    plane.down("dev", "blog").await;
    plane.up(&blog("dev", 3)).await.expect("accepted");
    assert_eq!((value(&plane), first.len()), (first, 32));
    let secrets = plane.handle.secrets("dev", "blog").await.expect("listed");
    assert_eq!(secrets[0].used_by, ["mysql:ROOT_PASSWORD", "wordpress:DB_PASSWORD"]);
    assert_eq!((secrets[0].name.as_str(), secrets[0].source.as_str()), ("db", "generated"));
}

#[tokio::test]
async fn a_rotated_secret_is_applied_in_the_running_containers() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let (old, started) = (value(&plane), plane.world.model().started);
    let events =
        all(plane.handle.rotate_secret("dev", "blog", "db", RotateSecret::default()).await.expect("accepted")).await;
    assert_eq!(words(&events), ["mysql live-updated", "wordpress live-updated", "done at 1"]);
    assert_ne!(value(&plane), old);
    assert_eq!(plane.world.model().started, started, "no container was restarted");

    let events = all(plane.handle.set_secret("dev", "blog", "db", set("chosen")).await.expect("accepted")).await;
    assert_eq!(words(&events).last().expect("an end"), "done at 1");
    assert_eq!(value(&plane), "chosen");
    assert_eq!(plane.handle.secrets("dev", "blog").await.expect("listed")[0].source, "set by hand");
    let refused = plane.handle.set_secret("dev", "blog", "nobody", set("x")).await.err().expect("refused");
    assert_eq!(refused.code, Code::NotFound);
}

#[tokio::test]
async fn a_secret_of_the_caller_has_to_be_given_once_and_a_new_value_is_applied() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    let refused = plane.up(&from_file()).await.expect_err("refused");
    assert_eq!(refused.message, "secret db comes from file db.txt, and no value was given");
    assert!(plane.handle.services().borrow().is_empty(), "nothing was changed");

    let give = async |value: &str, base_revision| {
        let secrets = [("db".to_owned(), SecretValue::new(value.to_owned()))].into();
        let request = UpRequest { secrets, ..up(&from_file(), base_revision) };
        words(&all(plane.handle.up("dev", "blog", request).await.expect("accepted")).await)
    };
    assert_eq!(give("one", 0).await.last().expect("an end"), "done at 1");
    assert_eq!(give("one", 1).await, ["mysql unchanged", "wordpress unchanged", "done at 1"]);
    assert_eq!(give("two", 1).await, ["mysql live-updated", "wordpress live-updated", "done at 1"]);
    assert_eq!(value(&plane), "two");
    assert_eq!(words(&plane.up(&from_file()).await.expect("kept")).last().expect("an end"), "done at 1");

    all(plane.handle.set_secret("dev", "blog", "db", set("by hand")).await.expect("accepted")).await;
    assert!(give("two", 1).await[0].contains("was set by hand"));
    let refused =
        plane.handle.rotate_secret("dev", "blog", "db", RotateSecret::default()).await.err().expect("refused");
    assert_eq!(refused.code, Code::Conflict);
}

#[tokio::test]
async fn no_answer_and_no_debug_form_shows_a_value() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let password = value(&plane);
    let answers = [
        format!("{:?}", plane.handle),
        format!("{:?}", plane.world.assigned()),
        serde_json::to_string(&plane.handle.secrets("dev", "blog").await.expect("listed")).expect("serialisable"),
        serde_json::to_string(&plane.handle.instances(&scs_control::InstanceQuery::default())).expect("serialisable"),
        serde_json::to_string(&plane.handle.history("dev", "blog").await.expect("listed")).expect("serialisable"),
    ];
    for answer in answers {
        assert!(!answer.contains(&password), "{answer}");
    }
}

#[tokio::test]
async fn a_secret_of_a_service_from_another_directory_is_changed_only_where_that_is_meant() {
    let directory = tempfile::tempdir().expect("a directory");
    let plane = Plane::start(directory.path(), &World::new()).await;
    plane.up(&blog("dev", 1)).await.expect("accepted");
    let mut caller = Caller { origin: Some("/elsewhere".into()), ..Caller::default() };
    let refused = plane.handle.rotate_secret("dev", "blog", "db", RotateSecret { caller: caller.clone() }).await;
    let refused = refused.err().expect("refused");
    assert!(refused.message.contains("/elsewhere") && refused.hint.is_some(), "{refused:?}");
    caller.take_over = true;
    all(plane.handle.rotate_secret("dev", "blog", "db", RotateSecret { caller }).await.expect("accepted")).await;
}
