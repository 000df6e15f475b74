//! Events from end to end: what happens to a secret, by calls and by the clock, and what is told of it.

use std::cell::RefCell;

use strongroom::{
    Clock, EventState, EventUpdate, Limits, ListTasks, RecoveryWindow, RotationRules, SecretUpdate,
};

use super::{
    events::{create_event, event, subscribed},
    notifications::Recorder,
    scheduler::{a_round, asleep, wait_for},
    *,
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A store with a notifier and an event for everything, in which no new password fits into a value.
fn watched() -> (Fresh, Recorder, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    let recorder = Recorder::default();
    let fresh = Fresh::with(with_these(&clock, &recorder).limits(tight()));
    create_event(&fresh, "all");
    (fresh, recorder, clock)
}

fn with_these(clock: &ManualClock, recorder: &Recorder) -> Builder<HasKey> {
    builder().clock(clock.clone()).notifier(recorder.clone())
}

fn tight() -> Limits {
    Limits::default().with_value_len_max_bytes(63).unwrap()
}

/// A secret that is rotated every six hours, or would be.
fn automatic(secret: &str) -> NewSecret {
    let rules = RotationRules::new().automatic(true).period("6h".parse().unwrap());
    let new = NewSecret::new(name(secret), account("first")).secret_type(SecretType::RdsFg);
    new.rotation(rules).event_subscriptions([event("all")])
}

/// Does what is due, and gives what is told of all that happened since the last time.
fn told(store: &SecretStore, recorder: &Recorder) -> Vec<String> {
    store.sweep().unwrap();
    store.deliver_notifications().unwrap();
    recorder.told()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

fn in_days(clock: &ManualClock, days: i64) -> Timestamp {
    Timestamp::from_millis(clock.now().as_millis() + days * DAY)
}

fn subscribe(store: &SecretStore, secret: &SecretName) {
    let update = SecretUpdate::new().event_subscriptions([event("all")]);
    store.update_secret(secret, &update).unwrap();
}

fn unsubscribe(store: &SecretStore, secret: &SecretName) {
    store.update_secret(secret, &SecretUpdate::new().event_subscriptions([])).unwrap();
}

/// csms.md 1.7: one shot for each update of the expiry.
#[test]
fn an_expiry_fires_when_it_is_near_and_when_it_is_over_once_for_each_time_it_is_set() {
    let (mut fresh, recorder, clock) = watched();
    fresh.create_secret(subscribed("s", "all")).unwrap();
    assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_CREATED s v1"]);
    for round in 0..2 {
        let latest = strongroom::VersionRef::Latest;
        fresh.update_version(&name("s"), &latest, in_days(&clock, 40)).unwrap();
        clock.advance_ms(10 * DAY - 1000);
        assert_eq!(told(&fresh, &recorder), nothing(), "{round}: more than 30 days before");
        clock.advance_ms(1000);
        assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_NEAR_EXPIRY s v1"], "{round}");
        assert_eq!(told(&fresh, &recorder), nothing(), "{round}: it was told");
        fresh = fresh.reopened_with(with_these(&clock, &recorder).limits(tight()));
        clock.advance_ms(30 * DAY - 1000);
        assert_eq!(told(&fresh, &recorder), nothing(), "{round}: a second before");
        clock.advance_ms(1000);
        assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_EXPIRED s v1"], "{round}");
        clock.advance_ms(100 * DAY);
        assert_eq!(told(&fresh, &recorder), nothing(), "{round}: it was told");
    }
    // A version that does not expire any more tells nothing.
    fresh.update_version(&name("s"), &v(1).into(), Timestamp::from_millis(0)).unwrap();
    clock.advance_ms(100 * DAY);
    assert_eq!(told(&fresh, &recorder), nothing());
    fresh.verify().unwrap();
}

/// csms.md 8.4 row 76, whether the expiry was noticed before somebody subscribed or not.
#[test]
fn row_76_who_subscribes_after_the_expiry_is_told_at_the_next_sweep_once() {
    for noticed in [false, true] {
        let (fresh, recorder, clock) = watched();
        let secret = create(&fresh, "s");
        fresh.update_version(&secret, &v(1).into(), in_days(&clock, 40)).unwrap();
        clock.advance_ms(50 * DAY);
        if noticed {
            assert_eq!(fresh.sweep().unwrap().expired, 1, "in the log");
            assert_eq!(told(&fresh, &recorder), nothing(), "nobody subscribes");
        }
        subscribe(&fresh, &secret);
        let fresh = fresh.reopened_with(with_these(&clock, &recorder));
        assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_EXPIRED s v1"], "noticed: {noticed}");
        assert_eq!(told(&fresh, &recorder), nothing(), "noticed: {noticed}");
        // Once for this expiry, whoever subscribes later.
        unsubscribe(&fresh, &secret);
        assert_eq!(told(&fresh, &recorder), nothing());
        subscribe(&fresh, &secret);
        assert_eq!(told(&fresh, &recorder), nothing(), "noticed: {noticed}");
        fresh.update_version(&secret, &v(1).into(), in_days(&clock, 1)).unwrap();
        clock.advance_ms(DAY);
        assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_EXPIRED s v1"], "set anew");
    }
}

/// The same for an expiry that is near: told to who subscribes before it is over.
#[test]
fn who_subscribes_while_the_expiry_is_near_is_told_both() {
    let (fresh, recorder, clock) = watched();
    let secret = create(&fresh, "s");
    fresh.update_version(&secret, &v(1).into(), in_days(&clock, 40)).unwrap();
    clock.advance_ms(20 * DAY);
    assert_eq!(fresh.sweep().unwrap().near_expiry, 1);
    subscribe(&fresh, &secret);
    assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_NEAR_EXPIRY s v1"]);
    assert_eq!(told(&fresh, &recorder), nothing());
    clock.advance_ms(20 * DAY);
    assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_EXPIRED s v1"]);
    // Both passed while nobody subscribed: the end is what matters.
    let late = create(&fresh, "late");
    fresh.update_version(&late, &v(1).into(), in_days(&clock, 40)).unwrap();
    clock.advance_ms(20 * DAY);
    assert_eq!(fresh.sweep().unwrap().near_expiry, 1);
    clock.advance_ms(20 * DAY);
    assert_eq!(fresh.sweep().unwrap().expired, 1);
    subscribe(&fresh, &late);
    assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_EXPIRED late v1"]);
    assert_eq!(fresh.next_due().unwrap(), None, "nothing is left behind");
}

/// An event that is disabled does not fire later for what happened meanwhile (csms.md 8.4 row 72).
#[test]
fn an_expiry_that_a_disabled_event_kept_silent_is_over() {
    let (fresh, recorder, clock) = watched();
    let state = |state| EventUpdate::new().state(state);
    fresh.update_event(&event("all"), &state(EventState::Disabled)).unwrap();
    fresh.create_secret(subscribed("s", "all")).unwrap();
    fresh.update_version(&name("s"), &v(1).into(), in_days(&clock, 1)).unwrap();
    clock.advance_ms(DAY);
    assert_eq!(told(&fresh, &recorder), nothing());
    fresh.update_event(&event("all"), &state(EventState::Enabled)).unwrap();
    assert_eq!(told(&fresh, &recorder), nothing());
}

/// csms.md 8.3 row 63.
#[test]
fn a_rotation_fires_when_all_its_attempts_have_failed_and_when_it_succeeds() {
    let (fresh, recorder, clock) = watched();
    fresh.create_secret(automatic("s")).unwrap();
    assert_eq!(told(&fresh, &recorder), ["SECRET_VERSION_CREATED s v1"]);
    clock.advance_ms(6 * HOUR);
    for (attempt, wait) in [(1, MINUTE), (2, 4 * MINUTE)] {
        assert_eq!(fresh.rotate_due().unwrap().failed().len(), 1);
        assert_eq!(told(&fresh, &recorder), nothing(), "attempt {attempt}: it is tried again");
        clock.advance_ms(wait);
    }
    assert_eq!(fresh.rotate_due().unwrap().failed().len(), 1);
    assert_eq!(told(&fresh, &recorder), ["SECRET_ROTATED_FAILED s"]);
    assert_eq!(told(&fresh, &recorder), nothing());
    let fresh = fresh.reopened_with(with_these(&clock, &recorder));
    clock.advance_ms(6 * HOUR);
    assert_eq!(fresh.rotate_due().unwrap().rotated().len(), 1);
    assert_eq!(told(&fresh, &recorder), ["SECRET_ROTATED s v2"]);
    // A manual one that fails is told to who asked for it, and nobody else.
    let fresh = fresh.reopened_with(with_these(&clock, &recorder).limits(tight()));
    assert_eq!(kind_of(fresh.rotate(&name("s"))), ErrorKind::LimitExceeded);
    assert_eq!(told(&fresh, &recorder), nothing());
}

/// csms.md 8.4 row 70, and 8.2 row 35: whoever comes first removes it.
#[test]
fn a_deletion_fires_when_the_secret_is_gone_at_once_or_when_its_time_has_come() {
    type Removal = fn(&SecretStore, &SecretName);
    let removals: &[(&str, i64, Removal)] = &[
        ("at once", 0, |s, n| s.delete_secret(n).unwrap()),
        ("at once, while it is scheduled", 1, |s, n| s.delete_secret(n).unwrap()),
        ("by a sweep", 7, |s, _| assert_eq!(s.sweep().unwrap().deletions, 1)),
        ("by the first look at it", 7, |s, n| {
            assert_eq!(kind_of(s.secret(n)), ErrorKind::NotFound);
        }),
        ("by a listing", 7, |s, _| {
            let names = s.names(&strongroom::ListSecrets::new()).unwrap();
            assert!(names.items().is_empty());
        }),
        ("by one that takes its name", 7, |s, n| {
            s.create_secret(NewSecret::new(n.clone(), text("new"))).unwrap();
        }),
    ];
    for (what, days, remove) in removals {
        let (fresh, recorder, clock) = watched();
        fresh.create_secret(subscribed("s", "all")).unwrap();
        let secret = name("s");
        if *days > 0 {
            fresh.schedule_deletion(&secret, RecoveryWindow::SHORTEST).unwrap();
        }
        fresh.deliver_notifications().unwrap();
        assert_eq!(recorder.told(), ["SECRET_VERSION_CREATED s v1"], "case: {what}: not yet");
        clock.advance_ms(days * DAY);
        remove(&fresh, &secret);
        assert_eq!(told(&fresh, &recorder), ["SECRET_DELETED s"], "case: {what}");
        assert_eq!(told(&fresh, &recorder), nothing(), "case: {what}");
    }
}

/// Waits until these were told, and sees that nothing else was.
#[track_caller]
fn wait_told(recorder: &Recorder, want: &[&str]) {
    let heard = RefCell::new(Vec::new());
    wait_for(&format!("{want:?}"), || {
        heard.borrow_mut().extend(recorder.told());
        heard.borrow().len() >= want.len()
    });
    assert_eq!(heard.into_inner(), want);
}

/// It sleeps for an hour if nobody wakes it: what is told was told at once.
#[test]
fn the_scheduler_tells_of_a_change_at_once() {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    let recorder = Recorder::default();
    let fresh = Fresh::with(with_these(&clock, &recorder));
    create_event(&fresh, "all");
    let scheduler = fresh.start_scheduler(asleep()).unwrap();
    a_round(&scheduler);
    let secret = name("s");
    let new = NewSecret::new(secret.clone(), account("x")).secret_type(SecretType::RdsFg);
    fresh.create_secret(new.event_subscriptions([event("all")])).unwrap();
    wait_told(&recorder, &["SECRET_VERSION_CREATED s v1"]);
    fresh.put_version(&secret, NewVersion::new(account("y"))).unwrap();
    wait_told(&recorder, &["SECRET_VERSION_CREATED s v2"]);
    fresh.rotate(&secret).unwrap();
    wait_told(&recorder, &["SECRET_ROTATED s v3"]);
    fresh.delete_secret(&secret).unwrap();
    wait_told(&recorder, &["SECRET_DELETED s"]);
    let many = ["a", "b"].map(|secret| subscribed(secret, "all"));
    assert_eq!(fresh.create_secrets(many).unwrap().created(), 2);
    wait_told(&recorder, &["SECRET_VERSION_CREATED a v1", "SECRET_VERSION_CREATED b v1"]);
    // Whoever finds it gone, the thread tells of it.
    fresh.schedule_deletion(&name("a"), RecoveryWindow::SHORTEST).unwrap();
    clock.advance_ms(7 * DAY);
    assert_eq!(kind_of(fresh.secret(&name("a"))), ErrorKind::NotFound);
    wait_told(&recorder, &["SECRET_DELETED a"]);
    assert!(scheduler.take_errors().is_empty());
}

/// Row 76 and row 63 as the thread does them.
#[test]
fn the_scheduler_tells_of_what_falls_due() {
    let (fresh, recorder, clock) = watched();
    fresh.create_secret(automatic("auto")).unwrap();
    let secret = create(&fresh, "s");
    fresh.update_version(&secret, &v(1).into(), in_days(&clock, 40)).unwrap();
    let scheduler = fresh.start_scheduler(asleep()).unwrap();
    wait_told(&recorder, &["SECRET_VERSION_CREATED auto v1"]);
    for (attempts, advance) in [(1, 6 * HOUR), (2, MINUTE)] {
        clock.advance_ms(advance);
        scheduler.wake();
        wait_for("an attempt", || {
            let page = fresh.tasks(&ListTasks::new()).unwrap();
            page.items().first().is_some_and(|task| task.attempts() == attempts)
        });
    }
    clock.advance_ms(4 * MINUTE);
    scheduler.wake();
    wait_told(&recorder, &["SECRET_ROTATED_FAILED auto"]);
    let errors = scheduler.take_errors();
    assert_eq!(errors.len(), 3);
    fresh.delete_secret(&name("auto")).unwrap();
    wait_told(&recorder, &["SECRET_DELETED auto"]);
    clock.advance_ms(45 * DAY);
    a_round(&scheduler);
    assert_eq!(recorder.told(), nothing(), "expired, and nobody subscribed");
    subscribe(&fresh, &secret);
    wait_told(&recorder, &["SECRET_VERSION_EXPIRED s v1"]);
}
