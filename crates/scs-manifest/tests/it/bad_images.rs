//! Images: what they are made of, and what of it cannot be.

use crate::support::{DEPLOYMENT, WORDPRESS, World};

const ONE: &str = "version: 1\nservice: s\ncontainers:\n  web: { image: { source: { path: images/web } } }\n";

fn shown(image: &str) -> String {
    World::new(ONE).image("images/web", image).found()
}

#[test]
fn a_source_without_a_manifest_is_named() {
    let mut world = World::new(DEPLOYMENT);
    world.images.retain(|(path, _)| *path != "images/mysql");
    insta::assert_snapshot!(world.found());
}

#[test]
fn from_is_forbidden_with_a_dockerfile() {
    insta::assert_snapshot!(shown(
        "version: 1\nengine: { docker: { from: debian:bookworm } }\nconfig: { method: dockerfile, target: run }\n"
    ));
}

#[test]
fn from_is_needed_without_a_dockerfile() {
    insta::assert_snapshot!(shown("version: 1\nconfig: { method: shell }\n"));
}

#[test]
fn a_finished_image_cannot_be_configured() {
    let text = "version: 1\nservice: s\ncontainers:\n  cache:\n    image: redis:7\n    manifest:\n      \
                engine: { docker: { from: debian:12 } }\n      config: { method: shell }\n";
    insta::assert_snapshot!(World::new(text).found());
}

#[test]
fn keys_of_another_method_are_unknown() {
    insta::assert_snapshot!(shown(
        "version: 1\nengine: { docker: { from: { debootstrap: bookworm } } }\nconfig: { method: shell, target: x, resources: {} }\n"
    ));
}

#[test]
fn everything_else_an_image_can_get_wrong() {
    insta::assert_snapshot!(shown(
        r#"version: 1
about: { name: x }
engine:
  docker:
    from: { debootstrap: Bookworm, snapshot: yesterday }
    command: supervisord -n
    entrypoint: []
    ulimits: { nofile: { soft: 10, hard: 5 }, nproc: lots }
    shm_size: 64
    cap_add: [net-admin]
    tmpfs: { run: size=1m }
    init: yes
config: { method: shell, scripts: [/etc/passwd, ../x.sh] }
provide:
  HTTP: { port: 80 }
  dns: { port: 53, protocol: udp, health: { tcp: true } }
  web: { port: 80, health: { http: /x, tcp: true } }
  off: { port: 81, health: { tcp: false } }
require:
  mysql: { liveupdate: { command: [x], signal: HUP } }
  redis: { liveupdate: { signal: KILL, on_failure: panic } }
  kafka: { liveupdate: never }
secret:
  "../x": {}
volume:
  data: { path: data, mode: 999, access: many }
  logs: {}
quiesce: { release: [x] }
logs: { path: /x }
"#
    ));
}

#[test]
fn one_wrong_image_manifest_of_two_roles_is_reported_once() {
    let text = "version: 1\nservice: s\ncontainers:\n  web: { image: { source: { path: images/web } } }\n  worker: { image: { source: { path: images/web } } }\n";
    let image = "version: 1\nengine: { docker: { from: debian:12 } }\nconfig: { method: bash }\n";
    insta::assert_snapshot!(World::new(text).image("images/web", image).found());
}

#[test]
fn a_parameter_that_is_likely_misspelled_is_a_warning() {
    let text = DEPLOYMENT.replace("http_host: blog.example", "htp_host: blog.example");
    insta::assert_snapshot!(World::new(&text).found());
}

#[test]
fn a_source_is_exactly_one_of_three() {
    let text = "version: 1\nservice: s\ncontainers:\n  a: { image: { source: { path: x, reference: y } } }\n  b: { image: { source: {} } }\n  \
                c: { image: { source: { git: { url: --upload-pack=x, path: ../.. } } } }\n  d: { image: \"not a reference\" }\n  e: {}\n";
    insta::assert_snapshot!(World::new(text).found());
}

#[test]
fn the_samples_are_fine_as_they_are() {
    assert_eq!(World::new(DEPLOYMENT).image("images/wordpress", WORDPRESS).found(), "");
}
