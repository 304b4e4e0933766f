//! Good input: what comes out, every default filled in.

use crate::support::{DEPLOYMENT, PROD, World};
use scs_manifest::compiled::{Access, Base, Condition, LiveAction, Query, RequireMethod, Role, SecretAs};
use scs_manifest::merge;
use serde_json::json;

fn query(role: &Role, name: &str) -> Query {
    match &role.require[name].method {
        RequireMethod::Disco(query) => query.clone(),
        other @ RequireMethod::Static(_) => panic!("{other:?}"),
    }
}

/// One finished image with an inline manifest and further lines of its role.
fn one(manifest: &str, lines: &str) -> Role {
    let text = format!(
        "version: 1\nservice: s\nsecrets: {{ db: {{ generate: 32 }} }}\ncontainers:\n  web:\n    image: x:1\n    manifest: {manifest}\n{lines}"
    );
    World::new(&text).compiled().roles["web"].clone()
}

#[test]
fn the_design_document_s_example_compiles_with_every_default() {
    let deployment = World::new(DEPLOYMENT).compiled();
    insta::assert_snapshot!(serde_json::to_string_pretty(&deployment).expect("JSON"));
}

#[test]
fn the_compiled_form_reads_back_as_the_same() {
    let deployment = World::new(DEPLOYMENT).overlay("deployment.prod.yaml", PROD).compiled();
    let text = serde_json::to_string(&deployment).expect("JSON");
    let again: scs_manifest::compiled::Deployment = serde_json::from_str(&text).expect("its own JSON");
    assert_eq!(again, deployment);
}

#[test]
fn an_overlay_changes_what_it_names_and_nothing_else() {
    let plain = World::new(DEPLOYMENT).compiled();
    let overlaid = World::new(DEPLOYMENT).overlay("deployment.prod.yaml", PROD).compiled();
    assert_eq!(overlaid.roles["cache"], plain.roles["cache"]);
    let (before, after) = (&plain.roles["wordpress"], &overlaid.roles["wordpress"]);
    assert_eq!(after.image_digest, before.image_digest);
    assert_ne!(after.spec_digest, before.spec_digest);
    assert_eq!((after.replicas, after.placement.spread.as_deref()), (2, Some("zone")));
    assert_eq!(
        after.volumes["uploads"].options,
        *json!({"server": "192.0.2.50", "export": "/blog"}).as_object().expect("a map")
    );
    assert_eq!(overlaid.layouts["night"]["wordpress"].host.as_deref(), Some("h1"));
}

#[test]
fn the_digests_do_not_depend_on_the_order_of_keys_or_the_names_of_files() {
    let plain = World::new(DEPLOYMENT).compiled();
    let reordered = DEPLOYMENT.replace(
        "image: { source: { path: images/wordpress }, config: { http_host: blog.example } }",
        "image: { config: { http_host: blog.example }, source: { path: images/wordpress } }",
    );
    let mut world = World::new(&reordered);
    world.deployment[0].name = "elsewhere/d.yaml".to_owned();
    let other = world.compiled();
    for (name, role) in &plain.roles {
        assert_eq!(
            (&other.roles[name].image_digest, &other.roles[name].spec_digest),
            (&role.image_digest, &role.spec_digest)
        );
    }
}

#[test]
fn a_changed_parameter_changes_one_image_and_a_changed_connection_none() {
    let digests = |text: &str| {
        let roles = World::new(text).compiled().roles;
        roles.into_values().map(|role| (role.image_digest, role.spec_digest)).collect::<Vec<_>>()
    };
    let plain = digests(DEPLOYMENT);
    let parameter = digests(&DEPLOYMENT.replace("server_id: 64", "server_id: 65"));
    assert_eq!(
        plain.iter().zip(&parameter).map(|(a, b)| (a.0 == b.0, a.1 == b.1)).collect::<Vec<_>>(),
        [(false, true), (true, true), (true, true)]
    );
    let connection = digests(&DEPLOYMENT.replace("wait: 60s", "wait: 61s"));
    assert_eq!(
        plain.iter().zip(&connection).map(|(a, b)| (a.0 == b.0, a.1 == b.1)).collect::<Vec<_>>(),
        [(true, true), (true, false), (true, true)]
    );
}

#[test]
fn a_requirement_finds_the_only_role_that_provides_it() {
    let text =
        DEPLOYMENT.replace("mysql: { match: { role: mysql-master }, prefer: [zone, dc], wait: 60s }", "mysql: {}");
    let roles = World::new(&text).compiled().roles;
    let query = query(&roles["wordpress"], "mysql");
    assert_eq!(
        (query.environment.as_str(), query.service.as_str(), query.role.as_str(), query.endpoint.as_str()),
        ("dev", "blog", "mysql-master", "mysql")
    );
    let text = DEPLOYMENT
        .replace("    require:\n      mysql: { match: { role: mysql-master }, prefer: [zone, dc], wait: 60s }\n", "");
    let require = &World::new(&text).compiled().roles["wordpress"].require["mysql"];
    assert_eq!((require.min, require.wait.as_secs()), (1, 60));
    assert_eq!(require.method, RequireMethod::Disco(query));
}

#[test]
fn conditions_become_in_not_and_exists() {
    let role = one(
        "{ require: { db: {} } }",
        "    require: { db: { match: { service: t, a: 1, b: [x, y], c: { not: z }, d: { not: [p, q] }, e: { exists: false } } } }\n",
    );
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let query = query(&role, "db");
    assert_eq!(query.r#match["a"], Condition::In(texts(&["1"])));
    assert_eq!(query.r#match["b"], Condition::In(texts(&["x", "y"])));
    assert_eq!(query.r#match["c"], Condition::Not(texts(&["z"])));
    assert_eq!(query.r#match["d"], Condition::Not(texts(&["p", "q"])));
    assert_eq!(query.r#match["e"], Condition::Exists(false));
}

#[test]
fn what_is_optional_may_be_provided_by_nobody() {
    let said_by_deployment = one("{ require: { cache: {} } }", "    require: { cache: { min: 0 } }\n");
    let said_by_image = one("{ require: { cache: { min: 0 } } }", "");
    for role in [said_by_deployment, said_by_image] {
        assert_eq!((role.require["cache"].min, query(&role, "cache").role.as_str()), (0, "*"));
    }
}

#[test]
fn live_updates_have_their_defaults_and_short_forms() {
    let role = one(
        "{ require: { a: { min: 0 }, b: { min: 0, liveupdate: none }, c: { min: 0, liveupdate: { signal: SIGUSR1, debounce: 1s } } } }",
        "",
    );
    let shown: Vec<String> = role.require.values().map(|require| format!("{:?}", require.liveupdate)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    LiveUpdate { action: Restart, timeout: 30s, debounce: 250ms, on_failure: Retry, on_empty: Hold }
    LiveUpdate { action: None, timeout: 30s, debounce: 250ms, on_failure: Retry, on_empty: Hold }
    LiveUpdate { action: Signal("USR1"), timeout: 30s, debounce: 1s, on_failure: Retry, on_empty: Hold }
    "#);
    assert_eq!(role.require["a"].liveupdate.action, LiveAction::Restart);
}

#[test]
fn global_gives_methods_and_their_defaults_and_a_role_overrides_both() {
    let text = "version: 1\nservice: s\nglobal:\n  provide: { disco: { attributes: { team: web, tier: 1 } } }\n  \
                require: { disco: { wait: 5s, prefer: [zone] } }\n  volume: { method: docker, docker: { driver: x }, local: { mode: 0700 } }\n  \
                network: { bridge: { ipv6: true } }\ncontainers:\n  web:\n    image: x:1\n    \
                manifest: { provide: { http: { port: 80 } }, require: { db: { min: 0 } }, volume: { a: { path: /a }, b: { path: /b, mode: 0755 } } }\n    \
                provide: { http: { attributes: { team: ops } } }\n    volume: { b: { method: local } }\n    require: { db: { wait: 6s } }\n";
    let role = World::new(text).compiled().roles["web"].clone();
    assert_eq!(json!(role.provide["http"].attributes), json!({"team": "ops", "tier": "1"}));
    assert_eq!((role.require["db"].wait.as_secs(), query(&role, "db").prefer), (6, vec!["zone".to_owned()]));
    assert_eq!(
        (role.volumes["a"].method.as_str(), json!(role.volumes["a"].options)),
        ("docker", json!({"driver": "x"}))
    );
    assert_eq!((role.volumes["b"].method.as_str(), role.volumes["b"].mode), ("local", Some(0o700)));
    assert_eq!(json!(role.network), json!({"method": "bridge", "options": {"ipv6": true}}));
}

#[test]
fn a_role_may_leave_out_what_its_image_provides() {
    let manifest = "{ provide: { http: { port: 80 }, admin: { port: 81 } } }";
    let provided = |lines: &str| one(manifest, lines).provide.keys().cloned().collect::<Vec<_>>();
    assert_eq!(provided("    provide: { admin: null }\n"), ["http"]);
    assert_eq!(provided("    provide:\n      admin: ~\n"), ["http"]);
    // Left empty it says nothing, and the defaults hold.
    assert_eq!(provided("    provide:\n      admin:\n"), ["http", "admin"]);
}

#[test]
fn an_overlay_may_leave_out_what_the_base_publishes() {
    let base = "version: 1\nservice: s\ncontainers:\n  web:\n    image: x:1\n    manifest: { provide: { http: { port: 80 } } }\n    \
                provide: { http: { publish: { port: 8080 } } }\n";
    let overlay = "version: 1\ncontainers: { web: { provide: { http: null } } }\n";
    assert!(World::new(base).overlay("deployment.prod.yaml", overlay).compiled().roles["web"].provide.is_empty());
}

#[test]
fn a_bound_directory_may_be_made() {
    let role = one("{}", "    volume: { code: { method: bind, from: ./src, path: /app, create: true } }\n");
    assert_eq!(role.volumes["code"].options["create"], json!(true));
}

#[test]
fn a_volume_with_a_path_of_its_own_counts_as_declared() {
    let role = one(
        "{ volume: { data: { path: /data, access: shared, owner: 33, mode: 0750 } } }",
        "    volume:\n      code: { method: bind, from: ./src, path: /app, read_only: true }\n      part: { path: /part }\n      data: { path: /other }\n",
    );
    let code = &role.volumes["code"];
    assert_eq!(
        (code.path.as_str(), code.method.as_str(), code.read_only, json!(code.options)),
        ("/app", "bind", true, json!({"from": "./src"}))
    );
    let data = &role.volumes["data"];
    assert_eq!(
        (data.path.as_str(), data.access, data.owner.as_deref(), data.mode),
        ("/other", Access::Shared, Some("33"), Some(0o750))
    );
}

#[test]
fn a_sub_volume_lies_in_a_directory_of_its_own_name() {
    let role = one(
        "{ volume: { data: { path: /data }, logs: { path: /logs }, tmp: { path: /scratch } } }",
        "    volume: { logs: { method: sub, of: data }, tmp: { method: sub, of: logs, path: a/b } }\n",
    );
    assert_eq!(json!(role.volumes["logs"].options), json!({"of": "data", "path": "logs"}));
    assert_eq!(
        (json!(role.volumes["tmp"].options), role.volumes["tmp"].path.as_str()),
        (json!({"of": "logs", "path": "a/b"}), "/scratch")
    );
}

#[test]
fn parameters_keep_their_types_and_those_of_the_deployment_win() {
    let image = "version: 1\nengine: { docker: { from: debian:12 } }\nconfig:\n  method: shell\n  parameters: { a: no, b: 1, c: { x: 1, y: 2 }, d: [1], e: null, f: 0x10, g: 1.0, h: gone }\n";
    let text = "version: 1\nservice: s\ncontainers:\n  web:\n    image: { source: { path: images/web }, config: { b: two, c: { y: 3 }, d: [], h: null, i: true } }\n    \
                environment: { A: \"{{ a }}-{{ b }}-{{ c.y }}-{{ f }}-{{ i }}\" }\n";
    let role = World::new(text).image("images/web", image).compiled().roles["web"].clone();
    assert_eq!(
        json!(role.image.parameters),
        json!({"a": "no", "b": "two", "c": {"x": 1, "y": 3}, "d": [], "e": null, "f": 16, "g": 1.0, "i": true})
    );
    assert_eq!(role.process.environment["A"], "no-two-3-16-true");
    assert_eq!(role.image.base, Base::Reference("debian:12".to_owned()));
}

#[test]
fn environment_values_are_as_written_and_templates_wait_for_the_start() {
    let role = one(
        "{ provide: { http: { port: 80 } }, require: { db: { min: 0 } } }",
        "    environment:\n      A: 0750\n      B: yes\n      C: 1.10\n      D: TRUE\n      E: \"{{require.db.host}}:{{ provide.http.address }}\"\n      \
         F: { from_env: HOME }\n      G: { from_env: NOBODY, default: 7 }\n      H: \"\"\n",
    );
    let shown: Vec<String> = role.process.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    A=0750
    B=yes
    C=1.10
    D=TRUE
    E={{ require.db.host }}:{{ provide.http.address }}
    F=/home/{{ "{{" }}user}}
    G=7
    H=
    "#);
}

#[test]
fn secrets_are_files_unless_asked_otherwise() {
    let role = one(
        "{ secret: { A: {}, B: { liveupdate: none } } }",
        "    secrets: { A: db, B: { from: db, as: environment } }\n",
    );
    assert_eq!((role.secrets["A"].r#as, role.secrets["B"].r#as), (SecretAs::File, SecretAs::Environment));
    assert_eq!(
        (&role.secrets["A"].liveupdate.action, &role.secrets["B"].liveupdate.action),
        (&LiveAction::Restart, &LiveAction::None)
    );
}

#[test]
fn two_roles_share_one_image_with_commands_of_their_own() {
    let text = "version: 1\nservice: s\ncontainers:\n  web: { image: { source: { path: images/web } } }\n  worker: { image: { source: { path: images/web } }, command: [/bin/work], replicas: 3 }\n";
    let image = "version: 1\nengine: { docker: { from: debian:12, command: [/bin/serve], entrypoint: [/entry], user: 33, init: true, shm_size: 1MiB } }\n";
    let roles = World::new(text).image("images/web", image).compiled().roles;
    assert_eq!(roles["web"].image_digest, roles["worker"].image_digest);
    assert_eq!(
        (roles["worker"].process.command.as_deref(), roles["worker"].replicas),
        (Some(["/bin/work".to_owned()].as_slice()), 3)
    );
    assert_eq!(
        (roles["web"].image.user.as_deref(), roles["web"].process.shm_size, roles["web"].process.init),
        (Some("33"), Some(1 << 20), true)
    );
}

#[test]
fn an_inline_manifest_stands_in_for_the_source_s() {
    let text = "version: 1\nservice: s\ncontainers:\n  web:\n    image: { source: { path: images/none } }\n    manifest: { config: { method: dockerfile } }\n";
    let tree = scs_manifest::load(&[scs_manifest::File::new("deployment.yaml", text)]).expect("a tree");
    let sources = scs_manifest::deployment::sources(&tree.root);
    assert_eq!((sources[0].role.as_str(), sources[0].wants_manifest, sources[0].span.line), ("web", false, 5));
    let role = World::new(text).compiled().roles["web"].clone();
    assert_eq!(role.image.base, Base::None);
}

#[test]
fn the_overlay_of_an_environment_is_named_after_it() {
    assert_eq!(merge::overlay_name("dir/deployment.yaml", "prod"), "dir/deployment.prod.yaml");
}
