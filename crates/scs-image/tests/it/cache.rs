//! Images through a directory cache.

use super::world::World;
use scs_image::Origin;
use scs_image::cache::{Cache, DirectoryCache};
use scs_manifest::compiled::{Base, Configurator, Image};
use serde_json::json;
use std::sync::Arc;

/// As small as an image can be: a cache does not ask what is in it.
fn image(world: &World) -> Image {
    let configurator = Configurator::Dockerfile { file: "Dockerfile".to_owned(), target: None };
    let mut image = world.image(configurator, json!({}), &[("Dockerfile", "FROM scratch\nCOPY own /own\n")]);
    image.base = Base::None;
    image
}

#[tokio::test]
async fn an_image_survives_the_engine_in_a_cache_and_a_damaged_one_is_built_anew() {
    let world = World::new().await;
    let image = image(&world);
    let digest = world.digest(&image);
    let cache = Arc::new(DirectoryCache::new(world.place.path().join("cache")));
    let service = world.images(vec![Arc::clone(&cache) as Arc<dyn Cache>]);
    let ensure = async || service.ensure(&digest, &image, "blog/web", &world.lines).await.expect("there");

    let built = ensure().await;
    assert_eq!(built.origin, Origin::Built);
    assert!(cache.path(&digest).is_file());
    world.engine.remove_image(&scs_image::tag(&digest)).await.expect("removed");
    assert!(service.find(&digest).await.expect("asked").is_none());

    let loaded = ensure().await;
    assert_eq!(loaded.origin, Origin::Cache(cache.name()));
    assert_eq!(loaded.image_id, built.image_id);

    world.engine.remove_image(&scs_image::tag(&digest)).await.expect("removed");
    let mut bytes = std::fs::read(cache.path(&digest)).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(cache.path(&digest), bytes).expect("written");
    assert_eq!(ensure().await.origin, Origin::Built);
    assert!(world.lines.all().contains("warning: cache"), "{}", world.lines.all());
    assert!(world.lines.all().contains("was damaged"), "{}", world.lines.all());
    assert!(cache.get(&digest).await.expect("whole again").is_some());
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_to_costs_nothing_but_a_warning() {
    let world = World::new().await;
    let image = image(&world);
    let file = world.place.path().join("a-file");
    std::fs::write(&file, "").expect("written");
    let service = world.images(vec![Arc::new(DirectoryCache::new(&file))]);
    let built = service.ensure(&world.digest(&image), &image, "blog/web", &world.lines).await.expect("built");
    assert_eq!(built.origin, Origin::Built);
    assert!(world.lines.all().contains("warning: the image is not kept in cache"), "{}", world.lines.all());
}
