//! Calls beside those that store, label and rotate values: states and deletions, tags, destroyed versions,
//! events and notifications, schedules, keys, backups of a secret, the log that is cut. For tests that let
//! the disk or the power fail under them.
//!
//! Each call is one commit. Some of them have time pass before; what then falls due by itself is the same
//! whether the call was made or not.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "a module of each test binary")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::Path,
    sync::{Arc, Mutex},
};

use strongroom::{
    AuditOperation, AuditQuery, AuditRecord, Builder, Clock as _, Error, ErrorKind, EventType,
    HasKey, KeyId, KeyPage, Limits, ListEvents, ListNotifications, ListSecrets, ListTasks,
    ListVersions, NewEvent, NewSecret, NewVersion, Notification, NotificationTarget, Notifier,
    NotifyError, Position, RecoveryWindow, RestoreOptions, Retention, RotationRules, Secret,
    SecretBlob, SecretState, SecretStore, SecretType, SecretUpdate, SecretValue, Stage, StageMove,
    Tag, Timestamp, VersionId, VersionRef, testing::ManualClock,
};

use super::support::{key, name};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Later than any real clock says, so that nothing is due to who opens a store with that.
const START_MS: i64 = 4_000_000_000_250;

/// Longest value in bytes: one password more, and a value that is nearly so long cannot be rotated.
const VALUE_BYTES_MAX: usize = 2000;

/// Written by those who look, and no part of the content.
pub const PROBE: &str = "probe";

/// What is around a store: the time, who is told of events, and what the calls keep.
#[derive(Clone, Debug)]
pub struct Around {
    pub clock: ManualClock,
    told: Arc<Mutex<Vec<Position>>>,
    blob: Arc<Mutex<Option<SecretBlob>>>,
}

/// One call: what it is, how many days pass before it, and it.
pub struct Call {
    pub what: &'static str,
    pub days: i64,
    make: fn(&SecretStore, &Around) -> Result<(), Error>,
}

impl Around {
    pub fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(START_MS));
        Self { clock, told: Arc::default(), blob: Arc::default() }
    }

    pub fn builder(&self) -> Builder<HasKey> {
        let limits = Limits::default().with_versions_max(4).unwrap();
        let limits = limits.with_value_len_max_bytes(VALUE_BYTES_MAX).unwrap();
        SecretStore::builder()
            .master_key(key(1))
            .limits(limits)
            .state_cache_bytes(1 << 20)
            .write_buffer_bytes(0)
            .near_expiry_days(0)
            .clock(self.clock.clone())
            .notifier(self.clone())
    }

    pub fn make(&self, store: &SecretStore, call: &Call) -> Result<(), Error> {
        self.clock.advance_ms(call.days * DAY_MS);
        (call.make)(store, self)
    }

    /// A clock that shows the same and stays there, with nobody told of anything.
    pub fn frozen(&self) -> Self {
        let clock = ManualClock::at(self.clock.now());
        Self { clock, told: Arc::default(), blob: Arc::default() }
    }

    /// The changes that somebody was told of so far.
    pub fn told(&self) -> Vec<Position> {
        self.told.lock().unwrap().clone()
    }
}

impl Notifier for Around {
    fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        self.told.lock().unwrap().push(notification.position());
        Ok(())
    }
}

/// What is there before the first call.
pub fn prepare(store: &SecretStore) {
    let target = NotificationTarget::new("urn:smn:topic", "topic").unwrap();
    let types = EventType::ALL.iter().copied();
    store.create_event(&NewEvent::new("all".parse().unwrap(), types, target)).unwrap();
    let new = |of: &str, len: usize| NewSecret::new(name(of), value(of, len));
    let keeping = Retention::default().with_days(12).unwrap();
    store.create_secret(new("kept", 0).retention(keeping)).unwrap();
    for of in ["s", "t", "u", "expiring"] {
        store.create_secret(new(of, 10)).unwrap();
    }
    for of in ["s", "s", "t", "t", "kept", "kept"] {
        store.put_version(&name(of), NewVersion::new(value("more", 300))).unwrap();
    }
    let expires = Timestamp::from_millis(START_MS + 14 * DAY_MS);
    store
        .put_version(&name("expiring"), NewVersion::new(value("more", 10)).expires(expires))
        .unwrap();
    let room = VALUE_BYTES_MAX - value("stuck", 0).expose().len();
    for (of, period, len) in [("rotated", "2d", 10), ("stuck", "3d", room)] {
        let rules = RotationRules::new().automatic(true).period(period.parse().unwrap());
        let new = new(of, len).secret_type(SecretType::RdsFg).rotation(rules);
        store.create_secret(new).unwrap();
    }
}

const fn now(what: &'static str, make: fn(&SecretStore, &Around) -> Result<(), Error>) -> Call {
    Call { what, days: 0, make }
}

const fn after(
    days: i64,
    what: &'static str,
    make: fn(&SecretStore, &Around) -> Result<(), Error>,
) -> Call {
    Call { what, days, make }
}

/// The calls, in their order.
pub static CALLS: [Call; 40] = [
    now("create a key", |store, _| store.create_key("ring").map(drop)),
    now("create a secret under it", |store, _| {
        let new = NewSecret::new(name("under"), value("under", 10));
        store.create_secret(new.kms_key_id(ring_key(store)?)).map(drop)
    }),
    now("disable the key", |store, _| store.disable_key(&ring_key(store)?)),
    now("delete what is under it", |store, _| store.delete_secret(&name("under"))),
    now("delete the key", |store, _| store.delete_key(&ring_key(store)?)),
    now("create an event", |store, _| {
        let target = NotificationTarget::new("urn:smn:other", "other").unwrap();
        let new = NewEvent::new("rotations".parse().unwrap(), [EventType::Rotated], target);
        store.create_event(&new).map(drop)
    }),
    now("create a subscriber", |store, _| {
        let new = NewSecret::new(name("subscriber"), value("subscriber", 10));
        store.create_secret(new.event_subscriptions(["all".parse().unwrap()])).map(drop)
    }),
    now("tell of it", deliver_one),
    now("store a version of it", |store, _| {
        store.put_version(&name("subscriber"), NewVersion::new(value("next", 10))).map(drop)
    }),
    now("tell of that", deliver_one),
    now("tag", |store, _| {
        let tags =
            [("team", "billing"), ("stage", "prod")].map(|(key, of)| Tag::new(key, of).unwrap());
        store.add_tags(&name("s"), tags)
    }),
    now("remove a tag", |store, _| store.remove_tag(&name("s"), &"team".parse().unwrap())),
    now("subscribe", |store, _| {
        let events = ["rotations".parse().unwrap()];
        let update = SecretUpdate::new().event_subscriptions(events);
        store.update_secret(&name("rotated"), &update).map(drop)
    }),
    now("move labels of two secrets", |store, _| {
        let to = |of: &str, stage: Stage| StageMove::new(name(of), stage, v(1));
        let moves =
            [to("s", Stage::Current), to("t", Stage::Current), to("s", "blue".parse().unwrap())];
        store.move_stages(&moves).map(drop)
    }),
    now("disable a version", |store, _| store.disable_version(&name("s"), v(3)).map(drop)),
    now("destroy a version", |store, _| store.destroy_version(&name("s"), v(2)).map(drop)),
    now("enable the version", |store, _| store.enable_version(&name("s"), v(3)).map(drop)),
    now("schedule the destruction of a version", |store, _| {
        let at = Timestamp::from_millis(START_MS + 10 * DAY_MS);
        store.schedule_destruction(&name("t"), v(2), at).map(drop)
    }),
    now("freeze", |store, _| store.set_state(&name("u"), SecretState::Frozen).map(drop)),
    now("disable", |store, _| store.set_state(&name("u"), SecretState::Disabled).map(drop)),
    now("schedule a deletion", schedule),
    now("cancel it", |store, _| store.cancel_deletion(&name("u")).map(drop)),
    now("schedule it again", schedule),
    now("protect", |store, _| store.protect_from_purge(&name("t")).map(drop)),
    now("back a secret up", |store, around| {
        let blob = store.backup_secret(&name("s"))?;
        *around.blob.lock().unwrap() = Some(blob);
        Ok(())
    }),
    now("restore it", |store, around| {
        let blob = around.blob.lock().unwrap().clone().unwrap();
        store.restore_secret_with(&blob, &RestoreOptions::new().name(name("back"))).map(drop)
    }),
    now("create three at once", |store, _| {
        let new = |of| NewSecret::new(name(of), value(of, 10));
        let loaded = store.create_secrets(["one", "two", "three"].map(new))?;
        assert_eq!((loaded.created(), loaded.failed()), (3, 0));
        Ok(())
    }),
    now("back the store up", |store, _| store.backup(&mut Vec::new(), |_| {}).map(drop)),
    after(2, "rotate what is due", |store, _| {
        let done = store.rotate_due()?;
        let rotated = done.rotated().len();
        done.into_failed().pop().map_or(Ok(()), |failed| Err(failed.into_error()))?;
        assert_eq!(rotated, 1);
        Ok(())
    }),
    now("tell of the rotation", deliver_one),
    after(1, "fail to rotate", fail_to_rotate),
    now("give the rotation up", |store, _| store.cancel_rotation(&name("stuck")).map(drop)),
    after(5, "sweep a secret", sweep),
    after(3, "sweep a version", sweep),
    after(2, "sweep what was kept long enough", sweep),
    after(2, "tell that a version has expired", sweep),
    now("note how far it came", |store, _| {
        assert_eq!(store.deliver_notifications()?.sent, 0);
        Ok(())
    }),
    now("cut the log", |store, _| {
        let pruned = store.prune_audit(Timestamp::from_millis(START_MS + DAY_MS))?;
        assert!(pruned.records > 30 && !pruned.held_back, "{pruned:?}");
        Ok(())
    }),
    now("unsubscribe", |store, _| {
        let none = SecretUpdate::new().event_subscriptions([]);
        store.update_secret(&name("rotated"), &none).map(drop)
    }),
    now("delete an event", |store, _| store.delete_event(&"rotations".parse().unwrap())),
];

fn schedule(store: &SecretStore, _: &Around) -> Result<(), Error> {
    store.schedule_deletion(&name("u"), RecoveryWindow::SHORTEST).map(drop)
}

fn sweep(store: &SecretStore, _: &Around) -> Result<(), Error> {
    let swept = store.sweep()?;
    let done = swept.deletions + swept.destructions + swept.outlived + swept.expired;
    assert_eq!((done, swept.near_expiry), (1, 0), "{swept:?}");
    Ok(())
}

fn deliver_one(store: &SecretStore, _: &Around) -> Result<(), Error> {
    let delivered = store.deliver_notifications()?;
    assert_eq!((delivered.sent, delivered.failed), (1, 0));
    Ok(())
}

/// The value would be too long with another password.
fn fail_to_rotate(store: &SecretStore, _: &Around) -> Result<(), Error> {
    loop {
        let failed = store.rotate_due()?.into_failed().pop().expect("it is due");
        let noted = failed.task_id().is_some();
        match failed.into_error() {
            err if err.kind() != ErrorKind::LimitExceeded => return Err(err),
            _ if noted => return Ok(()),
            // It could not be noted: that is told by other calls, or it is due as before.
            _ => store.checkpoint()?,
        }
    }
}

fn ring_key(store: &SecretStore) -> Result<KeyId, Error> {
    let keys = store.list_keys(&KeyPage::new())?.keys;
    Ok(keys.into_iter().find(|key| key.alias.as_deref() == Some("ring")).unwrap().id)
}

fn v(number: u64) -> VersionId {
    VersionId::from_number(number).unwrap()
}

/// A value that every type accepts, `len` bytes longer than the shortest.
fn value(text: &str, len: usize) -> SecretValue {
    let pad = "x".repeat(len);
    let users = format!(r#"{{"users":[{{"name":"app","password":"pw-{text}"}}]"#);
    SecretValue::from_string(format!(r#"{users},"pad":"{pad}"}}"#))
}

/// The same text with every password that the store made replaced.
pub fn unnamed(content: &str) -> String {
    let parts: Vec<&str> = content.split(r#""password":""#).collect();
    let rest = parts[1..].iter().map(|part| match part.split_once('"') {
        Some((password, rest)) if !password.starts_with("pw-") => format!("made\"{rest}"),
        _ => (*part).to_owned(),
    });
    std::iter::once(parts[0].to_owned()).chain(rest).collect::<Vec<_>>().join(r#""password":""#)
}

/// Everything that a store answers, times and ids apart. What is due is done by this.
pub fn content(store: &SecretStore) -> Result<String, Error> {
    let mut text = String::new();
    for secret in store.secrets(&ListSecrets::new().limit(1000))?.items() {
        if secret.name().as_str() != PROBE {
            add_secret(&mut text, store, secret)?;
        }
    }
    for event in store.events(&ListEvents::new())?.items() {
        let (types, target) = (event.event_types().len(), event.target().name());
        writeln!(text, "event {} {types} {:?} {target}", event.name(), event.state()).unwrap();
    }
    // Their order is that of their ids.
    let keys = store.list_keys(&KeyPage::new())?.keys.into_iter();
    let mut keys: Vec<String> =
        keys.map(|key| format!("key {:?} {:?}\n", key.alias, key.state)).collect();
    keys.sort();
    text.extend(keys);
    for notice in notices(store)? {
        let (event, status) = (notice.trigger_event_type(), notice.status());
        writeln!(text, "told {} {event} {status:?}", notice.secret_name()).unwrap();
    }
    for task in store.tasks(&ListTasks::new())?.items() {
        let (status, version) = (task.status(), task.version_id());
        writeln!(text, "task {} {status:?} {} {version:?}", task.secret_name(), task.attempts())
            .unwrap();
    }
    for record in audit(store)?.iter().filter(|it| !is_probe(it)) {
        let (operation, actor) = (record.operation(), record.actor());
        let name = record.secret_name().map(|name| name.as_str());
        writeln!(text, "log {operation} {name:?} {:?} {actor}", record.version()).unwrap();
    }
    Ok(text)
}

fn add_secret(text: &mut String, store: &SecretStore, secret: &Secret) -> Result<(), Error> {
    let name = secret.name();
    let (state, protected) = (secret.state(), secret.is_purge_protected());
    let (due, rotates) = (secret.scheduled_deletion(), secret.next_rotation());
    let (to, tags) = (secret.event_subscriptions(), store.tags(name)?);
    let keyed = secret.kms_key_id().is_some();
    writeln!(text, "{name} {state} {due:?} {rotates:?} {protected} {keyed} {to:?} {tags:?}")
        .unwrap();
    for version in store.versions(name, &ListVersions::new())?.items() {
        let value = match store.version(name, &VersionRef::Id(version.id())) {
            Ok(got) => got.value().expose_str().unwrap().to_owned(),
            Err(err) => match err.kind() {
                kind @ (ErrorKind::SecretState | ErrorKind::VersionState | ErrorKind::Key) => {
                    format!("{kind:?}")
                }
                _ => return Err(err),
            },
        };
        let (state, stages) = (version.state(), version.stages());
        let (expires, goes) = (version.expires(), version.scheduled_destruction());
        let id = version.id();
        writeln!(text, "  {id} {state} {stages:?} {expires:?} {goes:?} {value}").unwrap();
    }
    Ok(())
}

fn is_probe(record: &AuditRecord) -> bool {
    record.secret_name().is_some_and(|name| name.as_str() == PROBE)
}

fn audit(store: &SecretStore) -> Result<Vec<AuditRecord>, Error> {
    Ok(store.audit(&AuditQuery::new().limit(1000))?.into_items())
}

fn notices(store: &SecretStore) -> Result<Vec<strongroom::NotificationRecord>, Error> {
    let list = ListNotifications::new().limit(1000);
    Ok(store.notification_records(&list)?.into_items())
}

/// Opens the store, checks all of it, has the rest told, writes, opens again. Gives what was found.
/// `told_before` are the changes that were told until it was left.
pub fn sound(path: &Path, around: &Around, told_before: &[Position]) -> Result<String, Error> {
    let store = around.builder().open(path)?;
    let found = content(&store)?;
    store.verify()?;
    check_feed(&store)?;
    check_told(&store, around, told_before)?;
    let now = content(&store)?;
    if store.secret(&name(PROBE)).is_ok() {
        // Of somebody who looked and was cut off.
        store.delete_secret(&name(PROBE))?;
    }
    store.create_secret(NewSecret::new(name(PROBE), value("p", 0)))?;
    store.close()?;
    let store = around.builder().open(path)?;
    store.verify()?;
    store.delete_secret(&name(PROBE))?;
    assert_eq!(content(&store)?, now, "after one more opening");
    store.close()?;
    Ok(found)
}

/// From where the log begins on, every change is told once.
fn check_feed(store: &SecretStore) -> Result<(), Error> {
    let logged = audit(store)?;
    let mut feed = store.subscribe(store.oldest_position()?)?;
    let mut followed = Vec::new();
    while let Some(record) = feed.next_within(std::time::Duration::ZERO)? {
        followed.push(record);
    }
    let changes = logged.into_iter().filter(|record| record.operation().is_change());
    assert!(changes.eq(followed), "the change feed is not the log");
    Ok(())
}

/// What is recorded as told was told; and once the rest is delivered, all is told that is to be told.
fn check_told(store: &SecretStore, around: &Around, before: &[Position]) -> Result<(), Error> {
    let told_before: BTreeSet<&Position> = before.iter().collect();
    for notice in notices(store)? {
        assert!(told_before.contains(&notice.position()), "{:?} was never told", notice.position());
    }
    store.deliver_notifications()?;
    let again = around.told();
    let recorded = notices(store)?;
    let mut places: Vec<Position> = recorded.iter().map(|notice| notice.position()).collect();
    for place in &places {
        let told = told_before.contains(place) || again.contains(place);
        assert!(told, "{place:?} was never told");
    }
    let to_tell = audit(store)?.into_iter().filter(|record| {
        let kind = match record.operation() {
            AuditOperation::CreateSecret | AuditOperation::CreateVersion => "subscriber",
            AuditOperation::RotateSecret => "rotated",
            _ => return false,
        };
        record.secret_name().is_some_and(|name| name.as_str() == kind)
    });
    for record in to_tell {
        assert!(places.contains(&record.position()), "lost: {record:?}");
    }
    let count = places.len();
    places.dedup();
    assert_eq!(places.len(), count, "one is recorded twice");
    Ok(())
}
