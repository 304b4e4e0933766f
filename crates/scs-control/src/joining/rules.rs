//! Who may join: pure rules over what desired state has, what was asked, and the time.

use crate::state::{HostRecord, PersonRecord, TokenRecord};
use scs_api::error::{Code, Problem};
use scs_api::join::{JoiningHost, Purpose};
use scs_api::person::Role;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// How far the clock of who joins may be from ours: certificates bear more, but times in logs and plans would be of no use.
const APART: Duration = Duration::from_secs(5 * 60);

/// Labels that a host may have.
const LABELS: usize = 64;

/// Whether a token may be used now, by a request with this digest. One whose answer was lost may be sent once more.
pub(super) fn token(record: Option<TokenRecord>, request: &str, now: SystemTime) -> Result<TokenRecord, Problem> {
    let refused = |message: String, hint: &str| Err(Problem::new(Code::Forbidden, message).hint(hint));
    let Some(record) = record else {
        return refused(
            "this server did not make the token, or has forgotten it long after its end".to_owned(),
            "nothing was changed; an administrator makes a new one with `scs host token` or `scs person token`",
        );
    };
    if let Some(used) = record.used.as_ref().filter(|used| used.request != request) {
        let (by, at) = (&used.by, shown(used.at));
        return refused(
            format!("the token was used by {by} at {at}, and each is good for once"),
            "nothing was changed; if that was not you, remove it, and make a new token in any case",
        );
    }
    if now >= record.expires {
        let (at, now) = (shown(record.expires), shown(now));
        return refused(
            format!("the token expired at {at}; the server's clock says {now}"),
            "nothing was changed; make a new one with `scs host token` or `scs person token`",
        );
    }
    Ok(record)
}

/// Whoever used the token was removed since, and does not come back with it.
pub(super) fn removed(token: &TokenRecord) -> Problem {
    let by = token.used.as_ref().map_or("somebody", |it| it.by.as_str());
    Problem::new(Code::Forbidden, format!("the token was used by {by}, who has been removed since"))
        .hint("nothing was changed; an administrator makes a new one")
}

/// Whether the clock of who joins is right.
pub(super) fn clock(theirs: SystemTime, ours: SystemTime) -> Result<(), Problem> {
    let (apart, word) = match theirs.duration_since(ours) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart <= APART {
        return Ok(());
    }
    let (theirs, ours, apart) = (shown(theirs), shown(ours), roughly(apart));
    Err(Problem::new(
        Code::BadRequest,
        format!("the clock of this machine is {apart} {word} the server's: {theirs} here, {ours} there"),
    )
    .hint("nothing was changed, and the token can still be used; set the clock that is wrong (NTP keeps it right)"))
}

/// The host as it will be, if it may join; `existing` is the one of its name.
pub(super) fn host(
    purpose: &Purpose,
    joining: &JoiningHost,
    existing: Option<HostRecord>,
    cluster: &str,
    version: &str,
    now: SystemTime,
) -> Result<HostRecord, Problem> {
    let Purpose::Host { name: only, labels, rejoin } = purpose else {
        return Err(bad("the token is for a person, not for a host".to_owned())
            .hint("nothing was changed; `scs host token` makes one for a host"));
    };
    let name = &joining.name;
    if !disco_proto::label(name) {
        let message = format!("{name:?} is no name for a host: lower-case letters, digits and dashes, 63 at most");
        return Err(bad(message).hint("nothing was changed; give it another with `--name`"));
    }
    if let Some(only) = only.as_ref().filter(|only| *only != name) {
        let message = format!("the token is for host {only}, and this one calls itself {name}");
        return Err(Problem::new(Code::Forbidden, message)
            .hint(format!("nothing was changed; say `--name {only}`, or make a token for {name}")));
    }
    if let Some(other) = joining.cluster.as_ref().filter(|it| *it != cluster) {
        let message = format!("host {name} belongs to cluster {other}, and this server is of cluster {cluster}");
        return Err(Problem::new(Code::Conflict, message).hint(
            "nothing was changed, and its containers keep running; join it to its own server, or start the agent with another `--state`",
        ));
    }
    address(&joining.advertise)?;
    let mut all = joining.labels.clone();
    all.extend(labels.clone());
    check_labels(&all)?;
    let Some(existing) = existing else {
        return Ok(HostRecord {
            name: name.clone(),
            address: joining.advertise.clone(),
            labels: all,
            drained: false,
            joined: now,
            version: version.to_owned(),
            certificates: Vec::new(),
        });
    };
    let ended = existing.certificates.iter().all(|it| it.not_after <= now);
    let named = only.is_some();
    if !(*rejoin || (ended && named)) {
        let since = shown(existing.joined);
        let message = format!("there is a host {name} already, at {}, which joined at {since}", existing.address);
        return Err(Problem::new(Code::Conflict, message).hint(format!(
            "nothing was changed; give this one another name with `--name`, or, if it is the same machine, make a token with `scs host token {name} --rejoin`"
        )));
    }
    // Labels that people gave it since are its own.
    let mut kept = existing.labels;
    kept.extend(all);
    Ok(HostRecord { address: joining.advertise.clone(), labels: kept, version: version.to_owned(), ..existing })
}

/// The person as they will be; `existing` is the one of that name.
pub(super) fn person(
    purpose: &Purpose,
    existing: Option<PersonRecord>,
    now: SystemTime,
) -> Result<PersonRecord, Problem> {
    let Purpose::Person { name, role, environments } = purpose else {
        return Err(bad("the token is for a host, not for a person".to_owned())
            .hint("nothing was changed; `scs person token` makes one for a person"));
    };
    let (joined, certificates) = existing.map_or((now, Vec::new()), |it| (it.joined, it.certificates));
    Ok(PersonRecord { name: name.clone(), role: *role, environments: environments.clone(), joined, certificates })
}

/// Whether a token may be made for this.
pub(super) fn purpose(purpose: &Purpose) -> Result<(), Problem> {
    match purpose {
        Purpose::Host { name, labels, rejoin } => {
            if let Some(name) = name.as_ref().filter(|it| !disco_proto::label(it)) {
                return Err(bad(format!(
                    "{name:?} is no name for a host: lower-case letters, digits and dashes, 63 at most"
                )));
            }
            if *rejoin && name.is_none() {
                return Err(bad("a host that joins again is named in its token".to_owned()));
            }
            check_labels(labels)
        }
        Purpose::Person { name, role, environments } => {
            if !name.split('.').all(disco_proto::label) || name.len() > 253 {
                return Err(bad(format!(
                    "{name:?} is no name for a person: lower-case letters, digits and dashes, joined by dots"
                )));
            }
            rights(*role, environments)
        }
    }
}

/// Whether a role and environments make sense together.
pub(super) fn rights(role: Role, environments: &[String]) -> Result<(), Problem> {
    if let Some(other) = environments.iter().find(|it| *it != "*" && !disco_proto::label(it)) {
        return Err(bad(format!("{other:?} is no environment: lower-case letters, digits and dashes, or `*`")));
    }
    if role != Role::Admin && environments.is_empty() {
        return Err(bad(format!("role {role} is for environments, and none is named"))
            .hint("nothing was changed; name them with `--env`; `*` is any"));
    }
    Ok(())
}

/// Whether labels can be a host's.
pub(crate) fn check_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<(), Problem> {
    let mut count = 0;
    for (name, value) in labels {
        count += 1;
        if !disco_proto::label(name) {
            return Err(bad(format!(
                "label {name:?} is not named as it should be: lower-case letters, digits and dashes, 63 at most"
            )));
        }
        if value.is_empty() || value.len() > 255 || value.chars().any(char::is_control) {
            return Err(bad(format!("the value of label {name} is not 1 to 255 characters without controls")));
        }
    }
    if count > LABELS { Err(bad(format!("a host has {LABELS} labels at most"))) } else { Ok(()) }
}

/// Whether others can be told to connect to this.
pub(super) fn address(address: &str) -> Result<(), Problem> {
    let wrong = |why: &str| {
        Err(bad(format!("others cannot connect to {address:?}: {why}"))
            .hint("nothing was changed; `--advertise` names the address of this machine"))
    };
    let Some((host, port)) = address.rsplit_once(':') else { return wrong("it is not HOST:PORT") };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return wrong("it ends with no port");
    }
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => wrong("it is every address, and none"),
        Ok(ip) if ip.is_multicast() => wrong("it is nobody's own"),
        Ok(ip) if ip.is_ipv6() && bare == host => wrong("an IPv6 address is written in brackets"),
        Ok(_) => Ok(()),
        Err(_) if host.len() <= 253 && host.split('.').all(disco_proto::label) => Ok(()),
        Err(_) => wrong("it is neither an IP address nor a DNS name"),
    }
}

fn bad(message: String) -> Problem {
    Problem::new(Code::BadRequest, message).hint("nothing was changed")
}

/// A point in time, for people.
fn shown(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::MAX);
    at.round(jiff::Unit::Second).unwrap_or(at).to_string()
}

fn roughly(time: Duration) -> String {
    let minutes = (time.as_secs() + 30) / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, _) if hours >= 48 => format!("{} days", hours / 24),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
