//! What `scs ps` shows of each state.

use super::*;
use scs_api::agent::{ContainerReport, ProvideReport};
use scs_plan::slot::Slot;
use std::collections::BTreeMap;
use std::time::Duration;

fn report(role: &str, phase: Phase, message: Option<&str>, since: SystemTime) -> SlotReport {
    let provide = ProvideReport {
        address: "172.18.0.1:32768".into(),
        local_address: Some("127.0.0.1:32768".into()),
        published: true,
        failure: None,
    };
    SlotReport {
        slot: Slot { environment: "dev".into(), service: "blog".into(), role: role.into(), index: 0 },
        phase,
        message: message.map(str::to_owned),
        details: Vec::new(),
        since,
        container: (phase == Phase::Running).then(|| ContainerReport {
            instance: "r1".into(),
            id: "abc".into(),
            name: "scs-dev-blog".into(),
            spec_digest: "1".repeat(64),
            image_digest: "2f".repeat(32),
            image: "sha256:0".into(),
            started: None,
            exit_code: None,
            explained: false,
            provides: BTreeMap::from([("mysql".to_owned(), provide)]),
        }),
        applied: None,
        served: false,
        leased: false,
        restarts: 1,
        live_updates: BTreeMap::new(),
        requirements: BTreeMap::new(),
        volumes: BTreeMap::new(),
    }
}

#[test]
fn several_instances_of_a_role_are_listed_as_they_are_typed() {
    let now = SystemTime::UNIX_EPOCH;
    let mut second = report("worker", Phase::Waiting, None, now);
    second.slot.index = 1;
    let reports = [report("web", Phase::Waiting, None, now), report("worker", Phase::Waiting, None, now), second];
    let lines = render(&on("h1", reports), false, now, 100, |_, text| text.to_owned());
    let names: Vec<&str> = lines.iter().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["web", "worker.0", "worker.1"]);
}

fn on<const N: usize>(host: &str, reports: [SlotReport; N]) -> Vec<Instance> {
    reports.into_iter().map(|report| Instance { host: host.to_owned(), report }).collect()
}

#[test]
fn in_a_cluster_each_line_says_where() {
    let now = SystemTime::UNIX_EPOCH;
    let lines = render(&on("h1", [report("db", Phase::Running, None, now)]), true, now, 100, |_, text| text.to_owned());
    insta::assert_snapshot!(lines.join("\n"), @r"
    ROLE  HOST  STATE       ADDRESS                 IMAGE         RESTARTS  MESSAGE
    db    h1    running 0s  mysql 172.18.0.1:32768  2f2f2f2f2f2f  1
    ");
}

#[test]
fn a_slot_is_one_line_that_fits_a_hundred_columns() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
    let long =
        "waiting for mysql (dev/blog/mysql-master/mysql), which has been gone for a very long time indeed by now";
    let reports = [
        report("mysql-master", Phase::Running, None, now - Duration::from_secs(300)),
        report("wordpress", Phase::Waiting, Some(long), now - Duration::from_secs(4)),
    ];
    let lines = render(&on("h1", reports), false, now, 100, |_, text| text.to_owned());
    insta::assert_snapshot!(lines.join("\n"), @r"
    ROLE          STATE       ADDRESS                IMAGE         RESTARTS  MESSAGE
    mysql-master  running 5m  mysql 127.0.0.1:32768  2f2f2f2f2f2f  1
    wordpress     waiting 4s  –                      –             1         waiting for mysql (dev/blo…
    ");
    assert!(lines.iter().all(|line| line.chars().count() <= 100));
}
