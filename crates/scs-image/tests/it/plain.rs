//! Finished images, and bases that only get a command.

use super::world::{BASE, World, unique};
use scs_image::Origin;
use scs_manifest::compiled::{Base, Configurator, Image, Source};
use serde_json::json;
use std::collections::BTreeSet;

fn plain(world: &World, reference: &str) -> Image {
    let mut image = world.image(Configurator::None, json!({}), &[]);
    image.source = Source::Reference(reference.to_owned());
    image.source_digest = None;
    image.base = Base::Reference(reference.to_owned());
    image
}

#[tokio::test]
async fn a_finished_image_is_taken_as_it_is_and_found_by_digest() {
    let world = World::new().await;
    let reference = format!("scs-image-test:{}", unique());
    world.removes(&reference);
    world.engine.tag(BASE, &reference).await.expect("tagged");
    let image = plain(&world, &reference);
    let built = world.ensure(&image).await.expect("there");
    assert_eq!(built.origin, Origin::Pulled);
    assert_eq!(built.image_id, world.engine.image(BASE).await.expect("asked").expect("there").id);
    assert_eq!(world.ensure(&image).await.expect("there").origin, Origin::Found);
    let service = world.images(Vec::new());
    let pruned = service.prune(&BTreeSet::new(), &BTreeSet::new(), &world.lines).await.expect("pruned");
    assert_eq!(pruned.images, [world.digest(&image)]);
    assert!(world.engine.image(&reference).await.expect("asked").is_some(), "the user's own name stays");
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named() {
    let world = World::new().await;
    let image = plain(&world, "127.0.0.1:9/not/there:1");
    let error = world.ensure(&image).await.expect_err("nobody serves it");
    assert_eq!(error.to_string(), "cannot pull 127.0.0.1:9/not/there:1");
}

#[tokio::test]
async fn a_base_with_a_command_is_an_image_of_its_own() {
    let world = World::new().await;
    let mut image = plain(&world, BASE);
    image.command = Some(vec!["/bin/echo".to_owned(), "it's $HOME\"".to_owned(), unique()]);
    let built = world.ensure(&image).await.expect("built");
    assert_eq!(built.origin, Origin::Built);
    assert!(world.output(&built.image_id, None).await.starts_with("it's $HOME\" "));
}

#[tokio::test]
async fn an_image_for_another_platform_is_refused() {
    let world = World::new().await;
    let mut image = plain(&world, BASE);
    image.platform = "linux/s390x".to_owned();
    let error = world.ensure(&image).await.expect_err("another platform").to_string();
    assert!(error.contains("is for linux/s390x, but this engine runs linux/"), "{error}");
}
