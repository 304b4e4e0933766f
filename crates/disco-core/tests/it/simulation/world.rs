//! The world of the simulation: a server, clients, and everything that can go wrong between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use disco_core::{Conn, Core, Effect, Grants, Input, Options, Time};
use disco_proto::{
    Answer, Condition, Health, Id, Message, Method, Name, Provision, Query, Reason, Version,
    message::{Identity, Withdraw},
    snapshot::Snapshot,
};

use super::{
    Random,
    client::{Client, Wire},
    oracle,
};

const HEARTBEAT: Duration = Duration::from_secs(1);
const CLIENTS: usize = 9;
const ZONES: [&str; 2] = ["a", "b"];
const NAMES: [&str; 4] =
    ["dev/blog/mysql/mysql", "dev/blog/backup/mysql", "dev/blog/web/http", "prod/blog/mysql/mysql"];

mod checks;

pub struct World {
    random: Random,
    log: bool,
    now: Time,
    settings: Settings,
    core: Core,
    starts: u64,
    /// What was last written; it may be old.
    disk: Option<Snapshot>,
    /// The registry as a watcher knows it: version by identity.
    watched: BTreeMap<Identity, Version>,
    /// The revision of the last change that was watched.
    watched_rev: u64,
    clients: Vec<Client>,
    wires: BTreeMap<Conn, (usize, Wire)>,
    conns: u64,
    /// `changed` messages that the server has sent and had no answer to, by connection: requirement id of each.
    under_way: BTreeMap<Conn, BTreeMap<u64, String>>,
    /// What was withdrawn, acknowledged, and not provided since, whichever server it was on.
    gone: BTreeSet<Identity>,
    /// Why something went, in its providers' words; once that is sure, subscribers of this server are told nothing else.
    departed: BTreeMap<Identity, Departed>,
    /// Withdrawals that this server has not answered.
    withdrawing: BTreeMap<(Conn, Id), Withdrawing>,
    incarnations: u64,
}

#[derive(Default)]
struct Departed {
    reasons: BTreeSet<Reason>,
    sure: bool,
}

struct Withdrawing {
    identity: Identity,
    /// This server had it, or could not be sure that nobody else has.
    known: bool,
    /// The answer says who has not applied it.
    waits: bool,
    /// It may stay for a while, or has been provided again meanwhile.
    moving: bool,
}

/// What differs between seeds.
#[derive(Debug, Clone, Copy)]
struct Settings {
    in_flight: usize,
    /// Clients run into limits.
    narrow: bool,
}

impl Settings {
    fn options(self, starts: u64) -> Options {
        let mut options = Options::new(format!("start{starts}"), [3; 32]);
        options.in_flight = self.in_flight;
        options.brake.window = Duration::from_secs(4);
        options.brake.longest = Duration::from_secs(15);
        options.crowd = 6;
        if self.narrow {
            (options.limits.provisions, options.limits.requirements, options.limits.topic) = (4, 2, 8);
        }
        options
    }
}

impl World {
    pub fn new(mut random: Random, log: bool) -> Self {
        let settings = Settings { in_flight: [1, 2, 64][random.below(3)], narrow: random.chance(20) };
        let client = |index: usize| {
            // The last two share a host, as an agent and its successor do.
            let host = format!("host{}", index.min(CLIENTS - 2));
            Client::new(format!("client{index}"), host, ZONES[random.below(2)].to_owned())
        };
        Self {
            clients: (0..CLIENTS).map(client).collect(),
            random,
            log,
            now: Duration::from_secs(1000),
            settings,
            core: Core::new(settings.options(0), Duration::from_secs(1000)),
            starts: 0,
            disk: None,
            watched: BTreeMap::new(),
            watched_rev: 0,
            wires: BTreeMap::new(),
            conns: 0,
            under_way: BTreeMap::new(),
            gone: BTreeSet::new(),
            departed: BTreeMap::new(),
            withdrawing: BTreeMap::new(),
            incarnations: 0,
        }
    }

    fn note(&self, words: impl FnOnce() -> String) {
        if self.log {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("{:>9.3} {}", self.now.as_secs_f64(), words());
            }
        }
    }

    /// One thing happens.
    pub fn step(&mut self) {
        let who = self.random.below(CLIENTS);
        match self.random.below(100) {
            0..45 => self.deliver_something(),
            45..57 => self.act(who),
            57..67 => self.apply_something(who),
            67..87 => {
                let time = Duration::from_millis(self.random.below(400) as u64);
                self.pass(time);
            }
            87..93 => self.connect(who),
            93..96 => self.cut(who),
            96 if self.random.chance(15) => self.split(),
            96 => self.sleep(who),
            97 => self.lose_state(who),
            98 if self.random.chance(30) => self.restart(),
            99 if self.random.chance(30) => self.server_sleeps(),
            99 => self.save(),
            _ => {}
        }
        self.check();
    }

    // === what clients do ===

    fn act(&mut self, who: usize) {
        let name: Name = NAMES[self.random.below(NAMES.len())].parse().unwrap();
        let instance = format!("{}-{}", self.clients[who].host, self.random.below(3));
        let message = match self.random.below(10) {
            0..5 => {
                let provision = self.provision(who, name, &instance);
                self.note(|| format!("client{who} provides {provision:?}"));
                self.clients[who].provide(provision)
            }
            5..7 => {
                let reason = [Reason::Left, Reason::Died, Reason::Draining][self.random.below(3)];
                let wait = self.random.chance(60).then_some(2000);
                let successor_by = self.random.chance(30).then_some(1500);
                let withdraw = Withdraw { name, instance, reason, wait, successor_by };
                let identity = Identity { name: withdraw.name.clone(), instance: withdraw.instance.clone() };
                if !self.clients[who].provisions.contains_key(&identity) {
                    return;
                }
                self.note(|| format!("client{who} withdraws {withdraw:?}"));
                self.clients[who].withdraw(withdraw)
            }
            7..9 => {
                let (id, query) = (format!("need{}", self.random.below(3)), self.query());
                self.note(|| format!("client{who} requires {id} {query:?}"));
                self.clients[who].require(&id, query)
            }
            _ => {
                let id = format!("need{}", self.random.below(3));
                let client = &mut self.clients[who];
                if client.requirements.remove(&id).is_none() || !client.open {
                    return;
                }
                let unrequire = disco_proto::message::Unrequire { id };
                Some(Message::Call { id: None, method: Method::Unrequire(unrequire) })
            }
        };
        self.say(who, message);
    }

    fn provision(&mut self, who: usize, name: Name, instance: &str) -> Provision {
        let identity = Identity { name: name.clone(), instance: instance.to_owned() };
        let mut provision =
            Provision::new(name, instance, "192.0.2.1", 1000 + u16::try_from(self.random.below(3)).unwrap());
        provision.attributes.insert("zone".to_owned(), self.clients[who].zone.clone());
        if self.random.chance(30) {
            provision.attributes.insert("version".to_owned(), self.random.below(2).to_string());
        }
        provision.health = [Health::Passing, Health::Passing, Health::Passing, Health::Failing][self.random.below(4)];
        // Only a fresh start of the client raises the incarnation.
        let before = self.clients[who].provisions.get(&identity).map(|provision| provision.incarnation);
        provision.incarnation = before.unwrap_or_else(|| {
            self.incarnations += 1;
            self.incarnations
        });
        provision
    }

    fn query(&mut self) -> Query {
        let name: Name = NAMES[self.random.below(NAMES.len())].parse().unwrap();
        let mut query = Query::of(&name);
        if self.random.chance(30) {
            query.role = "*".to_owned();
        }
        if self.random.chance(40) {
            query.prefer.push("zone".to_owned());
        }
        if self.random.chance(20) {
            let condition = match self.random.below(3) {
                0 => Condition::In(vec!["1".to_owned()]),
                1 => Condition::Not(vec!["1".to_owned()]),
                _ => Condition::Exists(true),
            };
            query.r#match.insert("version".to_owned(), condition);
        }
        query
    }

    fn apply_something(&mut self, who: usize) {
        let ids: Vec<String> = self.clients[who].requirements.keys().cloned().collect();
        for id in ids {
            let message = self.clients[who].apply(&id);
            self.say(who, message);
        }
    }

    fn say(&mut self, who: usize, message: Option<Message>) {
        let (Some(conn), Some(message)) = (self.clients[who].conn, message) else { return };
        self.wires.get_mut(&conn).unwrap().1.to_server.push_back(message);
    }

    // === what happens to them ===

    fn connect(&mut self, who: usize) {
        if self.clients[who].conn.is_some() || self.clients[who].asleep_until > self.now {
            return;
        }
        self.conns += 1;
        let conn = Conn(self.conns);
        self.note(|| format!("client{who} connects as {conn:?}"));
        let open = self.clients[who].connected(conn);
        self.clients[who].pinged = self.now;
        self.clients[who].troubled = self.now;
        self.wires.insert(conn, (who, Wire::default()));
        self.input(Input::Connected(conn, Grants::Everything));
        self.say(who, Some(open));
    }

    /// The connection breaks; the server may or may not notice.
    fn cut(&mut self, who: usize) {
        let noticed = self.random.chance(70);
        self.cut_off(who, noticed);
    }

    fn cut_off(&mut self, who: usize, noticed: bool) {
        let Some(conn) = self.clients[who].conn else { return };
        self.clients[who].disconnected();
        self.clients[who].troubled = self.now;
        self.note(|| format!("client{who} is cut off, noticed: {noticed}"));
        if noticed {
            self.end(conn);
        } else {
            let wire = &mut self.wires.get_mut(&conn).unwrap().1;
            wire.half_open = true;
            wire.to_client.clear();
        }
    }

    fn end(&mut self, conn: Conn) {
        self.wires.remove(&conn);
        self.under_way.remove(&conn);
        self.withdrawing.retain(|(other, _), _| *other != conn);
        self.input(Input::Disconnected(conn));
    }

    fn sleep(&mut self, who: usize) {
        let time = Duration::from_millis(self.random.below(6000) as u64);
        self.note(|| format!("client{who} sleeps for {time:?}"));
        self.clients[who].asleep_until = self.now + time;
        self.clients[who].troubled = self.now + time;
    }

    /// It ends and starts anew: it still provides the same, with higher incarnations, in a session of its own.
    fn lose_state(&mut self, who: usize) {
        self.cut(who);
        self.note(|| format!("client{who} starts anew"));
        let client = &mut self.clients[who];
        client.session = None;
        client.requirements.clear();
        client.withdrawals.clear();
        for provision in client.provisions.values_mut() {
            self.incarnations += 1;
            provision.incarnation = self.incarnations;
        }
    }

    /// The server ends without a word, and another starts in its place.
    fn restart(&mut self) {
        match self.random.below(4) {
            // It was asked to, and writes what it has once more.
            0 => {
                self.save();
                self.input(Input::Stopping { retry_after: HEARTBEAT / 5 });
            }
            1 => self.disk = None,
            _ => {}
        }
        let disk = self.disk.clone();
        self.note(|| format!("the server restarts with {disk:?}"));
        self.starts += 1;
        self.core = Core::new(self.settings.options(self.starts), self.now);
        self.core.restore(disk.unwrap_or_default());
        self.wires.clear();
        self.under_way.clear();
        self.withdrawing.clear();
        self.departed.clear();
        self.watched.clear();
        self.watched_rev = 0;
        for client in &mut self.clients {
            client.disconnected();
            client.troubled = self.now;
        }
    }

    /// The server writes what it has to disk, whole, in the format of its file.
    fn save(&mut self) {
        let mut file = Vec::new();
        disco_proto::snapshot::write(&self.core.snapshot(), &mut file).unwrap();
        self.disk = Some(disco_proto::snapshot::read(&file[..]).unwrap());
        self.note(|| "the server saves".to_owned());
    }

    /// Many are cut off, or stop, at once.
    fn split(&mut self) {
        let time = Duration::from_millis(1000 + self.random.below(20_000) as u64);
        let (cut, noticed) = (self.random.chance(50), self.random.chance(50));
        self.note(|| format!("a split for {time:?}, cut: {cut}, noticed: {noticed}"));
        for who in 0..CLIENTS {
            if self.random.chance(60) {
                if cut {
                    self.cut_off(who, noticed);
                }
                self.clients[who].asleep_until = self.now + time;
                self.clients[who].troubled = self.now + time;
            }
        }
    }

    /// The server's process stops for a while; what clients say meanwhile waits.
    fn server_sleeps(&mut self) {
        let time = Duration::from_millis(self.random.below(8000) as u64);
        self.note(|| format!("the server sleeps for {time:?}"));
        self.now += time;
        self.ping();
        self.input(Input::Tick);
    }

    // === time and messages ===

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let step = (end - self.now).min(HEARTBEAT / 5);
            let until = self.now + step;
            while let Some(deadline) = self.core.next_deadline().filter(|deadline| *deadline <= until) {
                self.now = self.now.max(deadline);
                self.input(Input::Tick);
            }
            self.now = until;
            self.ping();
        }
    }

    /// Clients say that they are there when it is time; a heartbeat is never long on its way.
    fn ping(&mut self) {
        for who in 0..CLIENTS {
            let client = &mut self.clients[who];
            if client.asleep_until > self.now || client.pinged + HEARTBEAT > self.now || !client.open {
                continue;
            }
            client.pinged = self.now;
            let conn = client.conn.unwrap();
            self.wires.get_mut(&conn).unwrap().1.to_server.push_back(Message::Call { id: None, method: Method::Ping });
            self.deliver_to_server(conn, usize::MAX);
        }
    }

    fn deliver_something(&mut self) {
        let busy: Vec<Conn> = self
            .wires
            .iter()
            .filter(|(_, (_, wire))| !wire.to_server.is_empty() || !wire.to_client.is_empty())
            .map(|(conn, _)| *conn)
            .collect();
        if busy.is_empty() {
            return;
        }
        let conn = busy[self.random.below(busy.len())];
        let count = 1 + self.random.below(4);
        if self.random.chance(50) {
            self.deliver_to_server(conn, count);
        } else {
            self.deliver_to_client(conn, count);
        }
    }

    fn deliver_to_server(&mut self, conn: Conn, count: usize) {
        for _ in 0..count {
            let Some((_, wire)) = self.wires.get_mut(&conn) else { return };
            let Some(message) = wire.to_server.pop_front() else { return };
            self.note(|| format!("{conn:?} → {message:?}"));
            // What was due before comes before.
            self.input(Input::Tick);
            match &message {
                Message::Answer { id: Some(Id::Number(number)), .. } => {
                    if let Some(under_way) = self.under_way.get_mut(&conn) {
                        under_way.remove(number);
                    }
                }
                Message::Call { id: Some(id), method: Method::Withdraw(withdraw) } => {
                    let identity = Identity { name: withdraw.name.clone(), instance: withdraw.instance.clone() };
                    let (waits, moving) = (withdraw.wait.is_some(), withdraw.successor_by.is_some());
                    self.departed.entry(identity.clone()).or_default().reasons.insert(withdraw.reason);
                    let provisions = self.core.provisions();
                    let there = provisions.iter().map(|provision| &provision.endpoint);
                    let mut same = there.filter(|it| it.name == identity.name && it.instance == identity.instance);
                    let known = same.next().is_some() || !self.core.complete();
                    self.withdrawing.insert((conn, id.clone()), Withdrawing { identity, known, waits, moving });
                }
                Message::Call { method: Method::Provide(provision), .. } => {
                    let identity = Identity { name: provision.name.clone(), instance: provision.instance.clone() };
                    self.gone.remove(&identity);
                    self.departed.remove(&identity);
                    // Answers to withdrawals that this one overtakes say nothing about what is there.
                    for withdrawing in self.withdrawing.values_mut() {
                        withdrawing.moving |= withdrawing.identity == identity;
                    }
                }
                Message::Call { method: Method::Require(require), .. } => {
                    // It replaces what was under way for the same id.
                    if let Some(under_way) = self.under_way.get_mut(&conn) {
                        under_way.retain(|_, id| *id != require.id);
                    }
                }
                Message::Call { method: Method::Unrequire(unrequire), .. } => {
                    if let Some(under_way) = self.under_way.get_mut(&conn) {
                        under_way.retain(|_, id| *id != unrequire.id);
                    }
                }
                _ => {}
            }
            self.input(Input::Received(conn, Box::new(message)));
        }
    }

    fn deliver_to_client(&mut self, conn: Conn, count: usize) {
        for _ in 0..count {
            let Some((who, wire)) = self.wires.get_mut(&conn) else { return };
            let who = *who;
            if self.clients[who].asleep_until > self.now || wire.half_open {
                return;
            }
            let Some(message) = wire.to_client.pop_front() else { return };
            self.note(|| format!("client{who} ← {message:?}"));
            let says = self.clients[who].hear(message);
            let wire = &mut self.wires.get_mut(&conn).unwrap().1;
            wire.to_server.extend(says);
        }
    }

    fn input(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.core.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send(conn, message) => self.sent(conn, *message),
                Effect::Changed(observed) => self.watch(observed),
                Effect::Alarm(alarm) => self.note(|| format!("{alarm:?}")),
                Effect::Close(conn) => {
                    self.note(|| format!("the server closes {conn:?}"));
                    self.under_way.remove(&conn);
                    self.withdrawing.retain(|(other, _), _| *other != conn);
                    if let Some((who, wire)) = self.wires.remove(&conn)
                        && !wire.half_open
                    {
                        self.clients[who].disconnected();
                        self.clients[who].troubled = self.now;
                    }
                }
            }
        }
    }

    /// The server sends something: it must be true at this moment.
    fn sent(&mut self, conn: Conn, message: Message) {
        match &message {
            Message::Call { id: Some(Id::Number(number)), method: Method::Changed(changed) } => {
                let under_way = self.under_way.entry(conn).or_default();
                assert!(!under_way.values().any(|id| *id == changed.id), "two changes of {} under way", changed.id);
                under_way.insert(*number, changed.id.clone());
                assert!(under_way.len() <= self.settings.in_flight, "too much under way");
                self.true_now(&changed.change);
            }
            Message::Answer { result: Ok(Answer::Change(change)), .. } => self.true_now(change),
            Message::Answer { id: Some(id), result: Ok(Answer::Withdrawn(withdrawn)) } => {
                if let Some(Withdrawing { identity, known, waits, moving: false }) =
                    self.withdrawing.remove(&(conn, id.clone()))
                {
                    if waits {
                        self.nobody_uses(&identity, &withdrawn.unapplied);
                    }
                    self.departed.entry(identity.clone()).or_default().sure |= known;
                    self.gone.insert(identity);
                }
            }
            _ => {}
        }
        if let Some((_, wire)) = self.wires.get_mut(&conn)
            && !wire.half_open
        {
            wire.to_client.push_back(message);
        }
    }

    // === the end ===

    /// Nothing goes wrong any more; everything is delivered; time passes. Then everyone must have what is true.
    pub fn calm_down(&mut self) {
        self.note(|| "calm".to_owned());
        let half_open: Vec<Conn> =
            self.wires.iter().filter(|(_, (_, wire))| wire.half_open).map(|(conn, _)| *conn).collect();
        half_open.into_iter().for_each(|conn| self.end(conn));
        // Of two clients of one host that provide the same, the newer start of it does so in the end.
        let (first, last) = self.clients.split_at_mut(CLIENTS - 1);
        let (first, last) = (&mut first[CLIENTS - 2].provisions, &mut last[0].provisions);
        let older = |mine: &Provision, other: Option<&Provision>| {
            other.is_some_and(|other| mine.incarnation < other.incarnation)
        };
        first.retain(|identity, provision| !older(provision, last.get(identity)));
        last.retain(|identity, provision| !older(provision, first.get(identity)));
        for client in &mut self.clients {
            client.asleep_until = Time::ZERO;
        }
        // Long enough for windows, holds, and going back to a better tier, one after the other.
        for _ in 0..200 {
            for who in 0..CLIENTS {
                self.connect(who);
                self.apply_something(who);
            }
            let conns: Vec<Conn> = self.wires.keys().copied().collect();
            for conn in conns {
                self.deliver_to_server(conn, usize::MAX);
                self.deliver_to_client(conn, usize::MAX);
                self.deliver_to_server(conn, usize::MAX);
            }
            self.pass(Duration::from_millis(250));
            self.check();
        }
        // Whoever was refused because of a rival that is gone by now says it again, as the real client does.
        for who in 0..CLIENTS {
            for provision in self.clients[who].provisions.values().cloned().collect::<Vec<_>>() {
                let message = self.clients[who].provide(provision);
                self.say(who, message);
            }
        }
        for _ in 0..100 {
            let conns: Vec<Conn> = self.wires.keys().copied().collect();
            for conn in conns {
                self.deliver_to_server(conn, usize::MAX);
                self.deliver_to_client(conn, usize::MAX);
                self.deliver_to_server(conn, usize::MAX);
            }
            for who in 0..CLIENTS {
                self.apply_something(who);
            }
            self.pass(Duration::from_millis(250));
        }
        self.converged();
    }

    fn converged(&self) {
        let provisions: Vec<&Provision> = self.clients.iter().flat_map(|client| client.provisions.values()).collect();
        for client in &self.clients {
            assert!(client.open, "{} has no session", client.agent);
            assert!(client.withdrawals.is_empty(), "{} waits for {:?}", client.agent, client.withdrawals);
            for (id, requirement) in &client.requirements {
                let has: BTreeSet<String> = requirement.has.keys().cloned().collect();
                let expected = oracle::expected(&requirement.query, &client.attributes(), &provisions);
                assert_eq!(has, expected, "{id} of {} with {:?}", client.agent, requirement.query);
                assert!(requirement.complete, "{id} of {} is not complete", client.agent);
                for endpoint in requirement.has.values() {
                    let provided = provisions
                        .iter()
                        .find(|provision| provision.name == endpoint.name && provision.instance == endpoint.instance);
                    let same = provided.is_some_and(|provided| disco_proto::Endpoint::of(provided) == **endpoint);
                    assert!(same, "{id} of {} has {endpoint:?} of {provided:?}", client.agent);
                }
            }
        }
    }
}
