//! `kill -9` at any moment: what was acknowledged is there, the call under way is there wholly or not
//! at all, nothing else is there, and the store goes on.
//!
//! A process of its own makes the calls and says after each that it returned; this one reads that,
//! kills, and looks. Stores live through many kills. Half of the time a copy is looked at and the store
//! itself goes on as the kill left it, so that one recovery is killed after another.
//!
//! A failure names the seed and the store; `STRONGROOM_SEED=n` draws the same calls and kills again,
//! but nobody can draw how far a process got. `STRONGROOM_SOAK=n` makes n times as many kills.
//! `STRONGROOM_KEEP=dir` copies the files of a failure to `dir`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod support;
#[path = "support/workload.rs"]
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use strongroom::{
    ErrorKind, ListNotifications, ListSecrets, NewSecret, NewVersion, Notification, Notifier,
    NotifyError, Position, SecretStore, SecretValue, Stage, Verify, VersionId,
};
use support::{Random, cases, copy_dir, in_time, name, role, scratch, seed};
use tempfile::TempDir;
use workload::{
    Call, Found, Model, Outcome, SLOTS_EVERY, Workload, builder, master_key, second_key,
};

/// The test of which a child is another run.
const TEST: &str = "what_was_acknowledged_survives_kill_9";

/// Kills of one store.
const ROUNDS: usize = 10;

/// The secret that is written after each look.
const PROBE: &str = "probe";

/// A single thread closes the store and opens it again before each call whose number ends so.
const REOPEN_EVERY: u64 = 41;

#[test]
fn what_was_acknowledged_survives_kill_9() {
    if let Some(role) = role().and_then(|role| Role::parse(&role)) {
        role.play().unwrap();
        return;
    }
    let (stores, next, sum) =
        (cases(320).div_ceil(ROUNDS), AtomicUsize::new(0), Mutex::new(Tally::default()));
    thread::scope(|scope| {
        // Two at a time: while one recovers, the other waits for its child.
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= stores {
                        break;
                    }
                    let tally = Life::begin(number).live();
                    sum.lock().unwrap().add(&tally);
                }
            });
        }
    });
    let tally = sum.into_inner().unwrap();
    tally.print();
    tally.check(stores * ROUNDS);
}

/// What is there for comparison must itself be right.
#[test]
fn a_store_that_is_not_as_acknowledged_is_refused() {
    // Always the same calls, none of the last of which leaves all as it was.
    let workload = Workload { seed: 1_007, ..workload_of(0) };
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder(master_key()).create(&path).unwrap();
    let mut models = vec![Model::new(0)];
    for _ in 0..60 {
        let (model, call) = (models.last().unwrap(), workload.call(models.last().unwrap()));
        let password = workload.make(&store, model, &call).unwrap();
        let mut model = model.clone();
        model.apply(&call, password);
        models.push(model);
    }
    let found = Found::of(&store).unwrap();
    let agrees = |n: usize| workload.difference(&models[n], &found).is_none();
    assert!(agrees(60), "{:?}", workload.difference(&models[60], &found));
    // A store that is older than acknowledged is found out, and one that lost the call after.
    let refused = (30..60).filter(|n| !agrees(*n)).count();
    assert_eq!(refused, 30, "an older state passes");
    let mut ahead = models[60].clone();
    ahead.apply(&Call::Put("t0-n1".to_owned(), None), None);
    assert!(workload.difference(&ahead, &found).is_some(), "a lost call passes");

    // Torn: one of a call's several effects is missing.
    let latest = store.versions(&name("t0-n1"), &strongroom::ListVersions::new()).unwrap();
    let latest = latest.items().last().unwrap().id();
    store.move_stage(&name("t0-n1"), &"blue".parse().unwrap(), latest).unwrap();
    store.move_stage(&name("t0-n1"), &Stage::Previous, latest).unwrap();
    let torn = Found::of(&store).unwrap();
    assert!(workload.difference(&models[60], &torn).is_some(), "a label elsewhere passes");
    println!("a store is refused at {refused} older states, after a lost call, and half changed");
}

#[cfg(feature = "planted-faults")]
#[test]
fn a_commit_without_its_root_is_noticed() {
    support::catches("Root", TEST);
}

fn workload_of(number: usize) -> Workload {
    let seed = seed().wrapping_mul(1_000).wrapping_add(number as u64);
    Workload { seed, large: 10, large_len_max: 100_000, newer: number % 2 == 1 }
}

// --- The process that is killed -------------------------------------------------------------

/// What a child is told.
struct Role {
    path: PathBuf,
    number: usize,
    creates: bool,
    /// The next call of each thread.
    from: Vec<u64>,
}

impl Role {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("calls|")?;
        let [path, number, creates, from] = text.split('|').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Self {
            path: path.into(),
            number: number.parse().unwrap(),
            creates: creates == "true",
            from: from.split(',').map(|n| n.parse().unwrap()).collect(),
        })
    }

    fn text(&self) -> String {
        let from: Vec<_> = self.from.iter().map(u64::to_string).collect();
        let Self { path, number, creates, .. } = self;
        format!("calls|{}|{number}|{creates}|{}", path.display(), from.join(","))
    }

    /// Makes calls until it is killed.
    fn play(&self) -> Outcome<()> {
        let workload = workload_of(self.number);
        let models: Vec<Model> = (0..)
            .zip(&self.from)
            .map(|(thread, from)| Model::at(&workload, thread, *from))
            .collect();
        // The test's own line has no end yet.
        say("\nSTART\n")?;
        let store = if self.creates {
            builder(master_key()).notifier(Crier).create(&self.path)?
        } else {
            self.open()?
        };
        say("READY\n")?;
        if let [model] = &models[..] {
            return self.alone(&workload, store, model.clone());
        }
        thread::scope(|scope| {
            let threads: Vec<_> = models
                .into_iter()
                .enumerate()
                .map(|(thread, mut model)| {
                    let (store, workload) = (&store, &workload);
                    scope.spawn(move || -> Outcome<()> {
                        loop {
                            step(workload, store, &mut model, thread)?;
                        }
                    })
                })
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap())
        })
    }

    /// Every other store is checked in the background while the calls begin.
    fn open(&self) -> Outcome<SecretStore> {
        let verify = if self.number.is_multiple_of(2) { Verify::Eager } else { Verify::Deferred };
        Ok(builder(master_key()).notifier(Crier).verify(verify).open(&self.path)?)
    }

    fn alone(&self, workload: &Workload, store: SecretStore, mut model: Model) -> Outcome<()> {
        let mut store = store;
        loop {
            if model.next % REOPEN_EVERY == REOPEN_EVERY - 1 {
                say("CLOSING\n")?;
                store.close()?;
                say("START\n")?;
                store = self.open()?;
                say("READY\n")?;
            }
            step(workload, &store, &mut model, 0)?;
        }
    }
}

/// The next call of a thread, and one line that it returned.
fn step(w: &Workload, store: &SecretStore, model: &mut Model, thread: usize) -> Outcome<()> {
    let (call, n) = (w.call(model), model.next);
    let password = w.make(store, model, &call)?;
    say(&format!("ACK {thread} {n} {}\n", password.as_deref().unwrap_or("-")))?;
    model.apply(&call, password);
    Ok(())
}

/// Says what it is told.
struct Crier;

impl Notifier for Crier {
    fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        say(&format!("TOLD {}\n", notification.position())).map_err(|_| NotifyError::Retry)
    }
}

/// In one write, so that a line is there or not.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

// --- The one that kills ---------------------------------------------------------------------

/// When to kill.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// So long after it began to create or open the store.
    Start(Duration),
    /// So long after so many calls.
    Calls(usize, Duration),
}

/// In what a process was when it was killed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Moment {
    Creation,
    Opening,
    Calls,
    Closing,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    kills: usize,
    acknowledged: usize,
    moments: BTreeMap<Moment, usize>,
    /// Creations that were killed and had made the store.
    created_all_the_same: usize,
    with_threads: usize,
    /// Calls under way by kind: how many were there, and how many not.
    under_way: BTreeMap<&'static str, (usize, usize)>,
    /// How often the store went on as the kill left it.
    not_recovered_between: usize,
    /// Notifications that were told by a process that was killed.
    told: usize,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.acknowledged += other.acknowledged;
        self.created_all_the_same += other.created_all_the_same;
        self.with_threads += other.with_threads;
        self.not_recovered_between += other.not_recovered_between;
        self.told += other.told;
        for (moment, count) in &other.moments {
            *self.moments.entry(*moment).or_default() += count;
        }
        for (kind, (there, gone)) in &other.under_way {
            let sum = self.under_way.entry(kind).or_default();
            *sum = (sum.0 + there, sum.1 + gone);
        }
    }

    fn under_way(&self) -> (usize, usize) {
        self.under_way.values().fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
    }

    fn print(&self) {
        let Self { kills, acknowledged, with_threads, not_recovered_between, told, .. } = self;
        let (there, gone) = self.under_way();
        println!(
            "{kills} kills in {:?}, {with_threads} of them with four threads at work; {acknowledged} \
             acknowledged calls are there; of those under way {there} were wholly there and {gone} not \
             at all: {:?}; {} killed creations had made the store; {not_recovered_between} times the \
             store went on as the kill left it; {told} notifications were told, and none lost (seed {})",
            self.moments,
            self.under_way,
            self.created_all_the_same,
            seed()
        );
    }

    /// A test that never hits anything proves nothing.
    fn check(&self, kills: usize) {
        assert_eq!(self.kills, kills);
        let moment = |moment| self.moments.get(&moment).copied().unwrap_or_default();
        let slots = self.under_way.get("key slots").copied().unwrap_or_default();
        let newer = ["tags", "states", "labels together", "states of versions", "events", "keys"];
        let newer = newer.iter().filter_map(|kind| self.under_way.get(kind));
        let newer: usize = newer.map(|it| it.0 + it.1).sum();
        for (what, count, part) in [
            ("creation", moment(Moment::Creation), 40),
            ("opening", moment(Moment::Opening), 20),
            ("closing", moment(Moment::Closing), 50),
            ("calls", moment(Moment::Calls), 4),
            ("calls of several threads", self.with_threads, 15),
            ("calls that were durable and not acknowledged yet", self.under_way().0, 50),
            ("calls that were not durable yet", self.under_way().1, 10),
            ("changes of key slots", slots.0 + slots.1, 80),
            ("newer calls", newer, 40),
            ("notifications", self.told, 4),
        ] {
            let least = kills / part;
            assert!(count >= least, "only {count} kills in {what}, seed {}: {self:?}", seed());
        }
    }
}

/// A store with what must be in it, through all its kills.
struct Life {
    number: usize,
    workload: Workload,
    random: Random,
    dir: TempDir,
    there: bool,
    models: Vec<Model>,
    probes: u64,
    /// The changes that somebody was told of.
    told: BTreeSet<Position>,
    /// How long it takes to begin, and a call, as far as was seen.
    start: Duration,
    call: Duration,
    tally: Tally,
}

/// What was heard of a process until it was killed.
#[derive(Debug)]
struct Heard {
    moment: Moment,
    acks: Vec<(usize, u64, Option<String>)>,
    told: Vec<Position>,
}

impl Life {
    fn begin(number: usize) -> Self {
        let workload = workload_of(number);
        let threads = if number % 3 == 2 { 4 } else { 1 };
        // On a real disk a sync takes its time, and is killed more often.
        let dir = if number % 5 == 4 { TempDir::new().unwrap() } else { scratch() };
        Self {
            number,
            workload,
            random: Random::new(workload.seed),
            dir,
            there: false,
            models: (0..threads).map(Model::new).collect(),
            probes: 0,
            told: BTreeSet::new(),
            start: Duration::from_millis(20),
            call: Duration::from_micros(500),
            tally: Tally::default(),
        }
    }

    fn live(mut self) -> Tally {
        for round in 0..ROUNDS {
            let aim = self.aim();
            let what = format!(
                "seed {}, store {}, kill {round}, {} threads, {aim:?}",
                seed(),
                self.number,
                self.models.len()
            );
            let heard = in_time(&what, || self.kill(aim)).unwrap_or_else(|e| panic!("{what}: {e}"));
            let kept = keep(self.dir.path());
            in_time(&what, || self.look(&heard)).unwrap_or_else(|err| panic!("{what}: {err}"));
            kept.map_or(Ok(()), fs::remove_dir_all).unwrap();
        }
        self.tally
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn aim(&mut self) -> Aim {
        let random = &mut self.random;
        let mut part = |of: Duration, parts: usize| of.mul_f64(random.below(parts) as f64 / 100.0);
        let (start, call, slow) =
            (part(self.start, 120), part(self.call, 200), part(self.call, 600));
        if self.random.below(3) < if self.there { 1 } else { 2 } {
            return Aim::Start(start);
        }
        match self.random.below(8) {
            0 => Aim::Calls(50 + self.random.below(250), call),
            1 | 2 => {
                let left = SLOTS_EVERY - 1 - self.models[0].next % SLOTS_EVERY;
                Aim::Calls(usize::try_from(left).unwrap(), slow)
            }
            _ => Aim::Calls(1 + self.random.below(25), call),
        }
    }

    /// Starts a process, lets it come as far as is aimed at, and kills it.
    fn kill(&mut self, aim: Aim) -> Result<Heard, String> {
        let from = self.models.iter().map(|model| model.next).collect();
        let role = Role { path: self.path(), number: self.number, creates: !self.there, from };
        let mut child = support::child(TEST, &role.text())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        let reached = self.watch(&mut out, &mut lines, aim);
        if reached && child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
        }
        rest(&mut child, &mut out, &mut lines)?;
        self.tally.kills += 1;
        let creation =
            |line: &&String| !self.there && lines.iter().filter(|l| l == line).count() == 1;
        let of_calls = |line: &&String| line.starts_with("ACK") || line.starts_with("TOLD");
        let moment = match lines.iter().rfind(|line| !of_calls(line)) {
            Some(line) if line == "READY" => Moment::Calls,
            Some(line) if line == "CLOSING" => Moment::Closing,
            Some(line) if creation(&line) => Moment::Creation,
            _ => Moment::Opening,
        };
        let acks = lines.iter().filter_map(|line| ack(line)).collect();
        let told = lines.iter().filter_map(|line| line.strip_prefix("TOLD "));
        let told = told.map(|position| position.parse().unwrap()).collect();
        Ok(Heard { moment, acks, told })
    }

    /// Reads until what is aimed at is reached. `false` if the process ended before.
    fn watch(
        &mut self,
        out: &mut BufReader<ChildStdout>,
        lines: &mut Vec<String>,
        aim: Aim,
    ) -> bool {
        let (mut began, mut ready, mut acks) = (Instant::now(), None, 0_u32);
        loop {
            let Some(line) = line(out) else { return false };
            match line.as_str() {
                "START" if lines.iter().all(|line| line != "START") => began = Instant::now(),
                "READY" if ready.is_none() => {
                    ready = Some(Instant::now());
                    self.start = (self.start * 3 + began.elapsed()) / 4;
                }
                text if text.starts_with("ACK") => acks += 1,
                _ => {}
            }
            lines.push(line);
            let delay = match aim {
                Aim::Start(delay) if lines.last().is_some_and(|line| line == "START") => delay,
                Aim::Calls(wanted, delay) if acks as usize >= wanted => match ready {
                    Some(ready) => {
                        self.call = (self.call * 3 + ready.elapsed() / acks.max(1)) / 4;
                        delay
                    }
                    None => continue,
                },
                _ => continue,
            };
            pause(delay);
            return true;
        }
    }

    /// Opens the store, or a copy of it, and compares it with what was heard.
    fn look(&mut self, heard: &Heard) -> Result<(), String> {
        self.count(heard);
        for (thread, n, password) in &heard.acks {
            let model = &mut self.models[*thread];
            if model.next != *n {
                return Err(format!("thread {thread} acknowledged {n} after {}", model.next));
            }
            let call = self.workload.call(model);
            model.apply(&call, password.clone());
        }
        self.tally.told += heard.told.len();
        self.told.extend(&heard.told);
        let on_copy = self.there && self.random.below(2) == 0;
        let copy = scratch();
        let path = if on_copy {
            copy_dir(&self.path(), &copy.path().join("store"));
            copy.path().join("store")
        } else {
            self.path()
        };
        self.tally.not_recovered_between += usize::from(on_copy);
        self.no_litter()?;
        let told = Told::default();
        let store = match builder(master_key()).notifier(told.clone()).open(&path) {
            Err(err) if heard.moment == Moment::Creation && err.kind() == ErrorKind::NotAStore => {
                return Ok(());
            }
            other => other.map_err(|err| format!("opening: {err:?}"))?,
        };
        self.tally.created_all_the_same += usize::from(heard.moment == Moment::Creation);
        self.there = true;
        let inside = self.inside(&store, heard, on_copy);
        inside.map_err(|err| format!("{err}; {} calls were heard", heard.acks.len()))?;
        self.nothing_untold(&store, &told, on_copy)?;
        store.close().map_err(|err| format!("closing: {err:?}"))?;
        self.again(&path)
    }

    fn count(&mut self, heard: &Heard) {
        self.tally.acknowledged += heard.acks.len();
        *self.tally.moments.entry(heard.moment).or_default() += 1;
        let threads = heard.moment == Moment::Calls && self.models.len() > 1;
        self.tally.with_threads += usize::from(threads);
    }

    /// Beside the store there may be the place where it was being built, and only until it is there.
    fn no_litter(&self) -> Result<(), String> {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "store");
        let allowed: &[&str] = if self.there { &[] } else { &[".store.strongroom-new"] };
        names.retain(|name| !allowed.contains(&name.as_str()));
        if names.is_empty() { Ok(()) } else { Err(format!("left lying about: {names:?}")) }
    }

    /// Compares what is in the store, checks it, and writes once more.
    fn inside(&mut self, store: &SecretStore, heard: &Heard, on_copy: bool) -> Result<(), String> {
        let found = Found::of(store).map_err(|err| format!("reading: {err:?}"))?;
        for model in &mut self.models {
            let (n, call) = (model.next, self.workload.call(model));
            let mut unused = (0, 0);
            let counts = heard.moment == Moment::Calls && call.is_seen();
            let under_way = match counts {
                true => self.tally.under_way.entry(call.kind()).or_default(),
                false => &mut unused,
            };
            let Some(difference) = self.workload.difference(model, &found) else {
                under_way.1 += 1;
                model.learn(&found);
                continue;
            };
            let mut ahead = model.clone();
            ahead.apply(&call, None);
            let with = self.workload.difference(&ahead, &found);
            if heard.moment != Moment::Calls || with.is_some() {
                return Err(format!(
                    "after call {n} it is not so: {difference}; nor with {call:?}: {with:?}"
                ));
            }
            ahead.learn(&found);
            *model = ahead;
            under_way.0 += 1;
        }
        self.nothing_else(&found)?;
        store.verify().map_err(|err| format!("verify: {err:?}"))?;
        let version = probe(store).map_err(|err| format!("one more write: {err:?}"))?;
        if version != self.probes + 1 {
            return Err(format!("one more write is v{version}, {} were before", self.probes));
        }
        self.probes += u64::from(!on_copy);
        Ok(())
    }

    /// Whatever is recorded was told; and with the rest delivered, all that was to be told is.
    fn nothing_untold(
        &mut self,
        store: &SecretStore,
        told: &Told,
        on_copy: bool,
    ) -> Result<(), String> {
        let recorded = || -> Result<Vec<Position>, String> {
            let (mut found, mut list) = (Vec::new(), ListNotifications::new().limit(1000));
            loop {
                let page = store.notification_records(&list).map_err(|err| format!("{err:?}"))?;
                found.extend(page.items().iter().map(|it| it.position()));
                let Some(last) = found.last().filter(|_| page.has_more()) else { return Ok(found) };
                list = list.marker(*last);
            }
        };
        if let Some(untold) = recorded()?.iter().find(|it| !self.told.contains(it)) {
            return Err(format!("{untold} is recorded as told, and was not"));
        }
        store.deliver_notifications().map_err(|err| format!("delivering: {err:?}"))?;
        let (recorded, mut all) = (recorded()?, self.told.clone());
        all.extend(told.0.lock().unwrap().iter());
        let wanted: usize = self.models.iter().map(Model::fired).sum();
        if recorded.len() != wanted || !recorded.iter().all(|it| all.contains(it)) {
            return Err(format!(
                "{} of {wanted} are recorded as told: {recorded:?}",
                recorded.len()
            ));
        }
        if !on_copy {
            self.told = all;
        }
        store.verify().map_err(|err| format!("verify, with all told: {err:?}")).map(drop)
    }

    fn nothing_else(&self, found: &Found) -> Result<(), String> {
        let known = |name: &str| {
            let of = |thread: usize| name.starts_with(&format!("t{thread}-"));
            (0..self.models.len()).any(of) || name == PROBE && self.probes > 0
        };
        match found.secrets.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(format!("{name} is there")),
        }
    }

    /// Opens it once more after a clean close, by the second key if there is one.
    fn again(&self, path: &Path) -> Result<(), String> {
        let second = builder(second_key()).open(path);
        let store = match (self.models[0].has_second_key(), second) {
            (true, opened) => opened,
            (false, Err(err)) if err.kind() == ErrorKind::WrongKey => {
                builder(master_key()).open(path)
            }
            (false, other) => return Err(format!("by a key without a slot: {other:?}")),
        };
        let store = store.map_err(|err| format!("opening again: {err:?}"))?;
        let found = Found::of(&store).map_err(|err| format!("reading again: {err:?}"))?;
        for model in &self.models {
            if let Some(difference) = self.workload.difference(model, &found) {
                return Err(format!("after opening again: {difference}"));
            }
        }
        store.verify().map_err(|err| format!("verify again: {err:?}"))?;
        store.close().map_err(|err| format!("closing again: {err:?}"))
    }
}

/// Keeps what it is told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Position>>>);

impl Notifier for Told {
    fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        self.0.lock().unwrap().push(notification.position());
        Ok(())
    }
}

/// Writes the next version of a secret that nobody else writes, and gives its number.
fn probe(store: &SecretStore) -> Result<u64, strongroom::Error> {
    let list = ListSecrets::new().prefix(PROBE);
    let there = !store.secrets(&list)?.items().is_empty();
    let value = SecretValue::from_string("one more");
    let version = if there {
        store.put_version(&name(PROBE), NewVersion::new(value))?.id()
    } else {
        store.create_secret(NewSecret::new(name(PROBE), value))?;
        VersionId::FIRST
    };
    Ok(version.number())
}

/// What a process still said before it died. It must have died of the kill and of nothing else.
fn rest(
    child: &mut Child,
    out: &mut BufReader<ChildStdout>,
    lines: &mut Vec<String>,
) -> Result<(), String> {
    while let Some(line) = line(out) {
        lines.push(line);
    }
    let status = child.wait().unwrap();
    if status.signal() == Some(9) {
        return Ok(());
    }
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    Err(format!("the process ended by itself, {status}: {lines:?} {said}"))
}

/// The next whole line.
fn line(out: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.strip_suffix('\n').map(str::to_owned)
}

fn ack(line: &str) -> Option<(usize, u64, Option<String>)> {
    let words: Vec<&str> = line.strip_prefix("ACK ")?.split(' ').collect();
    let password = (words[2] != "-").then(|| words[2].to_owned());
    Some((words[0].parse().unwrap(), words[1].parse().unwrap(), password))
}

/// Not `sleep` alone, which sleeps longer than a call takes.
fn pause(delay: Duration) {
    let until = Instant::now() + delay;
    thread::sleep(delay.saturating_sub(Duration::from_millis(1)));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Keeps a copy in the directory `STRONGROOM_KEEP`, if there is one, until the look has passed.
fn keep(dir: &Path) -> Option<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let keep = PathBuf::from(env::var_os("STRONGROOM_KEEP")?);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let kept = keep.join(format!("kill-{}-{number}", std::process::id()));
    fs::create_dir_all(&keep).unwrap();
    copy_dir(dir, &kept);
    Some(kept)
}
