//! Closing a store while others still work on it: what they do ends before, or finds it closed.

use std::{thread, time::Duration};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, NewSecret, NewVersion, SecretStore, SecretString,
    SecretValue,
};

use crate::support::{in_time, key, name, scratch};

/// A checkpoint that had begun waited for ever for the applier, which closing had stopped.
#[test]
fn nobody_hangs_in_a_checkpoint_when_the_store_is_closed() {
    for round in 0..15 {
        let dir = scratch();
        let store = builder().create(dir.path().join("store")).unwrap();
        create(&store, "s");
        in_time(&format!("round {round}"), || {
            thread::scope(|scope| {
                let work = || {
                    loop {
                        if let Err(err) = put(&store, "s").and_then(|()| store.checkpoint()) {
                            break err.kind();
                        }
                    }
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
                thread::sleep(Duration::from_millis(3 + round % 7));
                store.clone().close().unwrap();
                for thread in threads {
                    assert_eq!(thread.join().unwrap(), ErrorKind::InvalidState);
                }
            });
        });
        let store = builder().open(dir.path().join("store")).unwrap();
        store.verify().unwrap();
    }
}

/// A key change stretches a passphrase for a while, and then wrote its key file over that of whoever
/// had opened the store meanwhile: the next opening found it tampered with.
#[test]
fn a_key_change_does_not_outlive_the_store() {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    create(&store, "s");
    let slow = store.clone();
    in_time("a key change and an opening", || {
        thread::scope(|scope| {
            let change = scope.spawn(move || {
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
        });
    });
    let store = SecretStore::builder().master_key(key(1)).open(&path).unwrap();
    store.get(&name("precious")).unwrap();
}

#[test]
fn who_closes_second_waits_for_the_first() {
    let dir = scratch();
    let path = dir.path().join("store");
    for round in 0..30 {
        let store = builder().open_or_create(&path).unwrap();
        let other = store.clone();
        in_time(&format!("round {round}"), || {
            thread::scope(|scope| {
                let closing = scope.spawn(move || other.close());
                store.close().unwrap();
                // Free by now, whoever was first.
                builder().open(&path).unwrap().close().unwrap();
                closing.join().unwrap().unwrap();
            });
        });
    }
}

fn builder() -> Builder<HasKey> {
    SecretStore::builder().master_key(key(0))
}

fn put(store: &SecretStore, secret: &str) -> Result<(), Error> {
    let version = NewVersion::new(SecretValue::from_string("value"));
    store.put_version(&name(secret), version).map(drop)
}

fn create(store: &SecretStore, secret: &str) {
    let new = NewSecret::new(name(secret), SecretValue::from_string("value"));
    store.create_secret(new).unwrap();
}
