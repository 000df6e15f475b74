//! Handles: clones, threads, closing, dropping, the whole-store calls.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use strongroom::{
    Error, ErrorKind, Expect, Limits, ListSecrets, ListVersions, NewSecret, NewVersion,
    SecretStore, SecretUpdate, Stage, Timestamp, VersionRef,
};

use super::*;

#[test]
fn a_handle_can_be_cloned_and_sent_to_and_shared_between_threads() {
    fn check<T: Clone + Send + Sync + 'static>(_: &T) {}
    let fresh = Fresh::new();
    check(&fresh.store);
    let secret = create(&fresh, "s");
    let clone = fresh.store.clone();
    put(&clone, &secret, "");
    assert_eq!(fresh.get(&secret).unwrap().id(), v(2));
    drop(clone);
    put(&fresh, &secret, "");
}

#[test]
fn after_closing_every_call_of_every_clone_finds_the_store_closed() {
    type Call = fn(&SecretStore) -> Result<(), Error>;
    let calls: [(&str, Call); 19] = [
        ("create", |s| s.create_secret(NewSecret::new(name("n"), text("x"))).map(drop)),
        ("secret", |s| s.secret(&name("s")).map(drop)),
        ("secrets", |s| s.secrets(&ListSecrets::new()).map(drop)),
        ("names", |s| s.names(&ListSecrets::new()).map(drop)),
        ("update", |s| s.update_secret(&name("s"), &SecretUpdate::new()).map(drop)),
        ("delete", |s| s.delete_secret(&name("s"))),
        ("put", |s| s.put_version(&name("s"), NewVersion::new(text("x"))).map(drop)),
        ("get", |s| s.get(&name("s")).map(drop)),
        ("version", |s| s.version(&name("s"), &VersionRef::Latest).map(drop)),
        ("versions", |s| s.versions(&name("s"), &ListVersions::new()).map(drop)),
        ("expiry", |s| {
            s.update_version(&name("s"), &VersionRef::Latest, Timestamp::from_millis(0)).map(drop)
        }),
        ("stage", |s| s.stage(&name("s"), &Stage::Current).map(drop)),
        ("move_stage", |s| s.move_stage(&name("s"), &stage("b"), v(1)).map(drop)),
        ("delete_stage", |s| s.delete_stage(&name("s"), &stage("b"))),
        ("rotate", |s| s.rotate(&name("s")).map(drop)),
        ("anchor", |s| s.anchor().map(drop)),
        ("verify", |s| s.verify().map(drop)),
        ("checkpoint", SecretStore::checkpoint),
        ("add_key_slot", |s| s.add_key_slot(&key(1).into(), &key(2).into(), "").map(drop)),
    ];
    let Fresh { store, path, dir: _dir } = Fresh::new();
    create(&store, "s");
    let (clone, other) = (store.clone(), store.clone());
    other.get(&name("s")).unwrap();
    store.close().unwrap();
    let before = files(&path);
    for (what, call) in calls {
        assert_eq!(kind_of(call(&clone)), ErrorKind::InvalidState, "case: {what}");
    }
    assert_eq!(kind_of(clone.remove_key_slot(1)), ErrorKind::InvalidState);
    clone.close().unwrap();
    assert!(files(&path) == before, "a closed store changes nothing");

    // It is free, although one clone is still there.
    let again = builder().open(&path).unwrap();
    assert_eq!(current(&again, &name("s")), "one");
    assert_eq!(kind_of(other.get(&name("s"))), ErrorKind::InvalidState);
    drop(other);
    put(&again, &name("s"), "");
}

#[test]
fn a_store_that_was_dropped_has_everything_and_is_free() {
    let Fresh { store, path, dir: _dir } = Fresh::new();
    let secret = create_rotatable(&store, "s");
    let mut store = store;
    for number in 2..=11 {
        store.rotate(&secret).unwrap();
        let (value, clone) = (current(&store, &secret), store.clone());
        drop(store);
        assert_eq!(kind_of(builder().open(&path)), ErrorKind::Locked, "a clone is left");
        drop(clone);
        store = builder().open(&path).unwrap();
        assert_eq!(current(&store, &secret), value);
        assert_eq!(store.get(&secret).unwrap().id(), v(number));
    }
    store.verify().unwrap();
}

/// The files are copied while the store is open: what a crash would leave.
#[test]
fn a_copy_of_an_open_store_has_everything_that_was_acknowledged() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let copy = fresh.dir.path().join("copy");
    for number in 2..=6 {
        fresh.rotate(&secret).unwrap();
        let (value, anchor) = (current(&fresh, &secret), fresh.anchor().unwrap());
        copy_dir(&fresh.path, &copy);
        let expect = Expect::Anchor(anchor);
        let copied = builder().expect(expect).open(&copy).unwrap();
        assert_eq!(copied.get(&secret).unwrap().id(), v(number));
        assert_eq!(current(&copied, &secret), value);
        copied.verify().unwrap();
        copied.close().unwrap();
        fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn closing_while_others_write_keeps_what_they_were_told() {
    for _ in 0..5 {
        let Fresh { store, path, dir: _dir } = Fresh::new();
        let secret = create_rotatable(&store, "s");
        let told = AtomicU64::new(1);
        thread::scope(|scope| {
            for _ in 0..4 {
                let (store, secret, told) = (store.clone(), &secret, &told);
                scope.spawn(move || {
                    loop {
                        match store.rotate(secret) {
                            Ok(made) => {
                                told.fetch_max(made.version_id().number(), Ordering::SeqCst)
                            }
                            Err(err) => return assert_eq!(err.kind(), ErrorKind::InvalidState),
                        };
                    }
                });
            }
            while told.load(Ordering::SeqCst) < 20 {
                thread::yield_now();
            }
            store.clone().close().unwrap();
        });
        let store = builder().open(&path).unwrap();
        let kept = store.get(&secret).unwrap().id().number();
        assert_eq!(kept, told.load(Ordering::SeqCst), "what was refused was not written");
        store.verify().unwrap();
    }
}

#[test]
fn readers_see_whole_states_while_a_secret_is_rotated() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::SeqCst) {
                    let number = fresh.get(&secret).unwrap().id().number();
                    assert!(number >= last, "v{number} after v{last}");
                    last = number;
                    let page = fresh.versions(&secret, &ListVersions::new()).unwrap();
                    let newest = page.items().last().unwrap();
                    assert!(newest.stages().contains(&Stage::Current), "{page:?}");
                    assert!(newest.id().number() >= last);
                    let by_label = fresh.version(&secret, &Stage::Current.into()).unwrap();
                    assert!(by_label.id().number() >= last);
                }
            });
        }
        let rotated = (0..200).try_for_each(|_| fresh.rotate(&secret).map(drop));
        done.store(true, Ordering::SeqCst);
        rotated.unwrap();
    });
}

#[test]
fn verification_counts_what_is_there() {
    let fresh = Fresh::new();
    assert_eq!(fresh.verify().unwrap().secrets, 0);
    for n in 0..20 {
        let secret = create(&fresh, &format!("s{n}"));
        (0..n).for_each(|_| assert!(put(&fresh, &secret, "") > 1));
    }
    fresh.delete_secret(&name("s19")).unwrap();
    let steps = AtomicU64::new(0);
    let verified = fresh
        .verify_with(|done| assert_eq!(done, steps.fetch_add(1, Ordering::SeqCst) + 1))
        .unwrap();
    assert_eq!((verified.secrets, verified.versions), (19, (1..=19).sum()));
    assert_eq!(verified.audit_records, seq(&fresh), "one a commit");
    assert_eq!(steps.load(Ordering::SeqCst), 19);
}

#[test]
fn checkpoints_at_any_time_lose_nothing() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    thread::scope(|scope| {
        let writer = scope.spawn(|| (0..100).for_each(|_| drop(fresh.rotate(&secret).unwrap())));
        while !writer.is_finished() {
            fresh.checkpoint().unwrap();
        }
    });
    for _ in 0..3 {
        fresh.checkpoint().unwrap();
    }
    assert!(fs::read_dir(fresh.path.join("journal")).unwrap().count() <= 3, "old segments go");
    let fresh = fresh.reopened();
    assert_eq!(fresh.get(&secret).unwrap().id(), v(101));
    fresh.verify().unwrap();
}

#[test]
fn a_journal_of_several_segments_is_worked_off() {
    let limits = Limits::default().with_value_len_max_bytes(1 << 20).unwrap();
    let fresh = Fresh::limited(limits);
    let secret = create(&fresh, "s");
    let large = "x".repeat(700_000);
    for number in 2..=20 {
        let made = fresh.put_version(&secret, NewVersion::new(text(&large))).unwrap();
        assert_eq!(made.id(), v(number));
    }
    // Reopened without having been closed.
    let copy = fresh.dir.path().join("copy");
    copy_dir(&fresh.path, &copy);
    let copied = builder().open(&copy).unwrap();
    assert_eq!(copied.verify().unwrap().versions, 20);
    drop(copied);
    let fresh = fresh.reopened();
    assert!(current(&fresh, &secret) == large);
    assert_eq!(fresh.verify().unwrap().versions, 20);
}
