//! Events and keys of the key ring in a store that is salvaged: they come along, or are told to be lost,
//! and with a key all that is under it.

use std::path::PathBuf;

use strongroom::{
    Event, EventState, EventType, EventUpdate, KeyId, KeyInfo, KeyPage, ListEvents, NewEvent,
    Notification, NotificationTarget, Notifier, NotifyError, SecretUpdate, testing::ManualClock,
};
use tempfile::TempDir;

use super::*;

/// The kinds of the objects' records, the first bytes of their keys.
const EVENT: u8 = 0x51;
const KEY: u8 = 0x52;

/// Takes every notification.
struct Taker;

impl Notifier for Taker {
    fn notify(&self, _: &Notification) -> Result<(), NotifyError> {
        Ok(())
    }
}

fn value(text: &str) -> SecretValue {
    SecretValue::from_string(format!("{MARK} {text}"))
}

fn current(store: &SecretStore, secret: &str) -> String {
    store.get(&name(secret)).unwrap().value().expose_str().unwrap().to_owned()
}

fn events(store: &SecretStore) -> Vec<Event> {
    store.events(&ListEvents::new()).unwrap().into_items()
}

/// The keys of the ring, without the default one.
fn ring_keys(store: &SecretStore) -> Vec<KeyInfo> {
    let default = store.describe_key(&KeyId::default_key()).unwrap().id;
    let keys = store.list_keys(&KeyPage::new()).unwrap().keys;
    keys.into_iter().filter(|key| key.id != default).collect()
}

fn key_called<'a>(keys: &'a [KeyInfo], alias: &str) -> &'a KeyInfo {
    keys.iter().find(|key| key.alias.as_deref() == Some(alias)).unwrap()
}

/// What is read of every version: its key and its value, or the kind of the refusal.
fn values(store: &SecretStore) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for secret in ["plain", "under-a", "under-b", "moved"] {
        let rows = store.versions(&name(secret), &strongroom::ListVersions::new()).unwrap();
        for row in rows.items() {
            let got = store.version(&name(secret), &VersionRef::Id(row.id()));
            let text = got.map_or_else(
                |err| format!("{:?}", err.kind()),
                |got| got.value().expose_str().unwrap().to_owned(),
            );
            found.insert(format!("{secret} {} {:?}", row.id(), row.kms_key_id()), text);
        }
    }
    found
}

/// A closed store with two keys, one of them disabled, and two events, one of them disabled. Its journal
/// holds nothing that would mend its state.
fn original() -> (TempDir, PathBuf, Vec<Event>, Vec<KeyInfo>) {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().notifier(Taker).create(&path).unwrap();
    let (a, b) = (store.create_key("a").unwrap(), store.create_key("b").unwrap());
    let target = NotificationTarget::new("urn:smn:topic", "topic").unwrap();
    for event in ["all", "off"] {
        let types = EventType::ALL.iter().copied();
        let new = NewEvent::new(event.parse().unwrap(), types, target.clone());
        store.create_event(&new).unwrap();
    }
    let off = EventUpdate::new().state(EventState::Disabled);
    store.update_event(&"off".parse().unwrap(), &off).unwrap();
    let new = |secret: &str| NewSecret::new(name(secret), value(secret));
    let all = ["all".parse().unwrap()];
    store.create_secret(new("plain").event_subscriptions(all)).unwrap();
    store.create_secret(new("under-a").kms_key_id(a.id.clone())).unwrap();
    store.create_secret(new("under-b").kms_key_id(b.id.clone())).unwrap();
    // Its first version is under the default key, the second under one of the ring.
    store.create_secret(new("moved")).unwrap();
    let under_a = SecretUpdate::new().kms_key_id(a.id);
    store.update_secret(&name("moved"), &under_a).unwrap();
    store.put_version(&name("moved"), NewVersion::new(value("second"))).unwrap();
    store.deliver_notifications().unwrap();
    store.disable_key(&b.id).unwrap();
    let (events, keys) = (events(&store), ring_keys(&store));
    assert_eq!((events.len(), keys.len()), (2, 2));
    for n in 0..3 {
        let update = SecretUpdate::new().description(format!("{n}").parse().unwrap());
        store.update_secret(&name("plain"), &update).unwrap();
        store.checkpoint().unwrap();
    }
    store.close().unwrap();
    (dir, path, events, keys)
}

#[test]
fn events_and_keys_come_along_and_values_stay_under_their_keys() {
    let (dir, path, events_then, keys_then) = original();
    let store = builder().open(&path).unwrap();
    let values_then = values(&store);
    let disabled = values_then.iter().filter(|(_, value)| *value == "Key");
    assert_eq!(disabled.map(|(row, _)| &row[..7]).collect::<Vec<_>>(), ["under-b"]);
    store.close().unwrap();
    let salvage = builder().salvage(&path).unwrap();
    assert!(salvage.is_whole(), "{salvage}");
    assert_eq!((salvage.events(), salvage.keys()), (&events_then[..], keys_then.clone()));
    assert!(salvage.to_string().contains("2 events and 2 keys"), "{salvage}");
    let before = (salvage.secret(&name("moved")).unwrap(), salvage.secret(&name("plain")).unwrap());
    let clock = ManualClock::at(strongroom::Timestamp::from_millis(1_900_000_000_000));
    // Under another master key, so that all is sealed anew.
    let other = SecretStore::builder().master_key(key(9)).notifier(Taker).clock(clock);
    let store = salvage.write_with(other, dir.path().join("new")).unwrap();
    assert_eq!((events(&store), ring_keys(&store)), (events_then, keys_then.clone()));
    assert_eq!(values(&store), values_then);
    let after = (store.secret(&name("moved")).unwrap(), store.secret(&name("plain")).unwrap());
    assert_eq!(after, before);
    assert_eq!(after.1.event_subscriptions(), ["all"]);
    store.verify().unwrap();
    // What was disabled can be enabled, and what is stored goes under the same key.
    let b = key_called(&keys_then, "b").id.clone();
    store.enable_key(&b).unwrap();
    assert_eq!(current(&store, "under-b"), format!("{MARK} under-b"));
    let put = store.put_version(&name("under-b"), NewVersion::new(value("next"))).unwrap();
    assert_eq!(put.kms_key_id(), Some(b.as_str()));
    // Nothing is told of what was before, and something of what comes.
    assert_eq!(store.deliver_notifications().unwrap().sent, 0);
    store.put_version(&name("plain"), NewVersion::new(value("told"))).unwrap();
    assert_eq!(store.deliver_notifications().unwrap().sent, 1);
    store.verify().unwrap();
    drop(salvage);
    println!("events and keys: 2 and 2, with {} versions under them", values_then.len());
}

#[test]
fn an_event_or_a_key_that_is_damaged_is_told_and_costs_what_is_under_it_alone() {
    let (_dir, path, events_then, keys_then) = original();
    let keys = {
        let copy = scratch();
        support::copy_dir(&path, &copy.path().join("store"));
        let db = sled_open(&copy.path().join("store/db"));
        let keys = db.open_tree("system").unwrap().iter().keys().map(|key| key.unwrap().to_vec());
        keys.filter(|key| key.len() == 9 && [EVENT, KEY].contains(&key[0])).collect::<Vec<_>>()
    };
    assert_eq!(keys.len(), 4);
    for (n, at) in keys.iter().flat_map(|key| [(0, key), (1, key)]) {
        let what = format!("{at:?}, removed: {}", n == 0);
        let dir = scratch();
        let copy = dir.path().join("store");
        support::copy_dir(&path, &copy);
        let db = sled_open(&copy.join("db"));
        let system = db.open_tree("system").unwrap();
        let mut record = system.remove(at).unwrap().unwrap().to_vec();
        if n == 1 {
            *record.last_mut().unwrap() ^= 1;
            system.insert(at, record).unwrap();
        }
        drop(system);
        db.flush().unwrap();
        drop(db);
        let salvage = builder().salvage(&copy).unwrap();
        assert!(!salvage.is_whole(), "{what}");
        let told =
            salvage.damage().iter().any(|damage| damage.what().contains("is damaged, and lost"));
        assert_eq!(told, n == 1, "{what}: {salvage}");
        let (events, keys) = (salvage.events().len(), salvage.keys());
        if at[0] == EVENT {
            assert_eq!((events, keys.len()), (1, 2), "{what}");
            assert!(salvage.secrets().iter().all(SalvagedSecret::is_whole), "{what}: {salvage}");
            let kept = salvage.events()[0].name().as_str() == "all";
            assert_eq!(events_then[0].name().as_str(), "all");
            let plain = salvage.secret(&name("plain")).unwrap();
            assert_eq!(plain.event_subscriptions().len(), usize::from(kept), "{what}");
        } else {
            assert_eq!((events, keys.len()), (2, 1), "{what}");
            let lost = keys_then.iter().find(|key| key.id != keys[0].id).unwrap();
            let under: &[&str] = match lost.alias.as_deref() {
                Some("a") => &["moved", "under-a"],
                _ => &["under-b"],
            };
            for secret in salvage.secrets() {
                let name = secret.name().unwrap().as_str();
                let lost = secret
                    .losses()
                    .iter()
                    .any(|loss| matches!(loss, Loss::Version { cause: Cause::Key, .. }));
                assert_eq!(lost, under.contains(&name), "{what}: {name}\n{salvage}");
            }
        }
        let store = salvage.write_to(dir.path().join("new")).unwrap();
        store.verify().unwrap();
        assert_eq!(current(&store, "plain"), format!("{MARK} plain"), "{what}");
        store.close().unwrap();
    }
    println!("one object: 4 objects, each removed and damaged");
}

/// What the journal still has of it counts, and is told of.
#[test]
fn a_key_that_is_damaged_in_the_state_is_taken_from_the_journal() {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    let ring_key = store.create_key("a").unwrap();
    let new = NewSecret::new(name("under-a"), value("under-a"));
    store.create_secret(new.kms_key_id(ring_key.id.clone())).unwrap();
    store.close().unwrap();
    let db = sled_open(&path.join("db"));
    let system = db.open_tree("system").unwrap();
    let at = system.iter().keys().map(Result::unwrap).find(|at| at[0] == KEY).unwrap();
    let mut record = system.get(&at).unwrap().unwrap().to_vec();
    *record.last_mut().unwrap() ^= 1;
    system.insert(&at, record).unwrap();
    drop(system);
    db.flush().unwrap();
    drop(db);
    let salvage = builder().salvage(&path).unwrap();
    let told = salvage.damage().iter().any(|damage| damage.what().contains("an earlier record"));
    assert!(told && !salvage.is_whole(), "{salvage}");
    assert_eq!(salvage.keys(), [ring_key]);
    let store = salvage.write_to(dir.path().join("new")).unwrap();
    assert_eq!(current(&store, "under-a"), format!("{MARK} under-a"));
    store.verify().unwrap();
    println!("a damaged key: taken from the journal");
}
