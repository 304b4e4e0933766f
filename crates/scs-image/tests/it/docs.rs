//! The examples of `docs/images.md` build.

use super::world::{BASE, World};
use scs_image::Origin;
use scs_manifest::compiled::{Base, Configurator};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../../docs/images.md");

/// The first block of a language that holds these words.
fn block(language: &str, words: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let mut blocks = PAGE.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains(words)).unwrap_or_else(|| panic!("no {language} with {words}"))
}

#[tokio::test]
async fn the_shell_example_builds() {
    let world = World::new().await;
    let configurator = Configurator::Shell { scripts: vec!["configure.sh".to_owned()] };
    let files = [("configure.sh", block("sh", "apt-get")), ("files/style.css", "h1 {}\n")];
    let image = world.image(configurator, json!({"greeting": "Hello"}), &files);
    let built = world.ensure(&image).await.unwrap_or_else(|error| panic!("{error}: {:#?}", error.output()));
    assert_eq!(built.origin, Origin::Built);
    assert!(world.output(&built.image_id, Some("cat /var/www/html/index.html")).await.contains("<h1>Hello</h1>"));
}

#[tokio::test]
async fn the_puppet_example_builds() {
    let world = World::new().await;
    let Value::Object(resources) = json!({"site": {"example.org": {"root": "/srv/example"}}}) else {
        unreachable!("it is an object")
    };
    let parameters = json!({"worker_processes": 2, "greeting": "it's 100% \"fine\""});
    let files = [
        ("puppet/scs/manifests/init.pp", block("puppet", "class scs (")),
        ("puppet/scs/manifests/site.pp", block("puppet", "define scs::site")),
    ];
    let image = world.image(Configurator::Puppet { resources }, parameters, &files);
    let built = world.ensure(&image).await.unwrap_or_else(|error| panic!("{error}: {:#?}", error.output()));
    let shown = world.output(&built.image_id, Some("cat /var/www/html/index.html /etc/nginx/conf.d/*")).await;
    assert_eq!(shown, "it's 100% \"fine\"server { server_name example.org; root /srv/example; }\n");
}

#[tokio::test]
async fn the_dockerfile_example_builds() {
    let world = World::new().await;
    let dockerfile = block("dockerfile", "FROM").replace("debian:bookworm-slim", BASE);
    let configurator = Configurator::Dockerfile { file: "Dockerfile".to_owned(), target: Some("runtime".to_owned()) };
    let files = [("Dockerfile", dockerfile.as_str()), ("start", "#!/bin/sh\nexec cat /greeting\n")];
    let mut image = world.image(configurator, json!({"GREETING": "hello"}), &files);
    image.base = Base::None;
    let built = world.ensure(&image).await.unwrap_or_else(|error| panic!("{error}: {:#?}", error.output()));
    assert_eq!(world.output(&built.image_id, None).await, "hello\n");
}
