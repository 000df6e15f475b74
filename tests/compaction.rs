//! Compaction: the store is the same afterwards and takes little more room than its records, whoever
//! reads and writes meanwhile, whichever call fails, and wherever the process dies.
//!
//! Loss of power is in `power_loss.rs`. Nothing is drawn at random here: a case is its fault and the
//! number of the call that fails, and both stand in the message of a failure.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod support;

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use strongroom::{
    Builder, Error, ErrorKind, Expect, HasKey, Limits, NewSecret, NewVersion, SecretStore,
    SecretType, SecretValue,
    testing::{Disk, DiskFile, Fault, FaultyDisk, Moment, Operation, RealDisk, StateFault},
};
use support::{copied, copy_dir, in_time, key, name, scratch};
use tempfile::TempDir;

/// Calls after which a compaction must have got through.
const CALLS_MAX: u64 = 1000;

// --- What is the same, and what is less -----------------------------------------------------

#[test]
fn a_store_is_the_same_afterwards_and_takes_at_most_twice_the_bytes_of_its_records() {
    const SECRETS: usize = 5000;
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    in_parallel(SECRETS, |n| create(&store, n, 2000).unwrap());
    in_parallel(SECRETS, |n| store.rotate(&of(n / 10 * 10)).map(drop).unwrap());
    in_parallel(SECRETS / 2, |n| store.delete_secret(&of(2 * n + 1)).unwrap());
    store.checkpoint().unwrap();
    let before = (content(&store), store.anchor().unwrap(), store.verify().unwrap());
    let on_disk_before = allocated(&path.join("db"));

    let compaction = store.compact().unwrap();

    let after = || (content(&store), store.anchor().unwrap(), store.verify().unwrap());
    assert!(after() == before, "something has changed");
    assert!(before.2.audit_records > 12_000 && before.2.secrets == 2500, "{:?}", before.2);
    let on_disk = allocated(&path.join("db"));
    println!(
        "{compaction:?}: {:.2} times the records before, {:.2} after",
        on_disk_before as f64 / compaction.record_bytes as f64,
        on_disk as f64 / compaction.record_bytes as f64
    );
    assert!(compaction.bytes_before.abs_diff(on_disk_before) < 1 << 20);
    assert!(compaction.bytes_after.abs_diff(on_disk) < 1 << 20);
    assert!(on_disk_before > 2 * compaction.record_bytes, "there was nothing to gain");
    assert!(on_disk <= 2 * compaction.record_bytes, "{on_disk} bytes on disk");
    assert_clean(&path);

    // It can be opened, and goes on.
    store.rotate(&of(0)).unwrap();
    let anchor = store.anchor().unwrap();
    store.close().unwrap();
    let store = builder().expect(Expect::Anchor(anchor)).open(&path).unwrap();
    assert_eq!(store.verify().unwrap().secrets, 2500);
    assert!(allocated(&path.join("db")) <= 2 * compaction.record_bytes + (4 << 20));
    store.close().unwrap();
}

/// Records of many pieces, of one, and none at all.
#[test]
fn values_of_all_sizes_survive_several_compactions() {
    let dir = scratch();
    let path = dir.path().join("store");
    let mut store = builder().create(&path).unwrap();
    store.compact().unwrap();
    for (n, len) in [0, 900, 1100, 9_000, 150_000, 1_000_000].into_iter().enumerate() {
        create(&store, n, len).unwrap();
        let wanted = content(&store);
        for _ in 0..2 {
            store.compact().unwrap();
            assert!(content(&store) == wanted, "after {len} bytes");
            store.verify().unwrap();
        }
        store.close().unwrap();
        store = builder().open(&path).unwrap();
        assert!(content(&store) == wanted, "after {len} bytes and opening again");
    }
    store.delete_secret(&of(5)).unwrap();
    assert!(store.compact().unwrap().record_bytes < 300_000, "a deleted value is still there");
    store.verify().unwrap();
}

// --- Others at the same time ----------------------------------------------------------------

#[test]
fn readers_and_writers_go_on_meanwhile() {
    const SECRETS: usize = 400;
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    in_parallel(SECRETS, |n| create(&store, n, 300).unwrap());
    let (stop, reads, writes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let mut compactions = 0;
    thread::scope(|scope| {
        for writer in 0..2 {
            let (store, stop, writes) = (&store, &stop, &writes);
            scope.spawn(move || {
                // Each has secrets of its own, so it knows what is in them.
                for turn in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let n = (turn * 7 % (SECRETS / 2)) * 2 + writer;
                    let text = written(&format!("secret {n} turn {turn}"));
                    let new = NewVersion::new(SecretValue::from_string(&text));
                    store.put_version(&of(n), new).unwrap();
                    let got = store.get(&of(n)).unwrap();
                    assert_eq!(got.value().expose_str(), Some(text.as_str()));
                    writes.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let reader = (&store, &stop, &reads);
        scope.spawn(move || {
            let (store, stop, reads) = reader;
            for turn in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let n = turn * 13 % SECRETS;
                let got = store.get(&of(n)).unwrap();
                let text = got.value().expose_str().unwrap();
                assert!(
                    text == value(300).expose_str().unwrap()
                        || text.contains(&format!("\"secret {n} turn "))
                );
                reads.fetch_add(1, Ordering::SeqCst);
            }
        });
        let scanner = (&store, &stop);
        scope.spawn(move || {
            while !scanner.1.load(Ordering::SeqCst) {
                scanner.0.verify().unwrap();
            }
        });
        let writes_at_start = writes.load(Ordering::SeqCst);
        while compactions < 8
            || (writes.load(Ordering::SeqCst) < writes_at_start + 200 && compactions < 100)
        {
            store.compact().unwrap();
            compactions += 1;
        }
        stop.store(true, Ordering::SeqCst);
    });
    let wanted = content(&store);
    store.verify().unwrap();
    store.close().unwrap();
    assert!(content(&builder().open(&path).unwrap()) == wanted);
    let (reads, writes) = (reads.into_inner(), writes.into_inner());
    println!("{compactions} compactions under {reads} reads and {writes} writes");
    assert!(reads > 200 && writes > 200);
}

#[test]
fn two_at_once_come_one_after_the_other() {
    let (_dir, path) = copied(&small());
    let store = builder().open(&path).unwrap();
    let wanted = content(&store);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| store.compact())).collect();
        for call in calls {
            call.join().unwrap().unwrap();
        }
    });
    assert_eq!(content(&store), wanted);
    assert_clean(&path);
}

#[test]
fn a_closed_or_poisoned_store_says_so() {
    let (_dir, path) = copied(&small());
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    disk.set(Some(fault(0, true, io::ErrorKind::Other)));
    assert_eq!(create(&store, 70, 10).unwrap_err().kind(), ErrorKind::Storage);
    disk.set(None);
    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Poisoned);
    let clone = store.clone();
    let _ = store.close();
    assert_eq!(clone.compact().unwrap_err().kind(), ErrorKind::InvalidState);
    assert_clean(&path);
}

// --- Failures -------------------------------------------------------------------------------

#[test]
fn a_crash_at_any_file_operation_loses_nothing() {
    let template = small();
    let wanted = content(&builder().open(copied(&template).1).unwrap());
    let mut seen = [0; 3];
    let positions = each_position("crash", |at| {
        let (_dir, path) = copied(&template);
        let disk = FaultyDisk::new(None);
        let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
        disk.crash(at);
        let outcome = store.compact();
        // The files are left to the next opening as they are now.
        let left = scratch();
        copy_dir(&path, &left.path().join("store"));
        drop(store);
        let failed = disk.failed();
        assert!(failed > 0 || outcome.is_ok());
        let path = left.path().join("store");
        let has = |name: &str| path.join(name).exists();
        seen[0] += u64::from(has("db") && has("db.new"));
        seen[1] += u64::from(!has("db") && has("db.new") && has("db.old"));
        seen[2] += u64::from(has("db") && has("db.old") && !has("db.new"));
        assert_sound(&path, &wanted);
        failed
    });
    println!("{positions} positions; copying, half changed, changed: {seen:?}");
    assert!(positions >= 25 && seen.iter().all(|times| *times > 0), "{positions}, {seen:?}");
}

#[test]
fn an_error_of_any_file_operation_is_told_and_loses_nothing() {
    let template = small();
    for lasting in [false, true] {
        for error in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
            let what = format!("{error:?}, lasting {lasting}");
            let positions = each_position(&what, |at| {
                fails(&template, |disk| disk.set(Some(fault(at, lasting, error))))
            });
            println!("{what}: {positions} positions");
            assert!(positions >= 60, "{what}: only {positions} positions");
        }
    }
    for only in [Operation::Rename, Operation::Remove, Operation::Sync] {
        let what = format!("every {only:?}");
        let positions = each_position(&what, |at| {
            let error = io::ErrorKind::Other;
            fails(&template, |disk| {
                disk.set(Some(Fault { at, lasting: true, only: Some(only), error }));
            })
        });
        assert!(positions >= 2, "{what}: only {positions} positions");
    }
}

#[test]
fn an_error_or_a_panic_of_sled_is_told_and_loses_nothing() {
    let template = small();
    for error in [Some(io::ErrorKind::Other), None] {
        for moment in [Moment::Before, Moment::After] {
            let what = format!("sled, {error:?} {moment:?}");
            let positions = each_position(&what, |at| {
                let fault = StateFault { at, lasting: false, only: None, moment, error };
                fails(&template, |disk| disk.fail_state(fault))
            });
            println!("{what}: {positions} positions");
            assert!(positions >= 30, "{what}: only {positions} positions");
        }
    }
}

/// Compacts with a fault, and says how many calls failed.
fn fails(template: &TempDir, set: impl Fn(&FaultyDisk)) -> u64 {
    let (_dir, path) = copied(template);
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    let mut wanted = content(&store);
    set(&disk);
    let outcome = store.compact();
    let failed = disk.failed();
    disk.set(None);
    match outcome {
        // What fails in letting go of the files before is of no interest.
        Ok(_) => assert!(failed <= 1, "{failed} calls failed and nobody was told"),
        Err(err) => {
            assert!(failed > 0, "{err:?}");
            assert!(matches!(err.kind(), ErrorKind::Storage | ErrorKind::Damaged), "{err:?}");
        }
    }
    // Reading goes on in any case, and writing unless the files may be in disorder.
    assert_eq!(content(&store), wanted);
    match create(&store, 71, 10) {
        Ok(()) => {
            wanted = content(&store);
            store.compact().unwrap();
            assert_clean(&path);
        }
        Err(err) => assert_eq!(err.kind(), ErrorKind::Poisoned),
    }
    let _ = store.close();
    assert_sound(&path, &wanted);
    failed
}

/// Commits go on while the state is copied: they must not be the ones that find the disk full.
#[test]
fn without_room_for_the_copy_nothing_is_changed() {
    let (_dir, path) = copied(&small());
    let store = builder().disk(Arc::new(NoRoom)).open(&path).unwrap();
    let wanted = content(&store);
    match store.compact() {
        Err(Error::Storage { source }) => assert_eq!(source.kind(), io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
    assert_eq!(content(&store), wanted);
    assert_clean(&path);
    create(&store, 72, 10).unwrap();
    store.close().unwrap();
}

// --- What an interrupted one leaves ---------------------------------------------------------

#[test]
fn what_is_left_of_an_interrupted_one_is_put_right_by_opening() {
    let template = small();
    let wanted = content(&builder().open(copied(&template).1).unwrap());
    let cases: [(&str, Leave); 4] = [
        ("a part of the copy", |store| {
            fs::create_dir(store.join("db.new")).unwrap();
            fs::write(store.join("db.new/conf"), "half").unwrap();
        }),
        ("between the renamings", |store| {
            copy_dir(&store.join("db"), &store.join("db.new"));
            fs::rename(store.join("db"), store.join("db.old")).unwrap();
        }),
        ("the old files", |store| copy_dir(&store.join("db"), &store.join("db.old"))),
        ("a part of the old files", |store| {
            copy_dir(&store.join("db"), &store.join("db.old"));
            fs::remove_file(store.join("db.old/db")).unwrap();
        }),
    ];
    for (what, leave) in cases {
        let (_dir, path) = copied(&template);
        leave(&path);
        if what == "between the renamings" {
            // Nothing may be written there by whoever salvages, so it is read where it stands.
            let salvage = builder().salvage(&path).unwrap();
            assert_eq!(salvage.secrets().len(), 4, "{what}");
            assert!(salvage.damage().is_empty(), "{what}: {:?}", salvage.damage());
        }
        in_time(what, || assert_sound(&path, &wanted));
    }
}

/// What is not sled's is not ours to remove.
#[test]
fn foreign_files_at_the_place_of_the_copy_are_not_touched() {
    let (_dir, path) = copied(&small());
    let foreign = path.join("db.new/notes");
    let store = builder().open(&path).unwrap();
    fs::create_dir(path.join("db.new")).unwrap();
    fs::write(&foreign, "mine").unwrap();
    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Damaged);
    create(&store, 73, 10).unwrap();
    store.close().unwrap();
    assert_eq!(builder().open(&path).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(fs::read(&foreign).unwrap(), b"mine");
    fs::remove_file(foreign).unwrap();
    builder().open(&path).unwrap().close().unwrap();
    assert_clean(&path);
}

// --- Instruments ----------------------------------------------------------------------------

/// Runs `case` with a failure at call 0, 1, 2, ... until none fails any more, and says how many did.
fn each_position(what: &str, mut case: impl FnMut(u64) -> u64 + Send) -> u64 {
    for at in 0..CALLS_MAX {
        if in_time(&format!("{what} at call {at}"), || case(at)) == 0 {
            return at;
        }
    }
    panic!("{what}: still failing after {CALLS_MAX} calls");
}

fn fault(at: u64, lasting: bool, error: io::ErrorKind) -> Fault {
    Fault { at, lasting, only: None, error }
}

/// Opens the store, and finds what is wanted and nothing left beside it; writes; opens it again.
fn assert_sound(path: &Path, wanted: &str) {
    let store = builder().open(path).unwrap();
    assert_eq!(content(&store), wanted);
    assert_clean(path);
    store.verify().unwrap();
    create(&store, 99, 10).unwrap();
    store.close().unwrap();
    let store = builder().open(path).unwrap();
    store.delete_secret(&of(99)).unwrap();
    store.verify().unwrap();
    assert_eq!(content(&store), wanted, "after one more opening");
    store.close().unwrap();
}

/// Neither a copy nor old files are left.
fn assert_clean(path: &Path) {
    for name in ["db.new", "db.old"] {
        assert!(!path.join(name).exists(), "{name} is left");
    }
}

/// Leaves in a store what a crash may leave.
type Leave = fn(&Path);

/// A small closed store.
fn small() -> TempDir {
    let dir = scratch();
    let store = builder().create(dir.path().join("store")).unwrap();
    for (n, len) in [10, 2_000, 40_000, 300].into_iter().enumerate() {
        create(&store, n, len).unwrap();
    }
    create(&store, 9, 10).unwrap();
    store.delete_secret(&of(9)).unwrap();
    store.close().unwrap();
    dir
}

fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_value_len_max_bytes(1 << 20).unwrap();
    SecretStore::builder().master_key(key(1)).limits(limits).state_cache_bytes(1 << 24)
}

fn of(n: usize) -> strongroom::SecretName {
    name(&format!("secret-{n}"))
}

fn value(len: usize) -> SecretValue {
    let users = r#"{"users":[{"name":"app","password":"the-first"}],"pad":""#;
    SecretValue::from_string(format!(r#"{users}{}"}}"#, "x".repeat(len)))
}

/// A value with this password.
fn written(password: &str) -> String {
    format!(r#"{{"users":[{{"name":"app","password":"{password}"}}]}}"#)
}

fn create(store: &SecretStore, n: usize, len: usize) -> Result<(), Error> {
    let new = NewSecret::new(of(n), value(len)).secret_type(SecretType::RdsFg);
    store.create_secret(new).map(drop)
}

/// Calls `act` with each number, from many threads, which share their syncs.
fn in_parallel(count: usize, act: impl Fn(usize) + Sync) {
    const THREADS: usize = 16;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let act = &act;
            scope.spawn(move || (thread..count).step_by(THREADS).for_each(act));
        }
    });
}

fn content(store: &SecretStore) -> String {
    support::content(store, |_| true).unwrap()
}

/// How much of the disk the files in a directory take.
fn allocated(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
}

/// A disk on which there is hardly any room.
#[derive(Debug)]
struct NoRoom;

impl Disk for NoRoom {
    fn room(&self, _: &Path) -> io::Result<u64> {
        Ok(1 << 20)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open(path)
    }

    fn read(&self, path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, len_max)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }
}
