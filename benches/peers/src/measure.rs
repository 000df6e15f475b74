//! Threads at work for a while: how much they did, what it cost, how long single calls took.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{Outcome, work::Random};

/// Some work, by thread; gives how many units were done.
pub type Task<'a> = &'a (dyn Fn(&mut Random) -> Outcome<u64> + Sync);

/// Threads that do the same.
#[derive(Clone, Copy)]
pub struct Crew<'a> {
    pub threads: usize,
    pub task: Task<'a>,
    /// Whether each call's time is kept.
    pub timed: bool,
}

/// What a crew did.
#[derive(Default)]
pub struct Tally {
    pub units: u64,
    pub per_second: f64,
    /// Of single calls, in nanoseconds, sorted.
    pub latencies: Vec<u64>,
}

/// Lets all crews work side by side for so long.
pub fn work(crews: &[Crew<'_>], length: Duration, seed: u64) -> Outcome<Vec<Tally>> {
    let stop = AtomicBool::new(false);
    let all = crews.iter().map(|crew| crew.threads).sum::<usize>();
    let start = Barrier::new(all + 1);
    thread::scope(|scope| {
        let mut teams = Vec::new();
        for (number, crew) in (1_u64..).zip(crews) {
            let begin = |thread: usize| {
                let random = Random::new(seed ^ (number << 32) ^ ((thread as u64) << 40));
                let (stop, start) = (&stop, &start);
                scope.spawn(move || turns(crew, random, start, stop))
            };
            teams.push((0..crew.threads).map(begin).collect::<Vec<_>>());
        }
        start.wait();
        thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        let mut tallies = Vec::new();
        for team in teams {
            let mut sum = Tally::default();
            for member in team {
                let tally = member.join().map_err(|_| "a thread panicked")??;
                sum.units += tally.units;
                sum.per_second += tally.per_second;
                sum.latencies.extend(tally.latencies);
            }
            sum.latencies.sort_unstable();
            tallies.push(sum);
        }
        Ok(tallies)
    })
}

fn turns(
    crew: &Crew<'_>,
    mut random: Random,
    start: &Barrier,
    stop: &AtomicBool,
) -> Outcome<Tally> {
    let mut tally = Tally::default();
    if crew.timed {
        tally.latencies.reserve(1 << 20);
    }
    start.wait();
    let begin = Instant::now();
    // At least once, however short the time.
    while tally.units == 0 || !stop.load(Ordering::Relaxed) {
        let call = crew.timed.then(Instant::now);
        let outcome = (crew.task)(&mut random);
        if let Some(call) = call {
            tally.latencies.push(u64::try_from(call.elapsed().as_nanos())?);
        }
        match outcome {
            Ok(units) => tally.units += units,
            Err(err) => {
                stop.store(true, Ordering::Relaxed);
                return Err(err);
            }
        }
    }
    tally.per_second = tally.units as f64 / begin.elapsed().as_secs_f64();
    Ok(tally)
}

/// The processor time of this process so far, all threads, in seconds.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Waits until this process has next to nothing to do, so that what one contestant left for later
/// is not paid for by the next one. Gives how long that took, in seconds.
pub fn settle() -> f64 {
    const LOOK: Duration = Duration::from_millis(20);
    const IDLE: f64 = 0.1;
    const PATIENCE: Duration = Duration::from_secs(30);
    let begin = Instant::now();
    loop {
        let before = cpu_seconds();
        thread::sleep(LOOK);
        let busy = (cpu_seconds() - before) / LOOK.as_secs_f64();
        if busy < IDLE || begin.elapsed() > PATIENCE {
            return (begin.elapsed() - LOOK).as_secs_f64();
        }
    }
}

/// The middle of some figures; of an even number, the mean of the two in the middle.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    sorted.get(middle - 1).map(|lower| f64::midpoint(*lower, upper))
}

/// Of sorted figures, the one that this part of them does not exceed.
pub fn quantile(sorted: &[u64], part: f64) -> Option<u64> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 5.0, 6.0]), Some(5.5));
        let sorted: Vec<u64> = (1..=200).collect();
        assert_eq!(quantile(&sorted, 0.5), Some(100));
        assert_eq!(quantile(&sorted, 0.99), Some(198));
        assert_eq!(quantile(&sorted, 1.0), Some(200));
        assert_eq!(quantile(&[7], 0.99), Some(7));
        assert_eq!(quantile(&[], 0.99), None);
    }

    #[test]
    fn crews_work_side_by_side_and_an_error_ends_all() {
        let nap = |_: &mut Random| {
            thread::sleep(Duration::from_millis(1));
            Ok(2)
        };
        let quick = |random: &mut Random| Ok(random.next() % 2);
        let crews = [
            Crew { threads: 3, task: &nap, timed: true },
            Crew { threads: 1, task: &quick, timed: false },
        ];
        let tallies = work(&crews, Duration::from_millis(100), 1).unwrap();
        let [naps, quicks] = tallies.as_slice() else { panic!("two crews") };
        assert_eq!(naps.units, naps.latencies.len() as u64 * 2);
        assert!(naps.latencies.iter().all(|nanos| *nanos >= 1_000_000));
        assert!((10.0..6_100.0).contains(&naps.per_second), "{}", naps.per_second);
        assert!(quicks.latencies.is_empty() && quicks.units > naps.units);

        let fails = |_: &mut Random| Err("no".into());
        let crews = [crews[0], Crew { threads: 1, task: &fails, timed: false }];
        assert!(work(&crews, Duration::from_millis(1), 1).is_err());
    }
}
