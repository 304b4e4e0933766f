//! Images of a Dockerfile.

use super::world::World;
use scs_image::{DIGEST_LABEL, Origin};
use scs_manifest::compiled::{Base, Configurator, Image};
use serde_json::json;

const DOCKERFILE: &str = "FROM scs-base:bookworm AS first
ARG VERSION
ARG OWN
COPY data/ /data/
RUN echo \"version $VERSION\" >/version && ls -l /data/run | cut -c1-10 >>/version
CMD [\"/bin/cat\", \"/version\"]
FROM first AS second
RUN echo second >>/version
";

fn image(world: &World, dockerfile: &str, target: Option<&str>) -> Image {
    let configurator =
        Configurator::Dockerfile { file: "docker/Dockerfile".to_owned(), target: target.map(str::to_owned) };
    let files = [("docker/Dockerfile", dockerfile), ("data/run", "#!/bin/sh\n")];
    let own = world.place.path().display().to_string();
    let mut image = world.image(configurator, json!({"VERSION": 5, "OWN": own}), &files);
    image.base = Base::None;
    image
}

#[tokio::test]
async fn parameters_are_arguments_and_the_target_is_where_it_stops() {
    let world = World::new().await;
    let first = image(&world, DOCKERFILE, Some("first"));
    let built = world.ensure(&first).await.expect("built");
    assert_eq!(built.origin, Origin::Built);
    assert_eq!(world.output(&built.image_id, None).await, "version 5\n-rwxr-xr-x\n");
    let labels = world.engine.image(&built.image_id).await.expect("asked").expect("there").labels;
    assert_eq!(labels[DIGEST_LABEL], world.digest(&first));
    let second = image(&world, DOCKERFILE, None);
    let built = world.ensure(&second).await.expect("built");
    assert_eq!(world.output(&built.image_id, None).await, "version 5\n-rwxr-xr-x\nsecond\n");
}

#[tokio::test]
async fn the_manifests_command_comes_on_top() {
    let world = World::new().await;
    let mut image = image(&world, DOCKERFILE, None);
    image.command = Some(vec!["/bin/echo".to_owned(), "$own".to_owned()]);
    let built = world.ensure(&image).await.expect("built");
    assert_eq!(world.output(&built.image_id, None).await, "$own\n");
    let digest = world.digest(&image);
    assert_eq!(world.left(&digest).await, [built.image_id], "one image and nothing else");
}

#[tokio::test]
async fn a_failing_step_is_shown_and_nothing_is_left() {
    let world = World::new().await;
    let failing = format!("{DOCKERFILE}RUN echo before && echo wrong >&2 && exit 7\n");
    let image = image(&world, &failing, None);
    let error = world.ensure(&image).await.expect_err("it fails");
    let text = error.to_string();
    assert!(text.contains("exit 7` failed"), "{text}");
    assert!(error.output().iter().any(|line| line.contains("wrong")), "{:?}", error.output());
    assert_eq!(world.left(&world.digest(&image)).await, [""; 0]);
}

#[tokio::test]
async fn a_source_without_the_dockerfile_is_named() {
    let world = World::new().await;
    let mut image = image(&world, DOCKERFILE, None);
    image.configurator = Configurator::Dockerfile { file: "Dockerfile".to_owned(), target: None };
    let error = world.ensure(&image).await.expect_err("it is elsewhere");
    assert!(error.to_string().contains("no `Dockerfile`"), "{error}");
}
