//! Every call to the file system fails, once and from then on, and the process dies in every call:
//! the error has a kind of its own, what was acknowledged stays, and nothing is there by half.
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

use std::{
    fmt::Write as _,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, ListSecrets, ListVersions, MasterKey, NewSecret,
    NewVersion, SecretName, SecretStore, SecretType, SecretUpdate, SecretValue, Stage, Unlock,
    VersionId, VersionRef,
    testing::{Fault, FaultyDisk},
};
use tempfile::TempDir;

/// A case that takes longer hangs.
const CASE_MAX: Duration = Duration::from_secs(30);

/// Calls after which a run must have got through.
const CALLS_MAX: u64 = 5000;

/// How a run fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Once(io::ErrorKind),
    Lasting(io::ErrorKind),
    /// The process dies; a lasting error stands for it, since the files cannot tell.
    Crash,
}

const FAILURES: [Failure; 5] = [
    Failure::Once(io::ErrorKind::StorageFull),
    Failure::Once(io::ErrorKind::Other),
    Failure::Lasting(io::ErrorKind::StorageFull),
    Failure::Lasting(io::ErrorKind::Other),
    Failure::Crash,
];

impl Failure {
    fn set(self, disk: &FaultyDisk, at: u64) {
        let fault = |error, lasting| Some(Fault { at, lasting, only: None, error });
        match self {
            Self::Once(error) => disk.set(fault(error, false)),
            Self::Lasting(error) => disk.set(fault(error, true)),
            Self::Crash => disk.crash(at),
        }
    }
}

/// One call of the public API, named for messages.
type Step = (&'static str, fn(&SecretStore) -> Result<(), Error>);

// --- What must hold -------------------------------------------------------------------------

#[test]
fn a_failed_creation_leaves_nothing_or_a_whole_store_and_the_next_one_works() {
    for failure in FAILURES {
        let kept = AtomicU64::new(0);
        let calls = each_position(failure, 30, |at| {
            let dir = scratch();
            let path = dir.path().join("store");
            let disk = FaultyDisk::new(None);
            failure.set(&disk, at);
            let created = builder().disk(Arc::new(disk.clone())).create(&path);
            match created.map(drop) {
                Ok(()) => assert_eq!(open(&path).verify().unwrap().secrets, 0),
                Err(err) => {
                    assert_eq!(err.kind(), ErrorKind::Storage, "{err:?}");
                    // Once the store is whole and in its place it is there, whatever fails then.
                    let store = match builder().open(&path) {
                        Err(err) if err.kind() == ErrorKind::NotAStore => {
                            assert!(!path.exists());
                            builder().create(&path).unwrap()
                        }
                        other => {
                            kept.fetch_add(1, Ordering::Relaxed);
                            other.unwrap()
                        }
                    };
                    store.verify().unwrap();
                    assert!(fs::read_dir(dir.path()).unwrap().count() == 1, "left-overs");
                }
            }
            disk.failed()
        });
        let kept = kept.into_inner();
        println!("create, {failure:?}: {calls} positions, at {kept} of them the store stays");
    }
}

/// A process that dies between putting a new store in its place and making its name durable leaves a
/// store that can be opened. If the opening does not make the name durable, a power cut takes the
/// store away with all that was acknowledged.
#[test]
fn an_opening_makes_the_name_of_the_store_durable() {
    let (dir, path) = copy(&template(&[]));
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
        let (dir, path) = copy(&closed);
        let store = open(&path);
        all(&AFTERWARDS, &store);
        let left = scratch();
        copy_dir(&path, &left.path().join("store"));
        drop((store, dir));
        left
    };
    for (what, template, floor) in [("closed", &closed, 25), ("not closed", &open_still, 30)] {
        let wanted = content(&open(&copy(template).1)).unwrap();
        for failure in FAILURES {
            let calls = each_position(
                failure,
                if matches!(failure, Failure::Crash) { 5 } else { floor },
                |at| {
                    let (_dir, path) = copy(template);
                    let disk = FaultyDisk::new(None);
                    failure.set(&disk, at);
                    match builder().disk(Arc::new(disk.clone())).open(&path) {
                        Ok(store) => assert_eq!(content(&store).unwrap(), wanted),
                        Err(err) => assert_eq!(err.kind(), ErrorKind::Storage, "{err:?}"),
                    }
                    let failed = disk.failed();
                    assert_eq!(sound(&path), wanted);
                    failed
                },
            );
            println!("open, {what}, {failure:?}: {calls} positions");
        }
    }
}

#[test]
fn calls_survive_a_failure_at_any_position() {
    let empty = template(&[]);
    for failure in FAILURES {
        let floor = if matches!(failure, Failure::Crash) { 60 } else { 70 };
        let calls = each_position(failure, floor, |at| calls_fail(&empty, &CALLS, failure, at));
        println!("calls, {failure:?}: {calls} positions");
    }
}

/// The journal is nearly full: the run begins new segments, settles the state, removes old segments.
#[test]
fn a_change_of_segments_survives_a_failure_at_any_position() {
    let nearly_full = template(&NEARLY_FULL);
    assert_eq!(segments(&nearly_full.path().join("store")), ["1", "2"]);
    // As it is after a crash before the second segment was made.
    let no_spare = {
        let (dir, path) = copy(&nearly_full);
        fs::remove_file(path.join("journal/2")).unwrap();
        drop(path);
        dir
    };
    for (what, template, failure) in [
        ("spare", &nearly_full, Failure::Once(io::ErrorKind::Other)),
        ("spare", &nearly_full, Failure::Crash),
        ("no spare", &no_spare, Failure::Crash),
    ] {
        let calls = each_position(failure, 30, |at| calls_fail(template, &SWITCH, failure, at));
        println!("segments, {what}, {failure:?}: {calls} positions");
    }
    let (_dir, path) = copy(&nearly_full);
    let store = open(&path);
    all(&SWITCH, &store);
    store.close().unwrap();
    let left = segments(&path);
    assert!(!left.contains(&"1".to_owned()), "no segment was removed: {left:?}");
}

// --- The runs -------------------------------------------------------------------------------

const CALLS: [Step; 12] = [
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
    let (_dir, path) = copy(template);
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
        under_way = Some(*what);
        break;
    }
    if under_way.is_some() {
        let probe = store.create_secret(NewSecret::new(name("probe"), value("p")));
        assert_eq!(probe.unwrap_err().kind(), ErrorKind::Poisoned, "a write after a failure");
        assert_eq!(content(&store).unwrap(), acknowledged, "reading after a failure");
    }
    if let Err(err) = store.close() {
        assert_eq!(err.kind(), ErrorKind::Storage, "{err:?}");
    }
    let failed = disk.failed();

    let found = sound(&path);
    if found != acknowledged {
        // Then it must be the state behind the call that was under way, which we learn by making it.
        let what = under_way.expect("no call was under way");
        let (_twin_dir, twin) = copy(template);
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

/// The same text with every password that the store made replaced.
fn unnamed(content: &str) -> String {
    let parts: Vec<&str> = content.split(r#""password":""#).collect();
    let rest = parts[1..].iter().map(|part| match part.split_once('"') {
        Some((password, rest)) if !password.starts_with("pw-") => format!("made\"{rest}"),
        _ => (*part).to_owned(),
    });
    std::iter::once(parts[0].to_owned()).chain(rest).collect::<Vec<_>>().join(r#""password":""#)
}

// --- Instruments ----------------------------------------------------------------------------

/// Runs `case` with a failure at call 0, 1, 2, ... until none fails any more. There must be `floor`
/// positions at least.
fn each_position(failure: Failure, floor: u64, case: impl Fn(u64) -> u64 + Sync) -> u64 {
    for at in 0..CALLS_MAX {
        let what = format!("{failure:?} at call {at}");
        if in_time(&what, || case(at)) == 0 {
            assert!(at >= floor, "only {at} positions: the run does too little");
            return at;
        }
    }
    panic!("{failure:?}: still failing after {CALLS_MAX} calls");
}

/// Runs `case` and fails if it takes too long.
fn in_time<T: Send>(what: &str, case: impl FnOnce() -> T + Send) -> T {
    let (sender, receiver) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        scope.spawn(move || drop(sender.send(catch_unwind(AssertUnwindSafe(case)))));
        receiver.recv_timeout(CASE_MAX).unwrap_or_else(|_| {
            // The thread that hangs would be waited for.
            eprintln_and_abort(what)
        })
    });
    outcome.unwrap_or_else(|panic| {
        println!("in: {what}");
        resume_unwind(panic)
    })
}

#[expect(clippy::print_stderr, reason = "the last words of the process")]
fn eprintln_and_abort(what: &str) -> ! {
    eprintln!("HANG: {what}");
    std::process::abort()
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
    let mut text = String::new();
    for slot in store.key_slots() {
        writeln!(text, "slot {:?}", slot.label()).unwrap();
    }
    for secret in store.secrets(&ListSecrets::new())?.items() {
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

fn copy(template: &TempDir) -> (TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join("store");
    copy_dir(&template.path().join("store"), &path);
    (dir, path)
}

fn copy_dir(from: &Path, to: &Path) {
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

fn segments(store: &Path) -> Vec<String> {
    let entries = fs::read_dir(store.join("journal")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A directory in memory where there is one: thousands of stores are made and synced here.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

fn open(path: &Path) -> SecretStore {
    builder().open(path).unwrap()
}

fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(4).unwrap();
    let limits = limits.with_value_len_max_bytes(1 << 20).unwrap();
    SecretStore::builder().master_key(key(1)).limits(limits).state_cache_bytes(1 << 20)
}

fn key(seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(73).wrapping_add(seed)).collect();
    MasterKey::from_bytes(bytes.as_slice().try_into().unwrap()).unwrap()
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
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
