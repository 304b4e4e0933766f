//! Connections that lead nowhere, or round in a circle.

use crate::support::{DEPLOYMENT, World};

/// An image that provides and requires, in short.
fn image(provide: &str, require: &str) -> String {
    let section = |what: &str, names: &str, each: &str| {
        let names: Vec<String> = names.split_whitespace().map(|name| format!("{name}: {each}")).collect();
        format!("{what}: {{ {} }}", names.join(", "))
    };
    format!("{{ {}, {} }}", section("provide", provide, "{ port: 80 }"), section("require", require, "{}"))
}

/// A deployment of roles: (name, provides, requires, further keys).
fn roles(roles: &[(&str, &str, &str, &str)]) -> String {
    let mut text = "version: 1\nservice: s\ncontainers:\n".to_owned();
    for (name, provide, require, more) in roles {
        text.push_str(&format!("  {name}:\n    image: x:1\n    manifest: {}\n", image(provide, require)));
        if !more.is_empty() {
            text.push_str(&format!("    {more}\n"));
        }
    }
    text
}

fn shown(text: &str) -> String {
    World::new(text).found()
}

#[test]
fn a_cycle_of_requirements_is_named() {
    insta::assert_snapshot!(shown(&roles(&[
        ("a", "pa", "pb", ""),
        ("b", "pb", "pc", ""),
        ("c", "pc", "pa", "require: { pa: { wait: 5s } }"),
        ("d", "", "pa", "")
    ])));
}

#[test]
fn a_role_that_requires_itself_is_a_cycle() {
    insta::assert_snapshot!(shown(&roles(&[("a", "peer", "peer", "require: { peer: { match: { role: a } } }")])));
}

#[test]
fn an_optional_requirement_breaks_a_cycle() {
    assert_eq!(shown(&roles(&[("a", "pa", "pb", "require: { pb: { min: 0 } }"), ("b", "pb", "pa", "")])), "");
}

#[test]
fn a_cycle_through_any_role_counts_only_when_nobody_else_can_begin() {
    let any = "require: { p: { match: { role: \"*\" } } }";
    insta::assert_snapshot!(shown(&roles(&[("a", "p", "p", any), ("b", "p", "p", any)])));
    assert_eq!(shown(&roles(&[("a", "p", "p", any), ("b", "p", "", "")])), "");
}

#[test]
fn two_cycles_are_both_named() {
    let text = roles(&[("a", "pa", "pb", ""), ("b", "pb", "pa", ""), ("c", "pc", "pd", ""), ("d", "pd", "pc", "")]);
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_required_role_that_is_not_there_is_named_with_the_nearest() {
    insta::assert_snapshot!(shown(&DEPLOYMENT.replace("role: mysql-master", "role: mysql-maste")));
}

#[test]
fn an_image_that_declares_no_such_endpoint_is_named() {
    insta::assert_snapshot!(shown(&DEPLOYMENT.replace("match: { role: mysql-master }", "match: { role: cache }")));
}

#[test]
fn an_endpoint_that_is_not_there_is_named_with_the_nearest() {
    insta::assert_snapshot!(shown(&DEPLOYMENT.replace("match: { role: mysql-master }", "match: { endpoint: mysqld }")));
}

#[test]
fn a_requirement_that_nobody_provides_is_an_error() {
    insta::assert_snapshot!(shown(&roles(&[("a", "", "db", ""), ("b", "web", "", "")])));
}

#[test]
fn a_requirement_that_several_provide_names_them() {
    insta::assert_snapshot!(shown(&roles(&[("a", "", "db", ""), ("b", "db", "", ""), ("c", "db", "", "")])));
}

#[test]
fn a_static_provider_is_announced_to_nobody() {
    let quiet = "provide: { db: { method: static } }";
    insta::assert_snapshot!(shown(&roles(&[
        ("a", "", "db", ""),
        ("b", "db", "", quiet),
        ("c", "", "db", "require: { db: { match: { role: b } } }")
    ])));
}

#[test]
fn what_lies_in_another_service_or_environment_is_not_checked() {
    let elsewhere = "require: { db: { match: { service: other } } }";
    let far = "require: { db: { match: { environment: prod, role: whatever } } }";
    let deployment = World::new(&roles(&[("a", "", "db", elsewhere), ("b", "", "db", far)])).compiled();
    let roles = ["a", "b"].map(|role| match &deployment.roles[role].require["db"].method {
        scs_manifest::compiled::RequireMethod::Disco(query) => {
            format!("{}/{}/{}/{}", query.environment, query.service, query.role, query.endpoint)
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(roles, ["dev/other/*/db", "prod/s/whatever/db"]);
}

#[test]
fn connections_that_the_image_does_not_declare_are_errors() {
    let more =
        "provide: { htp: {} }\n    require: { mysql: {} }\n    secrets: { PASSWORD: db }\n    volume: { data: {} }";
    let text =
        roles(&[("web", "http", "", more)]).replace("containers:", "secrets: { db: { generate: 32 } }\ncontainers:");
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_finished_image_declares_nothing_and_its_role_can_in_its_place() {
    let text = "version: 1\nservice: s\nsecrets: { db: { generate: 32 } }\ncontainers:\n  db:\n    image: postgres:16\n    \
                provide: { sql: {} }\n    require: { ldap: {} }\n    secrets: { PASSWORD: db }\n    volume: { data: {} }\n";
    insta::assert_snapshot!(shown(text));
    let declared = "    image: postgres:16\n    manifest: { provide: { sql: { port: 5432 } }, require: { ldap: { min: 0 } }, \
                    secret: { PASSWORD: {} }, volume: { data: { path: /data } } }\n";
    assert_eq!(shown(&text.replace("    image: postgres:16\n", declared)), "");
}

#[test]
fn what_a_role_takes_back_is_provided_to_nobody() {
    let text = roles(&[
        ("web", "http admin", "", "provide: { admin: null }"),
        ("a", "", "admin", ""),
        ("b", "", "admin", "require: { admin: { match: { role: web } } }"),
        ("c", "http", "", "provide: { htp: null }"),
    ]);
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_secret_that_the_image_needs_has_to_be_given() {
    insta::assert_snapshot!(shown(&DEPLOYMENT.replace("    secrets: { DB_PASSWORD: db }\n", "")));
}

#[test]
fn a_secret_that_is_not_defined_is_named() {
    insta::assert_snapshot!(shown(&DEPLOYMENT.replace("DB_PASSWORD: db }", "DB_PASSWORD: bd }")));
}

#[test]
fn a_secret_comes_from_exactly_one_place() {
    let text = DEPLOYMENT.replace(
        "db: { generate: 32 }",
        "db: { generate: 4 }\n  a: { file: x, environment: Y }\n  b: {}\n  c: { environment: A-B }",
    );
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_secret_nobody_uses_is_a_warning() {
    insta::assert_snapshot!(shown(
        &DEPLOYMENT.replace("db: { generate: 32 }", "db: { generate: 32 }\n  old: { file: old.txt }")
    ));
}

#[test]
fn a_cycle_of_sub_volumes_is_named() {
    let more = "volume: { a: { method: sub, of: b }, b: { method: sub, of: c }, c: { method: sub, of: a }, d: { method: sub, of: a } }";
    let text = roles(&[("web", "", "", more)])
        .replace("provide: {  }", "volume: { a: { path: /a }, b: { path: /b }, c: { path: /c }, d: { path: /d } }");
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_sub_volume_needs_a_parent_that_is_there() {
    let more = "volume: { data: { method: sub, of: dsk }, disk: { path: /disk } }";
    let text = roles(&[("web", "", "", more)]).replace("provide: {  }", "volume: { data: { path: /data } }");
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn methods_and_their_options_are_checked() {
    let more = "volume:\n      a: { method: locl, path: /a }\n      b: { method: bind, path: /b }\n      c: { method: nfs, path: /c, server: s, exprot: /x }\n      \
                d: { path: /d, from: ./d }\n      e: { method: aws-ec2-ebs, path: /e, size: 20 }\n    network: { method: bridge, device: eth0 }";
    insta::assert_snapshot!(shown(&roles(&[("web", "", "", more)])));
}

#[test]
fn two_volumes_cannot_have_one_place() {
    let more = "volume: { a: { path: /x }, b: { path: /x/ }, c: { path: /run/scs } }";
    insta::assert_snapshot!(shown(&roles(&[("web", "", "", more)])));
}

#[test]
fn replicas_cannot_share_a_volume_for_one_writer() {
    let more = "replicas: 2\n    volume: { data: { path: /data }, code: { path: /code, read_only: true }, pool: { path: /pool, access: shared } }";
    insta::assert_snapshot!(shown(&roles(&[("web", "", "", more)])));
}

#[test]
fn one_port_of_a_host_cannot_be_had_twice() {
    let fixed = "provide: { http: { publish: { port: 8080 } } }";
    let pinned = |host: &str| format!("{fixed}\n    place: {{ host: {host} }}");
    insta::assert_snapshot!(shown(&roles(&[("a", "http", "", fixed), ("b", "http", "", fixed)])));
    assert_eq!(shown(&roles(&[("a", "http", "", &pinned("h1")), ("b", "http", "", &pinned("h2"))])), "");
    assert_ne!(shown(&roles(&[("a", "http", "", &pinned("h1")), ("b", "http", "", &pinned("h1"))])), "");
}

#[test]
fn replicas_cannot_share_a_port_and_the_host_s_network_has_ports_of_its_own() {
    let fixed = "replicas: 2\n    provide: { http: { publish: { port: 8080 } } }";
    let host = "network: { method: host }\n    provide: { web: { publish: { port: 8081 } } }";
    insta::assert_snapshot!(shown(&roles(&[
        ("a", "http", "", fixed),
        ("b", "web", "", host),
        ("c", "other", "", "network: { method: host }")
    ])));
}

#[test]
fn templates_are_checked_for_what_they_name() {
    let environment = "PHP_MEMORY_LIMIT: 128M, A: \"{{ require.mysq.host }}\", B: \"{{ provide.http.port }}\", C: \"{{ http_hots }}\", \
                       D: \"{{ open\", E: \"{{ 1 + 1 }}\", F: { from_env: NOBODY_SET_THIS }, SCS_ROLE: x, a-b: x";
    insta::assert_snapshot!(shown(&DEPLOYMENT.replace("PHP_MEMORY_LIMIT: 128M", environment)));
}

#[test]
fn matches_and_static_addresses_are_checked() {
    let text = roles(&[
        (
            "a",
            "",
            "db",
            "require: { db: { method: static, addresses: [db.example, \"[::1]:5432\", 10.0.0.1:0], min: 2 } }",
        ),
        ("b", "", "db", "require: { db: { match: { role: [a, b], zone: {}, dc: { nto: x } } } }"),
        ("c", "", "db", "require: { db: { method: static } }"),
        ("d", "db", "", "provide: { db: { attributes: { role: x, ok: 1 } } }"),
    ]);
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn wrong_defaults_are_found_even_where_nothing_uses_them() {
    let text = DEPLOYMENT
        .replace("global:\n", "global:\n  volume: { nfs: 3, locall: {} }\n  require: { disco: { wait: 5 } }\n");
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_layout_names_roles_that_are_there() {
    let text = format!("{DEPLOYMENT}layouts:\n  night: {{ wordpres: {{ host: h1 }} }}\n");
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_lease_takes_nothing_along_that_lies_on_the_lost_host() {
    let role = |more: &str| {
        let manifest = "manifest: { volume: { data: { path: /data } } }";
        shown(&format!(
            "version: 1\nservice: s\ncontainers:\n  db:\n    image: x:1\n    {manifest}\n    fence: lease\n{more}"
        ))
    };
    let bound = "    on_host_loss: elsewhere\n    volume: { data: { method: bind, from: /shared } }\n";
    assert_eq!(role(bound), "");
    let local = role("    on_host_loss: elsewhere\n");
    assert!(local.contains("its volume `data` of method `local` lies on the one that was lost"), "{local}");
    assert!(local.contains("deployment.yaml:7"), "at the key: {local}");
    let waits = role("    volume: { data: { method: bind, from: /shared } }\n");
    assert!(waits.contains("add `on_host_loss: elsewhere`"), "{waits}");
}
