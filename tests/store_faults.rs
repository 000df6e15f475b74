//! Every call to the file system fails, once and from then on, each kind of call fails for good, writes
//! take a part of what they are given, and the process dies in every call: the error has a kind of its
//! own, what was acknowledged stays, and nothing is there by half. `store_faults/sled.rs` does the same
//! with the calls into sled, whose files are not reached through the file port, `store_faults/newer.rs`
//! both with other calls.
//!
//! Nothing is drawn at random here: a case is its fault and the number of the call that fails, and
//! both stand in the message of a failure.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

#[path = "support/newer.rs"]
mod newer;
#[path = "store_faults/newer.rs"]
mod newer_calls;
#[path = "store_faults/sled.rs"]
mod sled;
mod support;

use std::{fs, io, path::Path, sync::Arc};

use newer::unnamed;
use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, NewSecret, NewVersion, SecretStore, SecretType,
    SecretUpdate, SecretValue, Stage, Unlock, VersionId,
    testing::{Fault, FaultyDisk, Moment, Operation, ShortWrite, StateCall, StateFault},
};
use support::{copied, copy_dir, in_time, key, name, scratch, segments};
use tempfile::TempDir;

/// Calls after which a run must have got through.
const CALLS_MAX: u64 = 5000;

/// How a run fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Once(io::ErrorKind),
    Lasting(io::ErrorKind),
    /// From some call of this kind on all of them fail, and none of another kind.
    Every(Operation),
    /// One write takes a half and says so.
    Short,
    /// All writes from one on do.
    AllShort,
    /// One write takes a half, and the next one fails.
    ShortThen(io::ErrorKind),
    /// The process dies; a lasting error stands for it, since the files cannot tell.
    Crash,
    /// A call into sled fails.
    Sled(StateFault),
}

const FAILURES: [Failure; 8] = [
    Failure::Once(io::ErrorKind::StorageFull),
    Failure::Once(io::ErrorKind::Other),
    Failure::Lasting(io::ErrorKind::StorageFull),
    Failure::Lasting(io::ErrorKind::Other),
    Failure::Short,
    Failure::ShortThen(io::ErrorKind::StorageFull),
    Failure::ShortThen(io::ErrorKind::Other),
    Failure::Crash,
];

/// All kinds of calls of the file port.
const OPERATIONS: [Operation; 9] = [
    Operation::Create,
    Operation::CreateDir,
    Operation::List,
    Operation::Open,
    Operation::Read,
    Operation::Remove,
    Operation::Rename,
    Operation::Sync,
    Operation::Write,
];

impl Failure {
    fn set(self, disk: &FaultyDisk, at: u64) {
        let fault = |error, lasting| Some(Fault { at, lasting, only: None, error });
        match self {
            Self::Once(error) => disk.set(fault(error, false)),
            Self::Lasting(error) => disk.set(fault(error, true)),
            Self::Every(operation) => disk.set(Some(Fault {
                at,
                lasting: true,
                only: Some(operation),
                error: io::ErrorKind::Other,
            })),
            Self::Short => disk.shorten(ShortWrite { at, lasting: false, then: None }),
            Self::AllShort => disk.shorten(ShortWrite { at, lasting: true, then: None }),
            Self::ShortThen(error) => {
                disk.shorten(ShortWrite { at, lasting: false, then: Some(error) });
            }
            Self::Crash => disk.crash(at),
            Self::Sled(fault) => disk.fail_state(StateFault { at, ..fault }),
        }
    }

    /// Whether it must not be noticed at all.
    fn is_harmless(self) -> bool {
        match self {
            Self::Short | Self::AllShort => true,
            Self::Once(_)
            | Self::Lasting(_)
            | Self::Every(_)
            | Self::ShortThen(_)
            | Self::Crash
            | Self::Sled(_) => false,
        }
    }

    /// Whether this is an error that it may lead to.
    fn may_give(self, kind: ErrorKind) -> bool {
        match self {
            // A panic of sled is not told from damage.
            Self::Sled(StateFault { error: None, .. }) => kind == ErrorKind::Damaged,
            _ => kind == ErrorKind::Storage,
        }
    }

    /// How many positions there must be for this, if a run makes `all` calls and `writes` of them are
    /// writes.
    fn floor(self, (all, writes): (u64, u64)) -> u64 {
        match self {
            Self::Once(_) | Self::Lasting(_) => all,
            Self::Crash => all / 3,
            Self::Short | Self::ShortThen(_) => writes,
            Self::Every(_) | Self::AllShort | Self::Sled(_) => 0,
        }
    }
}

/// One call of the public API, named for messages.
type Step = (&'static str, fn(&SecretStore) -> Result<(), Error>);

// --- What must hold -------------------------------------------------------------------------

#[test]
fn a_failed_creation_leaves_nothing_or_a_whole_store_and_the_next_one_works() {
    let mut runs = each_kind("create", 70, creation_fails);
    for failure in FAILURES {
        runs += each_position(failure, (70, 8), "create", |at| creation_fails(failure, at));
    }
    assert!(creation_fails(Failure::AllShort, 0) > 0);
    println!("create: {runs} failures, nothing or a whole store after each");
}

/// How many calls failed.
fn creation_fails(failure: Failure, at: u64) -> u64 {
    let dir = scratch();
    let path = dir.path().join("store");
    let disk = FaultyDisk::new(None);
    failure.set(&disk, at);
    let created = builder().disk(Arc::new(disk.clone())).create(&path);
    let failed = disk.failed();
    match created {
        Ok(store) => {
            // The last calls are those of closing it, behind which there is nobody to be told.
            drop(store);
            assert_eq!(open(&path).verify().unwrap().secrets, 0);
        }
        Err(err) => {
            assert!(failure.may_give(err.kind()) && !failure.is_harmless(), "{err:?}");
            // Once the store is whole and in its place it is there, whatever fails then.
            let store = match builder().open(&path) {
                Err(err) if err.kind() == ErrorKind::NotAStore => {
                    assert!(!path.exists());
                    builder().create(&path).unwrap()
                }
                other => other.unwrap(),
            };
            store.verify().unwrap();
            assert!(fs::read_dir(dir.path()).unwrap().count() == 1, "left-overs");
        }
    }
    failed.max(disk.failed())
}

/// A process that dies between putting a new store in its place and making its name durable leaves a
/// store that can be opened. If the opening does not make the name durable, a power cut takes the
/// store away with all that was acknowledged.
#[test]
fn an_opening_makes_the_name_of_the_store_durable() {
    let (dir, path) = copied(&template(&[]));
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    assert!(
        disk.synced_dirs().iter().any(|synced| synced == dir.path()),
        "{:?}",
        disk.synced_dirs()
    );
    store.close().unwrap();
}

#[test]
fn a_failed_opening_changes_nothing_that_was_acknowledged() {
    let closed = template(&CALLS);
    let open_still = {
        let (dir, path) = copied(&closed);
        let store = open(&path);
        all(&AFTERWARDS, &store);
        let left = scratch();
        copy_dir(&path, &left.path().join("store"));
        drop((store, dir));
        left
    };
    let [before, after] = [&closed, &open_still].map(|it| content(&open(&copied(it).1)).unwrap());
    assert_ne!(before, after, "there is nothing that an opening has to bring back");
    let mut runs = 0;
    for (what, template, wanted) in
        [("open, closed", &closed, &before), ("open, not closed", &open_still, &after)]
    {
        let case = |failure, at| opening_fails(template, wanted, failure, at);
        for failure in FAILURES {
            runs += each_position(failure, (40, 1), what, |at| case(failure, at));
        }
        runs += each_kind(what, 40, case);
        assert!(case(Failure::AllShort, 0) > 0);
    }
    println!("open: {runs} failures, everything acknowledged there after each");
}

/// How many calls failed.
fn opening_fails(template: &TempDir, wanted: &str, failure: Failure, at: u64) -> u64 {
    let (_dir, path) = copied(template);
    let disk = FaultyDisk::new(None);
    failure.set(&disk, at);
    match builder().disk(Arc::new(disk.clone())).open(&path) {
        Ok(store) => {
            let mut failed = disk.failed();
            if matches!(failure, Failure::Sled(_)) {
                // What is asked for here is in the state.
                disk.set(None);
            }
            assert_eq!(content(&store).unwrap(), wanted);
            // The last calls are those of closing it, behind which there is nobody to be told.
            drop(store);
            failed = failed.max(disk.failed());
            assert_eq!(sound(&path), wanted);
            failed
        }
        Err(err) => {
            assert!(failure.may_give(err.kind()) && !failure.is_harmless(), "{err:?}");
            let failed = disk.failed();
            assert_eq!(sound(&path), wanted);
            failed
        }
    }
}

/// sled writes a snapshot under another name when it opens, and takes what it finds under that name
/// for one that is whole.
#[test]
fn a_snapshot_that_a_crash_left_half_made_does_not_stop_an_opening() {
    let template = template(&CALLS);
    let wanted = content(&open(&copied(&template).1)).unwrap();
    let mut cases = 0;
    for len in [0, 1, 17, 4096] {
        let (_dir, path) = copied(&template);
        let left = path.join("db/snap.0000000000001000.generating");
        fs::write(&left, vec![0xa5; len]).unwrap();
        let store = builder().open(&path).unwrap_or_else(|err| panic!("{len} bytes: {err:?}"));
        assert!(!left.exists(), "{len} bytes: it is still there");
        drop(store);
        assert_eq!(sound(&path), wanted, "{len} bytes");
        cases += 1;
    }
    println!("half-made snapshots: {cases} lengths, the store opens with everything");
}

/// Each of these tests has to see that what it watches was left out.
#[cfg(feature = "planted-faults")]
#[test]
fn leaving_out_the_poison_or_the_clearing_of_a_half_made_snapshot_is_noticed() {
    support::catches("Poison", "calls_survive_a_failure_at_any_position");
    let snapshot = "a_snapshot_that_a_crash_left_half_made_does_not_stop_an_opening";
    support::catches("Generating", snapshot);
}

#[test]
fn calls_survive_a_failure_at_any_position() {
    let empty = template(&[]);
    let mut runs = 0;
    for failure in FAILURES {
        let case = |at| calls_fail(&empty, &CALLS, failure, at);
        runs += each_position(failure, (70, 20), "calls", case);
    }
    assert!(calls_fail(&empty, &CALLS, Failure::AllShort, 0) > 0);
    println!("calls: {runs} failures, each told, everything acknowledged there after each");
}

#[test]
fn calls_survive_that_one_kind_of_call_fails_for_good() {
    let empty = template(&[]);
    each_kind("calls", 70, |failure, at| calls_fail(&empty, &CALLS, failure, at));
}

/// The journal is nearly full: the run begins new segments, settles the state, removes old segments.
#[test]
fn a_change_of_segments_survives_a_failure_at_any_position() {
    let nearly_full = template(&NEARLY_FULL);
    assert_eq!(segments(&nearly_full.path().join("store")), ["1", "2"]);
    // As it is after a crash before the second segment was made.
    let no_spare = {
        let (dir, path) = copied(&nearly_full);
        fs::remove_file(path.join("journal/2")).unwrap();
        drop(path);
        dir
    };
    let mut runs = 0;
    for (what, template, failure) in [
        ("spare", &nearly_full, Failure::Once(io::ErrorKind::Other)),
        ("spare", &nearly_full, Failure::Crash),
        ("no spare", &no_spare, Failure::Crash),
        ("no spare", &no_spare, Failure::Short),
    ] {
        let what = format!("segments, {what}");
        let case = |at| calls_fail(template, &SWITCH, failure, at);
        runs += each_position(failure, (50, 10), &what, case);
    }
    assert!(calls_fail(&no_spare, &SWITCH, Failure::AllShort, 0) > 0);
    let (_dir, path) = copied(&nearly_full);
    let store = open(&path);
    all(&SWITCH, &store);
    store.close().unwrap();
    let left = segments(&path);
    assert!(!left.contains(&"1".to_owned()), "no segment was removed: {left:?}");
    println!("segments: {runs} failures, everything acknowledged there after each");
}

// --- The runs -------------------------------------------------------------------------------

const CALLS: [Step; 13] = [
    ("create", |store| {
        let new = NewSecret::new(name("db"), value("first"));
        store.create_secret(new.secret_type(SecretType::RdsFg)).map(drop)
    }),
    ("put", |store| store.put_version(&name("db"), NewVersion::new(value("second"))).map(drop)),
    ("rotate", |store| store.rotate(&name("db")).map(drop)),
    ("put a large value", |store| {
        let text = value(&"x".repeat(30_000));
        store.put_version(&name("db"), NewVersion::new(text)).map(drop)
    }),
    ("update the secret", |store| {
        let update = SecretUpdate::new().description("new".parse()?);
        store.update_secret(&name("db"), &update).map(drop)
    }),
    ("move a label", |store| store.move_stage(&name("db"), &blue(), v(2)).map(drop)),
    ("delete a label", |store| store.delete_stage(&name("db"), &blue())),
    ("add a key slot", |store| {
        store.add_key_slot(&key(1).into(), &Unlock::from(key(2)), "second").map(drop)
    }),
    ("create another", |store| {
        store.create_secret(NewSecret::new(name("other"), value("o"))).map(drop)
    }),
    ("create three at once", |store| {
        let new = |of| NewSecret::new(name(of), value(of));
        store.create_secrets(["one", "two", "three"].map(new)).map(drop)
    }),
    ("checkpoint", SecretStore::checkpoint),
    ("remove the key slot", |store| store.remove_key_slot(store.key_slots().last().unwrap().id())),
    ("delete", |store| store.delete_secret(&name("db"))),
];

/// Calls on what [`CALLS`] leave.
const AFTERWARDS: [Step; 3] = [
    ("create", |store| {
        let new = NewSecret::new(name("db"), value("again"));
        store.create_secret(new.secret_type(SecretType::RdsFg)).map(drop)
    }),
    ("rotate", |store| store.rotate(&name("db")).map(drop)),
    ("put", |store| {
        store.put_version(&name("other"), NewVersion::new(value(&"y".repeat(9000)))).map(drop)
    }),
];

/// Four values of 900 KB fill a segment of 4 MiB but for half a megabyte. That they are deleted again
/// makes the state small and the cases quick.
const NEARLY_FULL: [Step; 9] = [
    ("create", |store| create_large(store, "a")),
    ("delete", |store| store.delete_secret(&name("a"))),
    ("create", |store| create_large(store, "b")),
    ("delete", |store| store.delete_secret(&name("b"))),
    ("create", |store| create_large(store, "c")),
    ("delete", |store| store.delete_secret(&name("c"))),
    ("create", |store| create_large(store, "d")),
    ("delete", |store| store.delete_secret(&name("d"))),
    ("create", |store| store.create_secret(NewSecret::new(name("other"), value("o"))).map(drop)),
];

const SWITCH: [Step; 4] = [
    ("create in the next segment", |store| create_large(store, "e")),
    ("put", |store| store.put_version(&name("other"), NewVersion::new(value("p"))).map(drop)),
    ("checkpoint", SecretStore::checkpoint),
    ("put behind it", |store| {
        store.put_version(&name("other"), NewVersion::new(value("q"))).map(drop)
    }),
];

/// Makes the calls of `steps` with a failure at call `at` of the disk, and checks the store before and
/// after it is opened again. Says how many calls failed.
fn calls_fail(template: &TempDir, steps: &[Step], failure: Failure, at: u64) -> u64 {
    let (_dir, path) = copied(template);
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    let mut acknowledged = content(&store).unwrap();
    failure.set(&disk, at);
    let mut under_way: Option<&str> = None;
    for (what, step) in steps {
        let kind = match step(&store) {
            Ok(()) => {
                acknowledged = content(&store).unwrap();
                continue;
            }
            Err(err) => err.kind(),
        };
        // The call that failed, or one behind a failure in the background.
        assert!(matches!(kind, ErrorKind::Storage | ErrorKind::Poisoned), "{what}: {kind:?}");
        assert!(disk.failed() > 0, "{what}: {kind:?} and no call failed");
        assert!(!failure.is_harmless(), "{what}: {kind:?}");
        under_way = Some(*what);
        break;
    }
    if under_way.is_some() {
        let probe = store.create_secret(NewSecret::new(name("probe"), value("p")));
        assert_eq!(probe.unwrap_err().kind(), ErrorKind::Poisoned, "a write after a failure");
        assert_eq!(content(&store).unwrap(), acknowledged, "reading after a failure");
    }
    let closed = store.close().map_err(|err| err.kind());
    assert!(matches!(closed, Ok(()) | Err(ErrorKind::Storage | ErrorKind::Poisoned)), "{closed:?}");
    let failed = disk.failed();
    // Whatever failed, somebody was told.
    let heard = under_way.is_some() || closed.is_err();
    assert_eq!(heard, failed > 0 && !failure.is_harmless(), "{failed} failed, {closed:?}");

    let found = sound(&path);
    if found != acknowledged {
        // Then it must be the state behind the call that was under way, which we learn by making it.
        let what = under_way.expect("no call was under way");
        let (_twin_dir, twin) = copied(template);
        let store = open(&twin);
        for (done, step) in steps {
            step(&store).unwrap();
            if *done == what {
                break;
            }
        }
        let wanted = content(&store).unwrap();
        assert_eq!(unnamed(&found), unnamed(&wanted), "{what} is there by half");
    }
    failed
}

// --- Instruments ----------------------------------------------------------------------------

/// Runs `case` with a failure at call 0, 1, 2, ... until none fails any more. There must be some
/// positions at least, by the numbers of all calls and of writes in `floors`. Says how many there are.
fn each_position(
    failure: Failure,
    floors: (u64, u64),
    what: &str,
    case: impl Fn(u64) -> u64 + Sync,
) -> u64 {
    for at in 0..CALLS_MAX {
        let what = format!("{what}, {failure:?} at call {at}");
        if in_time(&what, || case(at)) == 0 {
            assert!(at >= failure.floor(floors), "only {at} positions: the run does too little");
            return at;
        }
    }
    panic!("{failure:?}: still failing after {CALLS_MAX} calls");
}

/// Runs `case` with each kind of call failing for good, from each of its positions on.
/// Says how many positions there are.
fn each_kind(what: &str, floor: u64, case: impl Fn(Failure, u64) -> u64 + Sync) -> u64 {
    let positions = OPERATIONS.map(|operation| {
        let failure = Failure::Every(operation);
        (operation, each_position(failure, (0, 0), what, |at| case(failure, at)))
    });
    let sum: u64 = positions.iter().map(|(_, positions)| positions).sum();
    assert!(sum >= floor, "only {sum} positions: {positions:?}");
    println!("{what}, each kind for good: {positions:?}");
    sum
}

/// Opens the store with a good disk, checks all of it, writes, opens again. Gives what was found.
fn sound(path: &Path) -> String {
    let store = open(path);
    let found = content(&store).unwrap();
    store.verify().unwrap();
    store.create_secret(NewSecret::new(name("probe"), value("p"))).unwrap();
    store.close().unwrap();
    let store = open(path);
    store.verify().unwrap();
    store.delete_secret(&name("probe")).unwrap();
    assert_eq!(content(&store).unwrap(), found, "after one more opening");
    found
}

/// Everything that the store answers, times apart.
fn content(store: &SecretStore) -> Result<String, Error> {
    support::content(store, |_| true)
}

fn all(steps: &[Step], store: &SecretStore) {
    for (what, step) in steps {
        step(store).unwrap_or_else(|err| panic!("{what}: {err:?}"));
    }
}

/// A closed store on which `steps` were made, to be copied.
fn template(steps: &[Step]) -> TempDir {
    let dir = scratch();
    let store = builder().create(dir.path().join("store")).unwrap();
    all(steps, &store);
    store.close().unwrap();
    dir
}

fn open(path: &Path) -> SecretStore {
    builder().open(path).unwrap()
}

fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(4).unwrap();
    let limits = limits.with_value_len_max_bytes(1 << 20).unwrap();
    SecretStore::builder()
        .master_key(key(1))
        .limits(limits)
        .state_cache_bytes(1 << 20)
        .write_buffer_bytes(0)
}

fn blue() -> Stage {
    "blue".parse().unwrap()
}

fn v(number: u64) -> VersionId {
    VersionId::from_number(number).unwrap()
}

fn value(text: &str) -> SecretValue {
    let password = r#"{"users":[{"name":"app","password":"pw-"#;
    SecretValue::from_string(format!(r#"{password}{text}"}}]}}"#))
}

fn create_large(store: &SecretStore, text: &str) -> Result<(), Error> {
    store.create_secret(NewSecret::new(name(text), value(&text.repeat(900_000)))).map(drop)
}
