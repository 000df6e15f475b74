//! Stores that are locked with a key of a key manager: crypto.md 3.1 and 3.4.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use strongroom::{
    DataKey, KeyId, KeyInfo, KeyList, KeyPage, Kms, KmsContext, KmsError, KmsKey, SlotKind, Unlock,
};

use super::*;

/// What it does instead of what it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Honest,
    Away,
    /// It decrypts to another data key than the one it wrapped.
    Lying,
    /// It gives one of another length.
    Short,
    /// It gives one that is no key.
    Zeros,
}

/// A key manager: another store, which may be out of order, and tells what it was asked.
struct Vault {
    store: SecretStore,
    mood: Mutex<Mood>,
    asked: Mutex<Vec<String>>,
    _dir: TempDir,
}

impl Vault {
    fn new() -> (Arc<Self>, KeyId) {
        let Fresh { store, path: _, dir } = Fresh::new();
        let key_id = store.create_key("stores/orders").unwrap().id;
        let mood = Mutex::new(Mood::Honest);
        (Arc::new(Self { store, mood, asked: Mutex::default(), _dir: dir }), key_id)
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn bent(&self, plaintext: SecretValue, decrypted: bool) -> Result<SecretValue, KmsError> {
        match *self.mood.lock().unwrap() {
            Mood::Honest => Ok(plaintext),
            Mood::Lying if !decrypted => Ok(plaintext),
            Mood::Away => Err(KmsError::Unavailable),
            Mood::Lying => Ok(SecretValue::from_bytes([1, 2].repeat(16))),
            Mood::Short => Ok(SecretValue::from_bytes([1, 2].repeat(8))),
            Mood::Zeros => Ok(SecretValue::from_bytes([0; 32])),
        }
    }
}

impl Kms for Vault {
    fn provider(&self) -> &'static str {
        "another-store"
    }

    fn list_keys(&self, page: &KeyPage) -> Result<KeyList, KmsError> {
        Kms::list_keys(&self.store, page)
    }

    fn describe_key(&self, key_id: &KeyId) -> Result<KeyInfo, KmsError> {
        Kms::describe_key(&self.store, key_id)
    }

    fn create_data_key(
        &self,
        key_id: &KeyId,
        len: usize,
        context: &KmsContext,
    ) -> Result<DataKey, KmsError> {
        self.asked.lock().unwrap().push(format!("create {}", context.as_str()));
        let DataKey { plaintext, wrapped } =
            Kms::create_data_key(&self.store, key_id, len, context)?;
        Ok(DataKey { plaintext: self.bent(plaintext, false)?, wrapped })
    }

    fn decrypt_data_key(
        &self,
        key_id: &KeyId,
        wrapped: &[u8],
        context: &KmsContext,
    ) -> Result<SecretValue, KmsError> {
        self.asked.lock().unwrap().push(format!("decrypt {}", context.as_str()));
        self.bent(Kms::decrypt_data_key(&self.store, key_id, wrapped, context)?, true)
    }
}

fn with(vault: &Arc<Vault>, key_id: &KeyId) -> Builder<HasKey> {
    let key = KmsKey::new(Arc::clone(vault) as Arc<dyn Kms>, key_id.clone());
    SecretStore::builder().kms_key(key).state_cache_bytes(4 << 20)
}

fn unlock(vault: &Arc<Vault>, key_id: &KeyId) -> Unlock {
    KmsKey::new(Arc::clone(vault) as Arc<dyn Kms>, key_id.clone()).into()
}

/// What opening says, and what the key manager said.
fn refusal(builder: Builder<HasKey>, path: &Path) -> (ErrorKind, Option<KmsError>) {
    let err = builder.open(path).unwrap_err();
    let kind = err.kind();
    match err {
        Error::KeyManager { source, .. } => (kind, Some(source)),
        _ => (kind, None),
    }
}

#[test]
fn a_store_opens_with_its_key_of_a_key_manager_which_is_asked_for_nothing_else() {
    let (vault, key_id) = Vault::new();
    let fresh = Fresh::with(with(&vault, &key_id));
    let [slot] = &fresh.key_slots()[..] else { panic!("one slot") };
    assert_eq!(
        *slot.kind(),
        SlotKind::Kms { provider: "another-store".into(), key_id: key_id.to_string() }
    );
    // Made, tried, and then opened as it lies there.
    let [made, tried, opened] = &vault.asked()[..] else { panic!("asked thrice") };
    let context = made.strip_prefix("create secretstore:").unwrap();
    assert_eq!((tried, opened), (opened, &format!("decrypt secretstore:{context}")));
    assert_eq!((context.len(), &context[32..]), (39, ":slot:1"), "{context}");
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "");
    assert_eq!(current(&fresh, &secret), "more");
    fresh.verify().unwrap();
    assert_eq!(vault.asked(), Vec::<String>::new(), "neither to read nor to write");
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    let store = with(&vault, &key_id).open(&path).unwrap();
    assert_eq!(current(&store, &secret), "more");
    assert_eq!(vault.asked(), [format!("decrypt secretstore:{context}")]);
}

#[test]
fn a_store_stays_closed_while_its_key_manager_refuses_and_opens_when_it_does_not() {
    let (vault, key_id) = Vault::new();
    let Fresh { store, path, dir: _dir } = Fresh::with(with(&vault, &key_id));
    create(&store, "s");
    store.close().unwrap();
    let before = files(&path);
    let other = vault.store.create_key("").unwrap().id;
    assert_eq!(refusal(with(&vault, &other), &path), (ErrorKind::WrongKey, None));
    let master = SecretStore::builder().master_key(key(1));
    assert_eq!(refusal(master, &path), (ErrorKind::WrongKey, None));
    let of_vault = |err: KmsError| (ErrorKind::KeyManager, Some(err));
    for (mood, want) in [
        (Mood::Away, of_vault(KmsError::Unavailable)),
        (Mood::Lying, of_vault(KmsError::BadCiphertext)),
        (Mood::Short, of_vault(KmsError::Invalid("it did not give a key of 32 bytes".into()))),
        (Mood::Zeros, of_vault(KmsError::Invalid("it did not give a key of 32 bytes".into()))),
    ] {
        vault.be(mood);
        assert_eq!(refusal(with(&vault, &key_id), &path), want);
    }
    vault.be(Mood::Away);
    let err = with(&vault, &key_id).open(&path).unwrap_err();
    assert_eq!((err.code().code, err.code().status), ("STRONGROOM.0503", 503));
    vault.be(Mood::Honest);
    vault.store.disable_key(&key_id).unwrap();
    assert_eq!(refusal(with(&vault, &key_id), &path), of_vault(KmsError::KeyDisabled));
    let err = with(&vault, &key_id).open(&path).unwrap_err();
    assert_eq!((err.code().code, err.code().status), ("CSMS.0401", 400));
    assert!(files(&path) == before, "a refused opening changes nothing");
    vault.store.enable_key(&key_id).unwrap();
    assert_eq!(current(&with(&vault, &key_id).open(&path).unwrap(), &name("s")), "one");
    vault.store.disable_key(&key_id).unwrap();
    vault.store.delete_key(&key_id).unwrap();
    assert_eq!(refusal(with(&vault, &key_id), &path), of_vault(KmsError::NoSuchKey));
}

#[test]
fn no_store_is_made_with_a_key_manager_that_fails() {
    let (vault, key_id) = Vault::new();
    let dir = support::scratch();
    let path = dir.path().join("store");
    for mood in [Mood::Away, Mood::Lying, Mood::Short, Mood::Zeros] {
        vault.be(mood);
        assert_eq!(kind_of(with(&vault, &key_id).create(&path)), ErrorKind::KeyManager);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}

#[test]
fn slots_of_a_key_manager_come_and_go_beside_others() {
    let (vault, key_id) = Vault::new();
    let fresh = Fresh::new();
    create(&fresh, "s");
    let before = (seq(&fresh), fresh.key_slots());
    vault.be(Mood::Away);
    let refused = fresh.add_key_slot(&key(1).into(), &unlock(&vault, &key_id), "");
    assert_eq!(kind_of(refused), ErrorKind::KeyManager);
    assert_eq!((seq(&fresh), fresh.key_slots()), before, "nothing was written");
    vault.be(Mood::Honest);
    let slot = fresh.add_key_slot(&key(1).into(), &unlock(&vault, &key_id), "cloud").unwrap();
    assert_eq!((slot.id(), slot.label()), (2, "cloud"));
    assert!(vault.asked().iter().all(|asked| asked.ends_with(":slot:2")));
    fresh.remove_key_slot(1).unwrap();
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    assert_eq!(kind_of(SecretStore::builder().master_key(key(1)).open(&path)), ErrorKind::WrongKey);
    let store = with(&vault, &key_id).open(&path).unwrap();
    assert_eq!(current(&store, &name("s")), "one");
    // With the key manager as the one who shows that he may.
    vault.be(Mood::Away);
    let refused = store.add_key_slot(&unlock(&vault, &key_id), &key(3).into(), "");
    assert_eq!(kind_of(refused), ErrorKind::KeyManager);
    vault.be(Mood::Honest);
    store.add_key_slot(&unlock(&vault, &key_id), &key(3).into(), "").unwrap();
    store.close().unwrap();
    SecretStore::builder().master_key(key(3)).open(&path).unwrap();
}

/// Each byte of the slot, in both key files.
#[test]
fn a_slot_of_a_key_manager_that_was_changed_opens_nothing() {
    let (vault, key_id) = Vault::new();
    let Fresh { store, path, dir: _dir } = Fresh::with(with(&vault, &key_id));
    create(&store, "s");
    store.close().unwrap();
    let good = fs::read(path.join("keys")).unwrap();
    let slot_len = usize::from(u16::from_be_bytes([good[35], good[36]]));
    let mut kinds = BTreeMap::new();
    for at in 35..37 + slot_len {
        let mut bad = good.clone();
        bad[at] ^= 1;
        ["keys", "keys.bak"].iter().for_each(|file| fs::write(path.join(file), &bad).unwrap());
        let (kind, said) = refusal(with(&vault, &key_id), &path);
        *kinds.entry(format!("{kind:?} {said:?}")).or_insert(0) += 1;
    }
    let kinds: Vec<&str> = kinds.keys().map(String::as_str).collect();
    let want = ["Damaged None", "KeyManager Some(BadCiphertext)", "Tampered None", "WrongKey None"];
    assert_eq!(kinds, want);
    ["keys", "keys.bak"].iter().for_each(|file| fs::write(path.join(file), &good).unwrap());
    with(&vault, &key_id).open(&path).unwrap().verify().unwrap();
}

#[test]
fn a_slot_copied_into_another_store_opens_nothing_there() {
    let (vault, key_id) = Vault::new();
    let Fresh { store, path: one, dir: _dir_1 } = Fresh::with(with(&vault, &key_id));
    store.close().unwrap();
    let Fresh { store, path: two, dir: _dir_2 } = Fresh::with(with(&vault, &key_id));
    store.close().unwrap();
    let (mut bytes, from) =
        (fs::read(two.join("keys")).unwrap(), fs::read(one.join("keys")).unwrap());
    let end = 37 + usize::from(u16::from_be_bytes([from[35], from[36]]));
    assert_eq!(bytes[35..37], from[35..37], "slots of one length");
    bytes[35..end].copy_from_slice(&from[35..end]);
    ["keys", "keys.bak"].iter().for_each(|file| fs::write(two.join(file), &bytes).unwrap());
    let refused = refusal(with(&vault, &key_id), &two);
    assert_eq!(refused, (ErrorKind::KeyManager, Some(KmsError::BadCiphertext)));
}

#[test]
fn a_backup_and_a_salvage_take_the_key_manager_too() {
    let (vault, key_id) = Vault::new();
    let fresh = Fresh::with(with(&vault, &key_id));
    create(&fresh, "s");
    let mut backup = Vec::new();
    fresh.backup(&mut backup, |_| {}).unwrap();
    let mut backup = std::io::Cursor::new(backup);
    let copy = fresh.dir.path().join("copy");
    vault.be(Mood::Away);
    let refused = with(&vault, &key_id).restore(&copy, &mut backup, |_| {});
    assert_eq!(kind_of(refused), ErrorKind::KeyManager);
    vault.be(Mood::Honest);
    backup.set_position(0);
    let restored = with(&vault, &key_id).restore(&copy, &mut backup, |_| {}).unwrap();
    assert_eq!(current(&restored, &name("s")), "one");
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    let salvage = with(&vault, &key_id).salvage(&path).unwrap();
    assert!(salvage.is_whole());
}

/// It would be a key locked in its own box.
#[test]
fn a_store_is_not_locked_with_a_key_of_its_own() {
    let fresh = Fresh::new();
    let own = Arc::new(fresh.store.clone());
    let ring_key = fresh.create_key("").unwrap().id;
    for key_id in
        [ring_key, KeyId::default_key(), fresh.describe_key(&KeyId::default_key()).unwrap().id]
    {
        let lock = Unlock::Kms(KmsKey::new(Arc::clone(&own) as Arc<dyn Kms>, key_id));
        let refused = fresh.add_key_slot(&key(1).into(), &lock, "");
        assert_eq!(kind_of(refused), ErrorKind::InvalidArgument);
    }
    assert_eq!(fresh.key_slots().len(), 1);
    // The same key of another store is another key.
    let other = Fresh::new();
    let lock = Unlock::Kms(KmsKey::new(Arc::new(other.store), KeyId::default_key()));
    fresh.add_key_slot(&key(1).into(), &lock, "").unwrap();
}

/// A power cut between the two copies of the key file, and then the key manager is away.
#[test]
fn an_absent_key_manager_is_told_as_such_though_one_copy_lacks_its_slot() {
    let (vault, key_id) = Vault::new();
    let fresh = Fresh::new();
    let old = fs::read(fresh.path.join("keys")).unwrap();
    fresh.add_key_slot(&key(1).into(), &unlock(&vault, &key_id), "").unwrap();
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    fs::write(path.join("keys"), old).unwrap();
    vault.be(Mood::Away);
    let refused = refusal(with(&vault, &key_id), &path);
    assert_eq!(refused, (ErrorKind::KeyManager, Some(KmsError::Unavailable)));
    vault.be(Mood::Honest);
    with(&vault, &key_id).open(&path).unwrap();
}

/// A key manager that does something else before it makes a key, and wraps keys as long as it likes.
struct Odd {
    vault: Arc<Vault>,
    before: Box<dyn Fn() + Send + Sync>,
    wrapped_len: usize,
}

impl Kms for Odd {
    fn provider(&self) -> &'static str {
        "odd"
    }

    fn list_keys(&self, page: &KeyPage) -> Result<KeyList, KmsError> {
        self.vault.list_keys(page)
    }

    fn describe_key(&self, key_id: &KeyId) -> Result<KeyInfo, KmsError> {
        self.vault.describe_key(key_id)
    }

    fn create_data_key(
        &self,
        key_id: &KeyId,
        len: usize,
        context: &KmsContext,
    ) -> Result<DataKey, KmsError> {
        (self.before)();
        let DataKey { plaintext, wrapped } = self.vault.create_data_key(key_id, len, context)?;
        // Its length in front, and nothing behind.
        let mut longer = vec![u8::try_from(wrapped.len()).unwrap()];
        longer.extend(wrapped);
        longer.resize(self.wrapped_len, 0);
        Ok(DataKey { plaintext, wrapped: longer })
    }

    fn decrypt_data_key(
        &self,
        key_id: &KeyId,
        wrapped: &[u8],
        context: &KmsContext,
    ) -> Result<SecretValue, KmsError> {
        let end = 1 + usize::from(wrapped[0]);
        self.vault.decrypt_data_key(key_id, &wrapped[1..end], context)
    }
}

/// Sixteen slots, each as long as a slot may be, and one that is longer.
#[test]
fn however_long_wrapped_keys_are_the_key_file_can_be_read_again() {
    let (vault, key_id) = Vault::new();
    let fresh = Fresh::new();
    let wordy = |wrapped_len| -> Unlock {
        let odd = Odd { vault: Arc::clone(&vault), before: Box::new(|| ()), wrapped_len };
        KmsKey::new(Arc::new(odd), key_id.clone()).into()
    };
    let refused = fresh.add_key_slot(&key(1).into(), &wordy(8 * 1024 + 1), "");
    assert_eq!(kind_of(refused), ErrorKind::KeyManager);
    for _ in 1..16 {
        fresh.add_key_slot(&key(1).into(), &wordy(8 * 1024), &"x".repeat(255)).unwrap();
    }
    let fresh = fresh.reopened();
    assert_eq!(fresh.key_slots().len(), 16);
}

/// While a key manager thinks, the store's other calls go on, and may change the slots.
#[test]
fn nobody_waits_for_a_key_manager() {
    let (vault, key_id) = Vault::new();
    let fresh = Fresh::new();
    let store = fresh.store.clone();
    let meanwhile = move || {
        if store.key_slots().len() == 1 {
            store.add_key_slot(&key(1).into(), &key(2).into(), "meanwhile").unwrap();
        }
    };
    let odd = Odd { vault: Arc::clone(&vault), before: Box::new(meanwhile), wrapped_len: 200 };
    let lock = KmsKey::new(Arc::new(odd), key_id).into();
    let slot = fresh.add_key_slot(&key(1).into(), &lock, "slow").unwrap();
    let labels: Vec<String> =
        fresh.key_slots().iter().map(|slot| slot.label().to_owned()).collect();
    assert_eq!(labels, ["", "meanwhile", "slow"]);
    assert_eq!((slot.id(), vault.asked().last().unwrap().ends_with(":slot:3")), (3, true));
}
