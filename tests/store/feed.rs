//! The change feed: every change exactly once, in order, also over closing and cutting.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use strongroom::{AuditOperation, AuditRecord, Error, ErrorKind, Position, Subscription};

use super::*;

const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(20);

/// Everything that is there already.
fn rest(feed: &mut Subscription) -> Vec<AuditRecord> {
    std::iter::from_fn(|| feed.next_within(NOW).unwrap()).collect()
}

fn operations(records: &[AuditRecord]) -> Vec<&'static str> {
    records.iter().map(|record| record.operation().as_str()).collect()
}

#[test]
fn changes_are_told_from_a_position_on_and_from_the_start() {
    let fresh = Fresh::new();
    let mut from_start = fresh.subscribe(Position::START).unwrap();
    let secret = create(&fresh, "s");
    let mut from_now = fresh.subscribe(fresh.position().unwrap()).unwrap();
    assert!(rest(&mut from_now).is_empty());
    put(&fresh, &secret, "");
    fresh.delete_secret(&secret).unwrap();
    let told = rest(&mut from_start);
    let want = ["createStore", "createSecret", "createSecretVersion", "forceDeleteSecret"];
    assert_eq!(operations(&told), want);
    assert_eq!(rest(&mut from_now), told[2..]);
    assert_eq!(told[2].secret_name(), Some(&secret));
    // From the middle.
    let mut from_middle = fresh.subscribe(told[1].position()).unwrap();
    assert_eq!(rest(&mut from_middle), told[2..]);
    for feed in [&mut from_start, &mut from_now, &mut from_middle] {
        assert_eq!(feed.reached(), fresh.position().unwrap());
        assert_eq!(feed.next_within(Duration::from_millis(5)).unwrap(), None);
    }
}

#[test]
fn a_position_leads_on_after_closing_and_opening() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let mut feed = fresh.subscribe(Position::START).unwrap();
    feed.next_within(SOON).unwrap().unwrap();
    let kept: Position = feed.reached().to_string().parse().unwrap();
    let fresh = fresh.reopened();
    // It belongs to the handle that is closed; what it had read by then it still gives.
    assert!(feed.next_within(SOON).unwrap().is_some());
    assert_eq!(kind_of(feed.next_within(SOON)), ErrorKind::InvalidState);
    assert!(feed.next().is_none());
    put(&fresh, &secret, "");
    let mut feed = fresh.subscribe(kept).unwrap();
    assert_eq!(operations(&rest(&mut feed)), ["createSecret", "createSecretVersion"]);
}

#[test]
fn a_position_that_the_store_has_not_come_to_is_refused() {
    let fresh = Fresh::new();
    let last = fresh.position().unwrap().commit();
    let from = format!("{}:0", last + 1).parse().unwrap();
    let Error::Rollback { found, expected } = fresh.subscribe(from).unwrap_err() else {
        panic!("it should have been refused")
    };
    assert_eq!((found, expected), (last, last + 1));
}

#[test]
fn what_was_cut_off_is_an_error_and_never_silence() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "");
    let mut behind = fresh.subscribe(Position::START).unwrap();
    let mut at_end = fresh.subscribe(fresh.position().unwrap()).unwrap();
    fresh.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
    let oldest = fresh.oldest_position().unwrap();
    for refused in
        [behind.next_within(SOON).unwrap_err(), fresh.subscribe(Position::START).unwrap_err()]
    {
        let Error::Pruned { from, oldest: told } = refused else { panic!("{refused:?}") };
        assert_eq!((from, told), (Position::START, oldest));
    }
    // Who had come to the end goes on, and so does who begins at what is kept.
    let mut anew = fresh.subscribe(oldest).unwrap();
    for feed in [&mut at_end, &mut anew] {
        assert_eq!(operations(&rest(feed)), ["pruneAudit"]);
    }
    let mut iterated = fresh.subscribe(oldest).unwrap();
    create(&fresh, "t");
    fresh.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
    assert_eq!(kind_of(iterated.next().unwrap()), ErrorKind::Pruned);
    assert!(iterated.next().is_none());
    // An opening finds the cut where it was.
    let oldest = fresh.oldest_position().unwrap();
    let fresh = fresh.reopened();
    assert_eq!(fresh.oldest_position().unwrap(), oldest);
    assert_eq!(kind_of(fresh.subscribe(Position::START)), ErrorKind::Pruned);
    assert_eq!(operations(&rest(&mut fresh.subscribe(oldest).unwrap())), ["pruneAudit"]);
}

#[test]
fn reads_are_no_changes_even_if_they_are_recorded() {
    let fresh = Fresh::with(builder().audit_reads(true));
    let secret = create(&fresh, "s");
    let mut feed = fresh.subscribe(fresh.position().unwrap()).unwrap();
    fresh.get(&secret).unwrap();
    assert_eq!(feed.next_within(NOW).unwrap(), None);
    assert_eq!(feed.reached(), fresh.position().unwrap());
    put(&fresh, &secret, "");
    assert_eq!(operations(&rest(&mut feed)), ["createSecretVersion"]);
}

#[test]
fn who_waits_is_woken_by_a_change_and_by_the_end() {
    let fresh = Fresh::new();
    let from = fresh.position().unwrap();
    let mut feed = fresh.subscribe(from).unwrap();
    let mut until_end = fresh.subscribe(from).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(move || feed.next_within(SOON).unwrap());
        let (sender, told) = mpsc::channel();
        let ending = scope.spawn(move || {
            until_end.by_ref().map(Result::unwrap).inspect(|_| sender.send(()).unwrap()).count()
        });
        thread::sleep(Duration::from_millis(20));
        create(&fresh, "s");
        assert!(waiting.join().unwrap().is_some());
        told.recv_timeout(SOON).unwrap();
        fresh.store.clone().close().unwrap();
        assert_eq!(ending.join().unwrap(), 1);
    });
}

#[test]
fn a_subscription_does_not_keep_the_store_open() {
    let Fresh { store, path, dir } = Fresh::new();
    let mut feed = store.subscribe(Position::START).unwrap();
    let waiting = thread::spawn(move || feed.by_ref().map(Result::unwrap).count());
    thread::sleep(Duration::from_millis(20));
    drop(store);
    assert_eq!(waiting.join().unwrap(), 1);
    builder().open(&path).unwrap();
    drop(dir);
}

/// Writers of several secrets, readers from the start and from the middle, and one that is not asked at
/// all until the end; with the store opened again in between.
#[test]
fn every_change_is_seen_exactly_once_and_in_order_while_writers_write() {
    let (mut fresh, writers, rounds) = (Fresh::new(), 4_u64, 60_u64);
    let mut kept = Position::START;
    let mut seen: Vec<AuditRecord> = Vec::new();
    for opening in 0..3_u64 {
        let mut slow = fresh.subscribe(Position::START).unwrap();
        let mut feed = fresh.subscribe(kept).unwrap();
        let done = AtomicBool::new(false);
        let told = thread::scope(|scope| {
            let (fresh, done) = (&fresh, &done);
            let reading = scope.spawn(move || {
                let mut told = Vec::new();
                loop {
                    let was_done = done.load(Ordering::SeqCst);
                    match feed.next_within(Duration::from_millis(2)).unwrap() {
                        Some(record) => told.push(record),
                        None if was_done => return (told, feed.reached()),
                        None => {}
                    }
                }
            });
            let writing: Vec<_> = (0..writers)
                .map(|writer| {
                    scope.spawn(move || {
                        let secret = create(fresh, &format!("w{writer}-{opening}"));
                        (1..rounds).for_each(|_| _ = put(fresh, &secret, ""));
                    })
                })
                .collect();
            writing.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::SeqCst);
            reading.join().unwrap()
        });
        seen.extend(told.0);
        kept = told.1;
        assert_eq!(rest(&mut slow), seen, "who reads all at once is told the same");
        fresh = fresh.reopened();
    }
    assert!(seen.windows(2).all(|pair| pair[0].position() < pair[1].position()));
    let mut versions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in seen.iter().filter(|it| it.operation() != AuditOperation::CreateStore) {
        let name = record.secret_name().unwrap().to_string();
        versions.entry(name).or_default().push(record.version().unwrap().number());
    }
    assert_eq!(versions.len() as u64, writers * 3);
    for (secret, versions) in versions {
        assert!(versions.iter().copied().eq(1..=rounds), "{secret}: {versions:?}");
    }
}
