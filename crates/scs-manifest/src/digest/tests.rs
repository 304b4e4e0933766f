//! The bytes that digests are taken over are pinned: a change here rebuilds every image of every user.

use super::{Content, SourceEntry, canonical, explain_change, image_digest, sha256_hex, source, spec_digest};
use crate::compiled::{Base, Configurator, Image, Role, Source};
use serde_json::json;

fn image() -> Image {
    let parameters = json!({"http_host": "localhost", "ports": [80, 443], "ratio": 0.5, "tls": false, "none": null});
    Image {
        title: Some("WordPress".to_owned()),
        source: Source::Path("images/wordpress".to_owned()),
        source_digest: Some(source(&[])),
        base: Base::Debootstrap { suite: "bookworm".to_owned(), snapshot: None },
        configurator: Configurator::Shell { scripts: vec!["configure.sh".to_owned()] },
        parameters: parameters.as_object().cloned().unwrap_or_default(),
        command: Some(vec!["/bin/program".to_owned()]),
        entrypoint: None,
        user: None,
        platform: "linux/amd64".to_owned(),
    }
}

fn role() -> Role {
    serde_json::from_value(json!({
        "name": "web", "image_digest": "", "spec_digest": "", "image": image(),
        "process": {"command": null, "environment": {"A": "1"}, "memory": null, "cpus": 0.5, "stop_grace_period": "10s"},
        "provide": {"http": {
            "description": "the site", "port": 80, "protocol": "tcp", "method": "disco", "publish": {"port": null, "address": null},
            "attributes": {}, "health": {"probe": "tcp", "interval": "2s", "timeout": "1s", "start": "1m", "unhealthy": 3},
        }},
        "require": {}, "secrets": {}, "volumes": {}, "network": {"method": "bridge", "options": {}},
        "quiesce": null, "logs": [], "replicas": 1, "placement": {"host": null, "match": {}, "spread": null},
        "on_host_loss": "wait", "fence": "none", "restart": "always",
    }))
    .expect("a role")
}

#[test]
fn canonical_json_sorts_keys_and_has_no_white_space() {
    let value = json!({"b": [1, 2.5, -3, 1e21, 1e-7, 2.0], "a": {"é": null, "Z": true, "\n\"": "\u{1f}é"}, "": "x"});
    assert_eq!(
        canonical(&value),
        r#"{"":"x","a":{"\n\"":"\u001fé","Z":true,"é":null},"b":[1,2.5,-3,1000000000000000000000.0,0.0000001,2.0]}"#
    );
}

#[test]
fn an_image_s_digest_is_pinned() {
    assert_eq!(image_digest(&image()), "003f882aac67f76121ec67b84048182c90bf17ee3a6e2c5502e07ff0304e95fd");
}

#[test]
fn a_role_s_digest_is_pinned() {
    assert_eq!(spec_digest(&role()), "4998971f2e9bcb3b6153a4947ed8887206a8b9c2a242a67f99b7ac67e0e3ea74");
}

#[test]
fn everything_that_changes_an_image_changes_its_digest() {
    let base = image_digest(&image());
    let changes: [fn(&mut Image); 10] = [
        |image| image.source_digest = None,
        |image| image.base = Base::Reference("debian:12".to_owned()),
        |image| image.base = Base::Debootstrap { suite: "bookworm".to_owned(), snapshot: Some("20260131".to_owned()) },
        |image| image.configurator = Configurator::None,
        |image| image.configurator = Configurator::Shell { scripts: Vec::new() },
        |image| drop(image.parameters.insert("tls".to_owned(), json!(true))),
        |image| image.command = None,
        |image| image.entrypoint = Some(Vec::new()),
        |image| image.user = Some("nobody".to_owned()),
        |image| image.platform = "linux/arm64".to_owned(),
    ];
    let mut seen = vec![base];
    for change in changes {
        let mut changed = image();
        change(&mut changed);
        let digest = image_digest(&changed);
        assert!(!seen.contains(&digest), "{changed:?}");
        seen.push(digest);
    }
}

#[test]
fn what_does_not_change_an_image_does_not_change_its_digest() {
    let base = image_digest(&image());
    let reversed = image().parameters.into_iter().rev().collect();
    for same in [
        Image { title: None, ..image() },
        Image { source: Source::Path("/elsewhere".to_owned()), ..image() },
        Image { parameters: reversed, ..image() },
    ] {
        assert_eq!(image_digest(&same), base, "{same:?}");
    }
}

#[test]
fn connections_change_the_spec_and_never_the_image() {
    let mut changed = role();
    changed.provide["http"].health = None;
    assert_ne!(spec_digest(&changed), spec_digest(&role()));
    assert_eq!(image_digest(&changed.image), image_digest(&role().image));
    let mut described = role();
    described.provide["http"].description = None;
    described.image.parameters.clear();
    described.image_digest = "x".to_owned();
    assert_eq!(spec_digest(&described), spec_digest(&role()));
}

fn entry(path: &str, content: Content) -> SourceEntry {
    SourceEntry { path: path.to_owned(), content }
}

fn file(path: &str, executable: bool, bytes: &[u8]) -> SourceEntry {
    entry(path, Content::File { executable, sha256: sha256_hex(bytes) })
}

#[test]
fn a_source_s_digest_is_pinned() {
    let entries = [
        file("configure.sh", true, b"#!/bin/sh\n"),
        file("puppet/scs/manifests/init.pp", false, b"class scs {}\n"),
        entry("current", Content::Link { target: "puppet".to_owned() }),
        entry("empty", Content::Directory),
    ];
    assert_eq!(source(&entries), "50216fdc28c1cf5a4d2a78e4a17ed0c2628365dc3ad208755bbd0d789019ca83");
    assert_eq!(source(&[]), sha256_hex(b"scs-source-1\n"));
}

#[test]
fn only_what_reaches_the_image_counts_in_a_source() {
    let base = [file("a-b", false, b"1"), file("a/b", false, b"2")];
    let digest = source(&base);
    let with = |more: SourceEntry| source(&[base[1].clone(), more, base[0].clone()]);
    for same in [
        file("image.yaml", false, b"version: 1"),
        file(".git/HEAD", false, b"ref"),
        file("sub/.git", false, b"gitdir: x"),
        entry("a", Content::Directory),
    ] {
        assert_eq!(with(same.clone()), digest, "{same:?}");
    }
    for other in [
        file("sub/image.yaml", false, b"version: 1"),
        file(".gitignore", false, b"x"),
        entry("b", Content::Directory),
        entry("c", Content::Link { target: "a".to_owned() }),
    ] {
        assert_ne!(with(other.clone()), digest, "{other:?}");
    }
    assert_ne!(source(&[file("a-b", true, b"1"), file("a/b", false, b"2")]), digest, "the executable bit");
    // What is a path here cannot pass for what is a content there.
    assert_ne!(
        source(&[entry("x", Content::Link { target: "y".to_owned() })]),
        source(&[entry("y", Content::Link { target: "x".to_owned() })])
    );
}

#[test]
fn a_change_is_explained_by_its_paths() {
    let mut new = role();
    new.image.parameters.insert("tls".to_owned(), json!(true));
    new.image.parameters.shift_remove("ratio");
    new.provide["http"].publish.port = Some(8080);
    new.process.environment.insert("B".to_owned(), "2".to_owned());
    new.spec_digest = "other".to_owned();
    let shown: Vec<String> = explain_change(&role(), &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "image.parameters.ratio: 0.5 → nothing",
            "image.parameters.tls: false → true",
            "process.environment.B: nothing → \"2\"",
            "provide.http.publish.port: nothing → 8080",
        ]
    );
    assert!(explain_change(&role(), &role()).is_empty());
}
