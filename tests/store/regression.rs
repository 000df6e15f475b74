//! Bugs that were found, each named for what the user saw.

use std::{
    error::Error as _,
    fs, io,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use strongroom::{Error, ErrorKind, SecretString, Unlock};

use super::*;

/// The doc of [`strongroom::KeySlot::id`] promises it; a number that comes back makes an operator who
/// wrote it down remove the wrong slot.
#[test]
fn the_number_of_a_removed_key_slot_is_not_given_again() {
    let fresh = Fresh::new();
    let add = |seed| fresh.add_key_slot(&key(1).into(), &key(seed).into(), "").unwrap().id();
    let first = add(2);
    fresh.remove_key_slot(first).unwrap();
    assert_ne!(add(3), first);
    let last = fresh.key_slots().last().unwrap().id();
    fresh.remove_key_slot(last).unwrap();
    let fresh = fresh.reopened();
    let added = fresh.add_key_slot(&key(1).into(), &key(4).into(), "").unwrap().id();
    assert!(added != first && added != last, "{added} again");
}

/// The doc of [`Builder::open`] lists damage and tampering for this; the passphrase was right and no
/// argument invalid.
#[test]
fn argon2_parameters_changed_beyond_their_bounds_are_not_an_invalid_argument() {
    let phrase = || SecretString::from("correct horse battery");
    let Fresh { store, path, dir: _dir } = Fresh::with(SecretStore::builder().passphrase(phrase()));
    store.close().unwrap();
    let good = fs::read(path.join("keys")).unwrap();
    let at = good.windows(5).position(|bytes| bytes == [0x13, 0, 1, 0, 0]).unwrap();
    for (what, place, byte) in
        [("the version", at, 0x10), ("4 TiB", at + 1, 0xff), ("0 passes", at + 8, 0)]
    {
        let mut bytes = good.clone();
        bytes[place] = byte;
        for file in ["keys", "keys.bak"] {
            fs::write(path.join(file), &bytes).unwrap();
        }
        let kind = kind_of(SecretStore::builder().passphrase(phrase()).open(&path));
        let right = matches!(kind, ErrorKind::Damaged | ErrorKind::Tampered);
        assert!(right, "case: {what}: {kind:?}");
    }
}

/// Whoever looks for a full disk in an error's causes looks for an `io::Error`.
#[test]
fn the_source_of_a_storage_error_can_be_downcast_to_an_io_error() {
    let dir = tempfile::tempdir().unwrap();
    let err = builder().create(dir.path().join("missing/store")).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Storage);
    let source = err.source().unwrap().downcast_ref::<io::Error>();
    assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::NotFound));
}

/// Writers that lost a race gave up after a number of tries, and the more threads the more often.
#[test]
fn thirty_two_threads_rotate_one_secret_and_nobody_gives_up() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..20).for_each(|_| drop(fresh.rotate(&secret).unwrap())));
        }
    });
    assert_eq!(fresh.get(&secret).unwrap().id(), v(641));
}

/// Verification looked for values of no secret a fixed number of times, and took those that writers
/// had stored since its last look for strangers.
#[test]
fn verification_beside_writers_finds_no_tampering() {
    let fresh = Fresh::new();
    let secrets: Vec<_> = (0..4).map(|n| create(&fresh, &format!("s{n}"))).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for secret in &secrets {
            let (store, done) = (&fresh.store, &done);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    put(store, secret, "");
                }
            });
        }
        let verified = (0..50).try_for_each(|_| fresh.verify().map(drop));
        done.store(true, Ordering::SeqCst);
        verified.unwrap();
    });
}

/// A child process has its parent's lock too from `fork` to `exec`, so closing the file is not enough:
/// the lock must be let go of by name.
#[test]
fn a_closed_store_is_free_though_the_process_just_starts_another() {
    let mut fresh = Fresh::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                Command::new("true").status().unwrap();
            }
        });
        let mut reopen = || {
            let (store, path) = (fresh.store.clone(), fresh.path.clone());
            store.close()?;
            fresh.store = builder().open(path)?;
            Ok::<(), Error>(())
        };
        let reopened = (0..100).try_for_each(|_| reopen());
        done.store(true, Ordering::SeqCst);
        reopened.unwrap();
    });
}

/// The slot was looked for first, and the last one found not to be removable.
#[test]
fn a_change_of_slots_of_a_closed_store_finds_it_closed() {
    let fresh = Fresh::new();
    fresh.store.clone().close().unwrap();
    let add = |present, new: Unlock| fresh.add_key_slot(&key(present).into(), &new, "").map(drop);
    let short = SecretString::from("short");
    let cases = [
        ("the last slot removed", fresh.remove_key_slot(1)),
        ("no such slot removed", fresh.remove_key_slot(7)),
        ("a slot added", add(1, key(2).into())),
        ("a slot added by a wrong key", add(3, key(2).into())),
        ("a short passphrase added", add(1, short.into())),
    ];
    for (what, got) in cases {
        assert_eq!(kind_of(got), ErrorKind::InvalidState, "case: {what}");
    }
}
