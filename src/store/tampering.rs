//! Records that somebody changes in the state *under an open store*: what comes out is what was
//! stored, or an error.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "test code, all of it"
)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use tempfile::TempDir;

use super::{
    ListNotifications, ListSecrets, ListVersions, NewEvent, NewSecret, NewVersion, SecretStore,
};
use crate::{
    crypto::MasterKey,
    domain::{
        Clock, EventType, Limits, NotificationTarget, SecretName, SecretType, SecretValue,
        Timestamp, VersionRef,
    },
    error::{Error, ErrorKind},
    events::{Notification, Notifier, NotifyError},
    storage::{Address, Write},
};

/// The trees of the state by their numbers on disk: root, secrets, labels, values, audit.
const TREES: [u8; 5] = [ROOT, SECRETS, STAGES, 0x20, 0x30];
const ROOT: u8 = 0x01;
const SECRETS: u8 = 0x10;
const STAGES: u8 = 0x11;
const NOTICES: u8 = 0x50;

type Records = BTreeMap<Address, Vec<u8>>;

/// An open store in whose state nothing is on its way any more.
struct Lab {
    _dir: TempDir,
    store: SecretStore,
    /// What all records were some changes ago.
    before: Records,
    now: Records,
    content: String,
}

impl Lab {
    /// `cached` heads are kept in memory.
    fn new(cached: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretStore::builder()
            .master_key(master_key())
            .limits(Limits::default().with_versions_max(4).unwrap())
            .cached_secrets_max(cached)
            .cached_heads_max(cached)
            .create(dir.path().join("store"))
            .unwrap();
        for (n, len) in [10, 700, 5000].into_iter().enumerate() {
            let new = NewSecret::new(name(n), value(n, len)).secret_type(SecretType::RdsFg);
            store.create_secret(new).unwrap();
            store.put_version(&name(n), NewVersion::new(value(n + 10, len))).unwrap();
        }
        let before = records(&store);
        for n in 0..3 {
            (0..4).for_each(|_| drop(store.rotate(&name(n)).unwrap()));
        }
        let (now, content) = (records(&store), content(&store).unwrap());
        Self { _dir: dir, store, before, now, content }
    }

    fn put(&self, address: Address, record: Option<&Vec<u8>>) {
        let write = match record {
            Some(record) => Write::put(address, record.clone()),
            None => Write::remove(address),
        };
        self.store.inner.records.engine.state().apply(&[write]).unwrap();
    }

    /// Makes `edits`, looks, and takes them back. Says whether reading or verifying noticed it.
    fn tampered(&self, what: &str, edits: &[(Address, Option<&Vec<u8>>)]) -> bool {
        edits.iter().for_each(|(address, record)| self.put(*address, *record));
        let mut noticed = false;
        match content(&self.store) {
            Ok(found) => assert_eq!(found, self.content, "{what}: other data"),
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::Tampered, "{what}: {err:?}");
                noticed = true;
            }
        }
        if let Err(err) = self.store.verify() {
            assert_eq!(err.kind(), ErrorKind::Tampered, "{what}: {err:?}");
            noticed = true;
        }
        for (address, _) in edits {
            self.put(*address, self.now.get(address));
        }
        assert_eq!(content(&self.store).unwrap(), self.content, "{what}: put right again");
        noticed
    }
}

fn master_key() -> MasterKey {
    MasterKey::from_bytes(&std::array::from_fn(|n| n as u8 ^ 0x5a)).unwrap()
}

fn records(store: &SecretStore) -> Records {
    records_of(store, &TREES)
}

fn records_of(store: &SecretStore, trees: &[u8]) -> Records {
    store.checkpoint().unwrap();
    let (state, mut records) = (store.inner.records.engine.state(), Records::new());
    for tree in trees.iter().copied() {
        let mut keys = Vec::new();
        state
            .scan(tree, None, &mut |key, _| {
                keys.push(Address::from_slice(tree, key).unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
        for address in keys {
            records.insert(address, state.read(&address).unwrap().unwrap().to_vec());
        }
    }
    records
}

fn content(store: &SecretStore) -> Result<String, Error> {
    let mut text = String::new();
    for secret in store.secrets(&ListSecrets::new())?.items() {
        writeln!(text, "{} {}", secret.name(), secret.revision()).unwrap();
        for version in store.versions(secret.name(), &ListVersions::new())?.items() {
            let got = store.version(secret.name(), &VersionRef::Id(version.id()))?;
            let value = got.value().expose_str().unwrap();
            writeln!(text, "{} {:?} {value}", version.id(), version.stages()).unwrap();
        }
    }
    Ok(text)
}

fn name(number: usize) -> SecretName {
    format!("secret-{number}").parse().unwrap()
}

fn value(number: usize, len: usize) -> SecretValue {
    let pad = "x".repeat(len);
    SecretValue::from_string(format!(
        r#"{{"users":[{{"name":"app","password":"pw-{number}"}}],"pad":"{pad}"}}"#
    ))
}

#[test]
fn a_record_changed_under_an_open_store_is_never_given_out() {
    for cached in [1, 1000] {
        let lab = Lab::new(cached);
        let (mut cases, mut unnoticed) = (0, 0);
        let addresses: Vec<Address> = lab.now.keys().copied().collect();
        let mut case = |what: &str, edits: &[(Address, Option<&Vec<u8>>)]| {
            let what = format!("{cached} cached, {what}");
            let root_alone = edits.iter().all(|(address, _)| address.tree() == ROOT);
            let noticed = lab.tampered(&what, edits);
            // The root is in memory too, and is written again with the next commit.
            assert!(noticed || root_alone, "{what}: not noticed");
            cases += 1;
            unnoticed += usize::from(!noticed);
        };
        for (n, address) in addresses.iter().enumerate() {
            let what = format!("record {n} of tree {:#x}", address.tree());
            let record = &lab.now[address];
            case(&format!("{what} removed"), &[(*address, None)]);
            for at in [0, 3, 12, 30, record.len() / 2, record.len() - 1] {
                let mut changed = record.clone();
                changed[at] ^= 1;
                case(&format!("{what}, byte {at}"), &[(*address, Some(&changed))]);
            }
            let shorter = record[..record.len() - 1].to_vec();
            case(&format!("{what}, cut"), &[(*address, Some(&shorter))]);
            if let Some(old) = lab.before.get(address).filter(|old| *old != record) {
                case(&format!("{what} put back"), &[(*address, Some(old))]);
            }
            for other in [1, 2, 5].map(|step| addresses[(n + step) % addresses.len()]) {
                let there = &lab.now[&other];
                case(&format!("{what} over another"), &[(other, Some(record))]);
                let swap = [(other, Some(record)), (*address, Some(there))];
                case(&format!("{what} swapped"), &swap);
            }
        }
        // Both heads of a secret put back together, and all heads of all.
        let heads = |tree: u8| {
            let of_tree = lab.before.iter().filter(move |(at, _)| at.tree() == tree);
            of_tree.map(|(at, old)| (*at, Some(old))).collect::<Vec<_>>()
        };
        let (secrets, stages) = (heads(SECRETS), heads(STAGES));
        for (secret, stages) in secrets.iter().zip(&stages) {
            case("both heads put back", &[*secret, *stages]);
        }
        case("all heads put back", &[secrets, stages].concat());
        assert!(cases > 400 && unnoticed < 20, "{cases} cases, {unnoticed} unnoticed");
        // It goes on as if nothing had been.
        lab.store.rotate(&name(0)).unwrap();
        lab.store.verify().unwrap();
    }
}

/// Takes every notification.
struct Taker;

impl Notifier for Taker {
    fn notify(&self, _: &Notification) -> Result<(), NotifyError> {
        Ok(())
    }
}

/// A clock that is set by hand.
struct ByHand(Arc<AtomicI64>);

impl Clock for ByHand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A record of a notification, missing or not as it was written: neither a check nor a backup passes. Those
/// that are cleared away by their age are not missed, nor are those of which the log tells no more.
#[test]
fn a_record_of_a_notification_that_somebody_took_away_is_missed() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_700_000_000_000));
    let pass = |days: i64| _ = now.fetch_add(days * DAY_MS, Ordering::SeqCst);
    let builder = SecretStore::builder().master_key(master_key()).notifier(Taker);
    let store = builder.clock(ByHand(Arc::clone(&now))).create(dir.path().join("store")).unwrap();
    let target = NotificationTarget::new("urn", "ops").unwrap();
    let event = NewEvent::new("e".parse().unwrap(), EventType::ALL.iter().copied(), target);
    store.create_event(&event).unwrap();
    let new = NewSecret::new(name(0), value(0, 10)).event_subscriptions(["e".parse().unwrap()]);
    store.create_secret(new).unwrap();
    for n in 1..5 {
        store.put_version(&name(0), NewVersion::new(value(n, 10))).unwrap();
        store.deliver_notifications().unwrap();
        pass(20);
    }
    let kinds = || {
        let backup = store.backup(&mut Vec::new(), |_| {}).map(drop);
        [store.verify().map(drop), backup].map(|it| it.map_err(|err| err.kind()))
    };
    let apply = |write: Write| store.inner.records.engine.state().apply(&[write]).unwrap();
    let check = |left: usize| {
        let notices = records_of(&store, &[NOTICES]);
        assert_eq!(notices.len(), left);
        assert_eq!(kinds(), [Ok(()); 2]);
        for (address, record) in &notices {
            let mut spoiled = record.clone();
            spoiled[40] ^= 1;
            for write in [Write::remove(*address), Write::put(*address, spoiled)] {
                apply(write);
                assert_eq!(kinds(), [Err(ErrorKind::Tampered); 2]);
                apply(Write::put(*address, record.clone()));
            }
        }
        assert_eq!(kinds(), [Ok(()); 2]);
    };
    check(5);
    // The two of the first delivery are too old by the next one.
    pass(20);
    store.put_version(&name(0), NewVersion::new(value(5, 10))).unwrap();
    store.deliver_notifications().unwrap();
    assert_eq!(store.notification_records(&ListNotifications::new()).unwrap().items().len(), 4);
    check(4);
    pass(-90);
    check(4);
    store.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
    assert_eq!(kinds(), [Ok(()); 2], "the log tells of none of them");
}
