//! What the tests of whole stores share: places, keys, seeds, watchdogs, child processes.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "a module of each test binary")]
#![allow(clippy::print_stdout, reason = "what a test tells of its cases")]

use std::{
    env,
    fmt::Write as _,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use strongroom::{
    Error, ListSecrets, ListVersions, MasterKey, SecretName, SecretStore, VersionRef,
};
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

/// A copy of the store of `template`, in a directory of its own.
pub fn copied(template: &TempDir) -> (TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join("store");
    copy_dir(&template.path().join("store"), &path);
    (dir, path)
}

/// The names of the journal's segments, sorted as text.
pub fn segments(store: &Path) -> Vec<String> {
    let entries = fs::read_dir(store.join("journal")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Opens a state with sled itself, once the store that had it has let go.
pub fn sled_open(path: &Path) -> sled::Db {
    let config = || sled::Config::new().path(path).segment_size(2 * 1024 * 1024);
    for _ in 0..500 {
        match config().flush_every_ms(None).open() {
            Ok(db) => return db,
            Err(err) if err.to_string().contains("lock") => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(err) => panic!("{err}"),
        }
    }
    panic!("sled keeps its lock");
}

/// Everything that the store answers about its key slots and the secrets chosen by name, times apart.
pub fn content(store: &SecretStore, chosen: impl Fn(&str) -> bool) -> Result<String, Error> {
    let mut text = String::new();
    for slot in store.key_slots() {
        writeln!(text, "slot {:?}", slot.label()).unwrap();
    }
    let secrets = store.secrets(&ListSecrets::new())?;
    for secret in secrets.items().iter().filter(|secret| chosen(secret.name().as_str())) {
        let (name, kind) = (secret.name(), secret.secret_type());
        writeln!(text, "{name} {kind:?} {:?}", secret.description()).unwrap();
        for version in store.versions(name, &ListVersions::new())?.items() {
            let got = store.version(name, &VersionRef::Id(version.id()))?;
            let value = got.value().expose_str().unwrap_or("binary");
            // Of a large value, enough to tell it from any other here.
            let (head, len) = (value.get(..1000).unwrap_or(value), value.len());
            writeln!(text, "  {} {:?} {len} {head}", version.id(), version.stages()).unwrap();
        }
    }
    Ok(text)
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
/// fails if the test passes: then it does not see what it is there for.
pub fn catches(plant: &str, test: &str) {
    let output = child(test, "planted").env("STRONGROOM_PLANT", plant).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("running 1 test"), "there is no test {test}:\n{text}");
    assert!(!output.status.success(), "{test} does not notice the planted fault {plant}");
    println!("{plant}: caught by {test}");
}
