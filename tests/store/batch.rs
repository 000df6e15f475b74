//! Several secrets in one call: read at one moment, relabelled all or none, imported one by one.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use strongroom::{Preconditions, StageMove};

use super::*;

fn names(all: &[&str]) -> Vec<SecretName> {
    all.iter().map(|one| name(one)).collect()
}

/// What a batch read gives: values, and the kinds of refusals with their positions.
fn read(store: &SecretStore, all: &[&str]) -> (Vec<String>, Vec<(usize, ErrorKind)>) {
    let values = store.get_many(&names(all)).unwrap();
    let read: Vec<String> =
        values.versions().map(|it| it.value().expose_str().unwrap().to_owned()).collect();
    assert_eq!(values.total_count(), read.len());
    let refused = values.refused().map(|it| (it.position(), it.error().kind())).collect();
    (read, refused)
}

#[test]
fn row_44_readable_values_are_given_in_order_and_the_others_told() {
    let fresh = Fresh::new();
    for of in ["a", "b", "c"] {
        let new = NewSecret::new(name(of), text(&format!("value of {of}")));
        fresh.create_secret(new).unwrap();
    }
    put(&fresh, &name("c"), "blue"); // not current
    let missing = ErrorKind::NotFound;
    let cases: [(&str, &[&str], &[&str], &[(usize, ErrorKind)]); 5] = [
        ("one", &["b"], &["b"], &[]),
        ("in the order asked", &["c", "a", "b"], &["c", "a", "b"], &[]),
        ("one that is not there", &["a", "x", "b"], &["a", "b"], &[(1, missing)]),
        ("none that is there", &["x", "y"], &[], &[(0, missing), (1, missing)]),
        ("twice the same", &["a", "x", "a", "x"], &["a", "a"], &[(1, missing), (3, missing)]),
    ];
    let check = |fresh: &Fresh| {
        for (what, asked, values, refused) in cases {
            let values = values.iter().map(|of| format!("value of {of}")).collect::<Vec<_>>();
            assert_eq!(read(fresh, asked), (values, refused.to_vec()), "{what}");
        }
    };
    check(&fresh);
    let before = seq(&fresh);
    check(&fresh);
    assert_eq!(seq(&fresh), before, "reading writes nothing");
    check(&fresh.reopened());
}

#[test]
fn a_batch_read_is_of_1_to_20_names() {
    let fresh = Fresh::new();
    let all: Vec<String> = (0..21).map(|n| format!("s{n}")).collect();
    let all: Vec<SecretName> = all.iter().map(|one| create(&fresh, one)).collect();
    assert_eq!(fresh.get_many(&all[..20]).unwrap().total_count(), 20);
    assert_eq!(kind_of(fresh.get_many(&all)), ErrorKind::LimitExceeded);
    assert_eq!(kind_of(fresh.get_many(&[])), ErrorKind::InvalidArgument);
    let items = fresh.get_many(&all[..3]).unwrap().into_items();
    assert_eq!(items[2].as_ref().unwrap().metadata().secret_name(), &all[2]);
}

#[test]
fn a_batch_read_of_a_closed_store_fails_as_a_whole() {
    let fresh = Fresh::new();
    create(&fresh, "s");
    fresh.store.clone().close().unwrap();
    assert_eq!(kind_of(fresh.get_many(&names(&["s"]))), ErrorKind::InvalidState);
}

/// Secrets whose versions v1 and v2 hold "1" and "2".
fn pairs(store: &SecretStore, all: &[&str]) -> Vec<SecretName> {
    for of in all {
        store.create_secret(NewSecret::new(name(of), text("1"))).unwrap();
        store.put_version(&name(of), NewVersion::new(text("2"))).unwrap();
    }
    names(all)
}

fn to(of: &str, label: &str, version: u64) -> StageMove {
    StageMove::new(name(of), stage(label), v(version))
}

#[test]
fn labels_of_several_secrets_move_in_one_commit() {
    let fresh = Fresh::new();
    let all = pairs(&fresh, &["a", "b", "c"]);
    let before = seq(&fresh);
    let moves: Vec<StageMove> = ["a", "b", "c"].map(|of| to(of, "SYSCURRENT", 1)).to_vec();
    let infos = fresh.move_stages(&moves).unwrap();
    assert_eq!(seq(&fresh), before + 1);
    for (of, info) in all.iter().zip(&infos) {
        assert_eq!((info.secret_name(), info.version_id()), (of, v(1)));
        assert_eq!(*info.stage(), Stage::Current);
        assert_eq!(picture(&fresh, of), "v1[SYSCURRENT] v2[SYSPREVIOUS]");
        assert_eq!(current(&fresh, of), "1");
    }
    assert_eq!(fresh.move_stages(&moves).unwrap(), infos, "they are there already");
    assert_eq!(seq(&fresh), before + 1);
    let fresh = fresh.reopened();
    for of in &all {
        assert_eq!(picture(&fresh, of), "v1[SYSCURRENT] v2[SYSPREVIOUS]");
    }
    fresh.verify().unwrap();
}

#[test]
fn moves_of_one_secret_are_made_in_the_order_given() {
    let fresh = Fresh::new();
    let all = pairs(&fresh, &["a", "b"]);
    let before = fresh.secret(&all[0]).unwrap().revision();
    let moves = [
        to("a", "blue", 1),
        to("b", "blue", 2),
        to("a", "blue", 2),
        to("a", "SYSCURRENT", 1),
        to("a", "green", 1),
    ];
    let at: Vec<u64> =
        fresh.move_stages(&moves).unwrap().iter().map(|it| it.version_id().number()).collect();
    assert_eq!(at, [2, 2, 2, 1, 1], "where they are in the end");
    assert_eq!(picture(&fresh, &all[0]), "v1[SYSCURRENT green] v2[SYSPREVIOUS blue]");
    assert_eq!(picture(&fresh, &all[1]), "v1[SYSPREVIOUS] v2[SYSCURRENT blue]");
    assert_eq!(fresh.secret(&all[0]).unwrap().revision(), before + 1);
    fresh.verify().unwrap();
}

#[test]
fn if_one_move_cannot_be_made_none_is() {
    let fresh = Fresh::limited(Limits::default().with_labels_max(3).unwrap());
    let all = pairs(&fresh, &["a", "b", "c"]);
    fresh.move_stage(&all[1], &stage("blue"), v(1)).unwrap();
    let good = || to("a", "SYSCURRENT", 1);
    let still = |of: &str, n: u64| {
        to(of, "SYSCURRENT", n).preconditions(Preconditions::none().if_version(v(1)))
    };
    let revision = Preconditions::none().if_revision(99);
    let cases = [
        ("a missing secret", vec![good(), to("x", "blue", 1)], ErrorKind::NotFound),
        ("a missing version", vec![good(), to("b", "SYSCURRENT", 7)], ErrorKind::NotFound),
        ("too many labels", vec![good(), to("b", "green", 1)], ErrorKind::LimitExceeded),
        ("SYSCURRENT elsewhere", vec![good(), still("c", 1)], ErrorKind::Conflict),
        ("where nothing is to be moved", vec![good(), still("c", 2)], ErrorKind::Conflict),
        (
            "another revision",
            vec![good(), to("c", "SYSCURRENT", 1).preconditions(revision)],
            ErrorKind::Conflict,
        ),
        ("the same secret again", vec![good(), to("a", "SYSCURRENT", 9)], ErrorKind::NotFound),
        ("none", vec![], ErrorKind::InvalidArgument),
        ("too many", vec![good(); 21], ErrorKind::LimitExceeded),
    ];
    let before = seq(&fresh);
    for (what, moves, want) in cases {
        assert_eq!(kind_of(fresh.move_stages(&moves)), want, "{what}");
        assert_eq!(seq(&fresh), before, "{what}");
        assert_eq!(picture(&fresh, &all[0]), "v1[SYSPREVIOUS] v2[SYSCURRENT]", "{what}");
    }
    // What is required is of the time before the call, for each of the moves.
    let was = Preconditions::none().if_version(v(2));
    let moves = [good().preconditions(was), to("a", "blue", 1).preconditions(was)];
    fresh.move_stages(&moves).unwrap();
    assert_eq!(picture(&fresh, &all[0]), "v1[SYSCURRENT blue] v2[SYSPREVIOUS]");
}

/// Tables of 20 secrets that do not fit into one commit.
#[test]
fn what_does_not_fit_into_one_commit_is_refused() {
    let limits = Limits::default().with_versions_max(128).unwrap();
    let fresh = Fresh::limited(limits);
    let all: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    for of in &all {
        let of = create(&fresh, of);
        (1..80).for_each(|_| _ = put(&fresh, &of, ""));
    }
    let moves: Vec<StageMove> = all.iter().map(|of| to(of, "blue", 3)).collect();
    let before = seq(&fresh);
    assert_eq!(kind_of(fresh.move_stages(&moves)), ErrorKind::InvalidArgument);
    assert_eq!(seq(&fresh), before);
    fresh.move_stages(&moves[..5]).unwrap();
}

/// Two writers switch secrets together, one changes others beside them, and readers look at all of
/// them: nobody ever sees one switched and the other not.
#[test]
fn secrets_that_are_switched_together_are_never_seen_torn() {
    const SWITCHES: u64 = 300;
    let fresh = Fresh::new();
    let together = ["a", "b", "c", "d"];
    let all = pairs(&fresh, &together);
    create(&fresh, "beside");
    let (ended, torn, reads) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let writers = [0, 1].map(|first| {
            let store = &fresh.store;
            scope.spawn(move || {
                for n in 0..SWITCHES {
                    // Each writer in an order of its own.
                    let mut moves: Vec<StageMove> =
                        together.map(|of| to(of, "SYSCURRENT", 1 + (n + first) % 2)).to_vec();
                    if first == 1 {
                        moves.reverse();
                    }
                    store.move_stages(&moves).unwrap();
                }
            })
        });
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                put(&fresh, &name("beside"), "");
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let values = fresh.get_many(&all).unwrap();
                    assert_eq!(values.total_count(), all.len());
                    let first = values.versions().next().unwrap().id();
                    if values.versions().any(|it| it.id() != first) {
                        torn.fetch_add(1, Ordering::Relaxed);
                    }
                    let text = first.number().to_string();
                    assert!(values.versions().all(|it| it.value().expose_str() == Some(&text)));
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        ended.store(true, Ordering::Relaxed);
    });
    assert_eq!(torn.into_inner(), 0);
    assert!(reads.into_inner() > 100);
    fresh.verify().unwrap();
}

/// Sets of secrets that overlap, each named in another order: all get through, none is lost.
#[test]
fn changes_of_sets_that_overlap_do_not_lock_each_other_out() {
    const ROUNDS: u64 = 60;
    let fresh = Fresh::new();
    let words: Vec<String> = (0..9).map(|n| format!("s{n}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let all = pairs(&fresh, &words);
    let before: Vec<u64> = all.iter().map(|of| fresh.secret(of).unwrap().revision()).collect();
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for thread in 0..3 {
            let (fresh, words, start) = (&fresh, &words, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    let label = format!("label-{thread}");
                    let mut own: Vec<&str> = (0..5).map(|n| words[(n * 2 + thread) % 9]).collect();
                    own.rotate_left(round as usize % 5);
                    let moves: Vec<StageMove> =
                        own.iter().map(|of| to(of, &label, 1 + round % 2)).collect();
                    fresh.move_stages(&moves).unwrap();
                }
            });
        }
        // A writer of single secrets among them.
        scope.spawn(|| {
            start.wait();
            for round in 0..ROUNDS {
                fresh
                    .move_stage(&all[round as usize % 9], &stage("lone"), v(1 + round / 9 % 2))
                    .unwrap();
            }
        });
    });
    let after: Vec<u64> = all.iter().map(|of| fresh.secret(of).unwrap().revision()).collect();
    let changes: u64 = after.iter().zip(&before).map(|(after, before)| after - before).sum();
    assert_eq!(changes, 3 * 5 * ROUNDS + ROUNDS, "every change counts once");
    fresh.verify().unwrap();
}

#[test]
fn row_45_an_import_is_made_one_by_one_and_counted() {
    let fresh = Fresh::new();
    create(&fresh, "there");
    let new = |of: &str| NewSecret::new(name(of), text("x"));
    let loaded = fresh.create_secrets([new("a"), new("there"), new("b"), new("a")]).unwrap();
    assert_eq!((loaded.total(), loaded.created(), loaded.failed()), (4, 2, 2));
    let refused: Vec<&str> = loaded.refused().iter().map(|it| it.name().as_str()).collect();
    assert_eq!(refused, ["there", "a"]);
}
