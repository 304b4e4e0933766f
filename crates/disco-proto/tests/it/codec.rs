//! Lines and messages.

use disco_proto::{Code, Condition, Frames, Id, Message, Method, Query, codec::TooLong, decode, limits};

fn refused(line: &str) -> (Option<Id>, Code) {
    let broken = decode(line.as_bytes()).expect_err(line);
    (broken.id, broken.failure.code)
}

fn query(params: &str) -> Query {
    let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"resolve","params":{params}}}"#);
    match decode(line.as_bytes()) {
        Ok(Message::Call { method: Method::Resolve(query), .. }) => query,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_are_cut_wherever_the_bytes_are() {
    let mut frames = Frames::new();
    let mut lines = Vec::new();
    for byte in b"one\r\n\n\ntwo\nthr" {
        frames.push(&[*byte]);
        while let Some(line) = frames.next_line().unwrap() {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
    }
    assert_eq!(lines, ["one", "two"]);
    frames.push(b"ee\nfour\nfi");
    assert_eq!(frames.next_line().unwrap(), Some(&b"three"[..]));
    assert_eq!(frames.next_line().unwrap(), Some(&b"four"[..]));
    assert_eq!(frames.next_line().unwrap(), None);
}

#[test]
fn a_line_may_be_a_mebibyte_and_not_a_byte_longer() {
    let mut frames = Frames::new();
    let mut line = vec![b'x'; limits::LINE - 1];
    line.push(b'\n');
    frames.push(&line);
    assert_eq!(frames.next_line().unwrap().map(<[u8]>::len), Some(limits::LINE - 1));
    line.insert(0, b'x');
    frames.push(&line);
    assert_eq!(frames.next_line(), Err(TooLong));
    let mut frames = Frames::new();
    frames.push(&vec![b'x'; limits::LINE]);
    assert_eq!(frames.next_line(), Err(TooLong));
}

#[test]
fn what_is_wrong_is_said_with_the_request_id_if_there_is_one() {
    assert_eq!(refused("{"), (None, Code::Parse));
    assert_eq!(refused("[]"), (None, Code::Invalid));
    assert_eq!(refused("{}"), (None, Code::Invalid));
    assert_eq!(refused(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#), (Some(Id::Number(1)), Code::Invalid));
    assert_eq!(refused(r#"{"jsonrpc":"2.0","id":"a"}"#), (Some(Id::Text("a".into())), Code::Invalid));
    assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"method":"pong"}"#), (Some(Id::Number(1)), Code::Method));
    assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"method":"provide"}"#), (Some(Id::Number(1)), Code::Params));
    assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#), (Some(Id::Number(1)), Code::Invalid));
    assert_eq!(refused(r#"{"jsonrpc":"2.0","id":-1,"method":"ping"}"#), (None, Code::Invalid));
}

#[test]
fn names_instances_hosts_and_ports_are_checked() {
    for (member, value) in [
        ("name", r#""dev/blog/mysql""#),
        ("name", r#""dev/blog/mysql/mysql/more""#),
        ("name", r#""dev/blog/My_SQL/mysql""#),
        ("name", r#""dev/blog/-mysql/mysql""#),
        ("name", r#""dev/blog/*/mysql""#),
        ("instance", r#""""#),
        ("instance", r#""a/b""#),
        ("host", r#""""#),
        ("host", r#""[::1]""#),
        ("host", r#""a b""#),
        ("port", "0"),
        ("port", "65536"),
        ("attributes", r#"{"a":"\u0007"}"#),
        ("attributes", r#"{"":"a"}"#),
        ("health", r#""fine""#),
    ] {
        let mut params = serde_json::json!({
            "name": "dev/blog/mysql/mysql", "instance": "a", "host": "192.0.2.1", "port": 1
        });
        let provide =
            |params: &serde_json::Value| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"provide","params":{params}}}"#);
        assert!(decode(provide(&params).as_bytes()).is_ok());
        params[member] = serde_json::from_str(value).unwrap();
        assert_eq!(refused(&provide(&params)).1, Code::Params, "{member}: {value}");
    }
}

#[test]
fn a_plain_text_is_short_for_a_condition_of_one_value() {
    let query = query(r#"{"name":"dev/blog/*/mysql","match":{"a":"b","c":{"in":["d"]}}}"#);
    assert_eq!(query.r#match["a"], Condition::In(vec!["b".to_owned()]));
    assert_eq!(query.r#match["c"], Condition::In(vec!["d".to_owned()]));
    assert_eq!((query.role.as_str(), query.name().as_str()), ("*", "dev/blog/*/mysql"));
}

#[test]
fn unknown_members_are_ignored() {
    let query = query(r#"{"name":"dev/blog/mysql/mysql","since":"tomorrow"}"#);
    assert_eq!(query.service, "blog");
}

#[test]
fn conditions_hold_as_described() {
    let some = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    assert!(Condition::In(some(&["a", "b"])).holds(Some("b")) && !Condition::In(some(&["a"])).holds(None));
    assert!(Condition::Not(some(&["a"])).holds(None) && !Condition::Not(some(&["a"])).holds(Some("a")));
    assert!(Condition::Exists(true).holds(Some("")) && Condition::Exists(false).holds(None));
}
