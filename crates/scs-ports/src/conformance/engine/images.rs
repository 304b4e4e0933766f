//! Images.
#![expect(missing_docs, reason = "named by what they show")]

use super::{World, done, soon};
use crate::engine::{Commit, Error, Image};
use futures_util::{StreamExt, stream};

/// An image of the test's own.
async fn import(world: &World, what: &str) -> Image {
    let rootfs = stream::iter([Ok(world.rootfs.clone())]).boxed();
    let reference = format!("{}:1", world.named(what));
    done("import", soon("an import", world.engine.import(&reference, rootfs, &world.labels)).await)
}

async fn remove(world: &World, reference: &str) {
    done("removal", soon("an image's removal", world.engine.remove_image(reference)).await);
}

pub async fn an_image_is_found_by_name_id_and_label(world: &World) {
    let made = import(world, "image").await;
    for reference in [&made.id, &format!("{}:1", world.named("image"))] {
        let found = done("image", world.engine.image(reference).await);
        assert_eq!(found.map(|it| it.id), Some(made.id.clone()), "{reference}");
    }
    assert_eq!(done("image", world.engine.image(&world.named("nothing")).await), None);
    let listed = done("images", world.engine.images(&world.labels).await);
    assert_eq!(listed.iter().map(|it| &it.id).collect::<Vec<_>>(), [&made.id]);
    assert_eq!(listed[0].references, made.references);
    remove(world, &made.id).await;
}

pub async fn an_imported_image_carries_its_labels(world: &World) {
    let mut wanted = world.labels.clone();
    wanted.insert("odd".to_owned(), r#"{"a": "$HOME \"x\" 'y'"}"#.to_owned());
    let rootfs = stream::iter([Ok(world.rootfs.clone())]).boxed();
    let made = done("import", world.engine.import(&world.named("image"), rootfs, &wanted).await);
    assert_eq!(made.labels, wanted);
    assert!(made.size > 0);
    assert_eq!(made.references, [format!("{}:latest", world.named("image"))]);
    remove(world, &made.id).await;
}

pub async fn a_second_name_is_given_and_taken_away(world: &World) {
    let made = import(world, "image").await;
    let second = format!("{}:2", world.named("image"));
    done("tag", world.engine.tag(&made.id, &second).await);
    assert_eq!(done("image", world.engine.image(&second).await).map(|it| it.id), Some(made.id.clone()));
    remove(world, &second).await;
    assert_eq!(done("image", world.engine.image(&second).await), None);
    assert!(done("image", world.engine.image(&made.id).await).is_some(), "only the name is gone");
    for _ in 0..2 {
        remove(world, &format!("{}:1", world.named("image"))).await;
    }
    assert_eq!(done("image", world.engine.image(&made.id).await), None, "with its last name it goes");
    let missing = world.engine.tag(&world.named("nothing"), &second).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
}

pub async fn a_saved_image_can_be_loaded_again(world: &World) {
    let made = import(world, "image").await;
    let reference = format!("{}:1", world.named("image"));
    let saved = done("save", world.engine.save(&reference).await);
    let parts: Vec<_> = soon("the saved image", saved.collect()).await;
    remove(world, &made.id).await;
    done("load", soon("a load", world.engine.load(stream::iter(parts).boxed())).await);
    let loaded = done("image", world.engine.image(&reference).await).expect("it is back under its name");
    assert_eq!((&loaded.id, &loaded.labels), (&made.id, &made.labels));
    remove(world, &made.id).await;
    let missing = world.engine.save(&world.named("nothing")).await.map(|_| ());
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
}

pub async fn an_image_in_use_is_not_removed(world: &World) {
    let made = import(world, "image").await;
    let mut request = world.container("one", &["play"]);
    request.image.clone_from(&made.id);
    let id = world.create(&request).await;
    let refused = world.engine.remove_image(&made.id).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    world.remove(&id).await;
    remove(world, &made.id).await;
}

pub async fn an_image_of_a_container_carries_none_of_its_labels(world: &World) {
    let mut request = world.container("one", &["play"]);
    request.labels.insert("only-the-containers".to_owned(), "x".to_owned());
    let id = world.run(&request).await;
    done("wait", soon("the container's end", world.engine.wait(&id)).await);
    let mut labels = world.labels.clone();
    labels.insert("only-the-images".to_owned(), "y".to_owned());
    let commit = Commit { reference: format!("{}:1", world.named("image")), labels, ..Commit::default() };
    let made = done("commit", soon("a commit", world.engine.commit(&id, &commit)).await);
    assert_eq!(made.references, std::slice::from_ref(&commit.reference));
    assert_eq!(made.labels.get("only-the-images").map(String::as_str), Some("y"));
    assert_eq!(made.labels.get("only-the-containers"), None);
    let missing = world.engine.commit(&world.named("nobody"), &commit).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    world.remove(&id).await;
    remove(world, &commit.reference).await;
}

pub async fn an_image_nobody_has_cannot_be_pulled(world: &World) {
    // Port 1 of this machine is no registry: the test asks nobody outside.
    let reference = "127.0.0.1:1/scs/nothing:1";
    let pulled = soon("a pull", world.engine.pull(reference, &|_: &str| {})).await;
    assert!(matches!(pulled, Err(Error::NotFound { .. } | Error::Refused { .. })), "{pulled:?}");
}
