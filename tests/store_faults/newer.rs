//! The same with the newer calls (`support/newer.rs`), some of which wait for their time; with backups to
//! a place that takes no more; and with a restore in which the process dies.

use std::io::{Cursor, Write};

use super::*;
use crate::newer::{self, Around};

/// Calls into sled that fail without a word to the file port, and whether they change the state.
const STATE_CALLS: [(StateCall, bool); 5] = [
    (StateCall::Apply, true),
    (StateCall::ApplyApart, true),
    (StateCall::Sync, true),
    (StateCall::Read, false),
    (StateCall::Scan, false),
];

/// A closed store to be copied, and what is there before the first call and behind each, made passwords
/// left out.
struct Newer {
    template: TempDir,
    wanted: Vec<String>,
}

impl Newer {
    fn new() -> Self {
        let (template, around) = (scratch(), Around::new());
        let store = around.builder().create(template.path().join("store")).unwrap();
        newer::prepare(&store);
        store.close().unwrap();
        let (_dir, path) = copied(&template);
        let store = around.builder().open(&path).unwrap();
        let mut wanted = vec![unnamed(&newer::content(&store).unwrap())];
        for call in &newer::CALLS {
            let before = store.anchor().unwrap().seq();
            around.make(&store, call).unwrap_or_else(|err| panic!("{}: {err:?}", call.what));
            assert_eq!(store.anchor().unwrap().seq(), before + 1, "{} is one commit", call.what);
            let then = unnamed(&newer::content(&store).unwrap());
            assert_ne!(wanted.last(), Some(&then), "{} makes no difference", call.what);
            wanted.push(then);
        }
        Self { template, wanted }
    }

    /// Makes the calls with a failure at call `at` of the disk, and checks the store before and after it
    /// is opened again. Says how many calls failed.
    fn fails(&self, failure: Failure, at: u64) -> u64 {
        let (_dir, path) = copied(&self.template);
        let (disk, around) = (FaultyDisk::new(None), Around::new());
        let store = around.builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
        failure.set(&disk, at);
        let (mut done, mut refused) = (0, None);
        for call in &newer::CALLS {
            if let Err(err) = around.make(&store, call) {
                let kind = err.kind();
                assert!(
                    kind == ErrorKind::Poisoned || failure.may_give(kind),
                    "{}: {err:?}",
                    call.what
                );
                assert!(disk.failed() > 0, "{}: {err:?} and no call failed", call.what);
                refused = Some(call);
                break;
            }
            done += 1;
        }
        // Passed time has its effect whether the call was made or not.
        let of_files = !matches!(failure, Failure::Sled(_));
        if of_files && refused.is_some_and(|call| call.days == 0) {
            match newer::content(&store) {
                Ok(found) => {
                    assert_eq!(unnamed(&found), self.wanted[done], "reading after a failure");
                }
                // What is read from the state waits for it in vain.
                Err(err) => {
                    assert!(failure.may_give(err.kind()) || err.kind() == ErrorKind::Poisoned);
                }
            }
        }
        let told = around.told();
        let closed = store.close().map_err(|err| err.kind());
        let failed = disk.failed();
        let changing = match failure {
            Failure::Sled(fault) => STATE_CALLS.contains(&(fault.only.unwrap(), true)),
            _ => true,
        };
        let heard = refused.is_some() || closed.is_err();
        assert!(heard || failed == 0 || !changing, "{failed} failed and nobody was told");
        let what = refused.map_or("nothing", |call| call.what);
        let found = unnamed(&newer::sound(&path, &around.frozen(), &told).unwrap());
        let ahead = refused.is_some() && self.wanted.get(done + 1) == Some(&found);
        assert!(found == self.wanted[done] || ahead, "{what} is there by half:\n{found}");
        failed
    }
}

#[test]
fn newer_calls_survive_a_failure_at_any_position() {
    let newer = Newer::new();
    let mut runs = 0;
    for failure in [
        Failure::Once(io::ErrorKind::Other),
        Failure::Lasting(io::ErrorKind::StorageFull),
        Failure::Crash,
    ] {
        // A write and a sync for each.
        let floors = (newer::CALLS.len() as u64 * 2, 20);
        runs += each_position(failure, floors, "newer calls", |at| newer.fails(failure, at));
    }
    println!("newer calls: {runs} failures, everything acknowledged there after each");
}

#[test]
fn newer_calls_end_in_errors_and_lose_nothing_when_sled_fails() {
    let newer = Newer::new();
    let mut runs = 0;
    for (only, _) in STATE_CALLS {
        let fault = StateFault {
            at: 0,
            lasting: false,
            only: Some(only),
            moment: Moment::Before,
            error: Some(io::ErrorKind::Other),
        };
        let failure = Failure::Sled(fault);
        runs += each_position(failure, (0, 0), "newer calls, sled", |at| newer.fails(failure, at));
    }
    assert!(runs >= 150, "only {runs} positions: the run does too little");
    println!("newer calls, sled: {runs} failures");
}

/// Takes so many bytes, and then no more.
struct Full {
    taken: Vec<u8>,
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.room - self.taken.len();
        if left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let part = &bytes[..left.min(bytes.len())];
        self.taken.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was written by then is no backup, and the store is none the worse.
#[test]
fn a_backup_to_a_place_that_is_full_at_any_byte_is_an_error_and_the_store_goes_on() {
    let newer = Newer::new();
    let (dir, path) = copied(&newer.template);
    let around = Around::new();
    let store = around.builder().open(&path).unwrap();
    let mut whole = Vec::new();
    let info = store.backup(&mut whole, |_| {}).unwrap();
    assert_eq!(info.bytes, whole.len() as u64);
    // Each audit record of a backup makes the next one longer.
    let (step, mut cases) = (whole.len() / 150 + 1, 0);
    let ends = (0..whole.len()).step_by(step).chain([1, 16, whole.len() - 1]);
    for room in ends {
        let mut full = Full { taken: Vec::new(), room };
        let err = store.backup(&mut full, |_| {}).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Storage, "{room} bytes: {err:?}");
        assert_eq!(full.taken.len(), room);
        let refused = around.builder().verify_backup(&mut &full.taken[..], |_| {}).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Damaged, "{room} bytes: {refused:?}");
        let copy = dir.path().join("copy");
        let restored = around.builder().restore(&copy, &mut Cursor::new(full.taken), |_| {});
        assert_eq!(restored.unwrap_err().kind(), ErrorKind::Damaged, "{room} bytes");
        assert!(!copy.exists(), "{room} bytes: something was restored");
        cases += 1;
    }
    store.put_version(&name("s"), NewVersion::new(value("goes on"))).unwrap();
    store.verify().unwrap();
    let mut again = Vec::new();
    store.backup(&mut again, |_| {}).unwrap();
    around.builder().verify_backup(&mut &again[..], |_| {}).unwrap();
    store.close().unwrap();
    newer::sound(&path, &Around::new(), &[]).unwrap();
    println!("backups: {cases} that were cut off, none of them passes for one");
}

/// A store that is built of a backup is there wholly, or what is there does not open as one.
#[test]
fn a_restore_that_fails_or_dies_at_any_position_leaves_a_whole_store_or_none() {
    let newer = Newer::new();
    let (_dir, path) = copied(&newer.template);
    let around = Around::new();
    let store = around.builder().open(&path).unwrap();
    let mut backup = Vec::new();
    store.backup(&mut backup, |_| {}).unwrap();
    let wanted = newer::content(&store).unwrap();
    store.close().unwrap();
    let mut runs = [0, 0];
    let files = [
        Failure::Once(io::ErrorKind::Other),
        Failure::Lasting(io::ErrorKind::StorageFull),
        Failure::Crash,
    ];
    for failure in files {
        runs[0] += each_position(failure, (60, 8), "restore", |at| {
            restore_fails(&backup, &wanted, failure, at)
        });
    }
    for (only, lasting) in STATE_CALLS.into_iter().flat_map(|(it, _)| [(it, false), (it, true)]) {
        let (moment, error) = (Moment::Before, Some(io::ErrorKind::Other));
        let failure = Failure::Sled(StateFault { at: 0, lasting, only: Some(only), moment, error });
        runs[1] += each_position(failure, (0, 0), "restore, sled", |at| {
            restore_fails(&backup, &wanted, failure, at)
        });
    }
    assert!(runs[1] > 20, "only {} positions: the run does too little", runs[1]);
    println!("restore: {} failures of files, {} of sled, a whole store or none", runs[0], runs[1]);
}

/// How many calls failed.
fn restore_fails(backup: &[u8], wanted: &str, failure: Failure, at: u64) -> u64 {
    let dir = scratch();
    let path = dir.path().join("store");
    let (disk, around) = (FaultyDisk::new(None), Around::new());
    failure.set(&disk, at);
    let builder = around.builder().disk(Arc::new(disk.clone()));
    let restored = builder.restore(&path, &mut Cursor::new(backup), |_| {});
    let is_there = restored.is_ok();
    let failed = disk.failed();
    match restored {
        // The last calls are those of closing it, behind which there is nobody to be told.
        Ok(store) => drop(store),
        Err(err) => {
            assert!(failure.may_give(err.kind()), "{err:?}");
            assert!(failed > 0, "{err:?} and no call failed");
        }
    }
    let failed = failed.max(disk.failed());
    match around.builder().open(&path) {
        Err(err) if err.kind() == ErrorKind::NotAStore && !is_there => {
            assert!(!path.exists(), "there is something that is no store");
            // And nothing is in the way of the next one.
            let again = around.builder().restore(&path, &mut Cursor::new(backup), |_| {});
            assert_eq!(unrestored(&newer::content(&again.unwrap()).unwrap()), wanted);
        }
        other => {
            let store = other.unwrap();
            assert_eq!(unrestored(&newer::content(&store).unwrap()), wanted);
            store.verify().unwrap();
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "left-overs");
    failed
}

/// The content without the record that tells of the restore.
fn unrestored(content: &str) -> String {
    let lines = content.lines().filter(|line| !line.starts_with("log restoreStore"));
    lines.map(|line| format!("{line}\n")).collect()
}
