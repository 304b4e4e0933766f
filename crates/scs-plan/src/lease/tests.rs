//! Leases over networks that delay, reorder and lose.

use super::{ENOUGH, Granted, Holder, LENGTH, MARGIN, OPEN};
use crate::slot::Slot;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn slot(role: &str) -> Slot {
    Slot { environment: "prod".into(), service: "blog".into(), role: role.into(), index: 0 }
}

fn only(role: &str) -> BTreeSet<Slot> {
    [slot(role)].into()
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_lease_counts_from_the_question_and_covers_what_the_answer_names() {
    let mut holder = Holder::new(7);
    assert_eq!(holder.ask(at(10)), 7);
    assert_eq!(holder.until(&slot("db"), at(10)), None, "a question is no answer");
    assert_eq!(holder.answered(7, &only("db"), at(12)), Some(at(10) + LENGTH));
    assert_eq!(holder.until(&slot("db"), at(12)), Some(at(10) + LENGTH));
    assert_eq!(holder.until(&slot("web"), at(12)), None);
    assert!(holder.may_start(&slot("db"), at(10) + LENGTH - ENOUGH));
    assert!(!holder.may_start(&slot("db"), at(11) + LENGTH - ENOUGH), "too little is left");
    assert_eq!(holder.until(&slot("db"), at(10) + LENGTH), None, "it has ended");
}

#[test]
fn what_an_answer_no_longer_names_runs_out() {
    let mut holder = Holder::new(0);
    let first = holder.ask(at(0));
    holder.answered(first, &only("db"), at(0));
    let second = holder.ask(at(5));
    holder.answered(second, &BTreeSet::new(), at(5));
    assert_eq!(holder.until(&slot("db"), at(6)), Some(LENGTH), "not taken away, and not made longer");
}

#[test]
fn answers_to_unknown_old_and_late_questions_are_worth_nothing() {
    let mut holder = Holder::new(100);
    assert_eq!(holder.answered(100, &only("db"), at(0)), None, "never asked");
    let (old, new) = (holder.ask(at(0)), holder.ask(at(5)));
    assert!(holder.answered(new, &only("db"), at(6)).is_some());
    assert_eq!(holder.answered(old, &only("db"), at(6)), None, "a newer one was answered");
    assert_eq!(holder.answered(new, &only("db"), at(6)), None, "once is enough");
    let late = holder.ask(at(10));
    assert_eq!(holder.answered(late, &only("db"), at(10) + LENGTH), None);
    let first = holder.ask(at(30));
    for _ in 0..OPEN {
        holder.ask(at(31));
    }
    assert_eq!(holder.answered(first, &only("db"), at(31)), None, "forgotten: too many were asked since");
}

#[test]
fn a_server_that_starts_knows_of_no_grant_and_waits_as_if_it_had_just_granted_all() {
    let start = Instant::now();
    let mut granted = Granted::new(LENGTH + MARGIN, start);
    assert_eq!(granted.left("h1", start), LENGTH + MARGIN);
    granted.grant("h1", start + at(10));
    assert_eq!(granted.left("h1", start + at(12)), LENGTH + MARGIN - at(2));
    assert_eq!(granted.left("h2", start + LENGTH + MARGIN), Duration::ZERO);
    assert_eq!(granted.left("h1", start + at(10) + LENGTH + MARGIN), Duration::ZERO);
}

/// One question: when it was asked, how long it takes there and back (milliseconds); `None` where the answer is lost.
type Exchange = (u64, u64, Option<u64>);

proptest! {
    /// Whatever the network does, once the server takes a lease for ended it has been so at the host for [`MARGIN`], as long as the host's
    /// clock is not slower than the server's; and for more than half of that with one that is slower by a fiftieth.
    #[test]
    fn a_lease_ends_at_the_host_before_the_server_passes_it_on(
        exchanges in prop::collection::vec((0_u64..60_000, 0_u64..40_000, prop::option::of(0_u64..40_000)), 1..60),
        offset in 0_u64..1_000_000,
        slow in prop::bool::ANY,
    ) {
        // The host's clock shows something else, and may be slower: of a true time, what it shows.
        let shows = |true_ms: u64| {
            let run = if slow { true_ms * 49 / 50 } else { true_ms };
            Duration::from_millis(offset + run)
        };
        let start = Instant::now();
        let (mut holder, mut granted) = (Holder::new(offset), Granted::new(LENGTH + MARGIN, start));
        let mut events: Vec<(u64, u8, usize)> = Vec::new();
        for (index, (asked, there, back)) in exchanges.iter().enumerate() {
            events.push((*asked, 0, index));
            events.push((asked + there, 1, index));
            if let Some(back) = back {
                events.push((asked + there + back, 2, index));
            }
        }
        events.sort_unstable();
        let mut numbers = vec![0; exchanges.len()];
        let mut passes_on: u64 = 0;
        for (now, what, index) in events {
            let _: Exchange = exchanges[index];
            match what {
                0 => numbers[index] = holder.ask(shows(now)),
                1 => {
                    granted.grant("h1", start + Duration::from_millis(now));
                    let left = granted.left("h1", start + Duration::from_millis(now));
                    passes_on = now + u64::try_from(left.as_millis()).expect("seconds");
                }
                _ => drop(holder.answered(numbers[index], &only("db"), shows(now))),
            }
            if passes_on > 0 {
                let spare = if slow { MARGIN / 2 } else { MARGIN };
                let ends = holder.until(&slot("db"), shows(now)).unwrap_or_default();
                prop_assert!(ends.is_zero() || ends + spare <= shows(passes_on), "ends {ends:?}, passed on {:?}", shows(passes_on));
            }
        }
    }
}
