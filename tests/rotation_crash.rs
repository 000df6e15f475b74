//! A rotation that is cut off at any file operation happened wholly or not at all.
//!
//! The cases are enumerated: operation 0, 1, 2, ... until the rotation gets through. The number
//! stands in the message of a failure.
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

use std::{path::Path, sync::Arc};

use strongroom::{
    Builder, ErrorKind, HasKey, Limits, ListTasks, ListVersions, NewSecret, RotationRules,
    SecretStore, SecretType, SecretValue, Stage, TaskStatus, Timestamp, VersionId, VersionRef,
    testing::{FaultyDisk, ManualClock},
};
use support::{copy_dir, key, name, scratch};

/// File operations after which a rotation must have got through.
const OPERATIONS_MAX: u64 = 500;

#[test]
fn a_rotation_survives_a_crash_at_any_file_operation() {
    let operations = survives(&Case { padding: 3000, others: 0 });
    assert!(operations >= 2, "an append and its sync, not {operations}");
}

#[test]
fn a_rotation_of_a_large_value_survives_a_crash_at_any_file_operation() {
    let operations = survives(&Case { padding: 200_000, others: 0 });
    assert!(operations >= 2, "an append and its sync, not {operations}");
}

/// Four values of 900 KB fill a segment of 4 MiB but for half a megabyte, less than is rotated here.
#[test]
fn a_rotation_into_a_new_segment_survives_a_crash_at_any_file_operation() {
    let operations = survives(&Case { padding: 300_000, others: 4 });
    assert!(operations >= 4, "a header and its sync too, not {operations}");
}

/// What is in the store when the rotation begins.
struct Case {
    /// Bytes of the value beside account and password.
    padding: usize,
    /// Secrets of 900 KB that were made and deleted before.
    others: usize,
}

/// Rotates with 0, 1, 2, ... file operations allowed, and checks what is there afterwards. Says how
/// many the rotation took, with the closing behind it.
fn survives(case: &Case) -> u64 {
    let template = scratch();
    let (from, old) = (template.path().join("store"), value(case.padding));
    let store = builder().create(&from).unwrap();
    let new = NewSecret::new(name("db"), value(case.padding));
    store.create_secret(new.secret_type(SecretType::RdsFg)).unwrap();
    for n in 0..case.others {
        let other = name(&format!("other-{n}"));
        store.create_secret(NewSecret::new(other.clone(), value(900_000))).unwrap();
        store.delete_secret(&other).unwrap();
    }
    store.close().unwrap();
    let (mut not_at_all, mut wholly) = (0, 0);
    for operations in 0..OPERATIONS_MAX {
        let dir = scratch();
        let path = dir.path().join("store");
        copy_dir(&from, &path);
        let disk = FaultyDisk::new(None);
        let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
        disk.crash(operations);
        let outcome = store.rotate(&name("db"));
        let acknowledged = outcome.is_ok();
        if let Err(err) = outcome {
            assert_eq!(err.kind(), ErrorKind::Storage, "{operations} operations");
        }
        drop(store);
        let crashed = disk.failed() > 0;

        let store = builder().open(&path).unwrap();
        let rotated = ends_right(&store, &old, operations);
        assert!(rotated || !acknowledged, "an acknowledged rotation is gone: {operations}");
        store.verify().unwrap();
        // The next one starts from whichever of the two there is.
        let next = store.rotate(&name("db")).unwrap().version_id();
        assert_eq!(next.number(), if rotated { 3 } else { 2 }, "{operations} operations");
        store.close().unwrap();
        if rotated {
            wholly += 1;
        } else {
            not_at_all += 1;
        }
        if !crashed {
            println!("{operations} operations: {not_at_all} times not at all, {wholly} wholly");
            assert!(not_at_all > 0 && wholly > 0);
            return operations;
        }
    }
    panic!("not through after {OPERATIONS_MAX} operations");
}

/// Either v1 is current and there is no v2, or v2 is current and v1 the previous one, with the old
/// value behind v1 in both. Says which.
fn ends_right(store: &SecretStore, old: &SecretValue, operations: u64) -> bool {
    let db = name("db");
    let versions = store.versions(&db, &ListVersions::new()).unwrap();
    let seen: Vec<(u64, Vec<Stage>)> = versions
        .items()
        .iter()
        .map(|version| (version.id().number(), version.stages().to_vec()))
        .collect();
    let first = store.version(&db, &VersionRef::Id(VersionId::FIRST)).unwrap();
    assert!(first.value().ct_eq(old), "{operations} operations: v1 has another value");
    let current = store.get(&db).unwrap();
    if seen == [(1, vec![Stage::Current])] {
        assert_eq!(current.id(), VersionId::FIRST);
        return false;
    }
    let wanted = [(1, vec![Stage::Previous]), (2, vec![Stage::Current])];
    assert_eq!(seen, wanted, "{operations} operations");
    assert_eq!(current.id().number(), 2);
    assert!(!current.value().ct_eq(old), "{operations} operations: the password is the old one");
    // The default password has 24 characters where the old one has 9.
    assert_eq!(current.value().expose().len(), old.expose().len() + 24 - 9);
    true
}

fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_value_len_max_bytes(1 << 20).unwrap();
    SecretStore::builder().master_key(key(1)).limits(limits).write_buffer_bytes(0)
}

fn value(padding: usize) -> SecretValue {
    let pad = "x".repeat(padding);
    let users = r#"{"users":[{"name":"app","password":"the-first"}],"pad":""#;
    SecretValue::from_string(format!(r#"{users}{pad}"}}"#))
}

/// The steps of an automatic rotation: an attempt that fails, the last that fails, one that gets
/// through. Cut off anywhere, the task and the versions are those from before the step or those from
/// after it.
#[test]
fn steps_of_a_task_survive_a_crash_at_any_file_operation() {
    let steps = [
        (0, false, "begun"),
        (1, false, "tried again"),
        (2, false, "given up"),
        (1, true, "rotated"),
    ];
    for (failures, works, what) in steps {
        let template = scratch();
        let (from, clock) =
            (template.path().join("store"), ManualClock::at(Timestamp::from_millis(0)));
        let store = stepping(&clock, false).create(&from).unwrap();
        let rules = RotationRules::new().automatic(true).period("6h".parse().unwrap());
        let new = NewSecret::new(name("db"), value(0)).secret_type(SecretType::RdsFg);
        // So that half of what a step writes is not all of it.
        let new = new.description("x".repeat(2048).parse().unwrap());
        store.create_secret(new.rotation(rules)).unwrap();
        clock.advance_ms(6 * 3_600_000);
        for _ in 0..failures {
            assert_eq!(store.rotate_due().unwrap().failed().len(), 1, "{what}");
            clock.advance_ms(300_000);
        }
        let before = told(&store);
        store.close().unwrap();
        let through = each_operation(&from, |path, disk, operations| {
            let store = stepping(&clock, works).disk(Arc::new(disk.clone())).open(path).unwrap();
            disk.crash(operations);
            let done = store.rotate_due();
            let noted = done.as_ref().is_ok_and(|done| match works {
                true => !done.rotated().is_empty(),
                false => done.failed().first().is_some_and(|failed| failed.task_id().is_some()),
            });
            drop(store);
            let crashed = disk.failed() > 0;
            let store = stepping(&clock, works).open(path).unwrap();
            let now = told(&store);
            assert!(!noted || now != before, "{what}: an acknowledged step is gone: {operations}");
            store.verify().unwrap();
            if now == before {
                let done = store.rotate_due().unwrap();
                assert_eq!(done.rotated().len() + done.failed().len(), 1, "{what}: {operations}");
            }
            assert_eq!(told(&store), after(&before, what), "{what}: {operations}");
            (crashed, now != before)
        });
        println!("{what}: {through} operations");
    }
}

/// Calls `step` with 0, 1, 2, ... file operations allowed, each time on a copy, until it gets through.
/// Says how many it took. The step says whether it was cut off and whether it happened.
fn each_operation(from: &Path, step: impl Fn(&Path, &FaultyDisk, u64) -> (bool, bool)) -> u64 {
    let mut ends = [false, false];
    for operations in 0..OPERATIONS_MAX {
        let dir = scratch();
        let path = dir.path().join("store");
        copy_dir(from, &path);
        let (crashed, happened) = step(&path, &FaultyDisk::new(None), operations);
        ends[usize::from(happened)] = true;
        if !crashed {
            assert_eq!(ends, [true, true], "it happened not at all and wholly");
            return operations;
        }
    }
    panic!("not through after {OPERATIONS_MAX} operations");
}

/// Versions, whether it is due, and how its task stands: status and attempts.
fn told(store: &SecretStore) -> (usize, bool, Option<(TaskStatus, u32)>) {
    let versions = store.versions(&name("db"), &ListVersions::new()).unwrap().items().len();
    let tasks = store.tasks(&ListTasks::new()).unwrap();
    assert!(tasks.total() <= 1, "{tasks:?}");
    let task = tasks.items().first().map(|task| (task.status(), task.attempts()));
    (versions, !store.rotations_due().unwrap().is_empty(), task)
}

fn after(
    before: &(usize, bool, Option<(TaskStatus, u32)>),
    step: &str,
) -> (usize, bool, Option<(TaskStatus, u32)>) {
    let attempts = before.2.map_or(0, |(_, attempts)| attempts) + 1;
    match step {
        "rotated" => (2, false, Some((TaskStatus::Success, attempts))),
        "given up" => (1, false, Some((TaskStatus::Failed, attempts))),
        _ => (1, false, Some((TaskStatus::Running, attempts))),
    }
}

/// In such a store a new password fits, or it does not.
fn stepping(clock: &ManualClock, fits: bool) -> Builder<HasKey> {
    let len = if fits { 1000 } else { value(0).expose().len() };
    let limits = Limits::default().with_value_len_max_bytes(len).unwrap();
    builder().limits(limits).clock(clock.clone())
}
