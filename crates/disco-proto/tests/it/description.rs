//! `docs/protocol.md` is normative: every line of its examples is read and written again, byte for byte.

use std::collections::HashMap;

use disco_proto::{
    Answer, Code, Endpoint, Limit, Message, Method, Version, decode, encode,
    message::{Change, Listing, Opened, Pong, Provided, Resolved, Withdrawn},
};

const PAGE: &str = include_str!("../../../../docs/protocol.md");

fn examples() -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match line {
            "```disco" => {
                inside = true;
                blocks.push(Vec::new());
            }
            "```" => inside = false,
            line if inside => blocks.last_mut().unwrap().push(line),
            _ => {}
        }
    }
    blocks
}

/// An answer as the type that the request it answers promises.
fn typed(method: &str, answer: Answer) -> Answer {
    let parsed = match method {
        "session.open" => answer.parse::<Opened>().map(Answer::Opened),
        "ping" => answer.parse::<Pong>().map(Answer::Pong),
        "provide" => answer.parse::<Provided>().map(Answer::Provided),
        "withdraw" => answer.parse::<Withdrawn>().map(Answer::Withdrawn),
        "require" => answer.parse::<Change>().map(Answer::Change),
        "resolve" => answer.parse::<Resolved>().map(Answer::Resolved),
        "list" => answer.parse::<Listing>().map(|listing| Answer::Listing(Box::new(listing))),
        _ => answer.parse::<serde_json::Map<String, serde_json::Value>>().map(|nothing| {
            assert!(nothing.is_empty());
            Answer::Done {}
        }),
    };
    parsed.unwrap_or_else(|error| panic!("the answer to {method}: {error}"))
}

#[test]
fn every_example_is_read_and_written_byte_for_byte() {
    let mut lines = 0;
    for block in examples() {
        let mut asked = HashMap::new();
        for line in block {
            let (side, text) = line.split_once(' ').unwrap();
            let message = decode(text.as_bytes()).unwrap_or_else(|broken| panic!("{text}\n{}", broken.failure));
            let message = match message {
                Message::Call { id, method } => {
                    let of_server = matches!(
                        method,
                        Method::Changed(_) | Method::Snapshot(_) | Method::Reset(_) | Method::Drain(_)
                    );
                    assert_eq!(side, if of_server { "←" } else { "→" }, "{text}");
                    if let Some(id) = id.clone() {
                        asked.insert(id, method.name());
                    }
                    Message::Call { id, method }
                }
                Message::Answer { id, result } => {
                    // What is answered in another block was asked there.
                    let method = id.as_ref().and_then(|id| asked.get(id).copied()).unwrap_or("");
                    Message::Answer { id, result: result.map(|answer| typed(method, answer)) }
                }
            };
            let mut written = Vec::new();
            encode(&message, &mut written);
            assert_eq!(String::from_utf8(written).unwrap(), format!("{text}\n"));
            lines += 1;
        }
    }
    assert!(lines >= 30, "only {lines} examples were found");
}

#[test]
fn every_method_has_an_example() {
    for method in [
        "session.open",
        "session.park",
        "session.close",
        "ping",
        "provide",
        "withdraw",
        "require",
        "applied",
        "unrequire",
        "resolve",
        "list",
        "changed",
        "snapshot",
        "reset",
        "drain",
    ] {
        let quoted = format!("\"method\":\"{method}\"");
        assert!(examples().iter().flatten().any(|line| line.contains(&quoted)), "no example of {method}");
    }
}

#[test]
fn every_code_is_described() {
    for code in Code::all() {
        let row = format!("| {} | `{}` |", code.number(), code.as_str());
        assert!(PAGE.contains(&row), "{row} is not in the page");
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
    let read =
        |name: &str| std::fs::read_to_string(format!("{pages}/{name}.md")).unwrap_or_else(|e| panic!("{name}: {e}"));
    let list = read("README");
    for code in Code::all() {
        let (number, word) = (code.number(), code.as_str());
        assert!(list.contains(&format!("| {number} | [`{word}`]({word}.md) |")), "{word} is not in the list");
        let page = read(word);
        assert!(page.starts_with(&format!("# `{word}` ({number})\n")), "the title of {word}.md");
        for part in ["## Why", "## What to do"] {
            let text = page.split_once(part).unwrap_or_else(|| panic!("{word}.md has no {part}")).1;
            assert!(text.split("\n## ").next().unwrap().trim().len() > 40, "{word}.md says nothing under {part}");
        }
    }
    // Codes of TLS and HTTP have pages, too; whatever there is a page of is in the list.
    for entry in std::fs::read_dir(pages).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || list.contains(&format!("({name})")), "{name} is not in the list");
    }
    let limits = read("limit");
    for limit in Limit::ALL {
        assert!(limits.contains(&format!("| `{limit}` |")), "limit.md does not speak of {limit}");
        assert!(PAGE.contains(&format!("`{limit}`")), "the protocol does not speak of {limit}");
    }
}

#[test]
fn the_versions_in_the_examples_are_those_of_their_endpoints() {
    fn walk(value: &serde_json::Value, seen: &mut usize) {
        match value {
            serde_json::Value::Object(members) if members.contains_key("version") && members.contains_key("host") => {
                let endpoint: Endpoint = serde_json::from_value(value.clone()).unwrap();
                assert_eq!(endpoint.version, Version::of(&endpoint), "{value}");
                *seen += 1;
            }
            serde_json::Value::Object(members) => members.values().for_each(|value| walk(value, seen)),
            serde_json::Value::Array(values) => values.iter().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }
    let mut seen = 0;
    for line in examples().into_iter().flatten() {
        walk(&serde_json::from_str(line.split_once(' ').unwrap().1).unwrap(), &mut seen);
    }
    assert!(seen >= 6);
}
