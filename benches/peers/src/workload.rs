//! The workloads: what is asked of a loaded store, and which figures come of it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    contestant::{Contestant, Entrant},
    measure::{Crew, Tally, cpu_seconds, quantile, settle, work},
    work::{Name, Newest, PAGE, Random, Work, newcomer, plausible, rotated},
};

/// A contestant with its secrets, ready to be measured.
pub struct Stand<'a> {
    pub entrant: &'a Entrant,
    pub store: Box<dyn Contestant>,
    pub work: &'a Work,
    pub newest: Newest,
    pub newcomers: AtomicUsize,
}

/// A figure and its name in [`FIGURES`].
pub type Figures = Vec<(&'static str, f64)>;

/// One kind of work.
pub struct Workload {
    pub key: &'static str,
    pub writes: bool,
    kind: Kind,
}

enum Kind {
    /// So many threads do the same.
    Steady(Cost, usize, Act),
    /// Single gets, with nobody else at work.
    Quiet,
    /// Gets by one thread while another rotates.
    Beside,
    /// Single gets by one thread while eight rotate.
    Storm,
}

/// The figure of how much was done, and that of what a unit cost in processor time, if it is kept.
type Cost = (&'static str, Option<&'static str>);

/// Does something once, and gives how many units it was.
type Act = fn(&Stand<'_>, &mut Random) -> Outcome<u64>;

/// How long a slice is, and which chance it takes.
type Span = (Duration, u64);

/// In the order in which they are run: what makes stores grow comes last.
pub const WORKLOADS: &[Workload] = &[
    reads("get", ("get 1", Some("get cpu")), 1, |stand, random| stand.get(random)),
    reads("get", ("get 2", None), 2, |stand, random| stand.get(random)),
    reads("version", ("version", None), 1, |stand, random| stand.version(random)),
    reads("list", ("list", None), 1, |stand, random| stand.list(random)),
    reads("names", ("names", None), 1, |stand, random| stand.names(random)),
    Workload { key: "quiet", writes: false, kind: Kind::Quiet },
    Workload { key: "beside", writes: true, kind: Kind::Beside },
    Workload { key: "storm", writes: true, kind: Kind::Storm },
    writes("rotate", ("rotate 1", None), 1, |stand, random| stand.rotate(random)),
    writes("rotate", ("rotate 8", None), 8, |stand, random| stand.rotate(random)),
    writes("rotate", ("rotate 32", Some("cpu")), 32, |stand, random| stand.rotate(random)),
    writes("create", ("create 1", None), 1, |stand, _| stand.create()),
    writes("create", ("create 8", None), 8, |stand, _| stand.create()),
    writes("create", ("create 32", None), 32, |stand, _| stand.create()),
];

const fn reads(key: &'static str, figures: Cost, threads: usize, act: Act) -> Workload {
    Workload { key, writes: false, kind: Kind::Steady(figures, threads, act) }
}

const fn writes(key: &'static str, figures: Cost, threads: usize, act: Act) -> Workload {
    Workload { key, writes: true, kind: Kind::Steady(figures, threads, act) }
}

impl Workload {
    /// Has a contestant do this for so long. What it leaves to do in the background is waited for.
    pub fn slice(&self, stand: &Stand<'_>, span: Span) -> Outcome<Figures> {
        let figures = match self.kind {
            Kind::Steady(figures, threads, act) => {
                return stand.steady(figures, (threads, act), span);
            }
            Kind::Quiet => stand.quiet(span),
            Kind::Beside => stand.beside(span),
            Kind::Storm => stand.storm(span),
        };
        settle();
        figures
    }
}

impl Stand<'_> {
    fn get(&self, random: &mut Random) -> Outcome<u64> {
        let (_, name) = self.work.pick(random)?;
        self.get_named(name)
    }

    /// Reads each secret for the first time since the store was opened, in no order, then all rows.
    /// Gives the gets and the rows a second.
    pub fn first_reads(&self) -> Outcome<[f64; 2]> {
        // A prime greater than any number of secrets: its multiples visit all of them.
        const STRIDE: usize = 15_485_863;
        let names = &self.work.names;
        let begin = Instant::now();
        for turn in 0..names.len() {
            self.get_named(names.get(turn * STRIDE % names.len()).ok_or("no such secret")?)?;
        }
        let gets = names.len() as f64 / begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let mut rows = 0;
        for after in names.iter().step_by(PAGE) {
            self.store.list(Some(after), PAGE, &mut |_, _| rows += 1)?;
        }
        Ok([gets, f64::from(rows) / begin.elapsed().as_secs_f64()])
    }

    fn get_named(&self, name: &Name) -> Outcome<u64> {
        let mut right = false;
        self.store.get(name, &mut |value| right = plausible(value))?;
        self.counted(right, name)
    }

    /// The version before the current one, by its number.
    fn version(&self, random: &mut Random) -> Outcome<u64> {
        let (at, name) = self.work.pick(random)?;
        let mut right = false;
        let number = self.newest.get(at) - 1;
        self.store.version(name, number, &mut |value| right = plausible(value))?;
        self.counted(right, name)
    }

    fn counted(&self, right: bool, name: &Name) -> Outcome<u64> {
        if right {
            Ok(1)
        } else {
            Err(format!("{}: no value of {}", self.entrant.key, name.text).into())
        }
    }

    /// A page behind a random name.
    fn list(&self, random: &mut Random) -> Outcome<u64> {
        let (_, after) = self.work.pick(random)?;
        let (mut rows, mut bytes) = (0, 0);
        self.store.list(Some(after), PAGE, &mut |name, metadata| {
            rows += 1;
            bytes += name.len() + metadata.len();
        })?;
        self.whole(rows, bytes, 100)
    }

    fn names(&self, random: &mut Random) -> Outcome<u64> {
        let (_, after) = self.work.pick(random)?;
        let (mut rows, mut bytes) = (0, 0);
        self.store.names(Some(after), PAGE, &mut |name| {
            rows += 1;
            bytes += name.len();
        })?;
        self.whole(rows, bytes, 0)
    }

    fn whole(&self, rows: u64, bytes: usize, metadata: u64) -> Outcome<u64> {
        if bytes as u64 == rows * (metadata + 41) {
            Ok(rows)
        } else {
            Err(format!("{}: a page is not right", self.entrant.key).into())
        }
    }

    pub fn rotate(&self, random: &mut Random) -> Outcome<u64> {
        let (at, _) = self.work.pick(random)?;
        self.rotate_at(at, random)?;
        Ok(1)
    }

    pub fn rotate_at(&self, at: usize, random: &mut Random) -> Outcome<()> {
        let name = self.work.names.get(at).ok_or("no such secret")?;
        self.newest.raise(at, self.store.rotate(name, &rotated(random))?);
        Ok(())
    }

    fn create(&self) -> Outcome<u64> {
        let number = self.newcomers.fetch_add(1, Ordering::Relaxed);
        self.store.create(&newcomer(number)?)?;
        Ok(1)
    }

    fn steady(
        &self,
        (figure, cost): Cost,
        (threads, act): (usize, Act),
        (length, seed): Span,
    ) -> Outcome<Figures> {
        let before = cpu_seconds();
        let crew = Crew { threads, task: &|random| act(self, random), timed: false };
        let tallies = work(&[crew], length, seed)?;
        let tally = tallies.first().ok_or("no tally")?;
        settle();
        let micros = (cpu_seconds() - before) * 1e6 / tally.units as f64;
        let mut figures = vec![(figure, tally.per_second)];
        figures.extend(cost.map(|cost| (cost, micros)));
        Ok(figures)
    }

    fn quiet(&self, (length, seed): Span) -> Outcome<Figures> {
        let get = Crew { threads: 1, task: &|random| self.get(random), timed: true };
        let tallies = work(&[get], length, seed)?;
        latencies(&tallies, ["p50 quiet", "p99 quiet"])
    }

    fn beside(&self, (length, seed): Span) -> Outcome<Figures> {
        let get = Crew { threads: 1, task: &|random| self.get(random), timed: false };
        let rotate = Crew { threads: 1, task: &|random| self.rotate(random), timed: false };
        let tallies = work(&[get, rotate], length, seed)?;
        let [gets, rotations] = tallies.as_slice() else { return Err("no tally".into()) };
        Ok(vec![("get beside", gets.per_second), ("rotate beside", rotations.per_second)])
    }

    fn storm(&self, (length, seed): Span) -> Outcome<Figures> {
        let get = Crew { threads: 1, task: &|random| self.get(random), timed: true };
        let rotate = Crew { threads: 8, task: &|random| self.rotate(random), timed: false };
        let tallies = work(&[get, rotate], length, seed)?;
        latencies(&tallies, ["p50 storm", "p99 storm"])
    }
}

fn latencies(tallies: &[Tally], [half, most]: [&'static str; 2]) -> Outcome<Figures> {
    let sorted = &tallies.first().ok_or("no tally")?.latencies;
    let micros = |part| quantile(sorted, part).map(|nanos| nanos as f64 / 1e3).ok_or("no samples");
    Ok(vec![(half, micros(0.5)?), (most, micros(0.99)?)])
}
