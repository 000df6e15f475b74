//! The workloads: what is asked of a loaded store, and which figures come of it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
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

/// One kind of work, and a slice of it.
pub struct Workload {
    pub key: &'static str,
    pub writes: bool,
    pub slice: fn(&Stand<'_>, Duration, u64) -> Outcome<Figures>,
}

/// In the order in which they are run: what makes stores grow comes last.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        key: "get",
        writes: false,
        slice: |s, t, x| s.plain("get 1", (1, &|r| s.get(r)), (t, x)),
    },
    Workload {
        key: "get",
        writes: false,
        slice: |s, t, x| s.plain("get 2", (2, &|r| s.get(r)), (t, x)),
    },
    Workload {
        key: "version",
        writes: false,
        slice: |s, t, x| s.plain("version", (1, &|r| s.version(r)), (t, x)),
    },
    Workload {
        key: "list",
        writes: false,
        slice: |s, t, x| s.plain("list", (1, &|r| s.list(r)), (t, x)),
    },
    Workload {
        key: "names",
        writes: false,
        slice: |s, t, x| s.plain("names", (1, &|r| s.names(r)), (t, x)),
    },
    Workload { key: "quiet", writes: false, slice: |s, t, x| s.calm((t, x)) },
    Workload { key: "beside", writes: true, slice: |s, t, x| s.beside((t, x)) },
    Workload { key: "storm", writes: true, slice: |s, t, x| s.storm((t, x)) },
    Workload {
        key: "rotate",
        writes: true,
        slice: |s, t, x| s.writing(("rotate 1", None), (1, &|r| s.rotate(r)), (t, x)),
    },
    Workload {
        key: "rotate",
        writes: true,
        slice: |s, t, x| s.writing(("rotate 8", None), (8, &|r| s.rotate(r)), (t, x)),
    },
    Workload {
        key: "rotate",
        writes: true,
        slice: |s, t, x| s.writing(("rotate 32", Some("cpu")), (32, &|r| s.rotate(r)), (t, x)),
    },
    Workload {
        key: "create",
        writes: true,
        slice: |s, t, x| s.writing(("create 1", None), (1, &|_| s.create()), (t, x)),
    },
    Workload {
        key: "create",
        writes: true,
        slice: |s, t, x| s.writing(("create 8", None), (8, &|_| s.create()), (t, x)),
    },
    Workload {
        key: "create",
        writes: true,
        slice: |s, t, x| s.writing(("create 32", None), (32, &|_| s.create()), (t, x)),
    },
];

type Task<'a> = &'a (dyn Fn(&mut Random) -> Outcome<u64> + Sync);
type Span = (Duration, u64);

impl Stand<'_> {
    fn get(&self, random: &mut Random) -> Outcome<u64> {
        let (_, name) = self.work.pick(random)?;
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
        let each = metadata + 38..=metadata + 42;
        let fits = rows == 0 || each.contains(&(bytes as u64 / rows));
        if fits {
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

    fn plain(
        &self,
        figure: &'static str,
        (threads, task): (usize, Task<'_>),
        (length, seed): Span,
    ) -> Outcome<Figures> {
        let tallies = work(&[Crew { threads, task, timed: false }], length, seed)?;
        let tally = tallies.first().ok_or("no tally")?;
        Ok(vec![(figure, tally.per_second)])
    }

    /// Also what a unit cost in processor time, what was left for later included.
    fn writing(
        &self,
        (figure, cost): (&'static str, Option<&'static str>),
        (threads, task): (usize, Task<'_>),
        (length, seed): Span,
    ) -> Outcome<Figures> {
        let before = cpu_seconds();
        let tallies = work(&[Crew { threads, task, timed: false }], length, seed)?;
        let tally = tallies.first().ok_or("no tally")?;
        settle();
        let micros = (cpu_seconds() - before) * 1e6 / tally.units as f64;
        let mut figures = vec![(figure, tally.per_second)];
        figures.extend(cost.map(|cost| (cost, micros)));
        Ok(figures)
    }

    fn calm(&self, (length, seed): Span) -> Outcome<Figures> {
        let get = Crew { threads: 1, task: &|random| self.get(random), timed: true };
        let tallies = work(&[get], length, seed)?;
        latencies(&tallies, ["p50 quiet", "p99 quiet"])
    }

    /// Gets by one thread while another rotates.
    fn beside(&self, (length, seed): Span) -> Outcome<Figures> {
        let get = Crew { threads: 1, task: &|random| self.get(random), timed: false };
        let rotate = Crew { threads: 1, task: &|random| self.rotate(random), timed: false };
        let tallies = work(&[get, rotate], length, seed)?;
        settle();
        let [gets, rotations] = tallies.as_slice() else { return Err("no tally".into()) };
        Ok(vec![("get beside", gets.per_second), ("rotate beside", rotations.per_second)])
    }

    /// Gets by one thread while eight rotate.
    fn storm(&self, (length, seed): Span) -> Outcome<Figures> {
        let get = Crew { threads: 1, task: &|random| self.get(random), timed: true };
        let rotate = Crew { threads: 8, task: &|random| self.rotate(random), timed: false };
        let tallies = work(&[get, rotate], length, seed)?;
        settle();
        latencies(&tallies, ["p50 storm", "p99 storm"])
    }
}

fn latencies(tallies: &[Tally], [half, most]: [&'static str; 2]) -> Outcome<Figures> {
    let sorted = &tallies.first().ok_or("no tally")?.latencies;
    let micros = |part| quantile(sorted, part).map(|nanos| nanos as f64 / 1e3).ok_or("no samples");
    Ok(vec![(half, micros(0.5)?), (most, micros(0.99)?)])
}
