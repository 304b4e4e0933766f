//! The rules of a move, one by one.

use super::*;
use crate::slot::Slot;
use std::collections::BTreeMap;

struct Bench {
    now: Instant,
    clock: SystemTime,
    it: Move,
    out: Vec<Effect>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Record)) -> Self {
        let (now, clock) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        let mut record = Record {
            id: "m".into(),
            slot: Slot { environment: "dev".into(), service: "blog".into(), role: "db".into(), index: 0 },
            from: "h1".into(),
            to: "h2".into(),
            volumes: BTreeMap::from([("data".to_owned(), 3)]),
            idle: false,
            quiesce: false,
            patience: Duration::from_secs(60),
            options: Options::default(),
            who: "ann".into(),
            began: clock,
            stage: Stage::Copying,
            since: clock,
            revision: 10,
            down_since: None,
            fault: None,
        };
        change(&mut record);
        let it = Move::resume(record, now, clock);
        let mut bench = Self { now, clock, it, out: Vec::new() };
        bench.tell(Input::Tick);
        bench
    }

    fn tell(&mut self, input: Input) -> &[Effect] {
        self.out.clear();
        self.it.handle(self.now, input, &mut self.out);
        &self.out
    }

    fn wait(&mut self, seconds: u64) -> &[Effect] {
        self.now += Duration::from_secs(seconds);
        self.tell(Input::Tick)
    }

    /// Does what it asked for last: enters the stage.
    fn commit(&mut self) -> Vec<Effect> {
        let Some(Effect::Commit { stage, fault }) = self.out.last().cloned() else { panic!("{:?}", self.out) };
        let mut record = self.it.record().clone();
        (record.stage, record.fault, record.revision) = (stage, fault, record.revision + 1);
        record.since = self.clock;
        self.tell(Input::Committed(Box::new(record))).to_vec()
    }

    fn copied(&mut self, bytes: u64, took: u64) -> Vec<Effect> {
        let Some(Effect::Copy { attempt, .. }) = self.out.last().cloned() else { panic!("{:?}", self.out) };
        let result = Ok(Copied { bytes, took: Duration::from_secs(took) });
        self.tell(Input::Copied { attempt, result }).to_vec()
    }

    fn says(&mut self, end: End, change: impl FnOnce(&mut Sight)) -> Vec<Effect> {
        let revision = self.it.record().revision;
        let mut sight = Sight { revision, stopped: false, ready: false, used: Used::Never, words: None };
        change(&mut sight);
        self.tell(Input::Reported(end, sight)).to_vec()
    }

    /// Up to the moment in which the target holds the permit.
    fn pass(&mut self) {
        self.copied(1000, 1);
        self.copied(0, 1);
        self.commit();
        self.says(End::From, |sight| sight.stopped = true);
        self.copied(10, 1);
        self.tell(Input::Released(Ok(())));
        self.commit();
        assert_eq!(self.it.record().stage, Stage::Passed);
    }
}

fn kinds(out: &[Effect]) -> Vec<Pass> {
    out.iter().filter_map(|effect| if let Effect::Copy { pass, .. } = effect { Some(*pass) } else { None }).collect()
}

#[test]
fn a_volume_is_copied_until_little_is_left_then_verified_then_it_stops() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(kinds(&bench.out), [Pass::Warm]);
    assert_eq!(kinds(&bench.copied(1 << 40, 500)), [Pass::Warm]);
    assert_eq!(kinds(&bench.copied(1 << 36, 50)), [Pass::Warm]);
    assert_eq!(kinds(&bench.copied(1 << 20, 1)), [Pass::Verify]);
    assert_eq!(bench.copied(0, 60), [Effect::Commit { stage: Stage::Closing, fault: None }]);
    // Nothing is copied for the last time before the source says that nothing of it runs.
    assert_eq!(bench.commit(), []);
    assert_eq!(bench.says(End::From, |sight| sight.revision -= 1), []);
    assert_eq!(kinds(&bench.says(End::From, |sight| sight.stopped = true)), [Pass::Final]);
    assert_eq!(bench.copied(100, 1), [Effect::Release]);
    assert_eq!(bench.tell(Input::Released(Ok(()))), [Effect::Commit { stage: Stage::Passed, fault: None }]);
    assert_eq!(bench.commit(), []);
    bench.now += Duration::from_secs(3);
    let out = bench.says(End::To, |sight| sight.ready = true);
    assert_eq!(out, [Effect::Close(Outcome::Moved { downtime: Duration::from_secs(3), warning: None })]);
    bench.tell(Input::Closed);
    assert!(bench.it.ended().is_some());
}

#[test]
fn what_changes_as_fast_as_it_is_copied_is_not_copied_for_ever() {
    let mut bench = Bench::new(|_| {});
    bench.copied(1 << 40, 500);
    assert_eq!(kinds(&bench.copied(1 << 40, 500)), [Pass::Verify]);
}

#[test]
fn more_downtime_than_allowed_is_foreseen() {
    let mut bench = Bench::new(|record| record.options.max_downtime = Some(Duration::from_secs(30)));
    bench.copied(1 << 40, 500);
    bench.copied(1 << 40, 500);
    let out = bench.copied(0, 500);
    assert!(matches!(&out[..], [Effect::Close(Outcome::Failed { fault, .. })] if fault.contains("30s")), "{out:?}");
}

#[test]
fn downtime_that_is_over_puts_the_source_back_under_a_new_epoch() {
    let mut bench = Bench::new(|record| record.options.max_downtime = Some(Duration::from_secs(30)));
    bench.copied(1000, 1);
    bench.copied(0, 1);
    bench.commit();
    bench.says(End::From, |sight| sight.stopped = true);
    assert_eq!(bench.it.next_deadline(bench.now), Some(bench.now + Duration::from_secs(30)));
    let out = bench.wait(30).to_vec();
    assert!(matches!(&out[..], [Effect::Commit { stage: Stage::PutBack, fault: Some(_) }]), "{out:?}");
    assert_eq!(bench.commit(), [Effect::CancelCopy]);
    let record = bench.it.record();
    assert_eq!((record.holder(), record.epoch("data", record.stage)), ("h1", Some(4)));
    let out = bench.says(End::From, |sight| sight.ready = true);
    assert!(matches!(&out[..], [Effect::Close(Outcome::Failed { downtime: Some(_), warning: None, .. })]), "{out:?}");
}

#[test]
fn a_full_target_ends_the_move_at_once_and_a_broken_copy_after_some_tries() {
    let fail = |bench: &mut Bench, fatal| {
        let Some(Effect::Copy { attempt, .. }) = bench.out.last().cloned() else { panic!("{:?}", bench.out) };
        let result = Err(CopyFailure { message: "no room".into(), fatal });
        bench.tell(Input::Copied { attempt, result }).to_vec()
    };
    let mut bench = Bench::new(|_| {});
    assert!(matches!(&fail(&mut bench, true)[..], [Effect::Close(Outcome::Failed { .. })]));
    let mut bench = Bench::new(|_| {});
    for _ in 1..TRIES {
        assert_eq!(fail(&mut bench, false), []);
        assert_eq!(kinds(bench.wait(5)), [Pass::Warm]);
    }
    assert_eq!(fail(&mut bench, false), []);
    assert!(matches!(bench.wait(5), [Effect::Close(Outcome::Failed { .. })]));
}

#[test]
fn a_target_that_does_not_start_is_recalled_and_the_source_runs_only_then() {
    let mut bench = Bench::new(|_| {});
    bench.pass();
    bench.says(End::To, |sight| sight.words = Some("port 80 is taken".into()));
    let out = bench.wait(60).to_vec();
    let [Effect::Commit { stage: Stage::Recalling, fault: Some(fault) }] = &out[..] else { panic!("{out:?}") };
    assert!(fault.contains("port 80 is taken"), "{fault}");
    bench.commit();
    // The target does not answer: both stay stopped, for as long as that takes.
    bench.tell(Input::Lost(End::To));
    assert_eq!(bench.wait(100_000), []);
    assert!(bench.it.doing().contains("may still run there"), "{}", bench.it.doing());
    assert_eq!(bench.it.record().part("h1"), Part::Stopped);
    let out = bench.says(End::To, |sight| sight.stopped = true);
    assert!(matches!(&out[..], [Effect::Commit { stage: Stage::Returned, .. }]), "{out:?}");
    bench.commit();
    let record = bench.it.record();
    assert_eq!((record.holder(), record.epoch("data", record.stage)), ("h1", Some(5)));
    assert_eq!((record.part("h1"), record.part("h2"), record.part("h3")), (Part::Runs, Part::Gone, Part::None));
}

#[test]
fn what_has_served_on_the_target_stays_there() {
    let mut bench = Bench::new(|_| {});
    bench.pass();
    bench.says(End::To, |sight| sight.used = Used::Served);
    let out = bench.wait(60).to_vec();
    assert!(matches!(&out[..], [Effect::Close(Outcome::Moved { warning: Some(_), .. })]), "{out:?}");
    // The same found out only after it was recalled.
    let mut bench = Bench::new(|_| {});
    bench.pass();
    bench.says(End::To, |_| {});
    bench.wait(60);
    bench.commit();
    let out = bench.says(End::To, |sight| (sight.stopped, sight.used) = (true, Used::Served));
    assert!(matches!(&out[..], [Effect::Commit { stage: Stage::Passed, .. }]), "{out:?}");
}

#[test]
fn a_silent_target_that_holds_the_permit_is_waited_for_until_somebody_answers_for_its_death() {
    let mut bench = Bench::new(|_| {});
    bench.pass();
    bench.tell(Input::Lost(End::To));
    assert_eq!(bench.wait(100_000), []);
    let out = bench.tell(Input::AbortAsked("ann wants it back".into())).to_vec();
    assert!(matches!(&out[..], [Effect::Commit { stage: Stage::Recalling, .. }]), "{out:?}");
    assert_eq!(bench.commit(), []);
    let out = bench.tell(Input::TargetFenced).to_vec();
    assert!(matches!(&out[..], [Effect::Commit { stage: Stage::Returned, .. }]), "{out:?}");
}

#[test]
fn whoever_answers_is_not_dead_whatever_is_said_of_it() {
    let recalled = || {
        let mut bench = Bench::new(|_| {});
        bench.pass();
        bench.says(End::To, |sight| sight.used = Used::Started);
        bench.tell(Input::AbortAsked("ann wants it back".into()));
        bench.commit();
        assert_eq!(bench.it.record().stage, Stage::Recalling);
        bench
    };
    // Said of one that answers, and later falls silent.
    let mut bench = recalled();
    assert_eq!(bench.tell(Input::TargetFenced), []);
    assert_eq!(bench.tell(Input::Lost(End::To)), []);
    // Said of one that is silent, which is back before that could be acted upon.
    let mut bench = Bench::new(|_| {});
    bench.pass();
    bench.tell(Input::Lost(End::To));
    bench.tell(Input::AbortAsked("ann wants it back".into()));
    let recall = bench.out.clone();
    bench.tell(Input::TargetFenced);
    bench.says(End::To, |sight| sight.used = Used::Started);
    bench.out = recall;
    assert_eq!(bench.commit(), []);
    let out = bench.says(End::To, |sight| sight.stopped = true);
    assert!(matches!(&out[..], [Effect::Commit { stage: Stage::Returned, .. }]), "{out:?}");
}

#[test]
fn a_source_that_falls_silent_while_it_stops_keeps_its_permit() {
    let mut bench = Bench::new(|_| {});
    bench.copied(1000, 1);
    bench.copied(0, 1);
    bench.commit();
    bench.tell(Input::Lost(End::From));
    let out = bench.wait(30).to_vec();
    assert!(matches!(&out[..], [Effect::Commit { stage: Stage::PutBack, .. }]), "{out:?}");
    let out = bench.commit();
    assert!(matches!(&out[..], [Effect::Close(Outcome::Failed { warning: Some(_), downtime: None, .. })]), "{out:?}");
}

#[test]
fn without_volumes_it_runs_on_both_until_the_target_is_ready() {
    let mut bench = Bench::new(|record| (record.volumes, record.stage) = (BTreeMap::new(), Stage::Beside));
    assert_eq!((bench.it.record().part("h1"), bench.it.record().part("h2")), (Part::Runs, Part::Runs));
    let out = bench.says(End::To, |sight| sight.ready = true);
    assert_eq!(out, [Effect::Close(Outcome::Moved { downtime: Duration::ZERO, warning: None })]);
}

#[test]
fn what_is_stopped_by_hand_is_copied_once_and_stays_stopped() {
    let mut bench = Bench::new(|record| (record.idle, record.quiesce) = (true, true));
    assert_eq!(bench.out, [Effect::Commit { stage: Stage::Closing, fault: None }]);
    bench.commit();
    assert_eq!(kinds(&bench.says(End::From, |sight| sight.stopped = true)), [Pass::Final]);
    bench.copied(10, 1);
    bench.tell(Input::Released(Ok(())));
    bench.commit();
    let out = bench.says(End::To, |sight| sight.stopped = true);
    assert!(matches!(&out[..], [Effect::Close(Outcome::Moved { .. })]), "{out:?}");
}

#[test]
fn a_record_comes_back_from_disk_as_it_was() {
    let record =
        Bench::new(|record| record.options.max_downtime = Some(Duration::from_millis(1500))).it.record().clone();
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
}
