//! One scenario in a process of its own: a thread works and stands still while its memory is looked
//! through.

use std::{
    hint::black_box,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use crate::{
    canary,
    scan::{self, Place},
    support,
};

/// The role of a process that plays a scenario.
const ACTOR: &str = "actor";

/// What was found: blocks freed with a canary in them, and places in memory that hold one.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many blocks, by canary.
    pub freed: Vec<(usize, usize)>,
    pub places: Vec<Place>,
}

/// What a scenario has: a directory, numbers, and somebody who looks at its memory.
pub struct Stage<'a> {
    pub dir: &'a Path,
    pub random: support::Random,
    ask: Sender<()>,
    answer: Receiver<(Vec<Place>, usize)>,
    looks: usize,
    looked_at: usize,
}

impl Stage<'_> {
    /// Stands still until all memory was looked through.
    pub fn look(&mut self) -> Findings {
        self.ask.send(()).unwrap();
        let (places, looked_at) = self.answer.recv().unwrap();
        self.looks += 1;
        self.looked_at += looked_at;
        let freed = (0..canary::count()).map(|at| (at, canary::freed(at)));
        let freed = freed.filter(|(_, (blocks, _))| *blocks > 0);
        let freed = freed.map(|(at, (blocks, size))| {
            println!("canary {at}: in {blocks} freed blocks, the last one of {size} bytes");
            (at, blocks)
        });
        let freed = freed.collect();
        places.iter().for_each(|place| println!("{place}"));
        Findings { freed, places }
    }

    /// As [`look`](Self::look), and nothing may be found.
    #[track_caller]
    pub fn nothing_left(&mut self, after: &str) {
        let Findings { freed, places } = self.look();
        let left = freed.len() + places.len();
        assert_eq!(left, 0, "after {after}: left in memory, as printed above");
    }
}

/// Runs `play` in a process of its own; `test` is the test that calls this. The process is killed if a
/// panic in `play` says that something was found, and the test fails.
pub fn scenario(test: &str, play: fn(&mut Stage<'_>)) {
    let seed = support::seed();
    if support::role().as_deref() == Some(ACTOR) {
        return act(test, seed, play);
    }
    let repeats = support::cases(1) as u64;
    for seed in seed..seed + repeats {
        let mut command = support::child(test, ACTOR);
        let output = command.env("STRONGROOM_SEED", seed.to_string()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("running 1 test"),
            "{test}, STRONGROOM_SEED={seed}, {}:\n{text}\n{said}",
            output.status
        );
        let line = text.lines().find_map(|line| line.split_once("memory: "));
        println!("{test}: {}", line.expect("a scenario says what it covered").1);
    }
}

fn act(test: &str, seed: u64, play: fn(&mut Stage<'_>)) {
    let dir = support::scratch();
    let (ask, asked) = channel();
    let (answer, answered) = channel();
    let random = support::Random::new(seed);
    thread::scope(|scope| {
        let path = dir.path();
        let actor = scope.spawn(move || {
            let mut stage =
                Stage { dir: path, random, ask, answer: answered, looks: 0, looked_at: 0 };
            let outcome = catch_unwind(AssertUnwindSafe(|| play(&mut stage)));
            let Stage { looks, looked_at, .. } = stage;
            (outcome, looks, looked_at)
        });
        // Until the actor is done with its stage.
        while asked.recv().is_ok() {
            answer.send(scan::memory()).unwrap();
        }
        let (outcome, looks, looked_at) = actor.join().unwrap();
        assert!(outcome.is_ok(), "{test}, STRONGROOM_SEED={seed}");
        assert!(looks > 0, "{test} looked at nothing");
        let (canaries, mib) = (canary::count(), looked_at >> 20);
        println!("memory: {canaries} canaries, {looks} looks at {mib} MiB in all");
    });
}

/// Runs `work` far down on the stack, so that what it leaves there stays as it is while others run.
#[inline(never)]
pub fn deep<T>(work: impl FnOnce() -> T) -> T {
    let gap = [0_u8; 1 << 15];
    black_box(&gap);
    let made = apart(work);
    black_box(&gap);
    made
}

/// In a frame of its own, below the gap.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
