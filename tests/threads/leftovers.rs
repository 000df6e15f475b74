//! A process that opens and closes stores for ever keeps no thread and no file of theirs.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use strongroom::{ErrorKind, NewSecret, NewVersion, SecretStore, SecretValue, Verify};

use crate::support::{self, cases, in_time, key, name, role, scratch, seed};

const TEST: &str = "leftovers::opening_and_closing_leaves_no_thread_and_no_file_behind";

/// Openings before the first count: what is made once for the whole process is there then.
const WARM_UP: usize = 5;

const OPENINGS: usize = 200;

/// How long a thread may take to end after its store is closed.
const END_MAX: Duration = Duration::from_secs(5);

/// More memory than this must not be gone after all openings, in KiB. What the allocator keeps for the
/// next opening is a third of it, however many there were.
const MEMORY_MAX_KIB: u64 = 80 * 1024;

#[test]
fn opening_and_closing_leaves_no_thread_and_no_file_behind() {
    if role().as_deref() == Some("leftovers") {
        return in_own_process();
    }
    for run in 0..cases(1) {
        let mut child = support::child(TEST, "leftovers");
        let output = in_time("all openings", || child.output().unwrap());
        let said = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "seed {}, run {run}: {said}\n{err}", seed());
        println!("{}", said.lines().find(|line| line.contains("openings")).unwrap());
    }
}

/// Other tests have threads and files of their own.
fn in_own_process() {
    let dir = scratch();
    let path = dir.path().join("store");
    open_and_close(&path, 0..WARM_UP);
    let before = Held::now();
    open_and_close(&path, WARM_UP..WARM_UP + OPENINGS);
    let mut after = Held::now();
    let end = Instant::now() + END_MAX;
    while after.threads > before.threads && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
        after = Held::now();
    }
    println!("\n{OPENINGS} openings: before {before:?}, after {after:?}");
    // At the first count a thread of a store that was just closed may still have been ending.
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    assert_eq!(after.files, before.files);
    assert!(after.memory_kib < before.memory_kib + MEMORY_MAX_KIB, "{before:?} {after:?}");
    let store = builder().open(&path).unwrap();
    let last = store.get(&name("s")).unwrap().id().number();
    assert_eq!(last, (WARM_UP + OPENINGS) as u64, "each opening has written");
}

/// In turn by a close, by a drop, by a close while a clone is left, and with a check in the background
/// that is still running. Failed openings are among them.
fn open_and_close(path: &std::path::Path, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let verify = if n % 4 == 3 { Verify::Deferred } else { Verify::Eager };
        let store = builder().verify(verify).open_or_create(path).unwrap();
        let value = SecretValue::from_string(n.to_string());
        if n == 0 {
            store.create_secret(NewSecret::new(name("s"), value)).unwrap();
        } else {
            store.put_version(&name("s"), NewVersion::new(value)).unwrap();
        }
        assert_eq!(builder().open(path).unwrap_err().kind(), ErrorKind::Locked);
        match n % 4 {
            0 => store.close().unwrap(),
            1 => drop(store),
            _ => {
                let clone = store.clone();
                store.close().unwrap();
                assert_eq!(clone.get(&name("s")).unwrap_err().kind(), ErrorKind::InvalidState);
            }
        }
        let other = SecretStore::builder().master_key(key(4)).open(path);
        assert_eq!(other.unwrap_err().kind(), ErrorKind::WrongKey);
    }
}

fn builder() -> strongroom::Builder<strongroom::HasKey> {
    SecretStore::builder().master_key(key(3))
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    threads: usize,
    files: usize,
    memory_kib: u64,
}

impl Held {
    fn now() -> Self {
        let count = |dir: &str| fs::read_dir(dir).unwrap().count();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory = memory.trim().split(' ').next().unwrap();
        Self {
            threads: count("/proc/self/task"),
            files: count("/proc/self/fd"),
            memory_kib: memory.parse().unwrap(),
        }
    }
}
