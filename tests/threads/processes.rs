//! Processes that want the same store: one is in at a time, the others are told that it is in use,
//! and what each was acknowledged is there.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Barrier,
    thread,
    time::Duration,
};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, NewSecret, NewVersion, SecretStore, SecretValue,
};

use crate::support::{self, Random, cases, in_time, key, name, role, scratch, seed};

const TEST: &str = "processes::two_processes_that_fight_for_a_store_take_turns";

/// How often each process gets in, in one fight.
const TURNS: u64 = 20;

/// After every so many turns a process ends without closing the store.
const DIES_EVERY: u64 = 7;

/// Writes in a turn.
const WRITES: u64 = 3;

#[test]
fn two_processes_that_fight_for_a_store_take_turns() {
    if let Some(role) = role().and_then(|role| Fighter::parse(&role)) {
        role.play().unwrap();
        return;
    }
    let (fights, mut refused, mut processes) = (cases(6), [0; 2], 0);
    for fight in 0..fights {
        let what = format!("fight {fight}, seed {}", seed());
        let reports = in_time(&what, || {
            let dir = scratch();
            let reports = thread::scope(|scope| {
                let one = |who: u64| {
                    let dir = dir.path();
                    scope.spawn(move || send(dir, who, fight as u64))
                };
                [one(0), one(1)].map(|thread| thread.join().unwrap())
            });
            let reports = reports.map(|it| it.unwrap_or_else(|err| panic!("{what}: {err}")));
            judge(&dir.path().join("store"), &reports, &what);
            reports
        });
        for (sum, report) in refused.iter_mut().zip(&reports) {
            *sum += report.refused;
            processes += report.processes;
        }
    }
    println!(
        "{fights} fights of two processes, {} turns in {processes} processes, refused as in use \
         {refused:?} times (seed {})",
        fights as u64 * 2 * TURNS,
        seed()
    );
    let least = fights as u64 * TURNS / 10;
    assert!(refused.iter().all(|times| *times >= least), "they hardly met: {refused:?}");
}

#[test]
fn of_many_who_make_the_same_store_at_once_one_makes_it() {
    let (races, mut refused) = (cases(60), 0);
    for race in 0..races {
        let what = format!("race {race}, seed {}", seed());
        let dir = scratch();
        let path = dir.path().join("store");
        let start = Barrier::new(4);
        let outcomes = in_time(&what, || {
            thread::scope(|scope| {
                let threads: Vec<_> = (0..4_u64)
                    .map(|thread| {
                        let (path, start) = (&path, &start);
                        let random = Random::new(seed() + race as u64 * 10 + thread);
                        scope.spawn(move || {
                            start.wait();
                            insist(path, random)
                        })
                    })
                    .collect();
                threads.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
            })
        });
        let made = outcomes.iter().filter(|(made, _)| made.is_ok()).count();
        assert_eq!(made, 1, "{what}: {outcomes:?}");
        for (outcome, times) in &outcomes {
            let kind = outcome.as_ref().err().map(Error::kind);
            assert!(matches!(kind, None | Some(ErrorKind::AlreadyExists)), "{what}: {outcome:?}");
            refused += times;
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something lies about, {what}");
        let store = builder().open(&path).unwrap();
        store.verify().unwrap();
    }
    println!(
        "{races} races of four who make the same store: one made it each time, refused as in use \
         {refused} times (seed {})",
        seed()
    );
    assert!(refused > races as u64, "they hardly met: {refused}");
}

/// Tries to make a store for as long as somebody else is at it. Gives the outcome, and how often it was
/// refused as in use.
fn insist(path: &Path, mut random: Random) -> (Result<(), Error>, u64) {
    let mut refused = 0;
    loop {
        match builder().create(path) {
            Err(err) if err.kind() == ErrorKind::Locked => refused += 1,
            other => return (other.map(drop), refused),
        }
        thread::sleep(Duration::from_micros(random.below(100) as u64));
    }
}

fn builder() -> Builder<HasKey> {
    SecretStore::builder().master_key(key(2))
}

// --- A process that fights ------------------------------------------------------------------

struct Fighter {
    dir: PathBuf,
    who: u64,
    fight: u64,
    from: u64,
}

impl Fighter {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("fight|")?;
        let [dir, who, fight, from] = text.split('|').collect::<Vec<_>>()[..] else {
            return None;
        };
        let number = |text: &str| text.parse().unwrap();
        Some(Self { dir: dir.into(), who: number(who), fight: number(fight), from: number(from) })
    }

    fn text(&self) -> String {
        let Self { dir, who, fight, from } = self;
        format!("fight|{}|{who}|{fight}|{from}", dir.display())
    }

    fn play(&self) -> Result<(), Box<dyn std::error::Error>> {
        let mut random = Random::new(seed() + self.fight * 1_000 + self.who * 100 + self.from);
        // The test's own line has no end yet.
        say("\n")?;
        for turn in self.from..TURNS {
            let store = self.enter(&mut random)?;
            let inside = self.dir.join("inside");
            File::create_new(&inside).map_err(|err| format!("two are in at once: {err}"))?;
            for write in 0..WRITES {
                let number = count(&store)?;
                say(&format!("COUNTED {number}\n"))?;
                let own = turn * WRITES + write;
                set(&store, &format!("own-{}", self.who), own)?;
                say(&format!("OWN {own}\n"))?;
            }
            fs::remove_file(&inside)?;
            say(&format!("TURN {turn}\n"))?;
            match turn % DIES_EVERY {
                // As if killed: nothing is closed, no destructor runs.
                6 => std::process::exit(0),
                2 | 4 => drop(store),
                _ => store.close()?,
            }
        }
        Ok(())
    }

    /// Asks until it is let in.
    fn enter(&self, random: &mut Random) -> Result<SecretStore, Error> {
        loop {
            match builder().open_or_create(self.dir.join("store")) {
                Err(err) if err.kind() == ErrorKind::Locked => say("REFUSED\n").unwrap(),
                other => return other,
            }
            thread::sleep(Duration::from_micros(random.below(3_000) as u64));
        }
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// One more than was there. If two did this at once, a number would come twice.
fn count(store: &SecretStore) -> Result<u64, Error> {
    let number = match store.get(&name("count")) {
        Ok(there) => there.value().expose_str().unwrap().parse::<u64>().unwrap() + 1,
        Err(err) if err.kind() == ErrorKind::NotFound => 1,
        Err(err) => return Err(err),
    };
    set(store, "count", number)?;
    Ok(number)
}

fn set(store: &SecretStore, secret: &str, number: u64) -> Result<(), Error> {
    let value = || SecretValue::from_string(number.to_string());
    match store.put_version(&name(secret), NewVersion::new(value())) {
        Err(err) if err.kind() == ErrorKind::NotFound => {
            store.create_secret(NewSecret::new(name(secret), value())).map(drop)
        }
        other => other.map(drop),
    }
}

// --- Who sends them -------------------------------------------------------------------------

/// What a fighter was acknowledged.
struct Report {
    counted: Vec<u64>,
    own: Vec<u64>,
    refused: u64,
    processes: u64,
}

/// Sends one fighter, and the next one when it is dead, until all turns are taken.
fn send(dir: &Path, who: u64, fight: u64) -> Result<Report, String> {
    let mut report = Report { counted: vec![], own: vec![], refused: 0, processes: 0 };
    let mut from = 0;
    while from < TURNS {
        let fighter = Fighter { dir: dir.to_owned(), who, fight, from };
        let mut command = support::child(TEST, &fighter.text());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() {
            let err = String::from_utf8_lossy(&output.stderr);
            return Err(format!("process {who} failed: {said}\n{err}"));
        }
        report.processes += 1;
        for line in said.lines() {
            let number = || line.split_once(' ').unwrap().1.parse::<u64>().unwrap();
            match line.split(' ').next() {
                Some("COUNTED") => report.counted.push(number()),
                Some("OWN") => report.own.push(number()),
                Some("REFUSED") => report.refused += 1,
                Some("TURN") => from = number() + 1,
                _ => {}
            }
        }
    }
    Ok(report)
}

fn judge(path: &Path, reports: &[Report; 2], what: &str) {
    let all = 2 * TURNS * WRITES;
    let mut counted: Vec<u64> = reports.iter().flat_map(|report| report.counted.clone()).collect();
    counted.sort_unstable();
    assert!(counted.iter().copied().eq(1..=all), "{what}: counted {counted:?}");
    let store = builder().open(path).unwrap();
    let value = |secret: &str| store.get(&name(secret)).unwrap();
    let number = |secret: &str| value(secret).value().expose_str().unwrap().parse::<u64>().unwrap();
    assert_eq!((number("count"), value("count").id().number()), (all, all), "{what}");
    for (who, report) in reports.iter().enumerate() {
        assert!(report.own.iter().copied().eq(0..TURNS * WRITES), "{what}: {:?}", report.own);
        let own = format!("own-{who}");
        assert_eq!(number(&own), TURNS * WRITES - 1, "{what}");
        assert_eq!(value(&own).id().number(), TURNS * WRITES, "{what}");
    }
    store.verify().unwrap();
    store.close().unwrap();
}
