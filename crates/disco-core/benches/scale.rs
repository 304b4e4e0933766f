//! A server's worth of clients, in the core alone: what each costs in memory and in time, on one core.
//!
//! `cargo bench -p disco-core --bench scale`, with `-- --small` a tenth of it. Memory is the growth of the process's resident set, so what the
//! allocator wastes is counted; sockets and tasks are the shell's and are not.

use std::{
    fs,
    time::{Duration, Instant},
};

use disco_core::{Conn, Core, Effect, Grants, Input, Options};
use disco_proto::{
    Answer, Id, Message, Method, Name, PROTOCOL, Provision, Query, Reason,
    message::{Applied, Open, Require, Withdraw},
};

struct Bench {
    core: Core,
    start: Instant,
    effects: Vec<Effect>,
    connections: u64,
}

impl Bench {
    fn input(&mut self, input: Input) {
        self.core.handle(self.start.elapsed(), input, &mut self.effects);
    }

    fn say(&mut self, conn: u64, method: Method) {
        let message = Message::Call { id: Some(Id::Number(1)), method };
        self.input(Input::Received(Conn(conn), Box::new(message)));
    }

    /// Takes what is to be sent, as a shell would; receives and applies every change. Returns how many there were.
    fn settle(&mut self) -> usize {
        let mut changes = 0;
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                if let Effect::Send(conn, message) = effect
                    && let Message::Call { id, method: Method::Changed(changed) } = *message
                {
                    changes += 1;
                    let receipt = Message::Answer { id, result: Ok(Answer::Done {}) };
                    self.input(Input::Received(conn, Box::new(receipt)));
                    let applied = Applied { id: changed.id, seq: changed.change.seq };
                    let applied = Message::Call { id: None, method: Method::Applied(applied) };
                    self.input(Input::Received(conn, Box::new(applied)));
                }
            }
        }
        changes
    }

    /// Does something so many times, and says what one costs.
    fn measure(&mut self, what: &str, count: u64, each: impl Fn(&mut Self, u64)) {
        let (memory, start) = (resident(), Instant::now());
        for number in 0..count {
            each(self, number);
            self.effects.clear();
        }
        let time = start.elapsed();
        self.effects.shrink_to(1024);
        report(what, count, time, resident().saturating_sub(memory));
    }
}

#[allow(clippy::print_stdout)]
fn report(what: &str, count: u64, time: Duration, bytes: u64) {
    let (rate, each) = (count as f64 / time.as_secs_f64(), bytes / count.max(1));
    println!("{what:<44} {count:>9}  {rate:>11.0} a second  {each:>6} bytes each");
}

/// Bytes of the process's resident set.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

fn name(topic: u64) -> Name {
    Name::new("prod", &format!("service{topic}"), "mysql", "mysql").expect("a name")
}

fn provision(number: u64, topics: u64) -> Provision {
    let mut provision = Provision::new(name(number % topics), &format!("0190f3a1{number:08x}"), "192.0.2.11", 39313);
    for (attribute, value) in [("host", format!("host{number}")), ("zone", "a".to_owned())] {
        provision.attributes.insert(attribute.to_owned(), value);
    }
    provision
}

fn main() {
    let small = std::env::args().any(|argument| argument == "--small");
    let scale = if small { 10 } else { 1 };
    let (connections, each, topics) = (100_000 / scale, 10, 50_000 / scale);
    let mut options = Options::new("epoch", [7; 32]);
    options.hold = Duration::ZERO;
    // Time passes as it does; nobody pings here.
    options.heartbeat = Duration::from_secs(3600);
    let core = Core::new(options, Duration::ZERO);
    let mut bench = Bench { core, start: Instant::now(), effects: Vec::new(), connections };
    bench.measure("connections with a session", connections, |bench, number| {
        bench.input(Input::Connected(Conn(number), Grants::Everything));
        let attributes = [("host", format!("host{number}")), ("zone", "a".to_owned())];
        let open = Open {
            protocol: PROTOCOL.to_owned(),
            agent: format!("scs-agent host{number}"),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
            window: Some(30_000),
            resume: None,
        };
        bench.say(number, Method::Open(open));
    });
    bench.measure("registrations", connections, |bench, number| {
        bench.say(number, Method::Provide(provision(number, topics)));
    });
    bench.measure("subscriptions, two endpoints each", connections * each, |bench, number| {
        let topic = number % topics;
        let require =
            Require { id: format!("slot{number}.db"), query: Query::of(&name(topic)), known: Default::default() };
        bench.say(number % bench.connections, Method::Require(require));
    });
    let again = connections / 10;
    let (start, mut told) = (Instant::now(), 0);
    for number in 0..again {
        let mut changed = provision(number, topics);
        changed.port += 1;
        bench.say(number, Method::Provide(changed));
        told += bench.settle();
    }
    report("changes, each told, received and applied", told as u64, start.elapsed(), 0);
    let start = Instant::now();
    let snapshot = bench.core.snapshot();
    let time = start.elapsed();
    let provisions: usize = snapshot.sessions.iter().map(|session| session.provisions.len()).sum();
    report("provisions in a snapshot, on the core's task", provisions as u64, time, 0);
    let mut file = Vec::new();
    let start = Instant::now();
    disco_proto::snapshot::write(&snapshot, &mut file).expect("memory takes it");
    report("the same, written beside it", provisions as u64, start.elapsed(), file.len() as u64);
    drop(snapshot);
    let start = Instant::now();
    let pings = connections;
    for number in 0..pings {
        bench.say(number, Method::Ping);
        bench.effects.clear();
    }
    report("pings", pings, start.elapsed(), 0);
    let start = Instant::now();
    for number in 0..again {
        let provision = provision(number, topics);
        let withdraw = Withdraw {
            name: provision.name,
            instance: provision.instance,
            reason: Reason::Died,
            wait: None,
            successor_by: None,
        };
        bench.say(number, Method::Withdraw(withdraw));
        bench.settle();
    }
    report("withdrawals, each told, received and applied", again, start.elapsed(), 0);
}
