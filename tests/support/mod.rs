//! What the tests of whole stores share: places, keys, seeds, watchdogs, child processes.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "a module of each test binary")]

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    process::{Command, Output},
    sync::mpsc,
    thread,
    time::Duration,
};

use strongroom::{MasterKey, SecretName};
use tempfile::TempDir;

/// A case that takes longer hangs.
const CASE_MAX: Duration = Duration::from_secs(60);

/// Room that a file system in memory must have for these tests.
const ROOM_BYTES: u64 = 1 << 30;

/// A directory in memory where there is one: thousands of stores are made and synced here.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    if room > ROOM_BYTES { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// Copies a directory with all that is in it to `to`, which must not be there.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A master key, another one for each `seed`.
pub fn key(seed: u8) -> MasterKey {
    MasterKey::from_bytes(&key_bytes(seed)).unwrap()
}

/// What [`key`] is made of.
pub fn key_bytes(seed: u8) -> [u8; 32] {
    std::array::from_fn(|n| u8::try_from(n).unwrap().wrapping_mul(73).wrapping_add(seed))
}

pub fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

/// The seed of this run: `STRONGROOM_SEED`, or 1. A failure must print it.
pub fn seed() -> u64 {
    env::var("STRONGROOM_SEED").map_or(1, |seed| seed.parse().unwrap())
}

/// How many cases to try: `least` times `STRONGROOM_SOAK`, which is 1 if it is not set.
pub fn cases(least: usize) -> usize {
    least * env::var("STRONGROOM_SOAK").map_or(1, |times| times.parse::<usize>().unwrap())
}

/// Numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// Runs `case`. A panic is passed on with `what` printed before; a case that takes too long ends the
/// process, since the thread that hangs would be waited for.
pub fn in_time<T: Send>(what: &str, case: impl FnOnce() -> T + Send) -> T {
    let (sender, receiver) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        scope.spawn(move || drop(sender.send(catch_unwind(AssertUnwindSafe(case)))));
        receiver.recv_timeout(CASE_MAX).unwrap_or_else(|_| last_words(what))
    });
    outcome.unwrap_or_else(|panic| {
        println!("in: {what}");
        resume_unwind(panic)
    })
}

#[expect(clippy::print_stderr, reason = "the last words of the process")]
fn last_words(what: &str) -> ! {
    eprintln!("HANG: {what}");
    std::process::abort()
}

/// A command that runs the test `test` of this same binary in a process of its own, with `role` in
/// the environment variable `STRONGROOM_CHILD`, by which it knows.
pub fn child(test: &str, role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env("STRONGROOM_CHILD", role);
    command
}

/// The role of this process if it is a [`child`].
pub fn role() -> Option<String> {
    env::var("STRONGROOM_CHILD").ok()
}

/// Runs the test `test` of this binary with the fault `plant` of `domain/planted.rs` switched on, and
/// fails if the test passes: then it does not see what it is there for. Gives what was printed.
pub fn catches(plant: &str, test: &str) -> Output {
    let output = child(test, "planted").env("STRONGROOM_PLANT", plant).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("running 1 test"), "there is no test {test}:\n{text}");
    assert!(!output.status.success(), "{test} does not notice the planted fault {plant}");
    println!("{plant}: caught by {test}");
    output
}
