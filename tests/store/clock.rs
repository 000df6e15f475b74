//! A clock that was a year ahead when one version was stored, and was put right. Versions sort by their
//! time (csms.md 3.1), so the next one is made a year ahead too; nothing else may count from there.

use strongroom::{Retention, RotationRules, SecretUpdate, VersionUpdate};

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A store whose clock was put right, and a secret whose second version is from a year ahead.
fn put_right() -> (Fresh, ManualClock, SecretName) {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create_rotatable(&fresh, "s");
    clock.advance_ms(365 * DAY_MS);
    fresh.put_version(&secret, NewVersion::new(account("ahead"))).unwrap();
    clock.advance_ms(-365 * DAY_MS);
    (fresh, clock, secret)
}

/// So many days after the clock's beginning, in whole seconds as times are told.
fn days(after: i64) -> Timestamp {
    Timestamp::from_millis(START_MS / 1000 * 1000 + after * DAY_MS)
}

#[test]
fn versions_go_on_to_sort_by_their_time() {
    let (fresh, _, secret) = put_right();
    put_account(&fresh, &secret);
    put_account(&fresh, &secret);
    let page = fresh.versions(&secret, &ListVersions::new()).unwrap();
    let made: Vec<Timestamp> = page.items().iter().map(|it| it.created()).collect();
    assert_eq!(made, [days(0), days(365), days(365), days(365)]);
    assert_eq!(fresh.secret(&secret).unwrap().updated(), days(0), "it was changed now");
}

#[test]
fn automatic_rotation_goes_on() {
    let (fresh, clock, secret) = put_right();
    let rules = RotationRules::new().automatic(true).period("1d".parse().unwrap());
    fresh.update_secret(&secret, &SecretUpdate::new().rotation(rules)).unwrap();
    for day in 1..4 {
        clock.advance_ms(DAY_MS);
        assert_eq!(fresh.rotate_due().unwrap().rotated().len(), 1);
        let next = fresh.secret(&secret).unwrap().next_rotation();
        assert_eq!(next, Some(days(day + 1)), "day {day}");
    }
}

#[test]
fn retention_by_age_takes_nothing_that_is_young() {
    let (fresh, _, secret) = put_right();
    put_account(&fresh, &secret);
    let update = SecretUpdate::new().retention(Retention::default().with_days(30).unwrap());
    fresh.update_secret(&secret, &update).unwrap();
    put_account(&fresh, &secret);
    let page = fresh.versions(&secret, &ListVersions::new()).unwrap();
    assert_eq!(page.items().len(), 4, "the first was made just now, and has no label any more");
}

#[test]
fn a_destruction_that_is_not_due_can_be_cancelled() {
    let (fresh, clock, secret) = put_right();
    put_account(&fresh, &secret);
    fresh.schedule_destruction(&secret, v(1), days(7)).unwrap();
    fresh.cancel_destruction(&secret, v(1)).unwrap();
    fresh.schedule_destruction(&secret, v(1), days(7)).unwrap();
    fresh.disable_version(&secret, v(1)).unwrap();
    fresh.enable_version(&secret, v(1)).unwrap();
    fresh.move_stage(&secret, &stage("old"), v(1)).unwrap();
    fresh.cancel_destruction(&secret, v(1)).unwrap();
    clock.advance_ms(30 * DAY_MS);
    fresh.version(&secret, &v(1).into()).unwrap();
}

#[test]
fn an_expiry_within_the_year_is_taken() {
    let (fresh, _, secret) = put_right();
    let new = NewVersion::new(account("third")).expires(days(30));
    assert_eq!(fresh.put_version(&secret, new).unwrap().id(), v(3));
    let update = VersionUpdate::new().expires(days(20));
    fresh.update_version_with(&secret, &v(3).into(), &update).unwrap();
}

fn put_account(store: &SecretStore, secret: &SecretName) {
    store.put_version(secret, NewVersion::new(account("next"))).unwrap();
}
