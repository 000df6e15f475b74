//! The thread that does what falls due.

use std::{thread, time::Duration};

use strongroom::{
    ErrorKind, Limits, ListSecrets, NewSecret, RecoveryWindow, RotationRules, Scheduler,
    SchedulerOptions, SecretUpdate,
};

use super::*;

const HOUR: i64 = 3_600_000;

/// Longer than any test takes: what happens then was woken.
pub(super) fn asleep() -> SchedulerOptions {
    SchedulerOptions::new().longest_sleep(Duration::from_secs(60 * 60))
}

fn rules() -> RotationRules {
    RotationRules::new().automatic(true).period("6h".parse().unwrap())
}

fn automatic(store: &SecretStore, secret: &str) -> SecretName {
    let new = NewSecret::new(name(secret), account("first")).secret_type(SecretType::RdsFg);
    store.create_secret(new.rotation(rules())).unwrap();
    name(secret)
}

/// Waits until it is so, ten seconds at most.
#[track_caller]
pub(super) fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("not within ten seconds: {what}");
}

/// Waits until it has looked since now.
pub(super) fn a_round(scheduler: &Scheduler) {
    // The one under way may have begun before.
    let want = scheduler.rounds() + 2;
    wait_for("a round", || {
        scheduler.wake();
        scheduler.rounds() >= want
    });
}

#[test]
fn what_falls_due_is_done_and_nothing_before() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = automatic(&fresh, "s");
    let gone = create(&fresh, "gone");
    fresh.schedule_deletion(&gone, RecoveryWindow::from_days(7).unwrap()).unwrap();
    let scheduler = fresh.start_scheduler(asleep()).unwrap();
    a_round(&scheduler);
    assert_eq!(picture(&fresh, &secret), "v1[SYSCURRENT]");
    clock.advance_ms(6 * HOUR);
    scheduler.wake();
    wait_for("the rotation", || picture(&fresh, &secret) == "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    clock.advance_ms(7 * 24 * HOUR);
    let before = seq(&fresh);
    scheduler.wake();
    wait_for("the rotation and the deletion", || seq(&fresh) == before + 2);
    assert_eq!(fresh.names(&ListSecrets::new()).unwrap().items(), [secret]);
    assert!(scheduler.take_errors().is_empty() && scheduler.is_running());
}

#[test]
fn a_change_of_the_schedule_wakes_it() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create_rotatable(&fresh, "s");
    let scheduler = fresh.start_scheduler(asleep()).unwrap();
    wait_for("the first round", || scheduler.rounds() > 0);
    // It sleeps for an hour now, with nothing to do.
    let update = SecretUpdate::new().rotation(rules().period("12h".parse().unwrap()));
    let rounds = scheduler.rounds();
    fresh.update_secret(&secret, &update).unwrap();
    wait_for("a look at the new schedule", || scheduler.rounds() > rounds);
    clock.advance_ms(7 * HOUR);
    fresh.update_secret(&secret, &SecretUpdate::new().rotation(rules())).unwrap();
    wait_for("the rotation", || picture(&fresh, &secret) == "v1[SYSPREVIOUS] v2[SYSCURRENT]");
}

#[test]
fn it_looks_at_the_clock_now_and_then() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = automatic(&fresh, "s");
    let often = SchedulerOptions::new().longest_sleep(Duration::ZERO);
    let scheduler = fresh.start_scheduler(often).unwrap();
    clock.advance_ms(6 * HOUR);
    wait_for("the rotation", || picture(&fresh, &secret) == "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    drop(scheduler);
}

#[test]
fn failures_are_kept_to_be_read_and_do_not_end_it() {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    let limits = Limits::default().with_value_len_max_bytes(60).unwrap();
    let fresh = Fresh::with(builder().clock(clock.clone()).limits(limits));
    let (a, b) = (automatic(&fresh, "a"), automatic(&fresh, "b"));
    clock.advance_ms(6 * HOUR);
    let scheduler = fresh.start_scheduler(asleep()).unwrap();
    a_round(&scheduler);
    let errors = scheduler.take_errors();
    let names: Vec<_> = errors.iter().map(|error| error.secret_name().unwrap()).collect();
    assert_eq!(names, [&a, &b]);
    assert!(errors.iter().all(|error| error.error().kind() == ErrorKind::LimitExceeded));
    assert!(errors.iter().all(|error| error.at().as_millis() == START_MS + 6 * HOUR));
    a_round(&scheduler);
    assert!(scheduler.take_errors().is_empty(), "the next attempt is not due");
    clock.advance_ms(60_000);
    a_round(&scheduler);
    assert_eq!(scheduler.take_errors().len(), 2);
    assert!(scheduler.is_running());
}

#[test]
fn it_ends_when_it_is_dropped_or_the_store_is_closed() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = automatic(&fresh, "s");
    let dropped = fresh.start_scheduler(asleep()).unwrap();
    drop(dropped);
    clock.advance_ms(6 * HOUR);
    // Two at a time do no harm.
    let both = [asleep(), asleep()].map(|options| fresh.start_scheduler(options).unwrap());
    both.iter().for_each(a_round);
    assert_eq!(picture(&fresh, &secret), "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    let fresh = fresh.reopened_with(builder().clock(clock));
    for scheduler in &both {
        scheduler.wake();
        wait_for("the end", || !scheduler.is_running());
        assert!(scheduler.take_errors().is_empty());
    }
    assert_eq!(picture(&fresh, &secret), "v1[SYSPREVIOUS] v2[SYSCURRENT]");
}

#[test]
fn it_does_not_keep_a_store_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    let scheduler = store.start_scheduler(asleep()).unwrap();
    a_round(&scheduler);
    drop(store);
    wait_for("the store to be free", || builder().open(&path).is_ok());
    scheduler.wake();
    wait_for("the end", || !scheduler.is_running());
}

#[test]
fn it_can_be_dropped_while_it_works() {
    let (fresh, clock) = Fresh::at_a_standstill();
    for secret in 0..50 {
        automatic(&fresh, &format!("s{secret}"));
    }
    clock.advance_ms(6 * HOUR);
    for _ in 0..5 {
        drop(fresh.start_scheduler(asleep()).unwrap());
    }
    fresh.rotate_due().unwrap();
    for secret in 0..50 {
        let secret = name(&format!("s{secret}"));
        assert_eq!(picture(&fresh, &secret), "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    }
}
