//! Secrets: create, show, list, update, delete.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use strongroom::{
    Description, Error, ErrorKind, Limits, ListSecrets, ListVersions, Missing, NameSyntax,
    NewSecret, NewVersion, Secret, SecretName, SecretStore, SecretType, SecretUpdate, Stage,
    Timestamp, VersionRef,
};

use super::*;

#[test]
fn a_created_secret_is_shown_as_it_was_asked_for() {
    let (fresh, _clock) = Fresh::at_a_standstill();
    let custom = SecretType::rotatable("REDIS-ACL").unwrap();
    let cases = [
        ("plain", SecretType::Common, "", text("one")),
        ("described", SecretType::Common, "what it is for, \u{e9}\u{4e2d}", text("two")),
        ("binary", SecretType::Common, "", SecretValue::from_bytes([0xff, 0, 0xfe])),
        ("rds", SecretType::RdsFg, "a database", account("x")),
        ("gauss", SecretType::GaussDbFg, "", account("x")),
        ("custom", custom, "", account("x")),
    ];
    for (what, secret_type, description, value) in cases {
        let kept = SecretValue::from_bytes(value.expose());
        let kind = value.kind();
        let new = NewSecret::new(name(what), value)
            .secret_type(secret_type.clone())
            .description(description.parse().unwrap());
        let made = fresh.create_secret(new).unwrap();
        assert_eq!(made, fresh.secret(&name(what)).unwrap(), "case: {what}");
        assert_eq!(made.name().as_str(), what);
        assert_eq!(made.secret_type(), &secret_type, "case: {what}");
        assert_eq!(made.description().as_str(), description, "case: {what}");
        assert_eq!(made.current_version(), Some(v(1)), "case: {what}");
        assert_eq!(made.created(), Timestamp::from_millis(1_700_000_000_000), "case: {what}");
        assert_eq!((made.updated(), made.rotated()), (made.created(), None), "case: {what}");
        let version = fresh.get(&name(what)).unwrap();
        assert_eq!(version.value().expose(), kept.expose(), "case: {what}");
        assert_eq!(version.value().kind(), kind, "case: {what}");
        assert_eq!(picture(&fresh, &name(what)), "v1[SYSCURRENT]", "case: {what}");
    }
}

#[test]
fn every_secret_has_an_id_of_its_own_in_the_form_of_a_uuid() {
    let fresh = Fresh::new();
    let mut ids: Vec<String> =
        (0..20).map(|n| fresh.secret(&create(&fresh, &format!("s{n}"))).unwrap().id()).collect();
    for id in &ids {
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
        assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{id}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[test]
fn an_existing_name_is_refused_and_its_secret_left_as_it_is() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "taken");
    let (before, seq_before) = (fresh.secret(&secret).unwrap(), seq(&fresh));
    let again = NewSecret::new(secret.clone(), text("other")).description("x".parse().unwrap());
    let err = fresh.create_secret(again).unwrap_err();
    assert!(matches!(&err, Error::AlreadyExists { what } if what == "secret taken"), "{err:?}");
    assert_eq!(fresh.secret(&secret).unwrap(), before);
    assert_eq!((current(&fresh, &secret), seq(&fresh)), ("one".to_owned(), seq_before));
}

#[test]
fn of_many_who_create_one_name_at_once_one_succeeds() {
    let fresh = Fresh::new();
    for round in 0..10 {
        let secret = name(&format!("s{round}"));
        let won: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8_usize)
                .map(|n| {
                    let (store, secret) = (&fresh.store, &secret);
                    scope.spawn(move || {
                        let new = NewSecret::new(secret.clone(), text(&n.to_string()));
                        match store.create_secret(new) {
                            Ok(_) => Some(n),
                            Err(err) => {
                                assert_eq!(err.kind(), ErrorKind::AlreadyExists);
                                None
                            }
                        }
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(current(&fresh, &secret), won[0].to_string());
    }
}

#[test]
fn a_deleted_name_is_free_at_once_and_starts_anew() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "again");
    put(&fresh, &secret, "SYSCURRENT blue");
    let old = fresh.secret(&secret).unwrap();
    fresh.delete_secret(&secret).unwrap();
    create(&fresh, "again");
    let new = fresh.secret(&secret).unwrap();
    assert_ne!(new.id(), old.id());
    assert_eq!(new.current_version(), Some(v(1)));
    assert_eq!(picture(&fresh, &secret), "v1[SYSCURRENT]");
    assert_eq!(kind_of(fresh.stage(&secret, &stage("blue"))), ErrorKind::NotFound);
    let fresh = fresh.reopened();
    assert_eq!(fresh.secret(&secret).unwrap(), new);
    assert_eq!(fresh.verify().unwrap().versions, 1);
}

#[test]
fn every_call_finds_no_secret_that_was_deleted_or_never_was() {
    type Call = fn(&SecretStore, &SecretName) -> Result<(), Error>;
    let calls: [(&str, Call); 11] = [
        ("secret", |store, it| store.secret(it).map(drop)),
        ("update_secret", |store, it| store.update_secret(it, &SecretUpdate::new()).map(drop)),
        ("delete_secret", SecretStore::delete_secret),
        ("put_version", |store, it| store.put_version(it, NewVersion::new(text("x"))).map(drop)),
        ("get", |store, it| store.get(it).map(drop)),
        ("version", |store, it| store.version(it, &v(1).into()).map(drop)),
        ("versions", |store, it| store.versions(it, &ListVersions::new()).map(drop)),
        ("update_version", |store, it| {
            store.update_version(it, &VersionRef::Latest, Timestamp::from_millis(0)).map(drop)
        }),
        ("stage", |store, it| store.stage(it, &Stage::Current).map(drop)),
        ("move_stage", |store, it| store.move_stage(it, &stage("blue"), v(1)).map(drop)),
        ("rotate", |store, it| store.rotate(it).map(drop)),
    ];
    let fresh = Fresh::new();
    let deleted = create(&fresh, "deleted");
    fresh.delete_secret(&deleted).unwrap();
    let before = seq(&fresh);
    for secret in [deleted, name("never-was")] {
        for (what, call) in calls {
            let err = call(&fresh, &secret).unwrap_err();
            let Error::NotFound(missing) = &err else { panic!("case: {what}: {err:?}") };
            assert_eq!(missing, &Missing::Secret(secret.clone()), "case: {what}");
        }
        let err = fresh.delete_stage(&secret, &stage("blue"));
        assert_eq!(kind_of(err), ErrorKind::NotFound);
    }
    assert_eq!(seq(&fresh), before, "nothing was written");
}

#[test]
fn names_that_differ_in_case_are_two_secrets() {
    let fresh = Fresh::new();
    for secret in ["Name", "name", "NAME"] {
        fresh.create_secret(NewSecret::new(name(secret), text(secret))).unwrap();
    }
    fresh.delete_secret(&name("NAME")).unwrap();
    assert_eq!(current(&fresh, &name("Name")), "Name");
    assert_eq!(current(&fresh, &name("name")), "name");
    assert_eq!(kind_of(fresh.get(&name("NAME"))), ErrorKind::NotFound);
}

#[test]
fn dots_in_names_are_a_setting_of_the_handle() {
    let dotted = SecretName::with_syntax("billing.db", NameSyntax::WithDots).unwrap();
    let new = || NewSecret::new(dotted.clone(), account("x")).secret_type(SecretType::RdsFg);
    let fresh = Fresh::new();
    let before = seq(&fresh);
    assert_eq!(kind_of(fresh.create_secret(new())), ErrorKind::InvalidArgument);
    assert_eq!(seq(&fresh), before);

    let limits = Limits::default().with_name_syntax(NameSyntax::WithDots);
    let fresh = fresh.reopened_with(builder().limits(limits));
    fresh.create_secret(new()).unwrap();

    // Whoever does not allow new ones can still use those that are there.
    let fresh = fresh.reopened();
    assert_eq!(fresh.rotate(&dotted).unwrap().version_id(), v(2));
    assert_eq!(fresh.names(&ListSecrets::new()).unwrap().items(), std::slice::from_ref(&dotted));
    fresh.delete_secret(&dotted).unwrap();
    assert_eq!(kind_of(fresh.create_secret(new())), ErrorKind::InvalidArgument);
}

#[test]
fn a_description_has_up_to_2048_bytes_and_can_be_replaced_and_cleared() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for description in ["x".repeat(2048), "\u{e9}".repeat(1024), "\0\n\"".to_owned()] {
        let update = SecretUpdate::new().description(description.parse().unwrap());
        let updated = fresh.update_secret(&secret, &update).unwrap();
        assert_eq!(updated.description().as_str(), description);
    }
    let too_long = "x".repeat(2049).parse::<Description>().map_err(Error::from);
    assert_eq!(kind_of(too_long), ErrorKind::InvalidArgument);
    let fresh = fresh.reopened();
    assert_eq!(fresh.secret(&secret).unwrap().description().as_str(), "\0\n\"");
    let clear = SecretUpdate::new().description(Description::default());
    assert_eq!(fresh.update_secret(&secret, &clear).unwrap().description().as_str(), "");
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let new = NewSecret::new(name("s"), text("one")).description("same".parse().unwrap());
    let before = fresh.create_secret(new).unwrap();
    let written = seq(&fresh);
    clock.advance_ms(60_000);
    let same = SecretUpdate::new().description("same".parse().unwrap());
    for update in [SecretUpdate::new(), same] {
        assert_eq!(fresh.update_secret(&name("s"), &update).unwrap(), before);
    }
    assert_eq!((fresh.secret(&name("s")).unwrap(), seq(&fresh)), (before, written));
}

#[test]
fn the_time_of_the_last_change_moves_with_metadata_labels_and_versions() {
    type Change = fn(&SecretStore, &SecretName);
    let changes: [(&str, Change); 6] = [
        ("metadata", |store, it| {
            let update = SecretUpdate::new().description("other".parse().unwrap());
            store.update_secret(it, &update).unwrap();
        }),
        ("a version", |store, it| assert_eq!(put(store, it, ""), 2)),
        ("a label made", |store, it| drop(store.move_stage(it, &stage("blue"), v(1)).unwrap())),
        ("a label deleted", |store, it| store.delete_stage(it, &stage("blue")).unwrap()),
        ("an expiry", |store, it| {
            let later = Timestamp::from_millis(START_MS + 86_400_000);
            store.update_version(it, &v(1).into(), later).unwrap();
        }),
        ("SYSCURRENT moved", |store, it| {
            store.move_stage(it, &Stage::Current, v(1)).unwrap();
        }),
    ];
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let mut last = fresh.secret(&secret).unwrap();
    for (what, change) in changes {
        clock.advance_ms(10_000);
        change(&fresh, &secret);
        let now = fresh.secret(&secret).unwrap();
        let after_ms = now.updated().as_millis() - last.updated().as_millis();
        assert_eq!(after_ms, 10_000, "case: {what}");
        assert_eq!(now.created(), last.created(), "case: {what}");
        assert_eq!(now.revision(), last.revision() + 1, "case: {what}");
        last = now;
    }
    assert_eq!(fresh.reopened().secret(&secret).unwrap(), last);
}

#[test]
fn secrets_are_listed_by_their_names_bytes() {
    let fresh = Fresh::new();
    let mut texts = ["b", "a", "Z", "_x", "-y", "0", "aa", "A", "a-", "a_", "a0", "10", "9"];
    for secret in texts {
        create(&fresh, secret);
    }
    texts.sort_unstable();
    let all = fresh.secrets(&ListSecrets::new()).unwrap();
    let listed: Vec<&str> = all.items().iter().map(|secret| secret.name().as_str()).collect();
    assert_eq!((listed, all.has_more()), (texts.to_vec(), false));
    for secret in all.items() {
        assert_eq!(secret, &fresh.secret(secret.name()).unwrap());
    }
    let fresh = fresh.reopened();
    assert_eq!(fresh.secrets(&ListSecrets::new()).unwrap(), all);
}

#[test]
fn a_page_begins_after_its_marker_and_keeps_to_its_prefix() {
    let fresh = Fresh::new();
    for secret in ["a", "b-1", "b-2", "b-3", "b", "c"] {
        create(&fresh, secret);
    }
    let cases: &[(&str, &str, Option<&str>, usize, &str, bool)] = &[
        ("everything", "", None, 1000, "a b b-1 b-2 b-3 c", false),
        ("a full page that is the last", "", None, 6, "a b b-1 b-2 b-3 c", false),
        ("one less", "", None, 5, "a b b-1 b-2 b-3", true),
        ("after a name", "", Some("b-1"), 2, "b-2 b-3", true),
        ("after a name that is not there", "", Some("b-15"), 2, "b-2 b-3", true),
        ("after the last", "", Some("c"), 2, "", false),
        ("after what sorts behind all", "", Some("zzz"), 2, "", false),
        ("before all", "", Some("0"), 1, "a", true),
        ("a prefix", "b-", None, 1000, "b-1 b-2 b-3", false),
        ("a prefix that is a name", "b", None, 1000, "b b-1 b-2 b-3", false),
        ("a prefix, cut", "b-", None, 2, "b-1 b-2", true),
        ("a prefix, marker within", "b-", Some("b-2"), 2, "b-3", false),
        ("a prefix, marker before", "b-", Some("a"), 2, "b-1 b-2", true),
        ("a prefix, marker behind", "b-", Some("c"), 2, "", false),
        ("a prefix of nothing", "d", None, 2, "", false),
        ("a prefix no name can have", "\u{e9}", None, 2, "", false),
    ];
    for (what, prefix, marker, limit, want, has_more) in cases {
        let mut list = ListSecrets::new().prefix(*prefix).limit(*limit);
        if let Some(marker) = marker {
            list = list.marker(name(marker));
        }
        let page = fresh.secrets(&list).unwrap();
        let got: Vec<&str> = page.items().iter().map(|secret| secret.name().as_str()).collect();
        assert_eq!((got.join(" ").as_str(), page.has_more()), (*want, *has_more), "case: {what}");
        let names = fresh.names(&list).unwrap();
        let same = names.items().iter().zip(page.items()).all(|(a, b)| a == b.name());
        assert!(same && names.items().len() == page.items().len(), "case: {what}");
        assert_eq!(names.has_more(), page.has_more(), "case: {what}");
    }
}

#[test]
fn a_page_has_1_to_1000_secrets_and_50_by_default() {
    let fresh = Fresh::new();
    thread::scope(|scope| {
        for part in 0..7 {
            let store = &fresh.store;
            scope
                .spawn(move || (0..143).for_each(|n| drop(create(store, &format!("s{part}-{n}")))));
        }
    });
    let mut listed = Vec::new();
    let mut list = ListSecrets::new().limit(1000);
    loop {
        let page = fresh.secrets(&list).unwrap();
        listed.extend(page.items().iter().map(|secret| secret.name().clone()));
        let Some(last) = listed.last().filter(|_| page.has_more()) else { break };
        assert_eq!(page.items().len(), 1000);
        list = list.marker(last.clone());
    }
    assert_eq!(listed.len(), 1001);
    assert!(listed.is_sorted());
    let sizes = [("default", None, 50), ("one", Some(1), 1), ("most", Some(1000), 1000)];
    for (what, limit, want) in sizes {
        let list = limit.map_or(ListSecrets::new(), |limit| ListSecrets::new().limit(limit));
        assert_eq!(fresh.names(&list).unwrap().items().len(), want, "case: {what}");
    }
    for limit in [0, 1001, usize::MAX] {
        let list = ListSecrets::new().limit(limit);
        assert_eq!(kind_of(fresh.secrets(&list)), ErrorKind::InvalidArgument, "{limit}");
        assert_eq!(kind_of(fresh.names(&list)), ErrorKind::InvalidArgument, "{limit}");
    }
}

#[test]
fn paging_leaves_out_nobody_who_was_there_all_the_time() {
    let fresh = Fresh::new();
    for n in 0..40 {
        create(&fresh, &format!("stays-{n:02}"));
    }
    thread::scope(|scope| {
        let store = &fresh.store;
        let writer = scope.spawn(move || {
            for n in 0..60 {
                let secret = create(store, &format!("stays-{:02}-goes-{n}", n % 40));
                store.delete_secret(&secret).unwrap();
            }
        });
        while !writer.is_finished() {
            let (mut list, mut seen) = (ListSecrets::new().limit(7), Vec::new());
            loop {
                let page = store.secrets(&list).unwrap();
                let names = page.items().iter().map(|secret| secret.name().as_str().to_owned());
                seen.extend(names.filter(|name| name.len() == 8));
                // A page may be shorter than asked, as the deleted are left out of it.
                let Some(last) = page.items().last().filter(|_| page.has_more()) else { break };
                list = list.marker(last.name().clone());
            }
            assert_eq!(seen.len(), 40, "{seen:?}");
        }
    });
}

#[test]
fn the_quota_of_secrets_is_exact_under_a_race() {
    let fresh = Fresh::limited(Limits::default().with_secrets_max(Some(20)));
    let made: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|part| {
                let store = &fresh.store;
                scope.spawn(move || {
                    (0..8)
                        .filter(|n| {
                            let new = NewSecret::new(name(&format!("s{part}-{n}")), text("x"));
                            match store.create_secret(new) {
                                Ok(_) => true,
                                Err(Error::LimitExceeded { asked: 21, max: 20, .. }) => false,
                                Err(err) => panic!("{err:?}"),
                            }
                        })
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(made, 20);
    assert_eq!(fresh.names(&ListSecrets::new()).unwrap().items().len(), 20);
}

#[test]
fn a_full_quota_stops_new_secrets_only() {
    let fresh = Fresh::limited(Limits::default().with_secrets_max(Some(2)));
    let secret = create(&fresh, "one");
    let new = |what: &str| NewSecret::new(name(what), text("v")).token(token("t"));
    let made = fresh.create_secret(new("two")).unwrap();
    let before = seq(&fresh);
    let new_three = NewSecret::new(name("three"), text("v"));
    assert_eq!(kind_of(fresh.create_secret(new_three)), ErrorKind::LimitExceeded);
    assert_eq!(seq(&fresh), before);
    let again = NewSecret::new(secret.clone(), text("v"));
    assert_eq!(kind_of(fresh.create_secret(again)), ErrorKind::AlreadyExists);
    assert_eq!(fresh.create_secret(new("two")).unwrap(), made, "a repeated request is answered");
    put(&fresh, &secret, "");
    fresh.delete_secret(&secret).unwrap();
    create(&fresh, "three");

    // A quota below what is there deletes nothing.
    let limits = Limits::default().with_secrets_max(Some(1));
    let fresh = fresh.reopened_with(builder().limits(limits));
    assert_eq!(fresh.names(&ListSecrets::new()).unwrap().items().len(), 2);
    let new_four = NewSecret::new(name("four"), text("v"));
    assert_eq!(kind_of(fresh.create_secret(new_four)), ErrorKind::LimitExceeded);
}

/// A page that was empty since all on it had just been deleted ended the loop that the documentation
/// shows, and the rest was left out.
#[test]
fn a_listing_goes_on_behind_secrets_that_are_deleted_meanwhile() {
    let fresh = Fresh::new();
    let (first, last, done) = (name("a"), create(&fresh, "z"), AtomicBool::new(false));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                create(&fresh, "a");
                fresh.delete_secret(&first).unwrap();
            }
        });
        let empty = (0..20_000).filter(|_| {
            let page = fresh.secrets(&ListSecrets::new().limit(1)).unwrap();
            let found = page.items().first().map(Secret::name);
            found != Some(&first) && found != Some(&last)
        });
        let empty = empty.count();
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert_eq!(empty, 0);
    });
}
