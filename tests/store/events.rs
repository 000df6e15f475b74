//! Events: rules of what is told to whom, and the secrets that subscribe to them.

use std::thread;

use strongroom::{
    Error, ErrorKind, Event, EventName, EventState, EventType, EventUpdate, ListEvents,
    ListSecrets, Missing, NewEvent, NewSecret, NotificationTarget, SecretUpdate,
};

use super::*;

pub(super) fn event(text: &str) -> EventName {
    text.parse().unwrap()
}

pub(super) fn target() -> NotificationTarget {
    NotificationTarget::new("urn:smn:region-1:topic", "topic").unwrap()
}

pub(super) fn new_event(text: &str, types: &[EventType]) -> NewEvent {
    NewEvent::new(event(text), types.iter().copied(), target())
}

/// Creates an event for all types.
pub(super) fn create_event(store: &SecretStore, text: &str) -> EventName {
    store.create_event(&new_event(text, EventType::ALL)).unwrap().name().clone()
}

pub(super) fn subscribed(secret: &str, to: &str) -> NewSecret {
    NewSecret::new(name(secret), text("one")).event_subscriptions([event(to)])
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name().as_str()).collect()
}

/// csms.md 3.5.
#[test]
fn events_are_created_shown_changed_and_deleted() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let types = [EventType::Rotated, EventType::Deleted];
    let made = fresh.create_event(&new_event("e", &types)).unwrap();
    assert_eq!((made.event_types(), made.state()), (&types[..], EventState::Enabled));
    assert_eq!((made.target(), made.target().target_type()), (&target(), "SMN"));
    assert_eq!(made.id().len(), 36);
    assert_eq!((made.created(), made.updated()), (at(0), at(0)));
    assert_eq!(fresh.event(&event("e")).unwrap(), made);
    clock.advance_ms(5000);
    let other = NotificationTarget::new("x", "y").unwrap();
    let update = EventUpdate::new().state(EventState::Disabled).target(other.clone());
    let changed = fresh.update_event(&event("e"), &update).unwrap();
    assert_eq!((changed.state(), changed.target()), (EventState::Disabled, &other));
    assert_eq!((changed.event_types(), changed.id()), (&types[..], made.id()));
    assert_eq!((changed.created(), changed.updated()), (at(0), at(5)));
    let before = seq(&fresh);
    assert_eq!(fresh.update_event(&event("e"), &update).unwrap(), changed);
    assert_eq!(fresh.update_event(&event("e"), &EventUpdate::new()).unwrap(), changed);
    assert_eq!(seq(&fresh), before, "an update that changes nothing writes nothing");
    let fresh = fresh.reopened();
    assert_eq!(fresh.event(&event("e")).unwrap(), changed);
    fresh.verify().unwrap();
    fresh.delete_event(&event("e")).unwrap();
    for refused in [
        fresh.event(&event("e")).map(drop),
        fresh.update_event(&event("e"), &EventUpdate::new()).map(drop),
        fresh.delete_event(&event("e")),
    ] {
        let Err(Error::NotFound(missing)) = refused else { panic!("{refused:?}") };
        assert_eq!(missing, Missing::Event("e".to_owned()));
    }
    let fresh = fresh.reopened();
    assert!(fresh.events(&ListEvents::new()).unwrap().items().is_empty());
    fresh.verify().unwrap();
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((START_MS / 1000 + seconds) * 1000)
}

/// csms.md 7.32; 8.4 rows 71 to 74.
#[test]
#[expect(clippy::too_many_lines, reason = "a case for each rule")]
fn what_breaks_a_rule_is_refused_and_nothing_is_written() {
    let fresh = Fresh::new();
    create_event(&fresh, "used");
    fresh.create_secret(subscribed("s", "used")).unwrap();
    create(&fresh, "plain");
    for n in 1..30 {
        create_event(&fresh, &format!("e{n}"));
    }
    let before = seq(&fresh);
    let double = [EventType::Rotated, EventType::Deleted, EventType::Rotated];
    let to = |events: &[&str]| {
        SecretUpdate::new().event_subscriptions(events.iter().map(|it| event(it)))
    };
    let update = EventUpdate::new;
    let rows: [(&str, ErrorKind, Result<(), Error>); 11] = [
        (
            "row 74: a duplicate name",
            ErrorKind::AlreadyExists,
            fresh.create_event(&new_event("used", &double[..2])).map(drop),
        ),
        (
            "row 74: a 31st event",
            ErrorKind::LimitExceeded,
            fresh.create_event(&new_event("e30", &double[..2])).map(drop),
        ),
        (
            "7.32: no type",
            ErrorKind::InvalidArgument,
            fresh.create_event(&new_event("e30", &[])).map(drop),
        ),
        (
            "a type twice",
            ErrorKind::InvalidArgument,
            fresh.create_event(&new_event("e30", &double)).map(drop),
        ),
        (
            "a type twice, changed",
            ErrorKind::InvalidArgument,
            fresh.update_event(&event("used"), &update().event_types(double)).map(drop),
        ),
        (
            "no type, changed",
            ErrorKind::InvalidArgument,
            fresh.update_event(&event("used"), &update().event_types([])).map(drop),
        ),
        ("row 73: an event in use", ErrorKind::InvalidArgument, fresh.delete_event(&event("used"))),
        (
            "row 71: a new secret, a missing event",
            ErrorKind::NotFound,
            fresh.create_secret(subscribed("t", "none")).map(drop),
        ),
        (
            "row 71: an update, a missing event",
            ErrorKind::NotFound,
            fresh.update_secret(&name("plain"), &to(&["none"])).map(drop),
        ),
        (
            "1.12: two subscriptions",
            ErrorKind::LimitExceeded,
            fresh.update_secret(&name("plain"), &to(&["used", "e1"])).map(drop),
        ),
        (
            "list limit",
            ErrorKind::InvalidArgument,
            fresh.events(&ListEvents::new().limit(0)).map(drop),
        ),
    ];
    for (what, want, got) in rows {
        assert_eq!(kind_of(got), want, "case: {what}");
    }
    assert_eq!(seq(&fresh), before);
    // A place that is free again is taken again.
    fresh.delete_event(&event("e1")).unwrap();
    create_event(&fresh, "e30");
}

#[test]
fn events_are_listed_by_name() {
    let fresh = Fresh::new();
    for name in ["b", "C", "a", "d"] {
        create_event(&fresh, name);
    }
    let page = fresh.events(&ListEvents::new().limit(3)).unwrap();
    assert_eq!((names(page.items()), page.has_more()), (vec!["C", "a", "b"], true));
    let page = fresh.events(&ListEvents::new().marker(event("aa"))).unwrap();
    assert_eq!((names(page.items()), page.has_more()), (vec!["b", "d"], false));
}

/// csms.md 8.4 row 72, and what a secret shows.
#[test]
fn secrets_subscribe_and_are_found_by_it() {
    let fresh = Fresh::new();
    create_event(&fresh, "a");
    let off = new_event("off", &[EventType::Deleted]).state(EventState::Disabled);
    fresh.create_event(&off).unwrap();
    for n in 0..5 {
        let to = if n % 2 == 0 { "a" } else { "off" };
        fresh.create_secret(subscribed(&format!("s{n}"), to)).unwrap();
    }
    create(&fresh, "plain");
    let loaded = fresh.create_secrets([subscribed("t", "a"), subscribed("u", "none")]).unwrap();
    assert_eq!((loaded.created(), loaded.refused().len()), (1, 1));
    let list = |to: &str| {
        let list = ListSecrets::new().event_name(event(to));
        let names = fresh.names(&list).unwrap();
        let page = fresh.secrets(&list).unwrap();
        assert!(page.items().iter().map(|it| it.name()).eq(names.items()));
        names.items().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list("a"), "s0 s2 s4 t");
    assert_eq!((list("off"), list("none")), ("s1 s3".to_owned(), String::new()));
    let page = ListSecrets::new().event_name(event("a")).limit(2).marker(name("s0"));
    let page = fresh.names(&page).unwrap();
    assert_eq!((page.items(), page.has_more()), (&[name("s2"), name("s4")][..], true));
    let moved = SecretUpdate::new().event_subscriptions([event("off")]);
    let shown = fresh.update_secret(&name("s0"), &moved).unwrap();
    assert_eq!(shown.event_subscriptions(), ["off"]);
    let before = seq(&fresh);
    fresh.update_secret(&name("s0"), &moved).unwrap();
    assert_eq!(seq(&fresh), before);
    let none = SecretUpdate::new().event_subscriptions([]);
    assert!(fresh.update_secret(&name("s2"), &none).unwrap().event_subscriptions().is_empty());
    fresh.delete_secret(&name("s4")).unwrap();
    assert_eq!(kind_of(fresh.delete_event(&event("a"))), ErrorKind::InvalidArgument);
    fresh.delete_secret(&name("t")).unwrap();
    fresh.delete_event(&event("a")).unwrap();
    let fresh = fresh.reopened();
    assert_eq!(fresh.secret(&name("s0")).unwrap().event_subscriptions(), ["off"]);
    fresh.verify().unwrap();
}

#[test]
fn no_secret_subscribes_to_an_event_while_it_is_deleted() {
    let fresh = Fresh::new();
    (0..300).for_each(|n| drop(create(&fresh, &format!("s{n}"))));
    for round in 0..30 {
        let to = create_event(&fresh, "e");
        let update = SecretUpdate::new().event_subscriptions([to.clone()]);
        let none = SecretUpdate::new().event_subscriptions([]);
        thread::scope(|scope| {
            let subscribing = scope.spawn(|| fresh.update_secret(&name("s7"), &update).is_ok());
            let creating =
                scope.spawn(|| fresh.create_secret(subscribed(&format!("n{round}"), "e")).is_ok());
            let deleted = fresh.delete_event(&to).is_ok();
            let subscribed = [subscribing.join().unwrap(), creating.join().unwrap()];
            let there = fresh.event(&to).is_ok();
            assert_eq!(there, !deleted, "round {round}");
            assert!(!(deleted && subscribed.contains(&true)), "round {round}: it hangs in the air");
        });
        fresh.update_secret(&name("s7"), &none).unwrap();
        let _ = fresh.delete_secret(&name(&format!("n{round}")));
        let _ = fresh.delete_event(&to);
    }
}

#[test]
fn there_are_never_more_than_30_however_many_create_them() {
    let fresh = Fresh::new();
    let made: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let fresh = &fresh;
                scope.spawn(move || {
                    let one = |n| {
                        fresh.create_event(&new_event(&format!("e{thread}-{n}"), EventType::ALL))
                    };
                    (0..10).filter(|n| one(*n).is_ok()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(made, 30);
    assert_eq!(fresh.events(&ListEvents::new()).unwrap().items().len(), 30);
}

/// The objects of a store are part of what is compared when it is salvaged.
#[test]
fn a_store_with_events_is_salvaged_whole() {
    let fresh = Fresh::new();
    create_event(&fresh, "a");
    create_event(&fresh, "b");
    fresh.create_secret(subscribed("s", "a")).unwrap();
    fresh.delete_event(&event("b")).unwrap();
    let Fresh { store, path, dir } = fresh;
    let copy = dir.path().join("copy");
    copy_dir(&path, &copy);
    store.close().unwrap();
    for path in [&path, &copy] {
        let salvage = builder().salvage(path).unwrap();
        assert!(salvage.is_whole(), "{salvage}");
    }
}
