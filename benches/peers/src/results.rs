//! All figures of a run, and how strongroom's compare.

use std::collections::BTreeMap;

use crate::{
    contestant::{Entrant, Role},
    measure::median,
    stores,
};

/// In what a figure is given.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Unit {
    /// The more the better.
    PerSecond,
    Micros,
    Seconds,
    Bytes,
}

/// The part of the report that a figure is in.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Part {
    Reads,
    Writes,
    Sustained,
    Rest,
}

/// A column of the report.
pub struct Figure {
    pub key: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    pub part: Part,
    /// Whether strongroom is compared in it.
    pub compared: bool,
}

const fn figure(
    key: &'static str,
    title: &'static str,
    unit: Unit,
    (part, compared): (Part, bool),
) -> Figure {
    Figure { key, title, unit, part, compared }
}

use Part::{Reads, Rest, Sustained, Writes};
use Unit::{Bytes, Micros, PerSecond, Seconds};

/// All there are, in the order of the report.
pub const FIGURES: &[Figure] = &[
    figure("get 1", "get", PerSecond, (Reads, true)),
    figure("get cpu", "CPU us a get", Micros, (Reads, true)),
    figure("get 2", "get, 2 threads", PerSecond, (Reads, true)),
    figure("get beside", "get while 1 rotates", PerSecond, (Reads, true)),
    figure("rotate beside", "(its rotations)", PerSecond, (Reads, false)),
    figure("p50 quiet", "get p50 us", Micros, (Reads, false)),
    figure("p99 quiet", "get p99 us", Micros, (Reads, false)),
    figure("p50 storm", "p50 us while 8 rotate", Micros, (Reads, false)),
    figure("p99 storm", "p99 us while 8 rotate", Micros, (Reads, true)),
    figure("version", "get by version", PerSecond, (Reads, true)),
    figure("first gets", "get, first of each", PerSecond, (Reads, true)),
    figure("list", "list, rows", PerSecond, (Reads, true)),
    figure("first rows", "list, first of each", PerSecond, (Reads, false)),
    figure("names", "list, names only", PerSecond, (Reads, true)),
    figure("rotate 1", "rotate", PerSecond, (Writes, true)),
    figure("rotate 8", "rotate, 8 threads", PerSecond, (Writes, true)),
    figure("rotate 32", "rotate, 32 threads", PerSecond, (Writes, true)),
    figure("cpu", "CPU us a rotation, 32 threads", Micros, (Writes, true)),
    figure("create 1", "create", PerSecond, (Writes, true)),
    figure("create 8", "create, 8 threads", PerSecond, (Writes, true)),
    figure("create 32", "create, 32 threads", PerSecond, (Writes, true)),
    figure("load", "bulk load", PerSecond, (Writes, true)),
    figure("sustained 8", "rotate, 8 threads", PerSecond, (Sustained, true)),
    figure("slowest 8", "slowest second", PerSecond, (Sustained, false)),
    figure("sustained cpu 8", "CPU us a rotation", Micros, (Sustained, false)),
    figure("left 8", "s of work left", Seconds, (Sustained, false)),
    figure("sustained 32", "rotate, 32 threads", PerSecond, (Sustained, true)),
    figure("slowest 32", "slowest second", PerSecond, (Sustained, false)),
    figure("sustained cpu 32", "CPU us a rotation", Micros, (Sustained, false)),
    figure("left 32", "s of work left", Seconds, (Sustained, false)),
    figure("open", "open", Seconds, (Rest, true)),
    figure("first get", "open + get", Seconds, (Rest, true)),
    figure("first get, deferred", "the same, checking deferred", Seconds, (Rest, false)),
    figure("memory", "memory, bytes a secret", Bytes, (Rest, true)),
    figure("disk", "disk, bytes a secret", Bytes, (Rest, true)),
];

/// Samples by number of secrets, figure and contestant.
#[derive(Default)]
pub struct Results(BTreeMap<(usize, &'static str, &'static str), Vec<f64>>);

/// Strongroom's figure beside another's.
pub struct Comparison {
    pub other: &'static Entrant,
    pub figure: f64,
    /// How many times better strongroom is; below 1 it is worse.
    pub ratio: f64,
}

impl Results {
    pub fn add(&mut self, secrets: usize, figure: &'static str, entrant: &Entrant, sample: f64) {
        self.0.entry((secrets, figure, entrant.key)).or_default().push(sample);
    }

    /// The median of the samples.
    pub fn get(&self, secrets: usize, figure: &Figure, entrant: &Entrant) -> Option<f64> {
        median(self.0.get(&(secrets, figure.key, entrant.key))?)
    }

    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.0.keys().map(|(secrets, ..)| *secrets).collect();
        sizes.dedup();
        sizes
    }

    /// The best of a role beside strongroom.
    pub fn compare(&self, secrets: usize, figure: &Figure, role: Role) -> Option<Comparison> {
        let (_, own) = self.of(secrets, figure, Role::Ours).next()?;
        let better = |figures: (&'static Entrant, f64)| {
            let ratio = match figure.unit {
                PerSecond => own / figures.1,
                Micros | Seconds | Bytes => figures.1 / own,
            };
            Comparison { other: figures.0, figure: figures.1, ratio }
        };
        let others = self.of(secrets, figure, role).map(better);
        others.min_by(|one, two| one.ratio.total_cmp(&two.ratio))
    }

    fn of(
        &self,
        secrets: usize,
        figure: &Figure,
        role: Role,
    ) -> impl Iterator<Item = (&'static Entrant, f64)> {
        let entrants = stores::ALL.iter().filter(move |entrant| entrant.role == role);
        entrants.filter_map(move |entrant| Some((entrant, self.get(secrets, figure, entrant)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_peer_is_the_one_that_is_hardest_to_beat() {
        let by_key = |key: &str| stores::ALL.iter().find(|entrant| entrant.key == key).unwrap();
        let mut results = Results::default();
        let samples =
            [("strongroom", [200.0, 2.0]), ("fjall", [100.0, 1.0]), ("redb", [150.0, 8.0])];
        for (key, [rate, micros]) in samples {
            results.add(10, "get 1", by_key(key), rate);
            results.add(10, "p99 storm", by_key(key), micros);
        }
        let compare = |key| {
            let figure = FIGURES.iter().find(|figure| figure.key == key).unwrap();
            let comparison = results.compare(10, figure, Role::Peer).unwrap();
            (comparison.other.key, comparison.figure, comparison.ratio)
        };
        assert_eq!(compare("get 1"), ("redb", 150.0, 200.0 / 150.0));
        assert_eq!(compare("p99 storm"), ("fjall", 1.0, 0.5));
        assert_eq!(results.sizes(), [10]);
        assert!(results.compare(10, &FIGURES[0], Role::Bound).is_none());
    }
}
