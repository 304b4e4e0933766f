//! Files that are no manifests, and keys and values that mean nothing.

use crate::support::{DEPLOYMENT, World};
use scs_manifest::{File, image, load};

fn shown(text: &str) -> String {
    World::new(text).found()
}

/// A deployment of one finished image, with further lines of its role.
fn role(lines: &str) -> String {
    format!("version: 1\nservice: s\ncontainers:\n  web:\n    image: nginx:1\n{lines}")
}

#[test]
fn unknown_keys_are_reported_all_at_once_with_suggestions() {
    let text = "version: 1\nservice: s\ncontainer: {}\ncontainers:\n  web:\n    image: nginx:1\n    volumes: {}\n    enviroment: {}\n    frobnicate: 1\n";
    insta::assert_snapshot!(shown(text));
}

#[test]
fn keys_starting_with_x_are_free() {
    assert_eq!(
        shown("version: 1\nx-note: [anything]\nservice: s\ncontainers:\n  web: { image: nginx:1, x-owner: me }\n"),
        ""
    );
}

#[test]
fn wrong_types_are_reported_all_at_once() {
    let lines = "    replicas: two\n    restart: sometimes\n    stop_grace_period: 30\n    command: nginx -g daemon\n    \
                 resources: { memory: 256, cpus: many }\n    environment: [A, B]\n    place: h1\n    network: host\n";
    insta::assert_snapshot!(shown(&role(lines)));
}

#[test]
fn a_duplicate_key_points_at_both() {
    insta::assert_snapshot!(shown(&role("    replicas: 1\n    restart: never\n    replicas: 2\n")));
}

#[test]
fn a_tab_is_told_from_a_space() {
    insta::assert_snapshot!(shown("version: 1\nservice: s\ncontainers:\n\tweb: nginx\n"));
}

#[test]
fn a_template_without_quotes_is_explained() {
    insta::assert_snapshot!(shown(&role("    environment:\n      SITE: {{ provide.http.address }}\n")));
}

#[test]
fn an_empty_file_says_so() {
    insta::assert_snapshot!(shown(""));
}

#[test]
fn a_file_of_comments_says_what_is_missing() {
    insta::assert_snapshot!(shown("# nothing yet\n"));
}

#[test]
fn a_manifest_that_is_a_list_says_what_it_should_be() {
    insta::assert_snapshot!(shown("- version: 1\n"));
}

#[test]
fn what_is_missing_at_the_top_is_named() {
    insta::assert_snapshot!(shown("services: {}\n"));
}

#[test]
fn a_version_of_the_future_is_refused() {
    insta::assert_snapshot!(shown("version: 2\nservice: s\ncontainers: { web: { image: nginx:1 } }\n"));
}

#[test]
fn a_second_document_is_refused() {
    insta::assert_snapshot!(shown(&format!("{DEPLOYMENT}---\nversion: 1\n")));
}

#[test]
fn an_alias_bomb_ends_early() {
    let mut text = "version: 1\nx-a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, below) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
        let ten = vec![format!("*{below}"); 10].join(", ");
        text.push_str(&format!("x-{name}: &{name} [{ten}]\n"));
    }
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn an_alias_of_itself_is_refused() {
    insta::assert_snapshot!(shown("version: 1\nx-a: &a [1, *a]\n"));
}

#[test]
fn a_file_of_a_hundred_megabytes_is_not_read() {
    let mut text = String::with_capacity(100 << 20);
    while text.len() < 100 << 20 {
        text.push_str("# one hundred megabytes of comments\n");
    }
    let found = load(&[File::new("big.yaml", text)]).expect_err("too large");
    insta::assert_snapshot!(found[0].to_string());
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("version: 1\nx-deep: {}{}\n", "[".repeat(500), "]".repeat(500));
    let found = load(&[File::new("deep.yaml", deep)]).expect_err("too deep");
    insta::assert_snapshot!(found[0].to_string());
}

#[test]
fn block_nesting_is_bounded() {
    let mut deep = String::from("version: 1\n");
    for depth in 0..500 {
        deep.push_str(&format!("{}a:\n", " ".repeat(depth)));
    }
    let found = load(&[File::new("deep.yaml", deep)]).expect_err("too deep");
    insta::assert_snapshot!(found[0].to_string());
}

#[test]
fn names_that_are_no_dns_labels_are_refused() {
    let text = "version: 1\nservice: My_Service\ncontainers:\n  Web_1: { image: nginx:1 }\n  ok: { image: nginx:1 }\n";
    insta::assert_snapshot!(shown(text));
}

#[test]
fn an_environment_that_is_no_dns_label_is_refused() {
    let world = World { environment: "Prod!", ..World::new(DEPLOYMENT) };
    insta::assert_snapshot!(world.found());
}

#[test]
fn ports_out_of_range_are_refused() {
    let lines = "    manifest:\n      provide:\n        a: { port: 0 }\n        b: { port: 65536 }\n        c: { port: \"80\" }\n        d: {}\n    \
                 provide: { a: { publish: { port: 99999, address: localhost } } }\n";
    insta::assert_snapshot!(shown(&role(lines)));
}

#[test]
fn an_overlay_for_a_role_that_is_not_there_is_refused_unless_it_gives_an_image() {
    let overlay = "version: 1\ncontainers:\n  wordpres: { replicas: 2 }\n  extra: { image: redis:7 }\n";
    insta::assert_snapshot!(World::new(DEPLOYMENT).overlay("deployment.prod.yaml", overlay).found());
}

#[test]
fn errors_in_an_overlay_point_into_the_overlay() {
    let overlay = "version: 1\ncontainers:\n  wordpress: { replicas: lots }\n";
    insta::assert_snapshot!(World::new(DEPLOYMENT).overlay("deployment.prod.yaml", overlay).found());
}

#[test]
fn an_empty_overlay_says_so() {
    insta::assert_snapshot!(World::new(DEPLOYMENT).overlay("deployment.prod.yaml", "").found());
}

#[test]
fn an_image_manifest_alone_is_checked_too() {
    let text = "version: 1\nprovide:\n  http: { prot: 80, health: { http: health, interval: 0s, unhealthy: 0 } }\n";
    let file = File::new("image.yaml", text);
    let found = image::parse(&file).expect_err("full of errors");
    insta::assert_snapshot!(scs_manifest::render(&found, &[file], false));
}

#[test]
fn findings_are_serialized_with_their_places() {
    let found = World::new(&role("    replicas: two\n")).compile().expect_err("no number");
    insta::assert_snapshot!(serde_json::to_string_pretty(&found).expect("JSON"));
}

#[test]
fn color_is_used_only_when_asked_for() {
    let world = World::new(&role("    replicas: two\n"));
    let found = world.compile().expect_err("no number");
    assert!(scs_manifest::render(&found, &world.files(), true).contains('\u{1b}'));
    assert!(!scs_manifest::render(&found, &world.files(), false).contains('\u{1b}'));
}

#[test]
fn a_megabyte_of_errors_is_answered_in_time_with_the_first_hundred() {
    let mut text = "version: 1\nservice: s\ncontainers: { web: { image: nginx:1 } }\n".to_owned();
    while text.len() < 900_000 {
        text.push_str(&format!("key-{}: unknown\n", text.len()));
    }
    let world = World::new(&text);
    let found = world.compile().expect_err("full of errors");
    assert_eq!(found.len(), 100);
    assert!(found[99].help.is_some());
    // Many errors in one line of a megabyte.
    let keys: Vec<String> = (0..60_000).map(|n| format!("key-{n}: 1")).collect();
    let found = World::new(&format!("{{{}}}", keys.join(", "))).found();
    assert!(found.len() < 100_000, "{}", found.len());
}
