//! Closing a store while others still work on it: what they do ends before, or finds it closed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::{sync::mpsc, thread, time::Duration};

use strongroom::{
    Builder, ErrorKind, HasKey, MasterKey, NewSecret, NewVersion, SecretName, SecretStore,
    SecretString, SecretValue,
};

/// Longer than anything here takes; what lasts longer hangs.
const WATCHDOG: Duration = Duration::from_secs(30);

fn key(first: u8) -> MasterKey {
    MasterKey::from_bytes(&std::array::from_fn(|at| at.to_le_bytes()[0].wrapping_add(first)))
        .unwrap()
}

fn builder() -> Builder<HasKey> {
    SecretStore::builder().master_key(key(0))
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn put(store: &SecretStore, secret: &str) -> Result<(), strongroom::Error> {
    let version = NewVersion::new(SecretValue::from_string("value"));
    store.put_version(&name(secret), version).map(drop)
}

fn create(store: &SecretStore, secret: &str) {
    let new = NewSecret::new(name(secret), SecretValue::from_string("value"));
    store.create_secret(new).unwrap();
}

/// A checkpoint that had begun waited for ever for the applier, which closing had stopped.
#[test]
fn nobody_hangs_in_a_checkpoint_when_the_store_is_closed() {
    for round in 0..15 {
        let dir = tempfile::tempdir().unwrap();
        let store = builder().create(dir.path().join("store")).unwrap();
        create(&store, "s");
        let (done, wait) = mpsc::channel();
        for _ in 0..4 {
            let (store, done) = (store.clone(), done.clone());
            thread::spawn(move || {
                let err = loop {
                    if let Err(err) = put(&store, "s").and_then(|()| store.checkpoint()) {
                        break err;
                    }
                };
                done.send(err.kind()).unwrap();
            });
        }
        thread::sleep(Duration::from_millis(3 + round % 7));
        store.close().unwrap();
        for _ in 0..4 {
            let kind = wait.recv_timeout(WATCHDOG).expect("a thread hangs");
            assert_eq!(kind, ErrorKind::InvalidState);
        }
        let store = builder().open(dir.path().join("store")).unwrap();
        store.verify().unwrap();
    }
}

/// A key change stretches a passphrase for a while, and then wrote its key file over that of whoever
/// had opened the store meanwhile: the next opening found it tampered with.
#[test]
fn a_key_change_does_not_outlive_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    create(&store, "s");
    let slow = store.clone();
    let change = thread::spawn(move || {
        let phrase = SecretString::from("a long enough passphrase");
        slow.add_key_slot(&key(0).into(), &phrase.into(), "slow").map(|slot| slot.id())
    });
    thread::sleep(Duration::from_millis(5));
    store.close().unwrap();
    let store = builder().open(&path).unwrap();
    store.add_key_slot(&key(0).into(), &key(1).into(), "quick").unwrap();
    let outcome = change.join().unwrap();
    create(&store, "precious");
    let there = store.key_slots().iter().any(|slot| slot.label() == "slow");
    assert_eq!(outcome.is_ok(), there, "{outcome:?}");
    store.close().unwrap();
    SecretStore::builder().master_key(key(1)).open(&path).unwrap().get(&name("precious")).unwrap();
}

#[test]
fn who_closes_second_waits_for_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    for _ in 0..30 {
        let store = builder().open_or_create(&path).unwrap();
        let other = store.clone();
        let closing = thread::spawn(move || other.close());
        store.close().unwrap();
        // Free by now, whoever was first.
        builder().open(&path).unwrap().close().unwrap();
        closing.join().unwrap().unwrap();
    }
}
