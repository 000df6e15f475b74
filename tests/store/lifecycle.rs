//! The states of a secret. Row numbers are those of csms.md 8.2; the table of 8.5 stands in full.

use strongroom::{
    ErrorKind, ListSecrets, Preconditions, RecoveryWindow, Refused, RotateOptions, SecretState,
    SecretUpdate, StateRefusal, Tag, TagFilter, VersionRef, VersionUpdate,
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
pub(super) const TABLE: &[(&str, Call, [&str; 5])] = &[
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
        "BatchGetSecretValue",
        |s, n| {
            s.get_many(std::slice::from_ref(n))?
                .into_items()
                .remove(0)
                .map(drop)
                .map_err(Refused::into_error)
        },
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "DownloadSecretBlob",
        |s, n| s.backup_secret(n).map(drop),
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
        |s, n| s.update_version(n, &v(1).into(), FAR).map(drop),
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "UpdateVersion, not before",
        |s, n| {
            let update = VersionUpdate::new().not_before(FAR);
            s.update_version_with(n, &v(1).into(), &update).map(drop)
        },
        ["NotFound", "ok", "NotEnabled", "PendingDeletion", "NotEnabled"],
    ),
    (
        "CreateSecretStage",
        |s, n| s.move_stage(n, &stage("blue"), v(1)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "UpdateSecretStage",
        |s, n| s.move_stage(n, &stage("green"), v(1)).map(drop),
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
        |s, n| s.schedule_destruction(n, v(1), FAR).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    (
        "cancel a version's destruction",
        |s, n| s.cancel_destruction(n, v(1)).map(drop),
        ["NotFound", "ok", "ok", "PendingDeletion", "NotEnabled"],
    ),
    // None is under way, and none failed.
    (
        "cancel a rotation",
        |s, n| s.cancel_rotation(n).map(drop),
        ["NotFound", "NotFound", "NotFound", "PendingDeletion", "NotEnabled"],
    ),
    (
        "resume a rotation",
        |s, n| s.resume_rotation(n).map(drop),
        ["NotFound", "Constraint", "Constraint", "PendingDeletion", "NotEnabled"],
    ),
];

/// The rows of the table that only read.
const READS: &[&str] = &[
    "ShowSecret",
    "ListSecretVersions",
    "ShowSecretStage",
    "ShowSecretVersion, current",
    "ShowSecretVersion, latest",
    "ShowSecretVersion, by number",
    "BatchGetSecretValue",
    "DownloadSecretBlob",
    "ListSecretTags",
];

type ConditionalCall = fn(&SecretStore, &SecretName, Preconditions) -> Result<(), Error>;

/// Every other row of the table, under preconditions.
#[rustfmt::skip]
const CONDITIONAL: &[(&str, ConditionalCall)] = &[
    ("UpdateSecret", |s, n, p| s.update_secret(n, &SecretUpdate::new().description("new".parse()?).preconditions(p)).map(drop)),
    ("UpdateSecret without fields", |s, n, p| s.update_secret(n, &SecretUpdate::new().preconditions(p)).map(drop)),
    ("CreateSecretVersion", |s, n, p| s.put_version(n, NewVersion::new(account("x")).preconditions(p)).map(drop)),
    ("UpdateVersion", |s, n, p| s.update_version_if(n, &v(1).into(), FAR, &p).map(drop)),
    ("UpdateVersion, not before", |s, n, p| s.update_version_with(n, &v(1).into(), &VersionUpdate::new().not_before(FAR).preconditions(p)).map(drop)),
    ("CreateSecretStage", |s, n, p| s.move_stage_if(n, &stage("blue"), v(1), &p).map(drop)),
    ("UpdateSecretStage", |s, n, p| s.move_stage_if(n, &stage("green"), v(1), &p).map(drop)),
    ("UpdateSecretStage SYSCURRENT", |s, n, p| s.move_stage_if(n, &Stage::Current, v(1), &p).map(drop)),
    ("DeleteSecretStage", |s, n, p| s.delete_stage_if(n, &stage("green"), &p)),
    ("DeleteSecretStage SYSCURRENT", |s, n, p| s.delete_stage_if(n, &Stage::Current, &p)),
    ("DeleteSecretStage SYSPREVIOUS", |s, n, p| s.delete_stage_if(n, &Stage::Previous, &p)),
    ("RotateSecret", |s, n, p| s.rotate_with(n, &RotateOptions::new().preconditions(p)).map(drop)),
    ("DeleteSecret", |s, n, p| s.delete_secret_if(n, &p)),
    ("DeleteSecretForSchedule", |s, n, p| s.schedule_deletion_if(n, RecoveryWindow::default(), &p).map(drop)),
    ("RestoreSecret", |s, n, p| s.cancel_deletion_if(n, &p).map(drop)),
    ("CreateSecretTag", |s, n, p| s.add_tags_if(n, [Tag::new("a", "b")?], &p)),
    ("BatchCreateOrDeleteTags", |s, n, p| s.remove_tags_if(n, [TagFilter::any("a".parse()?)], &p)),
    ("DeleteSecretTag", |s, n, p| s.remove_tag_if(n, &"there".parse()?, &p)),
    ("set a state", |s, n, p| s.set_state_if(n, SecretState::Enabled, &p).map(drop)),
    ("protect", |s, n, p| s.protect_from_purge_if(n, &p).map(drop)),
    ("disable a version", |s, n, p| s.disable_version_if(n, v(2), &p).map(drop)),
    ("enable a version", |s, n, p| s.enable_version_if(n, v(2), &p).map(drop)),
    ("destroy a version", |s, n, p| s.destroy_version_if(n, v(1), &p).map(drop)),
    ("schedule a version's destruction", |s, n, p| s.schedule_destruction_if(n, v(1), FAR, &p).map(drop)),
    ("cancel a version's destruction", |s, n, p| s.cancel_destruction_if(n, v(1), &p).map(drop)),
    ("cancel a rotation", |s, n, p| s.cancel_rotation_if(n, &p).map(drop)),
    ("resume a rotation", |s, n, p| s.resume_rotation_if(n, &p).map(drop)),
];

/// A time in the future, whatever the clock says.
const FAR: Timestamp = Timestamp::from_millis(9_999_999_999_000);

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
            make(&fresh, &secret, state);
            let before = seq(&fresh);
            let got = outcome(call(&fresh, &secret));
            assert_eq!(got, *want, "case: {what} of a secret that is {state:?}");
            assert!(got == "ok" || seq(&fresh) == before, "case: {what}, {state:?} wrote");
        }
    }
    fresh.verify().unwrap();
}

/// A secret in a state, at v4 of which v3 is current, with a label and a tag. Nothing if it is to be
/// missing.
fn make(store: &SecretStore, secret: &SecretName, state: Option<SecretState>) {
    let Some(state) = state else { return };
    create_rotatable(store, secret.as_str());
    for labels in ["", "", "green"] {
        let new = NewVersion::new(account("more")).stages(stages(labels));
        store.put_version(secret, new).unwrap();
    }
    store.add_tag(secret, Tag::new("there", "").unwrap()).unwrap();
    bring(store, secret, state);
}

/// Each change there is can be made under preconditions: where they hold it is the plain call, and where
/// they do not it is refused and writes nothing. What the state forbids is told first.
#[test]
fn every_change_of_a_secret_takes_preconditions() {
    let changes = TABLE.iter().filter(|(what, ..)| !READS.contains(what));
    assert!(
        changes.map(|(what, ..)| what).eq(CONDITIONAL.iter().map(|(what, _)| what)),
        "a change in the table has no call under preconditions"
    );
    let fresh = Fresh::new();
    for (row, (what, call)) in CONDITIONAL.iter().enumerate() {
        let (.., wanted) = TABLE.iter().find(|(of, ..)| of == what).unwrap();
        for (column, (state, plain)) in STATES.into_iter().zip(wanted).enumerate() {
            let secret = name(&format!("s{row}-{column}"));
            make(&fresh, &secret, state);
            let (revision, none) =
                (fresh.secret(&secret).map_or(1, |it| it.revision()), Preconditions::none());
            let told_first = ["NotEnabled", "PendingDeletion", "AlreadyScheduled", "NotScheduled"];
            let refused = match state {
                Some(_) if !told_first.contains(plain) => "Conflict",
                _ => plain,
            };
            let before = seq(&fresh);
            for wrong in [none.if_revision(revision + 1), none.if_version(v(4))] {
                let got = outcome(call(&fresh, &secret, wrong));
                assert_eq!(got, refused, "case: {what} of a secret that is {state:?}, {wrong:?}");
            }
            assert_eq!(seq(&fresh), before, "case: {what}, {state:?} wrote");
            let right = none.if_revision(revision).if_version(v(3));
            let got = outcome(call(&fresh, &secret, right));
            assert_eq!(got, *plain, "case: {what} of a secret that is {state:?}");
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
    let blob = fresh.backup_secret(&name("a")).unwrap();
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
    let before = seq(&fresh);
    let over = || NewSecret::new(name("a"), text("another"));
    for (what, got, want) in [
        (
            "a shorter window",
            outcome(fresh.schedule_deletion(&name("a"), window(7))),
            "AlreadyScheduled",
        ),
        ("at once", outcome(fresh.delete_secret(&name("a"))), "Protected"),
        ("another in its place", outcome(fresh.create_secret(over())), "AlreadyExists"),
        ("a backup over it", outcome(fresh.restore_secret(&blob)), "AlreadyExists"),
        ("enabled", outcome(fresh.set_state(&name("a"), SecretState::Enabled)), "PendingDeletion"),
    ] {
        assert_eq!(got, want, "case: {what}");
    }
    assert_eq!(
        (fresh.create_secrets([over()]).unwrap().created(), fresh.sweep().unwrap().deletions),
        (0, 0)
    );
    assert_eq!(seq(&fresh), before, "no way leads around the window");
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
