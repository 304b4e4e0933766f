//! Commands that need manifests and nothing else.

use crate::support::{Place, snapshot};

const BROKEN: &str = "\
version: 1
service: blog
containers:
  web:
    image: nginx:1
    replicsa: 2
    require:
      db: {}
";

const CACHE: &str = "\
version: 1
service: shop
containers:
  cache:
    image: redis:7
    manifest:
      provide:
        redis: { port: 6379, health: { tcp: true } }
";

#[test]
fn all_errors_are_shown_at_once_with_file_and_line() {
    snapshot!(Place::with(BROKEN).shown(&["validate"]), @r"
    exit 65
    --- stderr
    error: unknown key `replicsa` in a role
     --> deployment.yaml:6:5
      |
    6 |     replicsa: 2
      |     ^^^^^^^^
      |
      = help: did you mean `replicas`?

    error: the image declares no required service `db`
     --> deployment.yaml:8:7
      |
    8 |       db: {}
      |       ^^
      |
      = help: a finished image declares nothing; the role can, in its place: `manifest: {require: {db: {}}}`
    error: 2 errors in the manifests
    hint: correct them and run `scs validate`; nothing was changed
    ");
}

#[test]
fn good_manifests_are_said_to_be_fine() {
    snapshot!(Place::with(CACHE).shown(&["validate"]), @r"
    exit 0
    --- stderr
    dev/shop is fine: 1 role (deployment.yaml)
    ");
}

#[test]
fn a_directory_without_a_deployment_is_told_what_to_do() {
    snapshot!(Place::new().shown(&["validate"]), @r"
    exit 64
    --- stderr
    error: there is no deployment.yaml in this directory
    hint: `scs init` writes one to start from; `-f FILE` names one elsewhere
    ");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    snapshot!(Place::new().shown(&["validate", "-f", "elsewhere.yaml"]), @r"
    exit 64
    --- stderr
    error: cannot read elsewhere.yaml
      because: No such file or directory (os error 2)
    hint: `-f` names a manifest; `scs init` writes one to start from
    ");
}

#[test]
fn a_huge_file_is_refused_by_its_size() {
    let place = Place::new();
    let file = std::fs::File::create(place.path().join("deployment.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    snapshot!(place.shown(&["validate"]), @r"
    exit 65
    --- stderr
    error: deployment.yaml has 104857600 bytes; a manifest has at most 1048576
    --> deployment.yaml
     = help: is this the right file?
    error: 1 error in the manifests
    hint: correct them and run `scs validate`; nothing was changed
    ");
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let place = Place::new();
    std::fs::write(place.path().join("deployment.yaml"), b"version: 1\nservice: \xff\n").unwrap();
    assert_eq!(place.code(&["validate"]), 65);
}

#[test]
fn config_says_where_each_value_comes_from() {
    let place = Place::with(CACHE);
    place.write("deployment.prod.yaml", "version: 1\ncontainers:\n  cache: { image: redis:8, place: { host: h1 } }\n");
    snapshot!(place.shown(&["config", "--env", "prod"]), @r#"
    exit 0
    --- stdout
    version: 1             # deployment.prod.yaml:1
    service: shop          # deployment.yaml:2
    containers:
      cache:
        image: "redis:8"   # deployment.prod.yaml:3
        manifest:
          provide:
            redis:
              port: 6379   # deployment.yaml:8
              health:
                tcp: true  # deployment.yaml:8
        place:
          host: h1         # deployment.prod.yaml:3
    "#);
}

#[test]
fn compile_fills_every_default_in() {
    let text = Place::with(CACHE).stdout(&["compile", "cache"]);
    let role: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(role["restart"], "always");
    assert_eq!(role["provide"]["redis"]["method"], "disco");
    assert_eq!(role["image_digest"].as_str().map(str::len), Some(64));
}

#[test]
fn compile_of_a_role_that_is_not_there_suggests_one() {
    snapshot!(Place::with(CACHE).shown(&["compile", "cahce"]), @r"
    exit 64
    --- stderr
    error: `cahce` is no role of shop
    hint: did you mean `cache`?
    ");
}

#[test]
fn init_writes_what_validates_and_compiles_alike_anywhere() {
    let compiled: Vec<String> = (0..2)
        .map(|_| {
            let place = Place::new();
            place.stdout(&["init", "hello"]);
            assert_eq!(place.code(&["validate", "-f", "hello/deployment.yaml"]), 0);
            place.stdout(&["compile", "-f", "hello"])
        })
        .collect();
    assert_eq!(compiled[0], compiled[1]);
}

#[test]
fn init_says_what_it_wrote_and_overwrites_nothing() {
    let place = Place::new();
    snapshot!(place.shown(&["init", "hello"]), @r"
    exit 0
    --- stderr
    wrote hello/deployment.yaml
    wrote hello/images/hello/image.yaml
    wrote hello/images/hello/configure.sh
    hint: `cd hello && scs up` brings it up; `scs down` ends it
    ");
    snapshot!(place.shown(&["init", "hello"]), @r"
    exit 1
    --- stderr
    error: hello/deployment.yaml is there already; nothing was written
    hint: name another directory: `scs init DIR`
    ");
}

#[test]
fn schemas_are_json() {
    for kind in ["image", "deployment"] {
        let text = Place::new().stdout(&["schema", kind]);
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(schema["$schema"].is_string(), "{kind}");
    }
}

#[test]
fn the_source_of_an_image_counts_and_the_place_of_it_does_not() {
    let compile = |text: &str| {
        let place = Place::new();
        place.stdout(&["init", "hello"]);
        place.write("hello/images/hello/extra.txt", text);
        let compiled: serde_json::Value = serde_json::from_str(&place.stdout(&["compile", "-f", "hello"])).unwrap();
        compiled["roles"]["web"]["image_digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(compile("one"), compile("one"));
    assert_ne!(compile("one"), compile("two"));
}
