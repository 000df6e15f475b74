//! What becomes of versions by the clock and by hand: expiry and its events, first use, disabling,
//! destruction, retention. Row numbers are those of csms.md 8.1.

use strongroom::{
    AuditQuery, ErrorKind, Retention, SecretState, SecretUpdate, Swept, VersionRef, VersionRefusal,
    VersionState, VersionUpdate,
};

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn in_days(days: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + days * DAY_MS)
}

/// A secret with v1, v2 (previous) and v3 (current).
fn of_three(store: &SecretStore, secret: &str) -> SecretName {
    let secret = create(store, secret);
    put(store, &secret, "");
    put(store, &secret, "");
    secret
}

/// Why a version is refused; `None` if its value is given.
fn refusal<T>(result: Result<T, Error>) -> Option<VersionRefusal> {
    match result {
        Ok(_) => None,
        Err(Error::VersionState { refusal, .. }) => Some(refusal),
        Err(err) => panic!("{err:?}"),
    }
}

fn state_of(store: &SecretStore, secret: &SecretName, version: u64) -> VersionState {
    let page = store.versions(secret, &ListVersions::new()).unwrap();
    page.items().iter().find(|row| row.id() == v(version)).unwrap().state()
}

fn swept(edit: impl Fn(&mut Swept)) -> Swept {
    let mut swept = Swept::default();
    edit(&mut swept);
    swept
}

/// Row 18, and csms.md 1.7: once per update of the expiry.
#[test]
fn an_expiry_is_told_once_for_each_time_it_is_set() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let none = Swept::default();
    assert_eq!(fresh.sweep().unwrap(), none, "nothing expires");
    fresh.update_version(&secret, &v(1).into(), in_days(31)).unwrap();
    assert_eq!(fresh.sweep().unwrap(), none, "31 days before");
    clock.advance_ms(DAY_MS);
    let updated = fresh.secret(&secret).unwrap().updated();
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.near_expiry = 1), "30 days before");
    assert_eq!(fresh.secret(&secret).unwrap().updated(), updated, "an event is no update");
    assert_eq!(fresh.sweep().unwrap(), none, "told");
    clock.advance_ms(30 * DAY_MS);
    let fresh = fresh.reopened_with(builder().clock(clock.clone()));
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.expired = 1));
    let before = seq(&fresh);
    assert_eq!((fresh.sweep().unwrap(), seq(&fresh)), (none, before), "told, nothing written");
    assert_eq!(current(&fresh, &secret), "one", "row 18: it can be read all the same");
    // Set anew: less than 30 days ahead, so both are told again.
    fresh.update_version(&secret, &v(1).into(), in_days(33)).unwrap();
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.near_expiry = 1));
    clock.advance_ms(9 * DAY_MS);
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.expired = 1));
    clock.advance_ms(-9 * DAY_MS);
    assert_eq!(fresh.sweep().unwrap(), none, "a clock that is set back");
}

#[test]
fn what_is_told_depends_on_the_settings_the_state_and_what_came_first() {
    let rows: &[(&str, u32, Option<SecretState>, i64, Swept)] = &[
        ("near", 30, None, 20, swept(|it| it.near_expiry = 1)),
        ("near is off", 0, None, 20, Swept::default()),
        ("a week is not near", 7, None, 20, Swept::default()),
        ("both are due", 30, None, 50, swept(|it| it.expired = 1)),
        ("disabled", 30, Some(SecretState::Disabled), 50, swept(|it| it.expired = 1)),
        ("frozen", 30, Some(SecretState::Frozen), 50, Swept::default()),
    ];
    for (what, near, state, days, want) in rows {
        let clock = ManualClock::at(Timestamp::from_millis(START_MS));
        let fresh = Fresh::with(builder().clock(clock.clone()).near_expiry_days(*near));
        let secret = create(&fresh, "s");
        fresh.update_version(&secret, &v(1).into(), in_days(40)).unwrap();
        if let Some(state) = state {
            fresh.set_state(&secret, *state).unwrap();
        }
        clock.advance_ms(days * DAY_MS);
        assert_eq!(&fresh.sweep().unwrap(), want, "case: {what}");
        assert_eq!(fresh.sweep().unwrap(), Swept::default(), "case: {what}, again");
        fresh.set_state(&secret, SecretState::Enabled).unwrap();
        let thawed = if *state == Some(SecretState::Frozen) { 1 } else { 0 };
        assert_eq!(fresh.sweep().unwrap().expired, thawed, "case: {what}, row 76");
    }
}

/// Row 18 the other way, for stores that want it.
#[test]
fn validity_is_enforced_where_it_is_asked_for() {
    for enforce in [false, true] {
        let clock = ManualClock::at(Timestamp::from_millis(START_MS));
        let fresh = Fresh::with(builder().clock(clock.clone()).enforce_validity(enforce));
        let secret = create(&fresh, "s");
        let new = NewVersion::new(text("two")).not_before(in_days(1)).expires(in_days(2));
        let made = fresh.put_version(&secret, new).unwrap();
        assert_eq!(made.not_before(), Some(Timestamp::from_millis(START_MS + DAY_MS + 750)));
        let want = |refusal| enforce.then_some(refusal);
        let read = |expected: Option<VersionRefusal>, what: &str| {
            assert_eq!(refusal(fresh.get(&secret)), expected, "case: get {what}");
            for reference in [VersionRef::Latest, v(2).into(), Stage::Current.into()] {
                let got = refusal(fresh.version(&secret, &reference));
                assert_eq!(got, expected, "case: {reference} {what}");
            }
        };
        read(want(VersionRefusal::NotYet), "before its time");
        assert_eq!(refusal(fresh.version(&secret, &v(1).into())), None);
        clock.advance_ms(DAY_MS + 750);
        read(None, "in its time");
        clock.advance_ms(DAY_MS - 1001);
        read(None, "just before its end");
        clock.advance_ms(1);
        read(want(VersionRefusal::Expired), "at its end");
        fresh.update_version(&secret, &v(2).into(), Timestamp::from_millis(0)).unwrap();
        read(None, "without an end");
    }
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let backwards = NewVersion::new(text("x"))
        .not_before(Timestamp::from_millis(9_000_000_000_000))
        .expires(Timestamp::from_millis(8_000_000_000_000));
    assert_eq!(kind_of(fresh.put_version(&secret, backwards)), ErrorKind::InvalidArgument);
    assert_eq!(picture(&fresh, &secret), "v1[SYSCURRENT]");
}

/// The first use can be put off and brought forward, alone or together with the expiry.
#[test]
fn the_first_use_of_a_version_is_changed_beside_its_expiry() {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    let fresh = Fresh::with(builder().clock(clock.clone()).enforce_validity(true));
    let secret = create(&fresh, "s");
    let change = |store: &SecretStore, update: VersionUpdate| {
        store.update_version_with(&secret, &VersionRef::Latest, &update)
    };
    let update = VersionUpdate::new;
    let shown = change(&fresh, update().not_before(in_days(2))).unwrap();
    let up = |days: i64| Some(Timestamp::from_millis(START_MS + days * DAY_MS + 750));
    assert_eq!((shown.not_before(), shown.expires()), (up(2), None));
    assert_eq!(refusal(fresh.get(&secret)), Some(VersionRefusal::NotYet), "from the cache");
    let before = seq(&fresh);
    change(&fresh, update().not_before(in_days(2))).unwrap();
    change(&fresh, update()).unwrap();
    assert_eq!(seq(&fresh), before, "an update that changes nothing writes nothing");
    let shown = change(&fresh, update().not_before(in_days(3)).expires(in_days(5))).unwrap();
    let down = |days: i64| Some(in_days(days).whole_seconds());
    assert_eq!((shown.not_before(), shown.expires()), (up(3), down(5)));
    assert_eq!(seq(&fresh), before + 1, "both in one step");
    let fresh = fresh.reopened_with(builder().clock(clock).enforce_validity(true));
    let shown = change(&fresh, update().not_before(Timestamp::from_millis(0))).unwrap();
    assert_eq!((shown.not_before(), shown.expires()), (None, down(5)), "0 is for always");
    assert_eq!(refusal(fresh.get(&secret)), None);
    // In the past: at once. The expiry was not set anew, so of it nothing is told anew.
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.near_expiry = 1));
    change(&fresh, update().not_before(in_days(-1))).unwrap();
    assert_eq!(refusal(fresh.get(&secret)), None);
    assert_eq!(fresh.sweep().unwrap(), Swept::default());
    fresh.verify().unwrap();
}

/// Each of the two times may be set alone, so each call must look at the other one.
#[test]
fn a_version_never_expires_before_it_may_be_used_whichever_time_is_set_last() {
    let (fresh, _) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let late = NewVersion::new(text("two")).not_before(in_days(10));
    fresh.put_version(&secret, late).unwrap();
    let update = VersionUpdate::new;
    let before = seq(&fresh);
    let change = |update| fresh.update_version_with(&secret, &VersionRef::Latest, &update);
    let refused = [
        ("an expiry before", fresh.update_version(&secret, &VersionRef::Latest, in_days(9))),
        ("at the same second", fresh.update_version(&secret, &VersionRef::Latest, in_days(10))),
        ("both, backwards", change(update().not_before(in_days(3)).expires(in_days(2)))),
        ("out of range", change(update().not_before(Timestamp::from_millis(-1)))),
        (
            "beyond 13 digits",
            change(update().not_before(Timestamp::from_millis(10_000_000_000_000))),
        ),
    ];
    for (what, got) in refused {
        assert_eq!(kind_of(got), ErrorKind::InvalidArgument, "case: {what}");
    }
    assert_eq!(seq(&fresh), before);
    change(update().not_before(in_days(3)).expires(in_days(4))).unwrap();
    let after = change(update().not_before(in_days(4)));
    assert_eq!(kind_of(after), ErrorKind::InvalidArgument, "a first use behind the expiry");
    assert!(change(update().expires(Timestamp::from_millis(0))).is_ok(), "it never expires");
    assert!(change(update().not_before(in_days(4))).is_ok());
}

#[test]
fn a_disabled_version_is_not_read_until_it_is_enabled_again() {
    let fresh = Fresh::new();
    let secret = of_three(&fresh, "s");
    for version in [1, 3] {
        assert_eq!(fresh.get(&secret).unwrap().id(), v(3));
        let shown = fresh.disable_version(&secret, v(version)).unwrap();
        assert_eq!(shown.state(), VersionState::Disabled);
        let before = seq(&fresh);
        fresh.disable_version(&secret, v(version)).unwrap();
        assert_eq!(seq(&fresh), before, "it is so already");
        let got = refusal(fresh.version(&secret, &v(version).into()));
        assert_eq!(got, Some(VersionRefusal::Disabled));
    }
    assert_eq!(refusal(fresh.get(&secret)), Some(VersionRefusal::Disabled), "from the cache");
    let fresh = fresh.reopened();
    assert_eq!(refusal(fresh.get(&secret)), Some(VersionRefusal::Disabled), "read anew");
    assert_eq!(refusal(fresh.version(&secret, &v(2).into())), None, "only that one");
    fresh.move_stage(&secret, &stage("blue"), v(1)).unwrap();
    fresh.enable_version(&secret, v(3)).unwrap();
    assert_eq!(fresh.get(&secret).unwrap().id(), v(3));
    assert_eq!(fresh.verify().unwrap().versions, 3);
}

/// Whatever way leads to a value or puts a label on it, a version's state is looked at.
#[test]
fn several_at_once_are_admitted_like_one() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let (closed, open) = (create(&fresh, "closed"), of_three(&fresh, "open"));
    let gone = create(&fresh, "gone");
    fresh.disable_version(&closed, v(1)).unwrap();
    fresh.destroy_version(&open, v(1)).unwrap();
    fresh.schedule_deletion(&gone, strongroom::RecoveryWindow::SHORTEST).unwrap();
    clock.advance_ms(7 * DAY_MS);
    let values = fresh.get_many(&[closed, open.clone(), gone.clone()]).unwrap();
    let refused = values.refused().map(|refused| refused.error().kind());
    let refused: Vec<ErrorKind> = refused.collect();
    assert_eq!(refused, [ErrorKind::VersionState, ErrorKind::NotFound]);
    clock.advance_ms(-7 * DAY_MS);
    assert_eq!(kind_of(fresh.secret(&gone)), ErrorKind::NotFound, "removed for good");
    let moves = [strongroom::StageMove::new(open, stage("blue"), v(1))];
    assert_eq!(refusal(fresh.move_stages(&moves)), Some(VersionRefusal::Destroyed));
}

/// The way out when a password has leaked: the old version is closed, and a new one is made.
#[test]
fn a_secret_whose_current_version_is_disabled_can_be_rotated() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    fresh.disable_version(&secret, v(1)).unwrap();
    assert_eq!(fresh.rotate(&secret).unwrap().version_id(), v(2));
    assert!(fresh.get(&secret).is_ok());
    assert_eq!(state_of(&fresh, &secret, 1), VersionState::Disabled);
}

#[test]
fn a_destroyed_version_is_gone_but_for_its_row() {
    let fresh = Fresh::new();
    let secret = of_three(&fresh, "s");
    for labelled in [2, 3] {
        let got = refusal(fresh.destroy_version(&secret, v(labelled)));
        assert_eq!(got, Some(VersionRefusal::Labelled), "case: v{labelled}");
    }
    assert!(fresh.version(&secret, &v(1).into()).is_ok(), "so that it is in the caches");
    let shown = fresh.destroy_version(&secret, v(1)).unwrap();
    assert_eq!(shown.state(), VersionState::Destroyed);
    let before = seq(&fresh);
    fresh.destroy_version(&secret, v(1)).unwrap();
    assert_eq!(seq(&fresh), before, "it is so already");
    let mut fresh = fresh;
    for what in ["at once", "after reopening"] {
        let refused = [
            refusal(fresh.version(&secret, &v(1).into())),
            refusal(fresh.enable_version(&secret, v(1))),
            refusal(fresh.disable_version(&secret, v(1))),
            refusal(fresh.update_version(&secret, &v(1).into(), in_days(99_000))),
            refusal(fresh.move_stage(&secret, &stage("blue"), v(1))),
            refusal(fresh.move_stage(&secret, &Stage::Current, v(1))),
            refusal(fresh.schedule_destruction(&secret, v(1), in_days(99_000))),
            refusal(fresh.cancel_destruction(&secret, v(1))),
        ];
        assert_eq!(refused, [Some(VersionRefusal::Destroyed); 8], "case: {what}");
        assert_eq!(picture(&fresh, &secret), "v1 v2[SYSPREVIOUS] v3[SYSCURRENT]");
        assert_eq!(fresh.verify().unwrap().versions, 2, "case: {what}: values on the disk");
        fresh = fresh.reopened();
    }
    assert_eq!(seq(&fresh), before);
    // It makes room like any other version without a label, and goes with its secret.
    let limits = Limits::default().with_versions_max(3).unwrap();
    let fresh = fresh.reopened_with(builder().limits(limits));
    put(&fresh, &secret, "");
    assert_eq!(picture(&fresh, &secret), "v2 v3[SYSPREVIOUS] v4[SYSCURRENT]");
    fresh.destroy_version(&secret, v(2)).unwrap();
    fresh.delete_secret(&secret).unwrap();
    let verified = fresh.verify().unwrap();
    assert_eq!((verified.secrets, verified.versions), (0, 0));
}

/// A store with a destroyed version is whole, and what is written from it is too.
#[test]
fn salvage_takes_a_destroyed_version_for_what_it_is() {
    let fresh = Fresh::new();
    let secret = of_three(&fresh, "s");
    fresh.destroy_version(&secret, v(1)).unwrap();
    let pending = create(&fresh, "pending");
    fresh.schedule_deletion(&pending, strongroom::RecoveryWindow::default()).unwrap();
    let Fresh { store, path, dir } = fresh;
    store.close().unwrap();
    let salvage = builder().salvage(&path).unwrap();
    assert!(salvage.is_whole(), "{salvage}");
    let rows = salvage.versions(&secret).unwrap();
    assert_eq!(rows.iter().map(|row| row.id().number()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(rows[0].state(), VersionState::Destroyed);
    let copy = salvage.write_to(dir.path().join("copy")).unwrap();
    assert_eq!(copy.verify().unwrap().versions, 3);
    let got = refusal(copy.version(&secret, &v(1).into()));
    assert_eq!(got, Some(VersionRefusal::Destroyed));
    assert_eq!(copy.secret(&pending).unwrap().state(), SecretState::PendingDeletion);
    assert_eq!(copy.get(&secret).unwrap().id(), v(3));
}

#[test]
fn a_scheduled_destruction_happens_at_its_time_unless_the_version_is_in_use() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = of_three(&fresh, "s");
    for wrong in [START_MS, 0, -1, 10_000_000_000_000] {
        let asked = fresh.schedule_destruction(&secret, v(1), Timestamp::from_millis(wrong));
        assert_eq!(kind_of(asked), ErrorKind::InvalidArgument, "case: {wrong}");
    }
    let got = refusal(fresh.schedule_destruction(&secret, v(3), in_days(1)));
    assert_eq!(got, Some(VersionRefusal::Labelled));
    let shown = fresh.schedule_destruction(&secret, v(1), in_days(1)).unwrap();
    assert_eq!(shown.scheduled_destruction(), Some(in_days(1).whole_seconds()));
    assert_eq!(fresh.next_due().unwrap(), shown.scheduled_destruction());
    // Cancelled, and again.
    assert_eq!(fresh.cancel_destruction(&secret, v(1)).unwrap().scheduled_destruction(), None);
    assert_eq!(fresh.next_due().unwrap(), None);
    fresh.schedule_destruction(&secret, v(1), in_days(1)).unwrap();
    fresh.move_stage(&secret, &stage("blue"), v(1)).unwrap();
    clock.advance_ms(2 * DAY_MS);
    assert_eq!(fresh.sweep().unwrap(), Swept::default(), "it is in use");
    assert!(fresh.version(&secret, &v(1).into()).is_ok());
    fresh.delete_stage(&secret, &stage("blue")).unwrap();
    assert_eq!(fresh.next_due().unwrap(), shown.scheduled_destruction(), "out of use");
    let fresh = fresh.reopened_with(builder().clock(clock));
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.destructions = 1));
    assert_eq!(state_of(&fresh, &secret, 1), VersionState::Destroyed);
}

/// Not only a sweep: the first call that meets it.
#[test]
fn the_first_access_after_its_time_destroys_a_version_for_good() {
    type Call = fn(&SecretStore, &SecretName);
    let calls: &[(&str, Call, bool)] = &[
        (
            "read it",
            |s, n| {
                let got = refusal(s.version(n, &v(1).into()));
                assert_eq!(got, Some(VersionRefusal::Destroyed));
            },
            true,
        ),
        ("list", |s, n| assert_eq!(state_of(s, n, 1), VersionState::Destroyed), true),
        ("show a label", |s, n| drop(s.stage(n, &Stage::Current).unwrap()), true),
        (
            "label it",
            |s, n| {
                let got = refusal(s.move_stage(n, &stage("blue"), v(1)));
                assert_eq!(got, Some(VersionRefusal::Destroyed));
            },
            false,
        ),
        (
            "cancel",
            |s, n| {
                let got = refusal(s.cancel_destruction(n, v(1)));
                assert_eq!(got, Some(VersionRefusal::Destroyed));
            },
            false,
        ),
    ];
    for (what, call, for_good) in calls {
        let (fresh, clock) = Fresh::at_a_standstill();
        let secret = of_three(&fresh, "s");
        fresh.schedule_destruction(&secret, v(1), in_days(1)).unwrap();
        clock.advance_ms(DAY_MS);
        call(&fresh, &secret);
        if *for_good {
            clock.advance_ms(-DAY_MS);
            assert_eq!(fresh.verify().unwrap().versions, 2, "case: {what}");
            assert_eq!(state_of(&fresh, &secret, 1), VersionState::Destroyed, "case: {what}");
        }
    }
}

#[test]
fn a_secret_keeps_as_many_versions_as_it_says_and_all_that_bear_a_label() {
    let fresh = Fresh::new();
    let retention = Retention::default().with_versions(3).unwrap();
    fresh.create_secret(NewSecret::new(name("s"), text("one")).retention(retention)).unwrap();
    let secret = name("s");
    assert_eq!(fresh.secret(&secret).unwrap().retention(), retention);
    for labels in ["", "", "", "blue", "green", ""] {
        put(&fresh, &secret, labels);
    }
    let want = "v4[SYSPREVIOUS] v5[blue] v6[green] v7[SYSCURRENT]";
    assert_eq!(picture(&fresh, &secret), want, "labelled ones beyond the three stay");
    assert_eq!(fresh.verify().unwrap().versions, 4);
    fresh.update_secret(&secret, &SecretUpdate::new().retention(Retention::default())).unwrap();
    put(&fresh, &secret, "");
    put(&fresh, &secret, "");
    let fresh = fresh.reopened();
    let want = "v4 v5[blue] v6[green] v7 v8[SYSPREVIOUS] v9[SYSCURRENT]";
    assert_eq!(picture(&fresh, &secret), want, "as the store allows");
}

/// Who keeps fewer versions from now on expects the others to be gone when the call returns.
#[test]
fn a_lower_retention_takes_old_versions_at_once_and_never_a_labelled_one() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    for labels in ["", "blue", "", "", "", ""] {
        clock.advance_ms(DAY_MS);
        put(&fresh, &secret, labels);
    }
    let all = "v1 v2 v3[blue] v4 v5 v6[SYSPREVIOUS] v7[SYSCURRENT]";
    assert_eq!(picture(&fresh, &secret), all);
    let keep = |retention: Retention| {
        fresh.update_secret(&secret, &SecretUpdate::new().retention(retention)).unwrap()
    };
    let versions = |count| Retention::default().with_versions(count).unwrap();
    keep(versions(10));
    assert_eq!(picture(&fresh, &secret), all, "more than there are");
    let before = seq(&fresh);
    assert_eq!(keep(versions(5)).retention(), versions(5));
    assert_eq!(picture(&fresh, &secret), "v3[blue] v4 v5 v6[SYSPREVIOUS] v7[SYSCURRENT]");
    assert_eq!(seq(&fresh), before + 1, "in the step that sets it");
    let log = fresh.audit(&AuditQuery::new().newest_first().limit(1)).unwrap();
    let told = (log.items()[0].operation().as_str(), log.items()[0].detail());
    assert_eq!(told, ("updateSecret", "2 versions dropped"));
    assert_eq!(fresh.verify().unwrap().versions, 5, "their values are gone");
    let gone = fresh.version(&secret, &v(2).into());
    assert_eq!(kind_of(gone), ErrorKind::NotFound);
    // By age: v4 is 3 days old, v5 is 2, and the labelled one is the oldest of all.
    keep(versions(5).with_days(3).unwrap());
    assert_eq!(picture(&fresh, &secret), "v3[blue] v5 v6[SYSPREVIOUS] v7[SYSCURRENT]");
    // The same again, after another one has become old enough, and before anything swept.
    fresh.move_stage(&secret, &stage("green"), v(6)).unwrap();
    clock.advance_ms(DAY_MS);
    let updated = fresh.secret(&secret).unwrap().updated();
    keep(versions(5).with_days(3).unwrap());
    assert_eq!(picture(&fresh, &secret), "v3[blue] v6[SYSPREVIOUS green] v7[SYSCURRENT]");
    assert!(fresh.secret(&secret).unwrap().updated() > updated);
    put(&fresh, &secret, "more");
    put(&fresh, &secret, "more");
    keep(versions(2));
    let labelled = "v3[blue] v6[SYSPREVIOUS green] v7[SYSCURRENT] v9[more]";
    assert_eq!(picture(&fresh, &secret), labelled);
    let before = seq(&fresh);
    keep(versions(2));
    assert_eq!(seq(&fresh), before);
    assert_eq!(fresh.sweep().unwrap(), Swept::default(), "nothing is left for it");
    let fresh = fresh.reopened();
    assert_eq!(picture(&fresh, &secret), labelled);
    assert_eq!(fresh.verify().unwrap().versions, 4);
}

#[test]
fn versions_without_a_label_go_when_they_are_old_enough() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let retention = Retention::default().with_days(10).unwrap();
    fresh.update_secret(&secret, &SecretUpdate::new().retention(retention)).unwrap();
    for labels in ["blue", "", ""] {
        clock.advance_ms(DAY_MS);
        put(&fresh, &secret, labels);
    }
    assert_eq!(picture(&fresh, &secret), "v1 v2[blue] v3[SYSPREVIOUS] v4[SYSCURRENT]");
    clock.advance_ms(7 * DAY_MS - 1);
    assert_eq!(fresh.sweep().unwrap(), Swept::default(), "9 days and some");
    clock.advance_ms(1);
    assert_eq!(fresh.next_due().unwrap(), Some(in_days(10)));
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.outlived = 1));
    assert_eq!(picture(&fresh, &secret), "v2[blue] v3[SYSPREVIOUS] v4[SYSCURRENT]");
    clock.advance_ms(100 * DAY_MS);
    assert_eq!(fresh.sweep().unwrap(), Swept::default(), "all bear labels");
    // A new version does it by itself.
    put(&fresh, &secret, "");
    assert_eq!(picture(&fresh, &secret), "v2[blue] v4[SYSPREVIOUS] v5[SYSCURRENT]");
    assert_eq!(fresh.verify().unwrap().versions, 3);
}

#[test]
fn a_sweep_does_what_is_due_in_order_of_time_whichever_secret_it_is_of() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let (a, b) = (of_three(&fresh, "a"), of_three(&fresh, "b"));
    for (secret, version, days) in [(&a, 1, 1), (&b, 1, 2), (&a, 2, 3)] {
        if version == 2 {
            fresh.move_stage(secret, &Stage::Previous, v(3)).unwrap();
        }
        fresh.schedule_destruction(secret, v(version), in_days(days)).unwrap();
    }
    clock.advance_ms(4 * DAY_MS);
    let before = fresh.position().unwrap();
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.destructions = 3));
    let told = fresh.audit(&AuditQuery::new().marker(before)).unwrap();
    let told: Vec<String> = told
        .items()
        .iter()
        .map(|it| format!("{} {}", it.secret_name().unwrap(), it.version().unwrap()))
        .collect();
    assert_eq!(told, ["a v1", "b v1", "a v2"]);
}

/// A lower number takes what is beyond it at once; a version that loses its label later is left to the sweep.
#[test]
fn a_sweep_drops_what_is_beyond_the_number_that_is_kept() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = of_three(&fresh, "s");
    for labels in ["", "blue", ""] {
        put(&fresh, &secret, labels);
    }
    let retention = Retention::default().with_versions(3).unwrap();
    fresh.update_secret(&secret, &SecretUpdate::new().retention(retention)).unwrap();
    assert_eq!(picture(&fresh, &secret), "v4[SYSPREVIOUS] v5[blue] v6[SYSCURRENT]");
    put(&fresh, &secret, "red");
    assert_eq!((fresh.next_due().unwrap(), fresh.sweep().unwrap()), (None, Swept::default()));
    fresh.delete_stage(&secret, &stage("blue")).unwrap();
    assert!(fresh.next_due().unwrap().is_some());
    // Versions stored at one moment were made a millisecond apart.
    clock.advance_ms(1000);
    assert_eq!(fresh.sweep().unwrap(), swept(|it| it.outlived = 1));
    assert_eq!(picture(&fresh, &secret), "v4[SYSPREVIOUS] v6[SYSCURRENT] v7[red]");
    assert_eq!((fresh.next_due().unwrap(), fresh.sweep().unwrap()), (None, Swept::default()));
    fresh.verify().unwrap();
}

/// Whether the sweep comes between the two or after both.
#[test]
fn that_a_version_expired_is_not_told_after_it_was_destroyed() {
    for between in [false, true] {
        let (fresh, clock) = Fresh::at_a_standstill();
        let secret = of_three(&fresh, "s");
        fresh.update_version(&secret, &v(1).into(), in_days(2)).unwrap();
        fresh.sweep().unwrap();
        fresh.schedule_destruction(&secret, v(1), in_days(1)).unwrap();
        clock.advance_ms(DAY_MS);
        let first = if between { fresh.sweep().unwrap().destructions } else { 0 };
        clock.advance_ms(DAY_MS);
        let last = fresh.sweep().unwrap();
        assert_eq!((first + last.destructions, last.expired), (1, 0), "case: {between}");
    }
}

/// csms.md 8.5 has no states of versions; of two reasons, the one that lasts is told.
#[test]
fn a_disabled_version_that_is_due_to_be_destroyed_is_destroyed_when_it_is_read() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = of_three(&fresh, "s");
    fresh.schedule_destruction(&secret, v(1), in_days(1)).unwrap();
    fresh.disable_version(&secret, v(1)).unwrap();
    assert_eq!(refusal(fresh.version(&secret, &v(1).into())), Some(VersionRefusal::Disabled));
    clock.advance_ms(DAY_MS);
    assert_eq!(refusal(fresh.version(&secret, &v(1).into())), Some(VersionRefusal::Destroyed));
    clock.advance_ms(-DAY_MS);
    assert_eq!(state_of(&fresh, &secret, 1), VersionState::Destroyed, "it is so for good");
}
