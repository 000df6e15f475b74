//! All files put back, or a copy that went on by itself: an anchor kept elsewhere notices both, and
//! nothing inside the directory can.

use std::path::Path;

use strongroom::{Anchor, Error, ErrorKind, Expect, NewVersion};
use tempfile::TempDir;

use crate::{
    original::{KEY, builder, content, name, open, replace, value},
    support::{copy_dir, scratch},
    tally::{Seen, look},
};

/// How many states of one store are compared with each other.
const STATES: usize = 8;

/// A store as it was at one moment.
struct Moment {
    dir: TempDir,
    anchor: Anchor,
    content: String,
}

impl Moment {
    /// Changes the store at `path` and keeps a copy of it.
    fn after(path: &Path, change: impl FnOnce(&strongroom::SecretStore)) -> Self {
        let store = open(path);
        change(&store);
        let (anchor, content) = (store.anchor().unwrap(), content(&store).unwrap());
        store.close().unwrap();
        let dir = scratch();
        copy_dir(path, &dir.path().join("store"));
        Self { dir, anchor, content }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }
}

fn new_store() -> (TempDir, std::path::PathBuf) {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder(KEY).create(&path).unwrap();
    for n in 0..3 {
        let new = strongroom::NewSecret::new(name(n), value(n, 10));
        store.create_secret(new.secret_type(strongroom::SecretType::RdsFg)).unwrap();
    }
    store.close().unwrap();
    (dir, path)
}

#[test]
fn every_older_state_is_noticed_by_every_later_anchor_and_by_nothing_else() {
    let (_dir, path) = new_store();
    let moments: Vec<Moment> = (0..STATES)
        .map(|n| {
            Moment::after(&path, |store| {
                store.rotate(&name(0)).unwrap();
                if n % 3 == 2 {
                    store.checkpoint().unwrap();
                }
            })
        })
        .collect();
    let (mut noticed, mut met) = (0, 0);
    for (now, moment) in moments.iter().enumerate() {
        for (known, Moment { anchor, .. }) in moments.iter().enumerate() {
            let what = format!("state {now} with the anchor of state {known}");
            let opened = builder(KEY).expect(Expect::Anchor(*anchor)).open(moment.path());
            match opened {
                Ok(store) if known <= now => {
                    assert_eq!(content(&store).unwrap(), moment.content, "{what}");
                    met += 1;
                }
                Err(Error::Rollback { found, expected }) if known > now => {
                    assert_eq!((found, expected), (moment.anchor.seq(), anchor.seq()), "{what}");
                    noticed += 1;
                }
                other => panic!("{what}: {other:?}"),
            }
        }
        // As documented: without an anchor an older state is a store like any other.
        let Seen::Content(found) = look("no anchor", &moment.path()) else { panic!("state {now}") };
        assert_eq!(found, moment.content);
    }
    assert_eq!((noticed, met), (STATES * (STATES - 1) / 2, STATES * (STATES + 1) / 2));
    println!(
        "rollback: {noticed} of {noticed} noticed with an anchor, {met} met, 0 noticed without"
    );
}

#[test]
fn two_copies_that_went_on_differently_are_told_apart_by_the_anchor() {
    let (dir, path) = new_store();
    let other = dir.path().join("other");
    copy_dir(&path, &other);
    let common = Moment::after(&path, |_| {}).anchor;
    let mut noticed = 0;
    for n in 1..=4 {
        let write = |number: u8| {
            move |store: &strongroom::SecretStore| {
                store.put_version(&name(number % 3), NewVersion::new(value(number, 9))).unwrap();
                if n == 3 {
                    store.checkpoint().unwrap();
                }
            }
        };
        let (one, two) = (Moment::after(&path, write(n)), Moment::after(&other, write(n + 1)));
        assert_eq!(one.anchor.seq(), two.anchor.seq(), "as many commits on both sides");
        for (anchor, copy) in [(one.anchor, &two), (two.anchor, &one)] {
            let err = builder(KEY).expect(Expect::Anchor(anchor)).open(copy.path()).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Rollback, "after {n} changes: {err:?}");
            noticed += 1;
        }
        for moment in [&one, &two] {
            let own = [common, moment.anchor];
            for anchor in own {
                builder(KEY).expect(Expect::Anchor(anchor)).open(moment.path()).unwrap();
            }
            assert!(matches!(look("fork", &moment.path()), Seen::Content(_)));
        }
        mixed(&one, &two, n);
    }
    println!("fork: {noticed} of {noticed} noticed with an anchor, 0 without");
}

/// Journal of one copy, state of the other, all of it written by the store itself: one of the two as
/// it was, or refused.
fn mixed(one: &Moment, two: &Moment, n: u8) {
    for (journal, state) in [(one, two), (two, one)] {
        let dir = scratch();
        let path = dir.path().join("store");
        copy_dir(&journal.path(), &path);
        replace(&state.path().join("db"), &path.join("db"));
        let what = format!("after {n} changes, the state of the other copy");
        match look(&what, &path) {
            Seen::Content(found) => assert_eq!(found, journal.content, "{what}"),
            Seen::Error(err) => {
                let honest = matches!(err.kind(), ErrorKind::Tampered | ErrorKind::Damaged);
                assert!(honest, "{what}: {err:?}");
            }
        }
    }
}

#[test]
fn files_of_two_moments_are_no_store_of_either() {
    let (_dir, path) = new_store();
    let moments: Vec<Moment> = (0..4)
        .map(|_| {
            Moment::after(&path, |store| {
                for n in 0..3 {
                    store.rotate(&name(n)).unwrap();
                }
                // Two, so that nothing older is left in the journal.
                store.checkpoint().unwrap();
                store.rotate(&name(0)).unwrap();
                store.checkpoint().unwrap();
            })
        })
        .collect();
    let (mut refused, mut whole) = (0, 0);
    for journal in &moments {
        for state in moments.iter().filter(|state| state.anchor != journal.anchor) {
            let dir = scratch();
            let path = dir.path().join("store");
            copy_dir(&journal.path(), &path);
            replace(&state.path().join("db"), &path.join("db"));
            match look("files of two moments", &path) {
                Seen::Content(found) => {
                    assert_eq!(found, journal.content);
                    whole += 1;
                }
                Seen::Error(err) => {
                    assert_eq!(err.kind(), ErrorKind::Damaged, "{err:?}");
                    assert!(err.to_string().contains("the state is at commit"), "{err}");
                    refused += 1;
                }
            }
        }
    }
    println!("journal and state of two moments: {refused} refused, {whole} replayed");
    assert!(refused >= 6, "a state ahead of its journal is never right");
}
