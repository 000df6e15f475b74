//! Master keys, passphrases, and the keys of the store itself.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path};

use strongroom::{
    Builder, ErrorKind, HasKey, MasterKey, NewSecret, SecretStore, SecretString, SecretType,
    SecretValue, Unlock,
};
use zeroize::Zeroizing;

use crate::{
    canary::Canary,
    child::{Findings, Stage, deep, scenario},
    ring,
    support::{self, key, name},
};

fn builder(key: MasterKey) -> Builder<HasKey> {
    SecretStore::builder().master_key(key).state_cache_bytes(1 << 20)
}

fn master_key(canary: &Canary) -> MasterKey {
    MasterKey::from_bytes(&canary.boxed()).unwrap()
}

/// Some work that uses every key.
fn work(store: &SecretStore) {
    let value = SecretValue::from_string(r#"{"users":[{"name":"app","password":"first"}]}"#);
    let new = NewSecret::new(name("s"), value).secret_type(SecretType::RdsFg);
    store.create_secret(new).unwrap();
    store.rotate(&name("s")).unwrap();
    store.checkpoint().unwrap();
    store.verify().unwrap();
}

/// Not even while the store is open: what it goes on with are the keys of its ring.
#[test]
fn a_master_key_is_gone_once_the_store_is_open() {
    scenario("keys::a_master_key_is_gone_once_the_store_is_open", |stage| {
        let word = Canary::bytes(&mut stage.random);
        let _ = word.hex();
        let path = stage.dir.join("store");
        let store = deep(|| builder(master_key(&word)).create(&path).unwrap());
        stage.nothing_left("creating");
        deep(|| work(&store));
        stage.nothing_left("working");
        deep(|| store.close().unwrap());
        let store = deep(|| builder(master_key(&word)).open_or_create(&path).unwrap());
        stage.nothing_left("opening again");
        deep(|| assert_eq!(store.get(&name("s")).unwrap().id().number(), 2));
        drop(store);
        stage.nothing_left("dropping");
        let err = deep(|| builder(master_key(&word)).create(&path).unwrap_err());
        assert_eq!(err.kind(), ErrorKind::AlreadyExists);
        let err = deep(|| builder(master_key(&word)).open(stage.dir.join("none")).unwrap_err());
        assert_eq!(err.kind(), ErrorKind::NotAStore);
        stage.nothing_left("not opening");
    });
}

#[test]
fn a_master_key_from_a_file_leaves_nothing() {
    scenario("keys::a_master_key_from_a_file_leaves_nothing", |stage| {
        let word = Canary::bytes(&mut stage.random);
        let hex = word.hex();
        let (path, file) = (stage.dir.join("store"), stage.dir.join("key"));
        deep(|| master_key(&word).write_new_file(&file).unwrap());
        stage.nothing_left("writing it");
        let store = deep(|| builder(MasterKey::from_file(&file).unwrap()).create(&path).unwrap());
        stage.nothing_left("a key in hexadecimal digits");
        deep(|| store.close().unwrap());
        fs::write(&file, word.boxed().as_slice()).unwrap();
        let store = deep(|| builder(MasterKey::from_file(&file).unwrap()).open(&path).unwrap());
        stage.nothing_left("a key in raw bytes");
        deep(|| store.close().unwrap());
        let wrong = Zeroizing::new(hex.within("@x"));
        fs::write(&file, &*wrong).unwrap();
        drop(wrong);
        let err = deep(|| MasterKey::from_file(&file).unwrap_err());
        stage.nothing_left("a key file that is refused");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let other = deep(|| MasterKey::from_file(&file).unwrap_err());
        assert_ne!(err.to_string(), other.to_string());
        stage.nothing_left("a key file open to others");
    });
}

#[test]
fn a_passphrase_is_gone_once_the_store_is_open() {
    scenario("keys::a_passphrase_is_gone_once_the_store_is_open", |stage| {
        let (right, wrong) = (Canary::text(&mut stage.random), Canary::text(&mut stage.random));
        let path = stage.dir.join("store");
        let phrase = |word: &Canary, pattern: &str| SecretString::from(word.within(pattern));
        let with = |phrase| SecretStore::builder().passphrase(phrase);
        let store = deep(|| with(phrase(&right, "@")).create(&path).unwrap());
        stage.nothing_left("creating with a passphrase");
        deep(|| store.close().unwrap());
        let store = deep(|| with(phrase(&right, "@")).open(&path).unwrap());
        deep(|| work(&store));
        stage.nothing_left("opening with a passphrase");
        let err = deep(|| {
            let present = Unlock::Passphrase(phrase(&wrong, "@"));
            store.add_key_slot(&present, &key(1).into(), "").unwrap_err()
        });
        assert_eq!(err.kind(), ErrorKind::WrongKey);
        deep(|| store.close().unwrap());
        let err = deep(|| with(phrase(&wrong, "not @")).open(&path).unwrap_err());
        assert_eq!(err.kind(), ErrorKind::WrongKey);
        stage.nothing_left("failed passphrases");
    });
}

#[test]
fn a_key_slot_leaves_nothing_of_what_opens_it() {
    scenario("keys::a_key_slot_leaves_nothing_of_what_opens_it", |stage| {
        let (first, second) = (Canary::bytes(&mut stage.random), Canary::bytes(&mut stage.random));
        let word = Canary::text(&mut stage.random);
        let path = stage.dir.join("store");
        let store = deep(|| builder(master_key(&first)).create(&path).unwrap());
        let slot = deep(|| {
            let (present, new) = (master_key(&first).into(), master_key(&second).into());
            store.add_key_slot(&present, &new, "second").unwrap()
        });
        stage.nothing_left("adding a slot");
        let err = deep(|| {
            let short = Unlock::Passphrase(SecretString::from(word.within("@")[..11].to_owned()));
            store.add_key_slot(&master_key(&first).into(), &short, "").unwrap_err()
        });
        assert_eq!(err.kind(), ErrorKind::InvalidArgument);
        // What the test itself cut the short one from.
        let _ = stage.look();
        stage.nothing_left("a passphrase that is too short");
        deep(|| store.remove_key_slot(slot.id()).unwrap());
        deep(|| store.close().unwrap());
        let err = deep(|| builder(master_key(&second)).open(&path).unwrap_err());
        assert_eq!(err.kind(), ErrorKind::WrongKey);
        stage.nothing_left("a key whose slot is gone");
    });
}

const RING: &str = "keys::the_keys_of_the_store_are_in_one_place_while_it_is_open_and_then_nowhere";
const MAKER: &str = "maker";
const DIR: &str = "STRONGROOM_TEST_DIR";

/// The keys of the ring have to be in memory while the store is open: each in one place, whole. Those
/// that are used once, or in a hashed form, are nowhere. After closing all are gone.
#[test]
fn the_keys_of_the_store_are_in_one_place_while_it_is_open_and_then_nowhere() {
    if support::role().as_deref() == Some(MAKER) {
        return make_store(Path::new(&env::var_os(DIR).unwrap()));
    }
    scenario(RING, |stage| {
        let kept = learn_keys(stage);
        let path = stage.dir.join("store");
        stage.nothing_left("learning the keys");
        let store = deep(|| builder(key(1)).open(&path).unwrap());
        in_one_place_each(&stage.look(), &kept, "opening");
        deep(|| work(&store));
        in_one_place_each(&stage.look(), &kept, "working");
        deep(|| {
            let (present, new) = (key(1).into(), key(2).into());
            store.add_key_slot(&present, &new, "second").unwrap();
        });
        in_one_place_each(&stage.look(), &kept, "adding a slot");
        let handle = store.clone();
        deep(|| store.close().unwrap());
        drop(handle);
        stage.nothing_left("closing and dropping the last handle");
        let store = deep(|| builder(key(2)).open(&path).unwrap());
        in_one_place_each(&stage.look(), &kept, "opening again");
        drop(store);
        stage.nothing_left("dropping");
        let salvage = deep(|| builder(key(1)).salvage(&path).unwrap());
        drop(salvage);
        stage.nothing_left("salvaging");
        let err = deep(|| builder(key(3)).open(&path).unwrap_err());
        assert_eq!(err.kind(), ErrorKind::WrongKey);
        stage.nothing_left("a wrong key");
    });
}

fn in_one_place_each(found: &Findings, kept: &[bool], after: &str) {
    assert_eq!(found.freed, [], "freed after {after}, as printed above");
    for (canary, kept) in kept.iter().enumerate() {
        let places = found.places.iter().filter(|place| place.canary == canary);
        let whole = places.map(|place| place.pieces == 25).collect::<Vec<_>>();
        let want: &[bool] = if *kept { &[true] } else { &[] };
        assert_eq!(whole, want, "key {canary} after {after}, whole or not, by place");
    }
}

/// In a process of its own, so that this one has never seen the keys.
fn make_store(dir: &Path) {
    let path = dir.join("store");
    let master = support::key_bytes(1);
    builder(key(1)).create(&path).unwrap().close().unwrap();
    for key in ring::keys_of(&path, &master) {
        let masked: Vec<String> =
            Canary::learn(&key.bytes).masked().iter().map(|byte| format!("{byte:02x}")).collect();
        println!("key: {} {} {}", key.kept, masked.concat(), key.what);
    }
}

/// Registers the keys of a new store, and says for each whether an open store keeps it.
fn learn_keys(stage: &Stage<'_>) -> Vec<bool> {
    let output = support::child(RING, MAKER).env(DIR, stage.dir).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut kept = Vec::new();
    for (_, line) in text.lines().filter_map(|line| line.split_once("key: ")) {
        let mut fields = line.splitn(3, ' ');
        let (keep, masked) = (fields.next().unwrap(), fields.next().unwrap());
        let byte = |at: usize| u8::from_str_radix(&masked[2 * at..2 * at + 2], 16).unwrap();
        Canary::registered((0..32).map(byte).collect());
        println!("canary {}: {}", kept.len(), fields.next().unwrap());
        kept.push(keep == "true");
    }
    assert_eq!(kept.len(), 14, "{text}");
    kept
}
