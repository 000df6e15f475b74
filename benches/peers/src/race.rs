//! A run with so many secrets: loading, opening, then all workloads, round by round.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicUsize,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    arguments::{Arguments, OPEN, SUSTAINED},
    contestant::{Entrant, Setting, conforms},
    host,
    measure::{Crew, cpu_seconds, settle, work},
    opening,
    results::Results,
    work::{DEEP, Newest, Random, VERSIONS_MAX, Work},
    workload::{Stand, WORKLOADS, Workload},
};

/// Who rotates without a pause: strongroom, the best peer and the bound.
const ENDURING: &[&str] = &["strongroom", "fjall", "log"];

/// How many threads bring the secrets to the versions that they begin with.
const AGERS: usize = 64;

/// Measures everything that was asked for with so many secrets.
pub fn run(
    arguments: &Arguments,
    secrets: usize,
    dir: &Path,
    results: &mut Results,
) -> Outcome<()> {
    let work = Work::new(secrets)?;
    let mut stands = Vec::new();
    for entrant in arguments.entrants(secrets) {
        let stand = enter(arguments, entrant, (&work, dir), results);
        stands.push(stand.map_err(|err| format!("{}: {err}", entrant.key))?);
    }
    for workload in WORKLOADS.iter().filter(|workload| arguments.works(workload.key)) {
        for round in 0..arguments.rounds {
            eprintln!("{secrets} secrets: {} round {}", workload.key, round + 1);
            slices(arguments, (workload, round), &stands, results)?;
        }
    }
    if arguments.works(SUSTAINED) && !arguments.sustained.is_zero() {
        for stand in stands.iter().filter(|stand| ENDURING.contains(&stand.entrant.key)) {
            endure(arguments, stand, results)?;
        }
    }
    stands.into_iter().try_for_each(|stand| stand.store.close())
}

/// One slice of a workload for each contestant, in another order each round, so that nobody always
/// comes behind the same one.
fn slices(
    arguments: &Arguments,
    (workload, round): (&Workload, usize),
    stands: &[Stand<'_>],
    results: &mut Results,
) -> Outcome<()> {
    let mut random = Random::new(round as u64);
    let mut waiting: Vec<_> = stands.iter().collect();
    while !waiting.is_empty() {
        let stand = waiting.swap_remove(random.below(waiting.len()));
        if workload.writes && !stand.entrant.writes {
            continue;
        }
        let figures = workload
            .slice(stand, (arguments.slice, round as u64))
            .map_err(|err| format!("{} {}: {err}", stand.entrant.key, workload.key))?;
        for (figure, sample) in figures {
            results.add(stand.work.names.len(), figure, stand.entrant, sample);
        }
    }
    Ok(())
}

/// Proves a contestant right, loads it, and measures what belongs to that.
fn enter<'a>(
    arguments: &Arguments,
    entrant: &'static Entrant,
    (work, dir): (&'a Work, &Path),
    results: &mut Results,
) -> Outcome<Stand<'a>> {
    let secrets = work.names.len();
    eprintln!("{secrets} secrets: {} conforms and loads", entrant.key);
    let trial = fresh_dir(dir, &format!("{}-trial-{secrets}", entrant.key))?;
    conforms(entrant, &trial)?;
    fs::remove_dir_all(&trial)?;

    let home = fresh_dir(dir, &format!("{}-{secrets}", entrant.key))?;
    let mut store = (entrant.open)(&home, Setting::USUAL)?;
    let begin = Instant::now();
    store.load(&mut (0..secrets).map(|number| work.secret(number)))?;
    let rate = secrets as f64 / begin.elapsed().as_secs_f64();
    if entrant.writes {
        results.add(secrets, "load", entrant, rate);
    }
    let newest = Newest::new(secrets);
    let mut stand = Stand { entrant, store, work, newest, newcomers: AtomicUsize::new(0) };
    age(&stand)?;
    settle();
    if entrant.reopens {
        stand.store.close()?;
        let bytes = host::disk_bytes(&home)? as f64 / secrets as f64;
        results.add(secrets, "disk", entrant, bytes);
        if arguments.works(OPEN) {
            for (figure, sample) in opening::figures(entrant, &home, secrets)? {
                results.add(secrets, figure, entrant, sample);
            }
        }
        store = (entrant.open)(&home, Setting::USUAL)?;
        stand = Stand { store, ..stand };
    }
    for (figure, sample) in ["first gets", "first rows"].into_iter().zip(stand.first_reads()?) {
        results.add(secrets, figure, entrant, sample);
    }
    Ok(stand)
}

fn fresh_dir(dir: &Path, name: &str) -> Outcome<PathBuf> {
    let path = dir.join(name);
    fs::create_dir(&path)?;
    Ok(path)
}

/// Rotates each secret once, and some until they have all versions that a secret keeps.
fn age(stand: &Stand<'_>) -> Outcome<()> {
    let secrets = stand.work.names.len();
    let age = |thread: usize| -> Outcome<()> {
        let mut random = Random::new(thread as u64);
        for at in (thread..secrets).step_by(AGERS) {
            let versions = if at < DEEP { VERSIONS_MAX } else { 2 };
            for _ in 1..versions {
                stand.rotate_at(at, &mut random)?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let age = &age;
        let threads: Vec<_> = (0..AGERS).map(|thread| scope.spawn(move || age(thread))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a panic")?)
    })
}

/// Rotations without a pause, second by second, and what is left to do behind them.
fn endure(arguments: &Arguments, stand: &Stand<'_>, results: &mut Results) -> Outcome<()> {
    const WINDOW: Duration = Duration::from_secs(1);
    let secrets = stand.work.names.len();
    for (threads, names) in [
        (8, ["sustained 8", "slowest 8", "sustained cpu 8", "left 8"]),
        (32, ["sustained 32", "slowest 32", "sustained cpu 32", "left 32"]),
    ] {
        eprintln!("{secrets} secrets: {} rotates with {threads} threads", stand.entrant.key);
        let task = |random: &mut Random| stand.rotate(random);
        let crew = [Crew { threads, task: &task, timed: false }];
        let (begin, cpu) = (Instant::now(), cpu_seconds());
        let (mut units, mut slowest, mut seed) = (0, f64::INFINITY, 0);
        while begin.elapsed() < arguments.sustained {
            let left = arguments.sustained.saturating_sub(begin.elapsed());
            let tallies = work(&crew, WINDOW.min(left), seed)?;
            let tally = tallies.first().ok_or("no tally")?;
            units += tally.units;
            slowest = tally.per_second.min(slowest);
            seed += 1;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let left = settle();
        let micros = (cpu_seconds() - cpu) * 1e6 / units as f64;
        for (name, sample) in names.into_iter().zip([units as f64 / seconds, slowest, micros, left])
        {
            results.add(secrets, name, stand.entrant, sample);
        }
    }
    Ok(())
}
