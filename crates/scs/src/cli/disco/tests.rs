//! What can be typed, and what cannot.

use super::{Attribute, Condition, EndpointName, Health, HostPort, PortTo};
use disco_proto::Condition as Holds;

#[test]
fn a_port_leads_from_loopback_or_a_named_address_to_a_name_of_one_to_four_parts() {
    let port: PortTo = "3306:mysql".parse().unwrap();
    assert_eq!(port.listen.to_string(), "127.0.0.1:3306");
    assert_eq!((port.name.endpoint.as_str(), &port.name.role), ("mysql", &None));
    let port: PortTo = "[::1]:0:prod/shop/*/mysql".parse().unwrap();
    assert_eq!(port.listen.to_string(), "[::1]:0");
    assert_eq!(
        (port.name.environment.as_deref(), port.name.service.as_deref(), port.name.role.as_deref()),
        (Some("prod"), Some("shop"), Some("*"))
    );
    let port: PortTo = "localhost:80:web/http".parse().unwrap();
    assert_eq!((port.listen.to_string().as_str(), port.name.role.as_deref()), ("127.0.0.1:80", Some("web")));
    for wrong in ["mysql", "3306", "70000:mysql", "db:3306:mysql", ":mysql", "3306:", "1:a/b/c/d/e", "1:Web", "1:*"] {
        assert!(wrong.parse::<PortTo>().is_err(), "{wrong}");
    }
}

#[test]
fn only_the_role_of_a_name_may_be_any() {
    assert!("*/http".parse::<EndpointName>().is_ok());
    for wrong in ["*", "*/web/http", "", "/http", "-a"] {
        assert!(wrong.parse::<EndpointName>().is_err(), "{wrong}");
    }
}

#[test]
fn an_address_has_a_host_and_a_port_above_zero() {
    let read = |text: &str| text.parse::<HostPort>().map(|address| (address.host, address.port));
    assert_eq!(read("db.example:3306"), Ok(("db.example".to_owned(), 3306)));
    assert_eq!(read("[2001:db8::1]:1"), Ok(("2001:db8::1".to_owned(), 1)));
    for wrong in ["db", "db:", ":1", "db:0", "2001:db8::1:1", "[::1:1"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn conditions_are_typed_as_they_are_thought() {
    let read = |text: &str| text.parse::<Condition>().unwrap();
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let is = |key: &str, condition| Condition { key: key.to_owned(), condition };
    assert_eq!(read("zone=a"), is("zone", Holds::In(list(&["a"]))));
    assert_eq!(read("version=10.11,11.4"), is("version", Holds::In(list(&["10.11", "11.4"]))));
    assert_eq!(read("dc!=lab"), is("dc", Holds::Not(list(&["lab"]))));
    assert_eq!(read("backup"), is("backup", Holds::Exists(true)));
    assert_eq!(read("!backup"), is("backup", Holds::Exists(false)));
    assert!("=a".parse::<Condition>().is_err() && "!".parse::<Condition>().is_err());
    assert!("a=".parse::<Attribute>().is_ok() && "a".parse::<Attribute>().is_err());
}

#[test]
fn a_check_is_of_the_port_of_a_page_or_none() {
    assert_eq!("http:/health?full=1".parse(), Ok(Health::Http("/health?full=1".to_owned())));
    assert_eq!(("tcp".parse(), "none".parse()), (Ok(Health::Tcp), Ok(Health::None)));
    for wrong in ["http", "http:health", "http:/a b", "udp"] {
        assert!(wrong.parse::<Health>().is_err(), "{wrong}");
    }
}
