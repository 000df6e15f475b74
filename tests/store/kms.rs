//! Keys of the local ring: values under them, and what happens when they are disabled or deleted.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use strongroom::{
    KeyId, KeyInfo, KeyPage, KeyState, Kms, KmsContext, KmsError, Missing, NewSecret, NewVersion,
    RestoreOptions, SecretType, SecretUpdate, VersionRef,
};

use super::*;

/// Creates a secret under a key.
fn create_under(store: &SecretStore, secret: &str, key: &KeyInfo) -> SecretName {
    let new = NewSecret::new(name(secret), account("first")).secret_type(SecretType::RdsFg);
    store.create_secret(new.kms_key_id(key.id.clone())).unwrap();
    name(secret)
}

fn unknown() -> KeyId {
    "bb6a3d22-dc93-47ac-b5bd-88df7ad35f1e".parse().unwrap()
}

fn value_under(key: &KeyId) -> NewSecret {
    NewSecret::new(name("new"), text("x")).kms_key_id(key.clone())
}

fn under(key: &KeyId) -> SecretUpdate {
    SecretUpdate::new().kms_key_id(key.clone())
}

fn context(text: &str) -> KmsContext {
    text.parse().unwrap()
}

/// The key of each version, in a word: the first letter of its alias, or `-`.
fn keys_of(store: &SecretStore, secret: &SecretName) -> String {
    let page = store.versions(secret, &ListVersions::new()).unwrap();
    let alias = |id: &str| store.describe_key(&id.parse().unwrap()).unwrap().alias.unwrap();
    let letter = |id: Option<&str>| id.map_or("-".to_owned(), |id| alias(id)[..1].to_owned());
    page.items().iter().map(|version| letter(version.kms_key_id())).collect()
}

#[test]
fn a_new_key_seals_new_versions_and_old_ones_stay_under_theirs() {
    let fresh = Fresh::new();
    let (a, b) = (fresh.create_key("a").unwrap(), fresh.create_key("b").unwrap());
    let secret = create_under(&fresh, "s", &a);
    assert_eq!(fresh.secret(&secret).unwrap().kms_key_id(), Some(a.id.as_str()));
    // Row 39: a new key re-encrypts nothing.
    fresh.update_secret(&secret, &under(&b.id)).unwrap();
    assert_eq!(fresh.secret(&secret).unwrap().kms_key_id(), Some(b.id.as_str()));
    assert_eq!(keys_of(&fresh, &secret), "a");
    fresh.rotate(&secret).unwrap();
    fresh.update_secret(&secret, &under(&KeyId::default_key())).unwrap();
    assert_eq!(fresh.secret(&secret).unwrap().kms_key_id(), None);
    fresh.put_version(&secret, NewVersion::new(account("third"))).unwrap();
    assert_eq!(keys_of(&fresh, &secret), "ab-");
    // Row 37: what changes nothing writes nothing.
    let before = seq(&fresh);
    fresh.update_secret(&secret, &under(&KeyId::default_key())).unwrap();
    assert_eq!(seq(&fresh), before);

    let values = |store: &SecretStore| -> Vec<String> {
        let of = |n| store.version(&secret, &v(n).into()).unwrap();
        (1..=3).map(|n| of(n).value().expose_str().unwrap().to_owned()).collect()
    };
    let told = values(&fresh);
    assert!(told[0].contains("first") && told[2].contains("third"));
    let fresh = fresh.reopened();
    assert_eq!(values(&fresh), told);
    assert_eq!(keys_of(&fresh, &secret), "ab-");
    assert_eq!(fresh.verify().unwrap().versions, 3);
    // Each takes its own key and no other.
    fresh.disable_key(&a.id).unwrap();
    assert_eq!(kind_of(fresh.version(&secret, &v(1).into())), ErrorKind::Key);
    assert!(fresh.version(&secret, &v(2).into()).is_ok() && fresh.get(&secret).is_ok());
    fresh.disable_key(&b.id).unwrap();
    assert_eq!(kind_of(fresh.version(&secret, &v(2).into())), ErrorKind::Key);
    assert_eq!(fresh.verify().unwrap().versions, 3, "there, though nobody may open two of them");
}

/// Row 38, and the same for a new secret.
#[test]
fn a_key_that_is_unknown_or_disabled_is_refused_and_nothing_changes() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let disabled = fresh.create_key("").unwrap().id;
    fresh.disable_key(&disabled).unwrap();
    let before = (seq(&fresh), fresh.secret(&secret).unwrap());
    let other: KeyId = "test".parse().unwrap();
    for key in [&unknown(), &other, &disabled] {
        let results = [
            fresh.create_secret(value_under(key)).map(drop),
            fresh.update_secret(&secret, &under(key)).map(drop),
        ];
        for result in results {
            let err = result.unwrap_err();
            assert_eq!((err.kind(), err.code().code), (ErrorKind::Key, "CSMS.0401"), "{key}");
        }
        let loaded = fresh.create_secrets([value_under(key)]).unwrap();
        assert_eq!(loaded.refused()[0].error().kind(), ErrorKind::Key);
    }
    assert_eq!((seq(&fresh), fresh.secret(&secret).unwrap()), before);
}

type Use = fn(&SecretStore, &SecretName) -> Result<(), Error>;

/// What takes the key of a secret.
const USES: [(&str, Use); 5] = [
    ("get", |store, secret| store.get(secret).map(drop)),
    ("version", |store, secret| store.version(secret, &v(1).into()).map(drop)),
    ("latest", |store, secret| store.version(secret, &VersionRef::Latest).map(drop)),
    ("put", |store, secret| store.put_version(secret, NewVersion::new(account("x"))).map(drop)),
    ("rotate", |store, secret| store.rotate(secret).map(drop)),
];

#[test]
fn a_disabled_key_stops_everything_at_once_and_an_enabled_one_lets_it_go_on() {
    let fresh = Fresh::new();
    let key = fresh.create_key("k").unwrap();
    let secret = create_under(&fresh, "s", &key);
    let beside = create_rotatable(&fresh, "beside");
    let all = |store: &SecretStore, want: Option<ErrorKind>| {
        for (what, call) in USES {
            let got = call(store, &secret).err().map(|err| err.kind());
            assert_eq!(got, want, "{what}");
            assert_eq!(call(store, &beside).err().map(|err| err.kind()), None, "{what} beside");
        }
    };
    all(&fresh, None); // and everything is in the caches
    fresh.disable_key(&key.id).unwrap();
    let before = (picture(&fresh, &secret), fresh.secret(&secret).unwrap());
    all(&fresh, Some(ErrorKind::Key));
    assert_eq!((picture(&fresh, &secret), fresh.secret(&secret).unwrap()), before);
    fresh.move_stage(&secret, &stage("blue"), v(1)).unwrap(); // labels take no key
    let fresh = fresh.reopened();
    all(&fresh, Some(ErrorKind::Key));
    assert_eq!(fresh.describe_key(&key.id).unwrap().state, KeyState::Disabled);
    fresh.enable_key(&key.id).unwrap();
    all(&fresh, None);
    all(&fresh.reopened(), None);
}

struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Readers and writers that go on while the key is disabled and enabled: after a call that disabled it has
/// returned, nothing goes through.
#[test]
fn nothing_goes_through_behind_a_key_that_was_disabled() {
    let fresh = Fresh::new();
    let key = fresh.create_key("k").unwrap();
    let secret = create_under(&fresh, "s", &key);
    let blob = fresh.backup_secret(&secret).unwrap();
    let stop = AtomicBool::new(false);
    let (store, stop) = (&fresh.store, &stop);
    thread::scope(|scope| {
        let (blob, key_id) = (&blob, &key.id);
        let restore = move |n: u32| {
            let options = RestoreOptions::new().name(name(&format!("restored-{n}")));
            store.restore_secret_with(blob, &options.kms_key_id(key_id.clone()))
        };
        scope.spawn(move || {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                match restore(n) {
                    Ok(_) => {}
                    Err(err) => assert_eq!(err.kind(), ErrorKind::Key, "{err}"),
                }
            }
        });
        for (_, call) in USES {
            let secret = &secret;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match call(store, secret) {
                        Ok(()) => {}
                        Err(err) => assert_eq!(err.kind(), ErrorKind::Key, "{err}"),
                    }
                }
            });
        }
        // Also if this one fails: or the others would go on for ever.
        let _stopping = Stopping(stop);
        for _ in 0..6 {
            store.disable_key(&key.id).unwrap();
            let before = (seq(store), picture(store, &secret));
            assert_eq!(kind_of(store.get(&secret)), ErrorKind::Key);
            thread::yield_now();
            assert_eq!((seq(store), picture(store, &secret)), before);
            store.enable_key(&key.id).unwrap();
        }
    });
    fresh.verify().unwrap();
}

#[test]
fn a_key_is_deleted_only_if_it_is_disabled_and_nothing_depends_on_it() {
    let fresh = Fresh::new();
    let key = fresh.create_key("k").unwrap();
    let secret = create_under(&fresh, "s", &key);
    let delete = |store: &SecretStore| store.delete_key(&key.id);
    assert_eq!(kind_of(delete(&fresh)), ErrorKind::Key, "enabled");
    fresh.disable_key(&key.id).unwrap();
    assert_eq!(kind_of(delete(&fresh)), ErrorKind::Constraint, "a version and its secret");
    fresh.update_secret(&secret, &under(&KeyId::default_key())).unwrap();
    let refused = delete(&fresh).unwrap_err();
    assert!(refused.to_string().contains(key.id.as_str()), "a version: {refused}");
    fresh.delete_secret(&secret).unwrap();
    delete(&fresh).unwrap();
    let Err(Error::NotFound(Missing::Key(id))) = delete(&fresh) else { panic!("still there") };
    assert_eq!(id, key.id.as_str());
    let fresh = fresh.reopened();
    assert_eq!(kind_of(fresh.describe_key(&key.id)), ErrorKind::NotFound);
    assert_eq!(kind_of(fresh.create_secret(value_under(&key.id))), ErrorKind::Key);
    fresh.verify().unwrap();
}

#[test]
fn keys_are_listed_by_id_with_the_default_one_among_them() {
    let (fresh, _) = Fresh::at_a_standstill();
    let made: Vec<KeyInfo> =
        ["tenants/acme", "", "b:c_d-e"].map(|alias| fresh.create_key(alias).unwrap()).into();
    assert_eq!(made[0].alias.as_deref(), Some("tenants/acme"));
    assert_eq!(made[1].alias, None);
    assert_eq!(made[0].created, Some(Timestamp::from_millis(1_700_000_000_000)));
    let default = fresh.describe_key(&KeyId::default_key()).unwrap();
    assert_eq!(default.alias.as_deref(), Some("csms/default"));
    assert_eq!(fresh.describe_key(&default.id).unwrap(), default);
    let mut want: Vec<KeyInfo> = made.iter().cloned().chain([default.clone()]).collect();
    want.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(fresh.list_keys(&KeyPage::new()).unwrap().keys, want);
    let (mut paged, mut page) = (Vec::new(), KeyPage::new().limit(2));
    loop {
        let list = fresh.list_keys(&page).unwrap();
        paged.extend(list.keys);
        let Some(marker) = list.next_marker else { break };
        page = page.marker(marker);
    }
    assert_eq!(paged, want);
    let before = seq(&fresh);
    assert_eq!(kind_of(fresh.list_keys(&KeyPage::new().limit(0))), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(fresh.create_key("tenants/acme")), ErrorKind::AlreadyExists);
    assert_eq!(kind_of(fresh.create_key("csms/default")), ErrorKind::AlreadyExists);
    assert_eq!(kind_of(fresh.create_key("a b")), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(fresh.create_key(&"x".repeat(256))), ErrorKind::InvalidArgument);
    for change in [SecretStore::disable_key, SecretStore::enable_key, SecretStore::delete_key] {
        for key in [&unknown(), &default.id, &KeyId::default_key()] {
            assert_eq!(kind_of(change(&fresh, key)), ErrorKind::NotFound, "{key}");
        }
    }
    fresh.enable_key(&made[0].id).unwrap();
    assert_eq!(seq(&fresh), before, "it is enabled");
    // A secret under the default key, by either of its names, costs and says nothing more.
    let new = value_under(&default.id);
    assert_eq!(fresh.create_secret(new).unwrap().kms_key_id(), None);
}

#[test]
fn there_are_at_most_100_keys() {
    let fresh = Fresh::new();
    for _ in 0..100 {
        fresh.create_key("").unwrap();
    }
    assert_eq!(kind_of(fresh.create_key("")), ErrorKind::LimitExceeded);
    assert_eq!(fresh.list_keys(&KeyPage::new().limit(1000)).unwrap().keys.len(), 101);
}

/// Through the port, as any key manager is used.
#[test]
fn data_keys_come_back_under_their_key_and_in_their_context_only() {
    let fresh = Fresh::new();
    let (a, b) = (fresh.create_key("a").unwrap().id, fresh.create_key("b").unwrap().id);
    let (default, own) = (KeyId::default_key(), context("orders"));
    let kms: &dyn Kms = &fresh.store;
    assert_eq!(kms.provider(), "local");
    for key in [&a, &default] {
        let made = kms.create_data_key(key, 32, &own).unwrap();
        assert_eq!(made.plaintext.expose().len(), 32);
        let plain = kms.decrypt_data_key(key, &made.wrapped, &own).unwrap();
        assert!(plain.ct_eq(&made.plaintext));
        let wrong = [
            kms.decrypt_data_key(&b, &made.wrapped, &own),
            kms.decrypt_data_key(key, &made.wrapped, &context("billing")),
            kms.decrypt_data_key(key, &[], &own),
            kms.decrypt_data_key(key, &made.wrapped[1..], &own),
        ];
        for wrong in wrong {
            assert_eq!(wrong.unwrap_err(), KmsError::BadCiphertext);
        }
        for at in 0..made.wrapped.len() {
            let mut changed = made.wrapped.clone();
            changed[at] ^= 1;
            assert!(kms.decrypt_data_key(key, &changed, &own).is_err(), "byte {at}");
        }
    }
    let made = kms.create_data_key(&a, 16, &own).unwrap();
    assert!(matches!(kms.create_data_key(&a, 15, &own), Err(KmsError::Invalid(_))));
    assert!(matches!(kms.create_data_key(&a, 513, &own), Err(KmsError::Invalid(_))));
    assert_eq!(kms.create_data_key(&unknown(), 32, &own).unwrap_err(), KmsError::NoSuchKey);
    assert_eq!(kms.describe_key(&unknown()).unwrap_err(), KmsError::NoSuchKey);
    fresh.disable_key(&a).unwrap();
    assert_eq!(kms.create_data_key(&a, 32, &own).unwrap_err(), KmsError::KeyDisabled);
    let refused = kms.decrypt_data_key(&a, &made.wrapped, &own).unwrap_err();
    assert_eq!(refused, KmsError::KeyDisabled);
    fresh.enable_key(&a).unwrap();
    let other = Fresh::new();
    let foreign = other.decrypt_data_key(&default, &made.wrapped, &own);
    assert_eq!(kind_of(foreign), ErrorKind::InvalidArgument, "another store");
    let fresh = fresh.reopened();
    assert!(fresh.decrypt_data_key(&a, &made.wrapped, &own).unwrap().ct_eq(&made.plaintext));
    assert!("x".repeat(129).parse::<KmsContext>().is_err() && "a\n".parse::<KmsContext>().is_err());
}

/// Keys come along, disabled ones as such: what was cut off by one is read by a salvage alone.
#[test]
fn a_salvage_brings_what_is_under_keys_of_the_ring() {
    let fresh = Fresh::new();
    let key = fresh.create_key("k").unwrap();
    let secret = create_under(&fresh, "s", &key);
    fresh.rotate(&secret).unwrap();
    let told = current(&fresh, &secret);
    fresh.disable_key(&key.id).unwrap();
    let Fresh { store, path, dir } = fresh;
    store.close().unwrap();
    fs::remove_file(path.join("db/db")).unwrap();
    let salvage = builder().salvage(&path).unwrap();
    assert!(salvage.secrets()[0].is_whole(), "{salvage}");
    assert_eq!(salvage.get(&secret).unwrap().value().expose_str(), Some(&*told));
    let mended = salvage.write_to(dir.path().join("mended")).unwrap();
    assert_eq!(kind_of(mended.get(&secret)), ErrorKind::Key);
    assert_eq!(mended.secret(&secret).unwrap().kms_key_id(), Some(key.id.as_str()));
    assert_eq!(keys_of(&mended, &secret), "kk");
    mended.verify().unwrap();
    mended.enable_key(&key.id).unwrap();
    assert_eq!(current(&mended, &secret), told);
}

/// The keys of the ring are not in a secret's backup; where it is restored it may be put under one.
#[test]
fn a_restored_secret_is_put_under_the_key_that_is_named_for_it() {
    let (fresh, elsewhere) = (Fresh::new(), Fresh::new());
    let (a, b) = (fresh.create_key("a").unwrap(), fresh.create_key("b").unwrap());
    let secret = create_under(&fresh, "s", &a);
    fresh.rotate(&secret).unwrap();
    fresh.rotate(&secret).unwrap();
    let told = current(&fresh, &secret);
    let blob = fresh.backup_secret(&secret).unwrap();
    let to = |secret: &str| RestoreOptions::new().name(name(secret));

    let plain = fresh.restore_secret_with(&blob, &to("plain")).unwrap();
    assert_eq!(plain.kms_key_id(), None);
    assert_eq!(keys_of(&fresh, &name("plain")), "---");
    let before = fresh.verify().unwrap().versions;
    let under_b = || to("under-b").kms_key_id(b.id.clone());
    let restored = fresh.restore_secret_with(&blob, &under_b()).unwrap();
    assert_eq!(restored.kms_key_id(), Some(b.id.as_str()));
    assert_eq!(keys_of(&fresh, &name("under-b")), "bbb");
    let fresh = fresh.reopened();
    assert_eq!(current(&fresh, &name("under-b")), told);
    fresh.rotate(&name("under-b")).unwrap();
    assert_eq!(keys_of(&fresh, &name("under-b")), "bbbb");
    assert_eq!(fresh.verify().unwrap().versions, before + 4);

    fresh.disable_key(&b.id).unwrap();
    assert_eq!(kind_of(fresh.get(&name("under-b"))), ErrorKind::Key, "each version is under it");
    assert_eq!(kind_of(fresh.version(&name("under-b"), &v(1).into())), ErrorKind::Key);
    assert_eq!(current(&fresh, &name("plain")), told);
    let before = seq(&fresh);
    for key in [&b.id, &unknown()] {
        let refused = fresh.restore_secret_with(&blob, &to("not").kms_key_id(key.clone()));
        assert_eq!(kind_of(refused), ErrorKind::Key, "{key}");
    }
    assert_eq!(seq(&fresh), before);
    assert_eq!(kind_of(fresh.secret(&name("not"))), ErrorKind::NotFound);
    // By either name of the default one, and in another store, which knows none of these keys.
    let default = fresh.describe_key(&KeyId::default_key()).unwrap().id;
    let restored = fresh.restore_secret_with(&blob, &to("default").kms_key_id(default)).unwrap();
    assert_eq!(restored.kms_key_id(), None);
    let (theirs, blob_key) = (elsewhere.create_key("c").unwrap(), fresh.blob_key(&blob).unwrap());
    let options = RestoreOptions::new().key(blob_key).kms_key_id(theirs.id);
    elsewhere.restore_secret_with(&blob, &options).unwrap();
    assert_eq!(
        (keys_of(&elsewhere, &secret), current(&elsewhere, &secret)),
        ("ccc".to_owned(), told)
    );
}

/// A session that names a key needs the right to have data keys made under it (csms.md 1.11).
#[test]
fn naming_a_key_takes_a_permission() {
    let fresh = Fresh::new();
    let key = fresh.create_key("k").unwrap().id;
    let secret = create(&fresh, "s");
    let policy = |actions: &[&str]| {
        let statement = strongroom::Statement::allow(actions).unwrap();
        fresh.session("ann".parse().unwrap(), [strongroom::Policy::new([statement]).unwrap()])
    };
    let without = policy(&["csms:secret:create", "csms:secret:update"]).unwrap();
    assert_eq!(kind_of(without.create_secret(value_under(&key))), ErrorKind::Denied);
    assert_eq!(kind_of(without.update_secret(&secret, &under(&key))), ErrorKind::Denied);
    assert!(without.create_secret(NewSecret::new(name("plain"), text("x"))).is_ok());
    let read = ["csms:secret:getVersion", "kms:cmk:decryptDataKey"]; // to restore under another name
    let may = ["csms:secret:create", "csms:secret:update", "kms:dek:create", read[0], read[1]];
    let with = policy(&may).unwrap();
    with.create_secret(value_under(&key)).unwrap();
    with.update_secret(&secret, &under(&key)).unwrap();
    let blob = fresh.backup_secret(&secret).unwrap();
    let restored = || RestoreOptions::new().name(name("restored")).kms_key_id(key.clone());
    let denied = without.restore_secret_with(&blob, &restored());
    assert_eq!(kind_of(denied), ErrorKind::Denied);
    with.restore_secret_with(&blob, &restored()).unwrap();
}

/// Who may delete keys, and may not list a secret, is not told its name by what depends on a key.
#[test]
fn a_key_in_use_does_not_tell_a_name_that_may_not_be_listed() {
    let fresh = Fresh::new();
    let key = fresh.create_key("k").unwrap().id;
    fresh.create_secret(value_under(&key)).unwrap();
    fresh.disable_key(&key).unwrap();
    let session = |actions: &[&str]| {
        let statement = strongroom::Statement::allow(actions).unwrap();
        let policy = strongroom::Policy::new([statement]).unwrap();
        fresh.session("ann".parse().unwrap(), [policy]).unwrap()
    };
    let manage = strongroom::Action::ManageKeys.as_str();
    let told = |store: &SecretStore| store.delete_key(&key).unwrap_err();
    assert_eq!(told(&session(&[manage, "csms:secret:list"])).kind(), ErrorKind::Constraint);
    let err = told(&session(&[manage]));
    assert_eq!(err.kind(), ErrorKind::Key);
    assert_eq!(err.to_string(), format!("the key {key}: a secret depends on it"));
}
