//! Errors, of every kind that can be had: what they print, with their causes, holds no value, password,
//! description, token, passphrase or key. Names and labels may be in them.

use std::{collections::BTreeSet, error::Error as StdError, fs, io, path::Path, sync::Arc};

use strongroom::{
    Anchor, Builder, Description, Error, ErrorKind, EventName, Expect, HasKey, KeyId, KmsKey,
    Limits, MasterKey, NewSecret, NewVersion, PasswordPolicy, Policy, Position, Preconditions,
    Principal, RequestToken, RotationConfig, RotationPeriod, SecretBlob, SecretName, SecretState,
    SecretStore, SecretType, SecretUpdate, SecretValue, Stage, TagKey, TagValue, TaskId, Timestamp,
    Unlock, VersionId, VersionRef,
    testing::{Fault, FaultyDisk, Moment, Operation, StateCall, StateFault},
};

use crate::{
    needles::Needles,
    support::{self, Random, key, key_bytes, name},
    written::word,
};

/// What cannot be had from outside: the randomness of the system does not fail on command.
const NOT_TO_BE_HAD: [ErrorKind; 1] = [ErrorKind::Random];

/// Errors in words, and the words that must not be among them.
struct Told {
    needles: Needles,
    random: Random,
    kinds: BTreeSet<String>,
    errors: usize,
}

impl Told {
    /// A random word that no error may hold.
    fn marked(&mut self) -> String {
        let word = word(&mut self.random);
        self.needles.add(&word);
        word
    }

    fn value(&mut self) -> SecretValue {
        SecretValue::from_string(self.marked())
    }

    #[track_caller]
    fn store_error<T>(&mut self, kind: ErrorKind, outcome: Result<T, Error>) {
        let Err(err) = outcome else { panic!("no error, but {kind:?} was to be had") };
        assert_eq!(err.kind(), kind, "{err:?}");
        self.kinds.insert(format!("{kind:?}"));
        self.error(&err);
    }

    #[track_caller]
    fn error(&mut self, err: &dyn StdError) {
        self.errors += 1;
        let mut said = format!("{err} {err:?} {err:#?}");
        let mut cause = err.source();
        while let Some(err) = cause {
            said.push_str(&format!(" {err} {err:?}"));
            cause = err.source();
        }
        assert_eq!(self.needles.found_in_text(&said), None, "{said}");
    }
}

fn builder() -> Builder<HasKey> {
    SecretStore::builder().master_key(key(1)).state_cache_bytes(1 << 20)
}

fn later() -> Timestamp {
    Timestamp::from_millis(9_000_000_000_000)
}

#[test]
fn errors_say_nothing_secret() {
    let seed = support::seed();
    let mut told = Told {
        needles: Needles::default(),
        random: Random::new(seed),
        kinds: BTreeSet::new(),
        errors: 0,
    };
    told.needles.add(key_bytes(1));
    let dir = support::scratch();
    let path = &dir.path().join("store");
    let store = builder().create(path).unwrap();
    of_calls(&mut told, &store);
    of_shapes(&mut told, &store);
    of_slots(&mut told, &store);
    of_rights(&mut told, &store);
    of_keys(&mut told, &store, dir.path());
    of_states(&mut told, &store);
    of_history(&mut told, dir.path());
    of_opening(&mut told, path, store);
    of_files(&mut told, dir.path(), path);
    of_disks(&mut told, path);
    of_texts(&mut told, dir.path());

    let all = [
        "AlreadyExists",
        "AnchorTooOld",
        "Conflict",
        "Constraint",
        "Damaged",
        "Denied",
        "InvalidArgument",
        "InvalidState",
        "Key",
        "KeyManager",
        "LimitExceeded",
        "Locked",
        "NotAStore",
        "NotFound",
        "Poisoned",
        "Pruned",
        "Random",
        "Rollback",
        "SecretState",
        "Storage",
        "Tampered",
        "UnsupportedFormat",
        "VersionState",
        "WrongKey",
        "WrongStore",
    ];
    let not: Vec<String> = NOT_TO_BE_HAD.iter().map(|kind| format!("{kind:?}")).collect();
    let missing = all.iter().filter(|kind| !told.kinds.contains(**kind));
    assert!(missing.eq(not.iter()), "{:?} of {all:?}", told.kinds);
    // And what is in one would be found.
    let word = told.marked();
    let holding = io::Error::other(io::Error::other(word));
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told.error(&holding)));
    assert!(found.is_err(), "a word in the cause of an error is not found");
    println!(
        "{} errors of {} kinds of {}, {:?} words in them: none",
        told.errors,
        told.kinds.len(),
        all.len(),
        told.needles.len().0
    );
}

fn of_calls(told: &mut Told, store: &SecretStore) {
    let account = |word: String| {
        SecretValue::from_string(format!(
            r#"{{"users":[{{"name":"{word}","password":"{word}"}}]}}"#
        ))
    };
    let token: RequestToken = told.marked().parse().unwrap();
    let text: Description = told.marked().parse().unwrap();
    let new = NewSecret::new(name("s"), told.value()).description(text).token(token.clone());
    store.create_secret(new).unwrap();
    let new = NewSecret::new(name("account"), account(told.marked()));
    store.create_secret(new.secret_type(SecretType::RdsFg)).unwrap();

    let put = |told: &mut Told, change: &dyn Fn(NewVersion) -> NewVersion| {
        store.put_version(&name("s"), change(NewVersion::new(told.value())))
    };
    let (none, stale) = (name("nobody"), Preconditions::none().if_revision(77));
    let new = NewSecret::new(name("s"), told.value());
    told.store_error(ErrorKind::AlreadyExists, store.create_secret(new));
    let new = NewSecret::new(name("s"), told.value()).token(token.clone());
    told.store_error(ErrorKind::Conflict, store.create_secret(new));
    let outcome = put(told, &|new| new.preconditions(stale));
    told.store_error(ErrorKind::Conflict, outcome);
    let outcome = put(told, &|new| new.token(token.clone()));
    told.store_error(ErrorKind::Conflict, outcome);
    let outcome = put(told, &|new| new.expires(Timestamp::from_millis(1)));
    told.store_error(ErrorKind::InvalidArgument, outcome);
    let outcome = put(told, &|new| new.stages([Stage::Pending, Stage::Pending]));
    told.store_error(ErrorKind::InvalidArgument, outcome);
    let long = SecretValue::from_string(told.marked().repeat(2000));
    let outcome = store.put_version(&name("s"), NewVersion::new(long));
    told.store_error(ErrorKind::LimitExceeded, outcome);
    let value = NewVersion::new(told.value());
    told.store_error(ErrorKind::NotFound, store.put_version(&none, value));
    told.store_error(ErrorKind::NotFound, store.get(&none));
    let version = VersionRef::Id(VersionId::from_number(9).unwrap());
    told.store_error(ErrorKind::NotFound, store.version(&name("s"), &version));
    told.store_error(ErrorKind::NotFound, store.update_version(&name("s"), &version, later()));
    told.store_error(ErrorKind::NotFound, store.stage(&name("s"), &Stage::Pending));
    told.store_error(ErrorKind::Constraint, store.rotate(&name("s")));
    told.store_error(ErrorKind::Constraint, store.delete_stage(&name("s"), &Stage::Current));
    let text: Description = told.marked().parse().unwrap();
    let update = SecretUpdate::new().description(text).preconditions(stale);
    told.store_error(ErrorKind::Conflict, store.update_secret(&name("s"), &update));
}

fn of_shapes(told: &mut Told, store: &SecretStore) {
    let shapes = [
        "@",
        "\"@\"",
        "[\"@\"]",
        r#"{"users":"@"}"#,
        r#"{"users":[]}"#,
        r#"{"users":["@"]}"#,
        r#"{"users":[{"name":"app"}]}"#,
        r#"{"users":[{"name":"@","password":7}]}"#,
        r#"{"users":[{"name":["@"],"password":"@"}]}"#,
        r#"{"users":[{"@":1,"@":2}]}"#,
        r#"{"users":[{"name":"@","password":"@"},{"name":"@","password":"@"}]}"#,
        r#"{"users":[{"name":"@","password":"\ud800@"}]}"#,
        r#"{"@":"@""#,
        r#"{"users":[{"name":"app","password":"@","password":"@"}]}"#,
    ];
    for shape in shapes {
        let value = SecretValue::from_string(shape.replace('@', &told.marked()));
        let outcome = store.put_version(&name("account"), NewVersion::new(value));
        told.store_error(ErrorKind::Constraint, outcome);
    }
    let bytes = NewVersion::new(SecretValue::from_bytes(told.marked()));
    told.store_error(ErrorKind::Constraint, store.put_version(&name("account"), bytes));
}

fn of_slots(told: &mut Told, store: &SecretStore) {
    let present: Unlock = key(1).into();
    let short = Unlock::Passphrase(told.marked()[..11].into());
    let outcome = store.add_key_slot(&present, &short, "");
    told.store_error(ErrorKind::InvalidArgument, outcome);
    let label = told.marked().repeat(20);
    let outcome = store.add_key_slot(&present, &key(2).into(), &label);
    told.store_error(ErrorKind::InvalidArgument, outcome);
    told.store_error(ErrorKind::InvalidArgument, store.remove_key_slot(1));
    told.store_error(ErrorKind::NotFound, store.remove_key_slot(77));
    told.needles.add(key_bytes(9));
    let outcome = store.add_key_slot(&key(9).into(), &key(2).into(), "");
    told.store_error(ErrorKind::WrongKey, outcome);
}

fn of_rights(told: &mut Told, store: &SecretStore) {
    let session = store.session("ann".parse().unwrap(), []).unwrap();
    told.store_error(ErrorKind::Denied, session.get(&name("s")));
    let new = NewVersion::new(told.value());
    told.store_error(ErrorKind::Denied, session.put_version(&name("s"), new));
    let new = NewSecret::new(name("t"), told.value());
    told.store_error(ErrorKind::Denied, session.create_secret(new));
}

fn of_keys(told: &mut Told, store: &SecretStore, dir: &Path) {
    let key_id: KeyId = "nobodys-key".parse().unwrap();
    let new = NewSecret::new(name("t"), told.value()).kms_key_id(key_id.clone());
    told.store_error(ErrorKind::Key, store.create_secret(new));
    let manager = KmsKey::new(Arc::new(store.clone()), key_id);
    let locked = SecretStore::builder().kms_key(manager).create(dir.join("locked"));
    told.store_error(ErrorKind::KeyManager, locked);
    let blob = store.backup_secret(&name("s")).unwrap();
    told.needles.add(store.blob_key(&blob).unwrap().expose());
    let other = builder().create(dir.join("other")).unwrap();
    told.store_error(ErrorKind::InvalidArgument, other.restore_secret(&blob));
    told.store_error(ErrorKind::AlreadyExists, store.restore_secret(&blob));
}

fn of_states(told: &mut Told, store: &SecretStore) {
    let new = NewSecret::new(name("states"), told.value());
    store.create_secret(new).unwrap();
    store.disable_version(&name("states"), VersionId::FIRST).unwrap();
    told.store_error(ErrorKind::VersionState, store.get(&name("states")));
    store.set_state(&name("states"), SecretState::Disabled).unwrap();
    told.store_error(ErrorKind::SecretState, store.get(&name("states")));
    let new = NewVersion::new(told.value());
    told.store_error(ErrorKind::SecretState, store.put_version(&name("states"), new));
}

/// What a store whose log was cut does not know any more.
fn of_history(told: &mut Told, dir: &Path) {
    let path = dir.join("pruned");
    let store = builder().create(&path).unwrap();
    let anchor = store.anchor().unwrap();
    let new = NewSecret::new(name("s"), told.value());
    store.create_secret(new).unwrap();
    let new = NewVersion::new(told.value());
    store.put_version(&name("s"), new).unwrap();
    store.prune_audit(later()).unwrap();
    told.store_error(ErrorKind::Pruned, store.subscribe(Position::START).map(drop));
    store.close().unwrap();
    let with = builder().expect(Expect::Anchor(anchor));
    told.store_error(ErrorKind::AnchorTooOld, with.open(&path));
}

fn of_opening(told: &mut Told, path: &Path, store: SecretStore) {
    told.store_error(ErrorKind::Locked, builder().open(path));
    told.store_error(ErrorKind::AlreadyExists, builder().create(path));
    told.store_error(ErrorKind::NotAStore, builder().open(path.join("none")));
    let old = path.with_file_name("old");
    support::copy_dir(path, &old);
    let new = NewVersion::new(told.value());
    store.put_version(&name("s"), new).unwrap();
    let (anchor, handle) = (store.anchor().unwrap(), store.clone());
    store.close().unwrap();
    let new = NewVersion::new(told.value());
    told.store_error(ErrorKind::InvalidState, handle.put_version(&name("s"), new));
    drop(handle);
    told.store_error(ErrorKind::Rollback, builder().expect(Expect::Anchor(anchor)).open(&old));
    let other = builder().expect(Expect::StoreId([7; 16]));
    told.store_error(ErrorKind::WrongStore, other.open(path));
    let phrase = told.marked();
    let with = SecretStore::builder().passphrase(phrase.into());
    told.store_error(ErrorKind::WrongKey, with.open(path));
    told.store_error(ErrorKind::WrongKey, SecretStore::builder().master_key(key(9)).open(path));
    let short = told.marked()[..11].to_owned();
    let with = SecretStore::builder().passphrase(short.into());
    told.store_error(ErrorKind::InvalidArgument, with.create(path.with_file_name("short")));
}

/// Copies of the store with something wrong in a file.
fn of_files(told: &mut Told, dir: &Path, path: &Path) {
    let copy = |what: &str| {
        let copy = dir.join(what);
        support::copy_dir(path, &copy);
        copy
    };
    let edit = |file: &Path, at: usize| {
        let mut bytes = fs::read(file).unwrap();
        bytes[at] ^= 0x40;
        fs::write(file, bytes).unwrap();
    };
    let (format, slot, gone) = (copy("format"), copy("slot"), copy("gone"));
    for keys in ["keys", "keys.bak"] {
        edit(&format.join(keys), 8);
        // The byte before the nonce of the ring: of the slot's wrapped key.
        edit(&slot.join(keys), 180);
    }
    told.store_error(ErrorKind::UnsupportedFormat, builder().open(format));
    told.store_error(ErrorKind::Tampered, builder().open(slot));
    fs::remove_dir_all(gone.join("db")).unwrap();
    told.store_error(ErrorKind::Damaged, builder().open(gone));
}

fn of_disks(told: &mut Told, path: &Path) {
    let disk = FaultyDisk::new(None);
    let with = || builder().disk(Arc::new(disk.clone()));
    let fault = |only| {
        let error = io::ErrorKind::Other;
        Some(Fault { at: 0, lasting: true, only: Some(only), error })
    };
    let store = with().open(path).unwrap();
    disk.set(fault(Operation::Sync));
    let new = NewVersion::new(told.value());
    told.store_error(ErrorKind::Storage, store.put_version(&name("s"), new));
    let new = NewVersion::new(told.value());
    told.store_error(ErrorKind::Poisoned, store.put_version(&name("s"), new));
    drop(store);
    disk.set(fault(Operation::Read));
    told.store_error(ErrorKind::Storage, with().open(path));
    let (only, moment) = (Some(StateCall::Open), Moment::Before);
    disk.fail_state(StateFault { at: 0, lasting: true, only, moment, error: None });
    told.store_error(ErrorKind::Damaged, with().open(path));
}

/// Texts of callers that are refused. A name may be in an error; but not one that is no name.
fn of_texts(told: &mut Told, dir: &Path) {
    let foreign = |word: String| format!("{word} \u{7}{word}");
    let errors: Vec<Box<dyn StdError>> = vec![
        Box::new(foreign(told.marked()).parse::<SecretName>().unwrap_err()),
        Box::new(told.marked().repeat(30).parse::<SecretName>().unwrap_err()),
        Box::new(foreign(told.marked()).parse::<Stage>().unwrap_err()),
        Box::new(told.marked().repeat(30).parse::<Stage>().unwrap_err()),
        Box::new(told.marked().repeat(500).parse::<Description>().unwrap_err()),
        Box::new(foreign(told.marked()).parse::<RequestToken>().unwrap_err()),
        Box::new(told.marked().repeat(30).parse::<RequestToken>().unwrap_err()),
        Box::new(told.marked().parse::<SecretType>().unwrap_err()),
        Box::new(SecretType::rotatable(&foreign(told.marked())).unwrap_err()),
        Box::new(told.marked().parse::<VersionId>().unwrap_err()),
        Box::new(format!("v{}", told.marked()).parse::<VersionId>().unwrap_err()),
        Box::new(told.marked().parse::<Anchor>().unwrap_err()),
        Box::new(told.marked().parse::<SecretBlob>().unwrap_err()),
        Box::new(format!("{{\"{}", told.marked()).parse::<RotationConfig>().unwrap_err()),
        Box::new(format!("{{\"{}", told.marked()).parse::<Policy>().unwrap_err()),
        Box::new(told.marked().parse::<RotationPeriod>().unwrap_err()),
        Box::new(told.marked().parse::<TaskId>().unwrap_err()),
        Box::new(foreign(told.marked()).parse::<KeyId>().unwrap_err()),
        Box::new(foreign(told.marked()).parse::<Principal>().unwrap_err()),
        Box::new(foreign(told.marked()).parse::<EventName>().unwrap_err()),
        Box::new(foreign(told.marked()).parse::<TagKey>().unwrap_err()),
        Box::new(foreign(told.marked()).parse::<TagValue>().unwrap_err()),
        Box::new(format!("ssa1:{}", told.marked().repeat(4)).parse::<Anchor>().unwrap_err()),
        Box::new(PasswordPolicy::uri_safe().with_specials(&told.marked(), 1).unwrap_err()),
        Box::new(Limits::default().with_versions_max(0).unwrap_err()),
        Box::new(MasterKey::from_bytes(&[7; 32]).unwrap_err()),
        Box::new(MasterKey::from_env("STRONGROOM_TEST_UNSET").unwrap_err()),
    ];
    errors.iter().for_each(|err| told.error(&**err));
    let file = dir.join("key");
    key(3).write_new_file(&file).unwrap();
    told.error(&key(3).write_new_file(&file).unwrap_err());
    for text in [told.marked(), told.marked().repeat(4), format!("{:z>64}", told.marked())] {
        fs::write(&file, text).unwrap();
        told.error(&MasterKey::from_file(&file).unwrap_err());
    }
    told.error(&MasterKey::from_file(dir).unwrap_err());
}
