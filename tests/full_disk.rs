//! A disk without room: what can go on goes on, and freeing space brings everything back.
//!
//! Nothing is drawn at random: a case is the number of the call that finds the disk full.
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

use std::{io, path::Path, sync::Arc};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, NewSecret, NewVersion, SecretStore, SecretValue,
    testing::{Fault, FaultyDisk, Operation},
};
use support::{copied, in_time, key, name, scratch, segments};
use tempfile::TempDir;

/// Calls that find the disk full before a run must have got through.
const CALLS_MAX: u64 = 100;

/// Length of a value of which four fill a segment of the journal nearly.
const QUARTER: usize = 900_000;

/// What a full disk may say.
const FULL: [io::ErrorKind; 3] =
    [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];

/// The next segment of the journal is made in advance, when half of the present one is used. If there
/// is no room for it, the other half is still there.
#[test]
fn commits_go_on_while_there_is_no_room_for_the_next_journal_segment() {
    let template = nearly_half_full();
    let mut cases = 0;
    for error in FULL {
        // The making of the file, its four writes, its sync and that of its name.
        for (only, positions) in
            [(Operation::Create, 1), (Operation::Write, 4), (Operation::Sync, 2)]
        {
            for at in 0..positions {
                let what = format!("{error:?} at {only:?} {at} of the spare segment");
                in_time(&what, || no_room_for_a_spare(&template, (error, only, at), &what));
                cases += 1;
            }
        }
    }
    println!("no room for the next segment: {cases} cases, commits went on in all of them");
}

fn no_room_for_a_spare(
    template: &TempDir,
    (error, only, at): (io::ErrorKind, Operation, u64),
    what: &str,
) {
    let (_dir, path) = copied(template);
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    // The commit itself takes one write and one sync, ahead of the spare segment.
    let ahead = u64::from(only != Operation::Create);
    disk.set(Some(Fault { at: at + ahead, lasting: false, only: Some(only), error }));
    put_large(&store, "c").unwrap();
    // Waits for the thread in the background.
    store.verify().unwrap();
    assert_eq!(disk.failed(), 1, "{what}: the fault was not met");
    disk.set(None);
    put_large(&store, "d").unwrap_or_else(|err| panic!("{what}: {err:?}"));
    assert_eq!(segments(&path), ["1"], "{what}: half a segment is left");
    // The segment is full: the next one is made by the commit that needs it.
    put_large(&store, "e").unwrap();
    assert_eq!(segments(&path), ["1", "2"], "{what}");
    store.close().unwrap();
    let store = builder().open(&path).unwrap();
    assert_eq!(large_ones(&store), ["a", "b", "c", "d", "e"], "{what}");
    store.verify().unwrap();
}

/// A failure of the disk is another matter: then nobody knows what is written.
#[test]
fn a_disk_that_breaks_under_the_next_journal_segment_stops_all_writing() {
    let template = nearly_half_full();
    for only in [Operation::Create, Operation::Write, Operation::Sync] {
        let (_dir, path) = copied(&template);
        let disk = FaultyDisk::new(None);
        let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
        let at = u64::from(only != Operation::Create);
        let error = io::ErrorKind::Other;
        disk.set(Some(Fault { at, lasting: false, only: Some(only), error }));
        put_large(&store, "c").unwrap();
        let _ = store.verify();
        assert_eq!(disk.failed(), 1, "{only:?}");
        assert_eq!(put_large(&store, "d").unwrap_err().kind(), ErrorKind::Poisoned, "{only:?}");
        drop(store);
        let store = builder().open(&path).unwrap();
        assert_eq!(large_ones(&store), ["a", "b", "c"], "{only:?}");
    }
    println!("a broken disk under the next segment: 3 cases, no write after any of them");
}

/// Nobody may have asked the store for anything since its background thread failed: then closing is
/// the last chance to hear of it.
#[test]
fn closing_a_store_whose_disk_failed_in_the_background_says_so() {
    let template = nearly_half_full();
    let (_dir, path) = copied(&template);
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    let error = io::ErrorKind::Other;
    disk.set(Some(Fault { at: 1, lasting: false, only: Some(Operation::Write), error }));
    put_large(&store, "c").unwrap();
    let _ = store.verify();
    assert_eq!(disk.failed(), 1);
    assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Storage);

    // A failure that the caller was told of is told again.
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    disk.set(Some(Fault { at: 0, lasting: false, only: Some(Operation::Write), error }));
    assert_eq!(put_large(&store, "d").unwrap_err().kind(), ErrorKind::Storage);
    assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Poisoned);

    let store = builder().open(&path).unwrap();
    assert_eq!(large_ones(&store), ["a", "b", "c"]);
    store.close().unwrap();
    println!("closing after a failure: 2 cases, both told");
}

/// The disk is full from some call on, for whatever makes files longer or makes new ones. Removing
/// goes on, and so does overwriting what is there.
#[test]
fn a_store_on_a_full_disk_goes_on_once_space_was_freed() {
    let template = nearly_half_full();
    let mut runs = 0;
    for only in [Operation::Write, Operation::Sync] {
        let through = (0..CALLS_MAX).find(|at| {
            let (_dir, path) = copied(&template);
            runs += 1;
            let what = format!("full at {only:?} {at}");
            !in_time(&what, || met_a_full_disk(&path, (only, *at), &what))
        });
        assert!(through.is_some_and(|at| at >= 8), "{only:?}: {through:?} positions");
    }
    println!("a full disk: {runs} positions, everything there after freeing space");
}

/// Whether the run met the full disk.
fn met_a_full_disk(path: &Path, (only, at): (Operation, u64), what: &str) -> bool {
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(path).unwrap();
    let error = io::ErrorKind::StorageFull;
    disk.set(Some(Fault { at, lasting: true, only: Some(only), error }));
    let mut acknowledged = vec!["a".to_owned(), "b".to_owned()];
    let mut failed = None;
    for text in ["c", "d", "e", "f"] {
        match put_large(&store, text) {
            Ok(()) => acknowledged.push(text.to_owned()),
            Err(err) => {
                assert!(
                    matches!(err.kind(), ErrorKind::Storage | ErrorKind::Poisoned),
                    "{what}: {err:?}"
                );
                failed = Some(text.to_owned());
                break;
            }
        }
    }
    let met = disk.failed() > 0;
    drop(store);
    // Opening needs no room but where the journal has it already; as long as the disk is full, it
    // works or says so, and changes nothing either way.
    disk.set(Some(Fault { at: 0, lasting: true, only: Some(Operation::Create), error }));
    match builder().disk(Arc::new(disk)).open(path) {
        Ok(store) => assert!(large_ones(&store).starts_with(&acknowledged), "{what}"),
        Err(err) => assert_eq!(err.kind(), ErrorKind::Storage, "{what}"),
    }
    let store = builder().open(path).unwrap();
    let mut wanted = acknowledged;
    let found = large_ones(&store);
    if found.len() > wanted.len() {
        wanted.extend(failed);
    }
    assert_eq!(found, wanted, "{what}");
    store.verify().unwrap();
    store.put_version(&name("a"), NewVersion::new(SecretValue::from_string("more"))).unwrap();
    store.close().unwrap();
    met
}

// --- Instruments ----------------------------------------------------------------------------

/// A closed store with two large values in the first segment of its journal, and no second one.
fn nearly_half_full() -> TempDir {
    let dir = scratch();
    let store = builder().create(dir.path().join("store")).unwrap();
    put_large(&store, "a").unwrap();
    put_large(&store, "b").unwrap();
    store.close().unwrap();
    assert_eq!(segments(&dir.path().join("store")), ["1"]);
    dir
}

fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_value_len_max_bytes(1 << 20).unwrap();
    SecretStore::builder()
        .master_key(key(1))
        .limits(limits)
        .state_cache_bytes(1 << 20)
        .write_buffer_bytes(0)
}

fn put_large(store: &SecretStore, text: &str) -> Result<(), Error> {
    let value = SecretValue::from_string(text.repeat(QUARTER));
    store.create_secret(NewSecret::new(name(text), value)).map(drop)
}

/// The names of the secrets, of which each must have its value.
fn large_ones(store: &SecretStore) -> Vec<String> {
    let page = store.secrets(&strongroom::ListSecrets::new()).unwrap();
    let names = page.items().iter().map(|secret| secret.name().to_string());
    names
        .inspect(|text| {
            let got = store.get(&name(text)).unwrap();
            assert!(got.value().expose_str() == Some(&text.repeat(QUARTER)), "{text}");
        })
        .collect()
}
