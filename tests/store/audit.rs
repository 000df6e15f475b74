//! The audit log: every operation has its record, can be asked for, and old ones can be cut off.

use std::sync::Arc;

use strongroom::{
    AuditOperation, AuditQuery, AuditRecord, Error, ErrorKind, Expect, ListVersions, NewSecret,
    Position, SecretUpdate, Stage, Timestamp, VersionRef,
    testing::{Fault, FaultyDisk, Operation},
};

use super::*;

fn all(store: &SecretStore) -> Vec<AuditRecord> {
    pages(store, &AuditQuery::new())
}

/// All pages of a query, of three records each.
fn pages(store: &SecretStore, query: &AuditQuery) -> Vec<AuditRecord> {
    let (mut found, mut query) = (Vec::new(), query.clone().limit(3));
    loop {
        let page = store.audit(&query).unwrap();
        let (more, items) = (page.has_more(), page.into_items());
        let Some(last) = items.last() else { return found };
        query = query.marker(last.position());
        found.extend(items);
        if !more {
            return found;
        }
    }
}

fn told(records: &[AuditRecord]) -> Vec<String> {
    let one = |record: &AuditRecord| {
        let name = record.secret_name().map(|name| name.as_str()).unwrap_or_default();
        let version = record.version().map(|id| id.to_string()).unwrap_or_default();
        // The id of a rotation's task is another one each time.
        let is_task = record.detail().parse::<strongroom::TaskId>().is_ok();
        let detail = if is_task { "" } else { record.detail() };
        format!("{} {name} {version} {detail}", record.operation()).trim_end().to_owned()
    };
    records.iter().map(one).collect()
}

/// One of each operation that there has been so far.
fn eventful() -> (Fresh, ManualClock) {
    let (fresh, clock) = Fresh::at_a_standstill();
    let a = create(&fresh, "a");
    clock.advance_ms(1000);
    put(&fresh, &a, "blue");
    fresh.move_stage(&a, &stage("green"), v(1)).unwrap();
    fresh.move_stage(&a, &stage("green"), v(2)).unwrap();
    fresh.delete_stage(&a, &stage("green")).unwrap();
    clock.advance_ms(1000);
    let b = create_rotatable(&fresh, "b");
    fresh.rotate(&b).unwrap();
    fresh.update_secret(&a, &SecretUpdate::new().description("x".parse().unwrap())).unwrap();
    let later = Timestamp::from_millis(START_MS + 90_000);
    fresh.update_version(&a, &VersionRef::Id(v(2)), later).unwrap();
    clock.advance_ms(1000);
    fresh.delete_secret(&b).unwrap();
    (fresh, clock)
}

/// csms.md 3.9.
#[test]
fn every_operation_is_told_by_its_name_also_after_opening_again() {
    let (fresh, _) = eventful();
    let want = [
        "createStore",
        "createSecret a v1",
        "createSecretVersion a v2",
        "createSecretStage a v1 green",
        "updateSecretStage a v2 green",
        "deleteSecretStage a v2 green",
        "createSecret b v1",
        "rotateSecret b v2",
        "updateSecret a",
        "putSecretVersion a v2",
        "forceDeleteSecret b",
    ];
    let records = all(&fresh);
    assert_eq!(told(&records), want);
    assert!(records.is_sorted_by_key(AuditRecord::position));
    assert!(records.iter().all(|record| record.actor().is_empty()));
    let id = fresh.secret(&name("a")).unwrap().id();
    assert_eq!(records[1].secret_id(), Some(id));
    assert_eq!((records[0].secret_id(), records[0].secret_name()), (None, None));
    let fresh = fresh.reopened();
    assert_eq!(all(&fresh), records);
    let backwards = pages(&fresh, &AuditQuery::new().newest_first());
    assert!(backwards.iter().rev().eq(&records));
}

#[test]
fn the_log_is_asked_by_time_actor_secret_and_operation() {
    let (fresh, _) = eventful();
    let at = |seconds: i64| Timestamp::from_millis(START_MS + seconds * 1000);
    let ask = AuditQuery::new;
    let cases = [
        ("since, the moment included", ask().since(at(3)), "forceDeleteSecret b"),
        ("until, the moment not included", ask().until(at(1)), "createStore|createSecret a v1"),
        (
            "between",
            ask().since(at(2)).until(at(3)).operation(AuditOperation::CreateSecret),
            "createSecret b v1",
        ),
        (
            "a secret, deleted since",
            ask().secret(name("b")),
            "createSecret b v1|rotateSecret b v2|forceDeleteSecret b",
        ),
        ("a secret that never was", ask().secret(name("c")), ""),
        (
            "newest first",
            ask().secret(name("b")).newest_first(),
            "forceDeleteSecret b|rotateSecret b v2|createSecret b v1",
        ),
        ("an operation", ask().operation(AuditOperation::UpdateSecret), "updateSecret a"),
        ("one that never happened", ask().operation(AuditOperation::ReadValue), ""),
        ("another actor", ask().actor("somebody"), ""),
        (
            "the embedder",
            ask().actor("").operation(AuditOperation::RotateSecret),
            "rotateSecret b v2",
        ),
        ("a marker behind the end", ask().marker("999:0".parse().unwrap()), ""),
        ("a marker before the start, backwards", ask().marker(Position::START).newest_first(), ""),
    ];
    for (what, query, want) in cases {
        assert_eq!(told(&pages(&fresh, &query)).join("|"), want, "case: {what}");
    }
}

#[test]
fn a_page_has_1_to_1000_records_and_says_whether_there_are_more() {
    let (fresh, _) = eventful();
    for limit in [0, 1001] {
        let query = AuditQuery::new().limit(limit);
        assert_eq!(kind_of(fresh.audit(&query)), ErrorKind::InvalidArgument, "{limit}");
    }
    for (limit, more) in [(1, true), (10, true), (11, false), (1000, false)] {
        for query in [AuditQuery::new(), AuditQuery::new().newest_first()] {
            let page = fresh.audit(&query.limit(limit)).unwrap();
            assert_eq!((page.items().len(), page.has_more()), (limit.min(11), more), "{limit}");
        }
    }
}

/// Records of several windows of the search backwards, and of commits with many records.
#[test]
fn a_long_log_is_read_in_both_directions_without_gaps() {
    let fresh = Fresh::new();
    let secrets = (0..1500).map(|n| NewSecret::new(name(&format!("s{n:04}")), text("one")));
    fresh.create_secrets(secrets).unwrap();
    let a = name("s0000");
    for n in 0..200 {
        fresh.move_stage(&a, &stage("blue"), v(1)).unwrap();
        if n % 2 == 0 {
            fresh.delete_stage(&a, &stage("blue")).unwrap();
        }
    }
    let page = |query: AuditQuery| -> Vec<AuditRecord> {
        let (mut found, mut query) = (Vec::new(), query.limit(97));
        loop {
            let page = fresh.audit(&query).unwrap();
            let Some(last) = page.items().last() else { return found };
            query = query.marker(last.position());
            found.extend(page.into_items());
        }
    };
    let forwards = page(AuditQuery::new());
    let created = forwards.iter().filter(|it| it.operation() == AuditOperation::CreateSecret);
    assert_eq!(created.count(), 1500);
    assert!(forwards.windows(2).all(|pair| pair[0].position() < pair[1].position()));
    assert!(forwards.iter().any(|record| record.position().to_string().ends_with(":50")));
    let backwards = page(AuditQuery::new().newest_first());
    assert!(backwards.iter().rev().eq(&forwards));
}

#[test]
fn values_that_are_read_are_recorded_if_the_store_is_told_so() {
    let fresh = Fresh::with(builder().audit_reads(true));
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "blue");
    let before = seq(&fresh);
    assert_eq!(fresh.get(&secret).unwrap().value().expose_str(), Some("one"));
    for reference in [VersionRef::Latest, VersionRef::Id(v(2)), VersionRef::Stage(stage("blue"))] {
        fresh.version(&secret, &reference).unwrap();
    }
    let page = AuditQuery::new().operation(AuditOperation::ReadValue);
    let want = [1, 1, 2, 2].map(|n| format!("getSecretVersion s v{n}"));
    assert_eq!(told(&pages(&fresh, &page)), want);
    assert_eq!(seq(&fresh), before + 4);
    create(&fresh, "t");
    let many = fresh.get_many(&[secret.clone(), name("none"), name("t")]).unwrap();
    assert_eq!(many.versions().count(), 2);
    let last = AuditQuery::new().newest_first().limit(2);
    let last = fresh.audit(&last).unwrap();
    assert_eq!(told(last.items()), ["getSecretVersion t v1", "getSecretVersion s v1"]);
    let before = seq(&fresh) - 4;
    // What shows no value, and what finds none, writes nothing.
    fresh.secret(&secret).unwrap();
    fresh.versions(&secret, &ListVersions::new()).unwrap();
    fresh.stage(&secret, &Stage::Current).unwrap();
    assert_eq!(kind_of(fresh.get(&name("none"))), ErrorKind::NotFound);
    assert_eq!(kind_of(fresh.version(&secret, &VersionRef::Id(v(9)))), ErrorKind::NotFound);
    assert_eq!(seq(&fresh), before + 4);
    // Not by default.
    let fresh = fresh.reopened();
    fresh.get(&secret).unwrap();
    assert_eq!((seq(&fresh), all(&fresh).len()), (before + 4, 10));
    fresh.verify().unwrap();
}

/// No record, no answer.
#[test]
fn a_value_is_not_given_out_if_that_cannot_be_recorded() {
    let disk = FaultyDisk::new(None);
    let fresh = Fresh::with(builder().audit_reads(true).disk(Arc::new(disk.clone())));
    let secret = create(&fresh, "s");
    fresh.get(&secret).unwrap();
    let error = std::io::ErrorKind::Other;
    disk.set(Some(Fault { at: 0, lasting: true, only: Some(Operation::Write), error }));
    assert_eq!(kind_of(fresh.get(&secret)), ErrorKind::Storage);
    for refused in [
        kind_of(fresh.get(&secret)),
        kind_of(fresh.version(&secret, &VersionRef::Latest)),
        kind_of(fresh.get_many(std::slice::from_ref(&secret))),
    ] {
        assert_eq!(refused, ErrorKind::Poisoned);
    }
    assert!(fresh.secret(&secret).is_ok(), "what shows no value is still shown");
}

#[test]
fn who_does_something_through_a_session_is_told_by_name() {
    let fresh = Fresh::with(builder().audit_reads(true));
    let secret = create(&fresh, "s");
    let all = strongroom::Policy::FULL_ACCESS.parse().unwrap();
    let ann = fresh.session("ann".parse().unwrap(), [all]).unwrap();
    put(&ann, &secret, "");
    ann.get(&secret).unwrap();
    fresh.get(&secret).unwrap();
    let by = |actor: &str| told(&pages(&fresh, &AuditQuery::new().actor(actor)));
    assert_eq!(by("ann"), ["createSecretVersion s v2", "getSecretVersion s v2"]);
    assert_eq!(by("").last().unwrap(), "getSecretVersion s v2");
    assert_eq!(by("bob"), [""; 0]);
}

/// The log from `from` on, and what is needed to see that it was cut rightly.
fn check_cut(store: &SecretStore, before: &[AuditRecord], cut: usize) {
    let now = all(store);
    let kept = before.len() - cut;
    assert_eq!(&now[..kept], &before[cut..]);
    assert!(now[kept..].iter().all(|it| it.operation() == AuditOperation::PruneAudit));
    assert_eq!(store.verify().unwrap().audit_records, now.len() as u64);
    let backwards = pages(store, &AuditQuery::new().newest_first());
    assert!(backwards.iter().rev().eq(&now));
}

#[test]
fn old_records_are_cut_off_and_the_rest_stays_verifiable() {
    let cases = [("nothing is so old", 0, 0), ("some", 2, 6), ("all", 9, 11)];
    for (what, seconds, cut) in cases {
        let (fresh, _) = eventful();
        let (before, commits) = (all(&fresh), seq(&fresh));
        let until = Timestamp::from_millis(START_MS + seconds * 1000);
        let pruned = fresh.prune_audit(until).unwrap();
        assert_eq!((pruned.records, pruned.commits), (cut as u64, cut as u64), "case: {what}");
        assert!(!pruned.held_back);
        assert_eq!(seq(&fresh), commits + u64::from(cut > 0), "case: {what}");
        check_cut(&fresh, &before, cut);
        let fresh = fresh.reopened();
        check_cut(&fresh, &before, cut);
        put(&fresh, &name("a"), "");
        fresh.compact().unwrap();
        let again = fresh.prune_audit(until).unwrap();
        // Of all that there was by then, the record of the cut itself may be so old.
        let own = u64::from(cut == 11);
        assert_eq!((again.records, again.commits), (own, own), "case: {what}");
        fresh.reopened().verify().unwrap();
    }
}

#[test]
fn a_long_log_is_cut_in_steps_and_a_commit_is_never_cut_in_two() {
    let fresh = Fresh::new();
    let secrets = (0..5000).map(|n| NewSecret::new(name(&format!("s{n:04}")), text("one")));
    fresh.create_secrets(secrets).unwrap();
    let before = all_fast(&fresh);
    let pruned = fresh.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
    assert_eq!(pruned.records, before.len() as u64);
    let left = all_fast(&fresh);
    assert!(left.len() > 1, "it was done in one step: {}", left.len());
    assert!(left.iter().all(|it| it.operation() == AuditOperation::PruneAudit));
    fresh.verify().unwrap();
    fresh.reopened().verify().unwrap();
}

fn all_fast(store: &SecretStore) -> Vec<AuditRecord> {
    let (mut found, mut query) = (Vec::new(), AuditQuery::new().limit(1000));
    loop {
        let page = store.audit(&query).unwrap();
        let Some(last) = page.items().last() else { return found };
        query = query.marker(last.position());
        found.extend(page.into_items());
    }
}

/// A record that is younger by the clock stops the cut, however old those behind it are.
#[test]
fn a_clock_that_was_set_back_cuts_nothing_out_of_the_middle() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    clock.advance_ms(10_000);
    fresh.move_stage(&secret, &stage("blue"), v(1)).unwrap();
    clock.advance_ms(-20_000);
    fresh.move_stage(&secret, &stage("green"), v(1)).unwrap();
    let before = all(&fresh);
    let until = Timestamp::from_millis(START_MS + 1000);
    assert_eq!(fresh.prune_audit(until).unwrap().records, 2);
    check_cut(&fresh, &before, 2);
}

#[test]
fn an_anchor_is_compared_as_long_as_the_log_goes_back_to_it() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let too_old = fresh.anchor().unwrap();
    clock.advance_ms(1000);
    put(&fresh, &secret, "");
    let last_cut = fresh.anchor().unwrap();
    clock.advance_ms(1000);
    put(&fresh, &secret, "");
    let kept = fresh.anchor().unwrap();
    fresh.prune_audit(Timestamp::from_millis(START_MS + 2000)).unwrap();
    let newest = fresh.anchor().unwrap();
    let Fresh { store, path, dir } = fresh;
    store.close().unwrap();
    let open = |anchor| builder().expect(Expect::Anchor(anchor)).open(&path);
    for anchor in [last_cut, kept, newest] {
        open(anchor).unwrap().close().unwrap();
    }
    assert_eq!(kind_of(open(too_old)), ErrorKind::AnchorTooOld);
    drop(dir);
}

#[test]
fn two_who_cut_at_the_same_time_and_writers_leave_a_sound_log() {
    let fresh = Fresh::new();
    let secrets = (0..4000).map(|n| NewSecret::new(name(&format!("s{n:04}")), text("one")));
    fresh.create_secrets(secrets).unwrap();
    let before = all_fast(&fresh).len() as u64;
    let end = Timestamp::from_millis(i64::MAX);
    let cut: u64 = std::thread::scope(|scope| {
        let cutters: Vec<_> =
            (0..2).map(|_| scope.spawn(|| fresh.prune_audit(end).unwrap().records)).collect();
        scope.spawn(|| (0..50).for_each(|_| _ = put(&fresh, &name("s0000"), "")));
        scope.spawn(|| (0..20).for_each(|_| drop(fresh.audit(&AuditQuery::new()).unwrap())));
        scope.spawn(|| fresh.verify().unwrap());
        cutters.into_iter().map(|cutter| cutter.join().unwrap()).sum()
    });
    assert!(cut >= before, "{cut} of {before}");
    fresh.verify().unwrap();
    let last = seq(&fresh);
    let left = all_fast(&fresh);
    assert_eq!(left.last().unwrap().position().commit(), last);
    fresh.reopened().verify().unwrap();
}

#[test]
fn a_closed_store_tells_nothing() {
    let fresh = Fresh::new();
    let store = fresh.store;
    store.clone().close().unwrap();
    let kinds = [
        kind_of(store.audit(&AuditQuery::new())),
        kind_of(store.position()),
        kind_of(store.prune_audit(Timestamp::from_millis(0))),
        kind_of(store.subscribe(Position::START)),
    ];
    assert_eq!(kinds, [ErrorKind::InvalidState; 4]);
    let text = Error::Pruned { from: Position::START, oldest: "3:end".parse().unwrap() };
    assert_eq!(text.to_string(), "the history behind 0:end was cut off; it begins at 3:end");
}

/// What a store that was cut still says of itself when it is salvaged.
#[test]
fn a_store_whose_log_was_cut_is_salvaged_whole() {
    let (fresh, _) = eventful();
    let b = create(&fresh, "c");
    fresh.delete_secret(&b).unwrap();
    fresh.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
    put(&fresh, &name("a"), "");
    let want = picture(&fresh, &name("a"));
    let Fresh { store, path, dir } = fresh;
    store.close().unwrap();
    let salvage = builder().salvage(&path).unwrap();
    assert!(salvage.is_whole(), "{salvage}");
    assert!(salvage.damage().is_empty(), "{salvage}");
    let names: Vec<_> = salvage.secrets().iter().map(|it| it.name().unwrap().clone()).collect();
    assert_eq!(names, [name("a")]);
    let mended = salvage.write_to(dir.path().join("mended")).unwrap();
    assert_eq!(picture(&mended, &name("a")), want);
}

/// Salvage knows by the operation which of a secret's records has to be as new: told as a change of its
/// state, it made an intact store look like one that lost something.
#[test]
fn a_store_with_a_protected_secret_is_salvaged_whole() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    fresh.protect_from_purge(&secret).unwrap();
    let newest = fresh.audit(&AuditQuery::new().newest_first().limit(1)).unwrap();
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    let salvage = builder().salvage(&path).unwrap();
    assert!(salvage.is_whole(), "{salvage}");
    assert_eq!(newest.items()[0].operation(), AuditOperation::ProtectFromPurge);
}
