//! A workload for the power-cut simulator, and the check of what a cut left behind.
//!
//! ```text
//! powercut_workload run   DIR [seed=1] [calls=200] [from=0] [threads=1] [large=10] [close=1] [made=0]
//! powercut_workload check DIR ACKS [seed=1] [from=0] [threads=1] [large=10]
//! ```
//!
//! `run` makes the store `DIR/store`, or opens it if `from` or `made` is not 0, and makes `calls`
//! calls on it from each thread. Behind each that returned it prints one line in one write:
//! `ACK thread call`. `check` is given the lines printed before the cut. What every call does follows
//! from its number and the seed, so both sides know what must be there. It opens the store, compares,
//! verifies, writes, closes, opens again and compares again, and prints `RESULT word`: `ok`, or `lost`
//! if the store is as it was some acknowledged calls earlier, `torn` if it is as it never was,
//! `open-error` with the error. Repeat any finding with the same arguments; nothing is random but keys
//! and new passwords.
#![allow(
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test program: it may stop at the first surprise"
)]

#[path = "../tests/support/workload.rs"]
mod workload;

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
};

use strongroom::{ErrorKind, NewSecret, NewVersion, SecretStore, SecretValue};
use workload::{Found, Model, Outcome, Workload, builder, master_key};

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let settings = Settings::parse(&args);
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", dir, ..] => run(Path::new(dir), &settings),
        ["check", dir, acks, ..] => {
            let word = match check(Path::new(dir), &fs::read_to_string(acks)?, &settings) {
                Ok(word) => word,
                Err(err) => format!("open-error {err}"),
            };
            println!("RESULT {word}");
            Ok(())
        }
        _ => Err("usage: run DIR | check DIR ACKS, then key=value".into()),
    }
}

#[derive(Clone, Copy)]
struct Settings {
    workload: Workload,
    calls: u64,
    from: u64,
    threads: u64,
    close: bool,
    made: bool,
}

impl Settings {
    fn parse(args: &[String]) -> Self {
        let number = |key: &str, default: u64| {
            let found = args.iter().filter_map(|arg| arg.split_once('=')).find(|(k, _)| *k == key);
            found.map_or(default, |(_, value)| value.parse().expect("a number"))
        };
        let (seed, large) = (number("seed", 1), number("large", 10));
        Self {
            workload: Workload { seed, large, large_len_max: 200_000, newer: false },
            calls: number("calls", 200),
            from: number("from", 0),
            threads: number("threads", 1),
            close: number("close", 1) == 1,
            made: number("made", 0) == 1,
        }
    }
}

// --- Running --------------------------------------------------------------------------------

fn run(dir: &Path, settings: &Settings) -> Outcome<()> {
    let path = dir.join("store");
    let there = settings.made || settings.from > 0;
    let builder = builder(master_key());
    let store = if there { builder.open(&path)? } else { builder.create(&path)? };
    say("READY\n")?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.threads)
            .map(|thread| {
                let store = store.clone();
                scope.spawn(move || work(&store, thread, settings))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    if settings.close {
        store.close()?;
        say("CLOSED\n")?;
    } else {
        // As if killed: nothing is closed, no destructor runs.
        std::process::exit(0);
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn work(store: &SecretStore, thread: u64, settings: &Settings) -> Outcome<()> {
    let mut model = Model::at(&settings.workload, thread, settings.from);
    for n in settings.from..settings.from + settings.calls {
        let call = settings.workload.call(&model);
        let password = settings.workload.make(store, &model, &call)?;
        model.apply(&call, password);
        say(&format!("ACK {thread} {n}\n"))?;
    }
    Ok(())
}

// --- Checking -------------------------------------------------------------------------------

fn check(dir: &Path, acks: &str, settings: &Settings) -> Outcome<String> {
    let path: PathBuf = dir.join("store");
    let open = || builder(master_key()).open(&path);
    let ready = settings.from > 0 || acks.lines().any(|line| line == "READY");
    let store = match open() {
        Err(err) if !ready && err.kind() == ErrorKind::NotAStore => {
            builder(master_key()).create(&path)?.close()?;
            open()?
        }
        other => other?,
    };
    if let Some(bad) = compare(&Found::of(&store)?, acks, settings) {
        return Ok(bad);
    }
    store.verify()?;
    probe(&store)?;
    store.close()?;
    let store = open()?;
    if let Some(bad) = compare(&Found::of(&store)?, acks, settings) {
        return Ok(format!("{bad} (after reopening)"));
    }
    store.get(&"probe".parse()?)?;
    store.verify()?;
    store.close()?;
    Ok("ok".to_owned())
}

/// One more write, which an earlier check of the same files may have made already.
fn probe(store: &SecretStore) -> Outcome<()> {
    let value = || SecretValue::from_string("one more");
    match store.create_secret(NewSecret::new("probe".parse()?, value())) {
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {
            store.put_version(&"probe".parse()?, NewVersion::new(value()))?;
        }
        other => drop(other?),
    }
    Ok(())
}

fn compare(found: &Found, acks: &str, settings: &Settings) -> Option<String> {
    (0..settings.threads).find_map(|thread| compare_thread(found, acks, settings, thread))
}

fn compare_thread(found: &Found, acks: &str, settings: &Settings, thread: u64) -> Option<String> {
    let workload = &settings.workload;
    let mine = format!("ACK {thread} ");
    let acked = acks.lines().filter(|line| line.starts_with(&mine)).count() as u64;
    let done = settings.from + acked;
    let mut model = Model::at(workload, thread, done);
    let difference = workload.difference(&model, found)?;
    let next = workload.call(&model);
    model.apply(&next, None);
    workload.difference(&model, found)?;
    let as_after = |n: &u64| workload.difference(&Model::at(workload, thread, *n), found).is_none();
    Some(match (0..done).rev().find(as_after) {
        Some(n) => format!("lost thread {thread}: is at call {n}, acknowledged {done}"),
        None => format!("torn thread {thread} at call {done}: {difference}"),
    })
}
