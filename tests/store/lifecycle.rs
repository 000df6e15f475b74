//! The states of a secret. Row numbers are those of csms.md 8.2; the table of 8.5 stands in full.

use strongroom::{
    ErrorKind, ListSecrets, Preconditions, RecoveryWindow, RotateOptions, SecretState,
    SecretUpdate, StateRefusal, Tag, TagFilter, VersionRef,
    testing::{Fault, FaultyDisk, Operation},
};

use std::sync::Arc;

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn window(days: u32) -> RecoveryWindow {
    RecoveryWindow::from_days(days).unwrap()
}

fn millis(at: Timestamp) -> i64 {
    at.as_millis()
}

/// Brings a secret into a state.
fn bring(store: &SecretStore, secret: &SecretName, state: SecretState) {
    match state {
        SecretState::PendingDeletion => {
            store.schedule_deletion(secret, RecoveryWindow::default()).unwrap();
        }
        state => drop(store.set_state(secret, state).unwrap()),
    }
}

/// What a call comes to: `ok`, the refusal of a state, or the kind of another error.
fn outcome<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(Error::SecretState { refusal, .. }) => format!("{refusal:?}"),
        Err(err) => format!("{:?}", err.kind()),
    }
}

type Call = fn(&SecretStore, &SecretName) -> Result<(), Error>;

/// Every call on a secret, and what it comes to in each state of 8.5: missing, enabled, disabled, to be
/// deleted, frozen. `NotEnabled` is CSMS.0109, `PendingDeletion` 0103, `AlreadyScheduled` 0107,
/// `NotScheduled` 0108, `Constraint` of a label 0105.
const TABLE: &[(&str, Call, [&str; 5])] = &[
    ("ShowSecret", |s, n| s.secret(n).map(drop), ["NotFound", "ok", "ok", "ok", "ok"]),
    (
        "ListSecretVersions",
        |s, n| s.versions(n, &ListVersions::new()).map(drop),
        ["NotFound", "ok", "ok", "ok", "ok"],
    ),
    (
        "ShowSecretStage",
        |s, n| s.stage(n, &Stage::Current).map(drop),
        ["NotFound", "ok", "ok", "ok", "ok"],
    ),
    (
        "ShowSecretVersion, current",
        |s, n| s.get(n).map(drop),
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "ShowSecretVersion, latest",
        |s, n| s.version(n, &VersionRef::Latest).map(drop),
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "ShowSecretVersion, by number",
        |s, n| s.version(n, &v(1).into()).map(drop),
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "UpdateSecret",
        |s, n| s.update_secret(n, &SecretUpdate::new().description("new".parse()?)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "UpdateSecret without fields",
        |s, n| s.update_secret(n, &SecretUpdate::new()).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "CreateSecretVersion",
        |s, n| s.put_version(n, NewVersion::new(account("x"))).map(drop),
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "UpdateVersion",
        |s, n| {
            s.update_version(n, &v(1).into(), Timestamp::from_millis(9_999_999_999_000)).map(drop)
        },
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "UpdateSecretStage",
        |s, n| s.move_stage(n, &stage("blue"), v(1)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "UpdateSecretStage SYSCURRENT",
        |s, n| s.move_stage(n, &Stage::Current, v(1)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "DeleteSecretStage",
        |s, n| s.delete_stage(n, &stage("green")),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "DeleteSecretStage SYSCURRENT",
        |s, n| s.delete_stage(n, &Stage::Current),
        ["NotFound", "Constraint", "Constraint", "Constraint", "Constraint"],
    ),
    (
        "DeleteSecretStage SYSPREVIOUS",
        |s, n| s.delete_stage(n, &Stage::Previous),
        ["NotFound", "Constraint", "Constraint", "Constraint", "Constraint"],
    ),
    (
        "RotateSecret",
        |s, n| s.rotate(n).map(drop),
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    ("DeleteSecret", |s, n| s.delete_secret(n), ["NotFound", "ok", "ok", "ok", "ok"]),
    (
        "DeleteSecretForSchedule",
        |s, n| s.schedule_deletion(n, RecoveryWindow::default()).map(drop),
        ["NotFound", "ok", "ok", "AlreadyScheduled", "NotEnabled"],
    ),
    (
        "RestoreSecret",
        |s, n| s.cancel_deletion(n).map(drop),
        ["NotFound", "NotScheduled", "NotScheduled", "ok", "NotScheduled"],
    ),
    ("ListSecretTags", |s, n| s.tags(n).map(drop), ["NotFound", "ok", "ok", "ok", "ok"]),
    (
        "CreateSecretTag",
        |s, n| s.add_tag(n, Tag::new("a", "b")?),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "BatchCreateOrDeleteTags",
        |s, n| s.remove_tags(n, [TagFilter::any("a".parse()?)]),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "DeleteSecretTag",
        |s, n| s.remove_tag(n, &"there".parse()?),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    // Calls that CSMS lacks.
    (
        "set a state",
        |s, n| s.set_state(n, SecretState::Enabled).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "ok"],
    ),
    ("protect", |s, n| s.protect_from_purge(n).map(drop), ["NotFound", "ok", "ok", "ok", "ok"]),
    (
        "disable a version",
        |s, n| s.disable_version(n, v(2)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "enable a version",
        |s, n| s.enable_version(n, v(2)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "destroy a version",
        |s, n| s.destroy_version(n, v(1)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "schedule a version's destruction",
        |s, n| s.schedule_destruction(n, v(1), Timestamp::from_millis(9_999_999_999_000)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "cancel a version's destruction",
        |s, n| s.cancel_destruction(n, v(1)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
];

const STATES: [Option<SecretState>; 5] = [
    None,
    Some(SecretState::Enabled),
    Some(SecretState::Disabled),
    Some(SecretState::PendingDeletion),
    Some(SecretState::Frozen),
];

/// The table of 8.5 with rows 29 to 34 of 8.2 and 67 of 8.3: a call that is refused writes nothing.
#[test]
fn what_each_state_allows_is_the_table_of_csms_8_5() {
    let fresh = Fresh::new();
    for (row, (what, call, wanted)) in TABLE.iter().enumerate() {
        for (column, (state, want)) in STATES.into_iter().zip(wanted).enumerate() {
            let secret = name(&format!("s{row}-{column}"));
            if let Some(state) = state {
                create_rotatable(&fresh, secret.as_str());
                for labels in ["", "", "green"] {
                    let new = NewVersion::new(account("more")).stages(stages(labels));
                    fresh.put_version(&secret, new).unwrap();
                }
                fresh.add_tag(&secret, Tag::new("there", "").unwrap()).unwrap();
                bring(&fresh, &secret, state);
            }
            let before = seq(&fresh);
            let got = outcome(call(&fresh, &secret));
            assert_eq!(got, *want, "case: {what} of a secret that is {state:?}");
            assert!(got == "ok" || seq(&fresh) == before, "case: {what}, {state:?} wrote");
        }
    }
    fresh.verify().unwrap();
}

/// Row 33, and the words of the states.
#[test]
fn cancelling_a_deletion_gives_back_the_state_before() {
    let (fresh, clock) = Fresh::at_a_standstill();
    for state in [SecretState::Enabled, SecretState::Disabled] {
        let secret = create(&fresh, &format!("s-{state}"));
        bring(&fresh, &secret, state);
        let pending = fresh.schedule_deletion(&secret, window(7)).unwrap();
        assert_eq!(pending.state().as_str(), "PENDING_DELETE");
        let at = pending.scheduled_deletion().unwrap();
        assert_eq!(millis(at), (START_MS + 7 * DAY_MS) / 1000 * 1000);
        clock.advance_ms(DAY_MS);
        let back = fresh.cancel_deletion(&secret).unwrap();
        assert_eq!((back.state(), back.scheduled_deletion()), (state, None));
        assert_eq!(fresh.secret(&secret).unwrap(), back);
        clock.advance_ms(-DAY_MS);
    }
    clock.advance_ms(40 * DAY_MS);
    assert_eq!(fresh.names(&ListSecrets::new()).unwrap().items().len(), 2, "no window goes on");
}

/// Rows 26, 27, 31 and 35.
#[test]
fn a_secret_goes_at_the_moment_and_not_before() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let id = fresh.secret(&secret).unwrap().id();
    fresh.schedule_deletion(&secret, window(30)).unwrap();
    clock.advance_ms(30 * DAY_MS - 1);
    assert_eq!(fresh.secret(&secret).unwrap().state(), SecretState::PendingDeletion, "row 31");
    assert_eq!(fresh.secrets(&ListSecrets::new()).unwrap().items().len(), 1, "row 31");
    let again = || fresh.create_secret(NewSecret::new(name("s"), text("new")));
    assert_eq!(kind_of(again()), ErrorKind::AlreadyExists, "row 26");
    clock.advance_ms(1);
    let made = again().unwrap();
    assert_eq!(made.current_version(), Some(v(1)), "row 27: versions begin anew");
    assert_ne!(made.id(), id);
    assert_eq!(current(&fresh, &secret), "new");
    clock.advance_ms(-60 * DAY_MS);
    assert_eq!(current(&fresh, &secret), "new", "a clock that is set back");
    assert_eq!(fresh.verify().unwrap().versions, 1);
}

/// Row 35: whatever the first access is, it finds the secret gone, and the clock cannot bring it back.
#[test]
fn any_first_access_after_the_time_finds_the_secret_gone() {
    let list: Call = |s, _| {
        assert!(s.secrets(&ListSecrets::new()).unwrap().items().is_empty());
        s.secret(&name("other")).map(drop)
    };
    let names: Call = |s, _| {
        assert!(s.names(&ListSecrets::new()).unwrap().items().is_empty());
        s.secret(&name("other")).map(drop)
    };
    let sweep: Call = |s, n| {
        assert_eq!(s.sweep().unwrap().deletions, 1);
        s.secret(n).map(drop)
    };
    let calls = TABLE.iter().map(|(what, call, _)| (*what, *call));
    let more = [("secrets", list), ("names", names), ("sweep", sweep)];
    for (what, call) in calls.chain(more) {
        let (fresh, clock) = Fresh::at_a_standstill();
        let secret = create(&fresh, "s");
        put(&fresh, &secret, "green");
        fresh.schedule_deletion(&secret, window(7)).unwrap();
        fresh.secrets(&ListSecrets::new()).unwrap();
        let fresh = fresh.reopened_with(builder().clock(clock.clone()));
        clock.advance_ms(7 * DAY_MS);
        let before = seq(&fresh);
        assert_eq!(outcome(call(&fresh, &secret)), "NotFound", "case: {what}");
        assert_eq!(seq(&fresh), before + 1, "case: {what}: it is removed for good, in one commit");
        clock.advance_ms(-7 * DAY_MS);
        assert_eq!(outcome(fresh.secret(&secret)), "NotFound", "case: {what}, clock set back");
        assert!(fresh.names(&ListSecrets::new()).unwrap().items().is_empty(), "case: {what}");
        let verified = fresh.verify().unwrap();
        assert_eq!((verified.secrets, verified.versions), (0, 0), "case: {what}");
    }
}

/// Row 35 with a quota, and with many created at once.
#[test]
fn what_is_due_counts_neither_for_the_quota_nor_for_names() {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    let limits = Limits::default().with_secrets_max(Some(2));
    let fresh = Fresh::with(builder().clock(clock.clone()).limits(limits));
    let (old, _) = (create(&fresh, "old"), create(&fresh, "kept"));
    fresh.schedule_deletion(&old, window(7)).unwrap();
    let third = || fresh.create_secret(NewSecret::new(name("third"), text("x")));
    assert_eq!(kind_of(third()), ErrorKind::LimitExceeded);
    clock.advance_ms(7 * DAY_MS);
    third().unwrap();

    let fresh = fresh.reopened_with(builder().clock(clock.clone()));
    fresh.schedule_deletion(&name("third"), window(7)).unwrap();
    clock.advance_ms(7 * DAY_MS);
    let loaded = fresh.create_secrets([NewSecret::new(name("third"), text("again"))]).unwrap();
    assert_eq!(loaded.created(), 1);
    assert_eq!(current(&fresh, &name("third")), "again");
}

/// A disk that takes no more writes: gone is gone, and the rest can be read.
#[test]
fn a_secret_that_cannot_be_removed_is_not_shown_either() {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    let disk = FaultyDisk::new(None);
    let fresh = Fresh::with(builder().clock(clock.clone()).disk(Arc::new(disk.clone())));
    let (secret, kept) = (create(&fresh, "s"), create(&fresh, "kept"));
    fresh.schedule_deletion(&secret, window(7)).unwrap();
    clock.advance_ms(7 * DAY_MS);
    let error = std::io::ErrorKind::Other;
    disk.set(Some(Fault { at: 0, lasting: true, only: Some(Operation::Write), error }));
    assert_eq!(outcome(fresh.get(&secret)), "NotFound");
    assert!(disk.failed() > 0, "the removal was tried");
    assert_eq!(outcome(fresh.secret(&secret)), "NotFound");
    assert_eq!(fresh.names(&ListSecrets::new()).unwrap().items(), std::slice::from_ref(&kept));
    assert_eq!(current(&fresh, &kept), "one");
    assert_eq!(outcome(fresh.sweep()), "Poisoned", "who asks for the removal hears of it");
}

#[test]
fn states_survive_reopening_and_a_change_of_state_that_changes_nothing_writes_nothing() {
    let fresh = Fresh::new();
    for state in [SecretState::Disabled, SecretState::Frozen, SecretState::Enabled] {
        let secret = create(&fresh, &format!("s-{state}"));
        fresh.set_state(&secret, state).unwrap();
        let before = seq(&fresh);
        assert_eq!(fresh.set_state(&secret, state).unwrap().state(), state);
        assert_eq!(seq(&fresh), before, "case: {state}");
    }
    let pending = create(&fresh, "pending");
    let at = fresh.schedule_deletion(&pending, window(9)).unwrap().scheduled_deletion();
    let asked = fresh.set_state(&name("s-ENABLED"), SecretState::PendingDeletion);
    assert_eq!(kind_of(asked), ErrorKind::InvalidArgument);
    let fresh = fresh.reopened();
    for state in [SecretState::Disabled, SecretState::Frozen, SecretState::Enabled] {
        assert_eq!(fresh.secret(&name(&format!("s-{state}"))).unwrap().state(), state);
    }
    let shown = fresh.secret(&pending).unwrap();
    assert_eq!((shown.state(), shown.scheduled_deletion()), (SecretState::PendingDeletion, at));
    fresh.verify().unwrap();
}

#[test]
fn a_protected_secret_is_deleted_by_its_window_only() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let at_birth = NewSecret::new(name("a"), text("x")).purge_protected();
    assert!(fresh.create_secret(at_birth).unwrap().is_purge_protected());
    let later = create(&fresh, "b");
    assert!(!fresh.secret(&later).unwrap().is_purge_protected());
    fresh.schedule_deletion(&later, window(7)).unwrap();
    assert!(fresh.protect_from_purge(&later).unwrap().is_purge_protected());
    let before = seq(&fresh);
    assert!(fresh.protect_from_purge(&later).unwrap().is_purge_protected());
    let fresh = fresh.reopened_with(builder().clock(clock.clone()));
    for secret in [name("a"), later] {
        let none = Preconditions::none();
        for refused in [fresh.delete_secret(&secret), fresh.delete_secret_if(&secret, &none)] {
            let Err(Error::SecretState { refusal, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(refusal, StateRefusal::Protected);
        }
    }
    assert_eq!(seq(&fresh), before);
    // A new window begins anew.
    fresh.schedule_deletion(&name("a"), window(30)).unwrap();
    clock.advance_ms(6 * DAY_MS);
    fresh.cancel_deletion(&name("a")).unwrap();
    fresh.schedule_deletion(&name("a"), window(7)).unwrap();
    clock.advance_ms(DAY_MS);
    assert_eq!(fresh.sweep().unwrap().deletions, 1, "b's time is over");
    clock.advance_ms(6 * DAY_MS - 1);
    assert!(fresh.secret(&name("a")).is_ok());
    clock.advance_ms(1);
    assert_eq!(kind_of(fresh.secret(&name("a"))), ErrorKind::NotFound);
}

/// A request that was carried out is answered from memory in every state but gone.
#[test]
fn a_repeated_request_is_answered_whatever_the_state_is_now() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let options = RotateOptions::new().token(token("once"));
    let first = fresh.rotate_with(&secret, &options).unwrap();
    fresh.set_state(&secret, SecretState::Disabled).unwrap();
    assert_eq!(fresh.rotate_with(&secret, &options).unwrap(), first);
    assert_eq!(outcome(fresh.rotate(&secret)), "NotEnabled");
}

/// Row 35: what is missing is the secret, not the version or label of it that was asked for.
#[test]
fn of_a_secret_that_is_gone_no_version_is_looked_for() {
    let green = VersionRef::Stage(stage("green"));
    for reference in [v(9).into(), green] {
        let (fresh, clock) = Fresh::at_a_standstill();
        let secret = create(&fresh, "s");
        fresh.schedule_deletion(&secret, window(7)).unwrap();
        clock.advance_ms(7 * DAY_MS);
        let before = seq(&fresh);
        let err = fresh.version(&secret, &reference).unwrap_err();
        assert_eq!(err.code().code, "CSMS.0106", "case: {reference}");
        assert_eq!(seq(&fresh), before + 1, "case: {reference}: it is removed for good");
    }
}

/// Row 35.
#[test]
fn a_secret_that_is_gone_does_not_keep_its_key() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let key = fresh.create_key("").unwrap();
    let new = NewSecret::new(name("s"), text("x")).kms_key_id(key.id.clone());
    fresh.create_secret(new).unwrap();
    fresh.disable_key(&key.id).unwrap();
    fresh.schedule_deletion(&name("s"), window(7)).unwrap();
    assert_eq!(kind_of(fresh.delete_key(&key.id)), ErrorKind::Constraint);
    clock.advance_ms(7 * DAY_MS);
    fresh.delete_key(&key.id).unwrap();
    assert!(fresh.names(&ListSecrets::new()).unwrap().items().is_empty());
}
