//! What a peer from elsewhere may do, and that nothing else works.

use std::sync::Arc;

use disco_core::{Conn, Grants, Input, Permit};
use disco_proto::{
    Answer, Code, Failure, Method, PROTOCOL, Query, Reason,
    message::{List, Listing, Open, Opened, Resume},
};

use crate::script::{SECOND, Script, mysql, mysql_query, name, texts, with, withdraw};

fn grants(host: &str, provide: &[&str], require: &[&str]) -> Grants {
    let scopes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Grants::Only(Arc::new(Permit { host: host.to_owned(), provide: scopes(provide), require: scopes(require) }))
}

fn open(script: &mut Script, conn: Conn, host: Option<&str>, resume: Option<&Opened>) -> Result<Opened, Failure> {
    let open = Open {
        protocol: PROTOCOL.to_owned(),
        agent: "x".to_owned(),
        attributes: host.map(|host| texts(&[("host", host)])).unwrap_or_default(),
        window: None,
        resume: resume.map(|opened| Resume { session: opened.session.clone(), token: opened.token.clone() }),
    };
    script.ask(conn, Method::Open(open)).map(|answer| match answer {
        Answer::Opened(opened) => opened,
        other => panic!("{other:?}"),
    })
}

fn peer(script: &mut Script, grants: Grants) -> Conn {
    let conn = script.connect_as(grants);
    open(script, conn, None, None).unwrap();
    conn
}

#[test]
fn scopes_are_environment_and_service_perhaps_a_role_and_nothing_else() {
    for text in ["dev/blog", "*/blog", "dev/*", "*/*", "dev/blog/mysql", "*/*/mysql"] {
        assert_eq!(text.parse::<disco_core::Scope>().unwrap().to_string(), text);
    }
    for text in ["", "dev", "dev/", "/blog", "dev/blog/", "dev/blog/mysql/mysql", "de*/blog", "Dev/blog"] {
        assert!(text.parse::<disco_core::Scope>().is_err(), "{text}");
    }
}

#[test]
fn a_peer_provides_and_requires_where_it_may_and_nowhere_else() {
    let mut script = Script::new();
    let conn = peer(&mut script, grants("web1", &["dev/blog"], &["prod/*"]));
    script.provide(conn, mysql("a"));
    script.require(conn, "db", Query::of(&name("prod/shop/mysql/mysql")));
    let before = script.core.view();

    let mut elsewhere = mysql("a");
    elsewhere.name = name("dev/shop/mysql/mysql");
    assert_eq!(script.refused(conn, Method::Provide(elsewhere.clone())), Code::Forbidden);
    let going = disco_proto::message::Withdraw { name: elsewhere.name, ..withdraw("a", Reason::Left) };
    assert_eq!(script.refused(conn, Method::Withdraw(going)), Code::Forbidden);
    let require = disco_proto::message::Require { id: "x".to_owned(), query: mysql_query(), known: Default::default() };
    assert_eq!(script.refused(conn, Method::Require(require)), Code::Forbidden);
    assert_eq!(script.refused(conn, Method::Resolve(mysql_query())), Code::Forbidden);
    assert_eq!(script.core.view(), before);

    script.ask(conn, Method::Withdraw(withdraw("a", Reason::Left))).unwrap();
    script.ask(conn, Method::Resolve(Query::of(&name("prod/x/mysql/mysql")))).unwrap();
}

#[test]
fn a_peer_is_the_host_it_was_certified_as() {
    let mut script = Script::new();
    let conn = script.connect_as(grants("web1", &["*/*"], &["*/*"]));
    assert_eq!(open(&mut script, conn, Some("web2"), None).unwrap_err().code, Code::Forbidden);
    open(&mut script, conn, Some("web1"), None).unwrap();
    assert_eq!(script.refused(conn, Method::Provide(with(mysql("a"), &[("host", "web2")]))), Code::Forbidden);
    script.provide(conn, with(mysql("a"), &[("host", "web1")]));

    let unnamed = peer(&mut script, grants("web2", &["*/*"], &["*/*"]));
    script.provide(unnamed, mysql("b"));
    assert_eq!(script.refused(unnamed, Method::Withdraw(withdraw("a", Reason::Left))), Code::Owned);
    let owners: Vec<String> = script.core.provisions().into_iter().map(|provision| provision.owner).collect();
    assert_eq!(owners, ["web1", "web2"]);
}

#[test]
fn lists_leave_out_what_is_not_granted() {
    let mut script = Script::new();
    let all = script.client("all");
    for text in ["dev/blog/mysql/mysql", "prod/blog/mysql/mysql", "prod/shop/mysql/mysql"] {
        let mut provision = mysql("a");
        provision.name = name(text);
        script.provide(all, provision);
        script.require(all, text, Query::of(&name(text)));
    }
    let mut listed = |grants| -> Listing {
        let conn = peer(&mut script, grants);
        match script.ask(conn, Method::List(List::default())) {
            Ok(Answer::Listing(listing)) => *listing,
            other => panic!("{other:?}"),
        }
    };
    let listing = listed(grants("x", &["dev/*"], &["prod/shop"]));
    let names: Vec<String> = listing.provisions.iter().map(|listed| listed.endpoint.name.to_string()).collect();
    assert_eq!(names, ["dev/blog/mysql/mysql", "prod/shop/mysql/mysql"]);
    assert_eq!(listing.requirements.len(), 2);
    assert!(listed(grants("x", &[], &[])).provisions.is_empty());
    assert_eq!(listed(Grants::Everything).provisions.len(), 3);
}

#[test]
fn a_session_is_resumed_by_its_own_host_and_keeps_what_is_still_granted() {
    let mut script = Script::new();
    let conn = script.connect_as(grants("web1", &["*/*"], &[]));
    let opened = open(&mut script, conn, None, None).unwrap();
    script.provide(conn, mysql("a"));
    let mut other = mysql("b");
    other.name = name("prod/blog/mysql/mysql");
    script.provide(conn, other);

    let thief = script.connect_as(grants("web2", &["*/*"], &[]));
    assert!(!open(&mut script, thief, None, Some(&opened)).unwrap().resumed);

    let conn = script.connect_as(grants("web1", &["prod/*"], &[]));
    let resumed = open(&mut script, conn, None, Some(&opened)).unwrap();
    let kept: Vec<&str> = resumed.provides.iter().map(|identity| identity.instance.as_str()).collect();
    assert_eq!((resumed.resumed, kept), (true, vec!["b"]));
    assert_eq!(script.core.provisions().len(), 1);
}

#[test]
fn a_role_is_granted_without_its_neighbours() {
    let mut script = Script::new();
    let conn = peer(&mut script, grants("web1", &["dev/blog/mysql"], &["dev/blog/web", "prod/*/mysql"]));
    script.provide(conn, mysql("a"));
    let mut neighbour = mysql("a");
    neighbour.name = name("dev/blog/web/http");
    assert_eq!(script.refused(conn, Method::Provide(neighbour)), Code::Forbidden);
    assert_eq!(script.refused(conn, Method::Resolve(mysql_query())), Code::Forbidden);
    let every_role = Query { role: "*".to_owned(), ..Query::of(&name("dev/blog/web/http")) };
    assert_eq!(script.refused(conn, Method::Resolve(every_role)), Code::Forbidden);
    script.ask(conn, Method::Resolve(Query::of(&name("dev/blog/web/http")))).unwrap();
    script.ask(conn, Method::Resolve(Query::of(&name("prod/x/mysql/mysql")))).unwrap();
}

#[test]
fn what_is_no_longer_granted_goes_at_once_and_the_peer_comes_back_to_hear_of_it() {
    let mut script = Script::new();
    let conn = script.connect_as(grants("web1", &["dev/*"], &["dev/*"]));
    let opened = open(&mut script, conn, None, None).unwrap();
    script.provide(conn, mysql("a"));
    let mut kept = mysql("b");
    kept.name = name("dev/shop/mysql/mysql");
    script.provide(conn, kept);
    script.require(conn, "shop", Query::of(&name("dev/shop/mysql/mysql")));
    let watcher = script.client("watcher");
    script.require(watcher, "db", mysql_query());

    // More is no reason to disconnect, and as much is not either.
    script.input(Input::Granted(conn, grants("web1", &["dev/*", "prod/*"], &["dev/*"])));
    script.input(Input::Granted(conn, grants("web1", &["dev/*", "prod/*"], &["dev/*"])));
    script.input(Input::Granted(conn, grants("web1", &["dev/shop", "dev/blog"], &["dev/shop"])));
    assert_eq!(script.closed, []);

    script.input(Input::Granted(conn, grants("web1", &["dev/shop"], &["dev/shop"])));
    assert_eq!(script.closed, [conn]);
    assert_eq!(script.changed(watcher).unwrap().drop[0].reason, Reason::Left);
    let conn = script.connect_as(grants("web1", &["dev/shop"], &["dev/shop"]));
    assert!(open(&mut script, conn, None, Some(&opened)).unwrap().resumed);
    assert_eq!(script.refused(conn, Method::Provide(mysql("a"))), Code::Forbidden);
    assert_eq!(script.core.provisions().len(), 1);

    script.input(Input::Granted(conn, grants("web1", &["dev/shop"], &[])));
    assert_eq!(script.closed.last(), Some(&conn), "it required there");
    assert_eq!(script.core.view().requirements.len(), 1, "the watcher's is left");
}

#[test]
fn whoever_is_refused_later_is_kept_for_a_moment_whatever_window_it_asked_for() {
    let mut script = Script::new();
    let refused = Failure::new(Code::Revoked, "removed");
    let conn = script.connect_as(grants("web1", &["*/*"], &[]));
    let open = Open {
        protocol: PROTOCOL.to_owned(),
        agent: "x".to_owned(),
        attributes: Default::default(),
        window: Some(3_600_000),
        resume: None,
    };
    script.ask(conn, Method::Open(open)).unwrap();
    script.provide(conn, mysql("a"));
    script.ask(conn, Method::Park(disco_proto::message::Park { r#for: 3_600_000 })).unwrap();
    let watcher = script.client("watcher");
    script.require(watcher, "db", mysql_query());
    script.input(Input::Refused(conn, refused.clone()));
    assert_eq!(script.closed, [conn]);
    script.pass_pinging(2 * SECOND, &[watcher]);
    assert_eq!(script.core.provisions().len(), 1);
    script.pass_pinging(2 * SECOND, &[watcher]);
    assert_eq!(script.changed(watcher).unwrap().drop[0].reason, Reason::Lost);

    let unopened = script.connect_as(grants("web1", &[], &[]));
    script.input(Input::Refused(unopened, refused));
    assert_eq!(script.closed, [conn, unopened]);
}
