//! Stores and records of every released format, as they were once written: they open for ever.
//!
//! `tests/data/v1/` holds, for format 1:
//!
//! * `closed.packed`, a store that was closed, and `open.packed`, one copied while it was open, with
//!   what is in them in `closed.txt` and `open.txt`. Master key and passphrase stand below.
//! * in folders named for the fuzz targets, one valid input a file: the plaintext of each kind of
//!   record, a sealed record, a key file, the parts of a journal. The fuzzer begins from them.
//! * in `vectors`, inputs that are wrong in one thing each; `tests/vectors` tells of them.
//!
//! These files are never made again, only added to. [`make_golden_files`] made them.
//!
//! A `.packed` file is `STRONGROOM-PACKED-1\n`, then steps: `u32` length of new
//! bytes, the bytes, `u32` where to copy from in what came out so far, `u32` how many bytes (which may
//! reach into themselves: that is how zeros are stored). What comes out is, for each file of the store,
//! `u16` length of the path, path, `u64` length of the file, bytes. Integers are big-endian.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code"
)]

#[path = "support/golden.rs"]
mod golden;

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use strongroom::{
    Anchor, Builder, ErrorKind, EventType, Expect, HasKey, KeyPage, Limits, ListEvents,
    ListSecrets, ListVersions, MasterKey, NewEvent, NewSecret, NewVersion, NotificationTarget,
    RecoveryWindow, RequestToken, RotationRules, SecretName, SecretStore, SecretString, SecretType,
    SecretUpdate, SecretValue, SlotKind, Stage, Tag, Timestamp, Unlock, VersionId, VersionRef,
    VersionState,
    testing::{
        ManualClock,
        fuzz::{self, Plaintext, RecordKind, Seals},
    },
};

use golden::{MAGIC, data, master_key_bytes, unpack};

const PASSPHRASE: &str = "golden passphrase";
const START_MS: i64 = 1_700_000_000_250;

/// The shortest repetition that is packed.
const COPY_MIN_BYTES: usize = 32;

#[test]
fn a_closed_store_of_format_1_opens_and_holds_what_it_held() {
    check_store("closed", true);
}

#[test]
fn an_unclosed_store_of_format_1_opens_and_holds_what_it_held() {
    check_store("open", false);
}

#[test]
fn the_bytes_of_format_1_are_read_and_written_as_ever() {
    let vectors = vectors();
    for (path, bytes) in &vectors {
        assert_eq!(fs::read(data().join(path)).unwrap(), *bytes, "{path}");
    }
    for kind in RecordKind::ALL {
        let bytes = fs::read(data().join("record").join(kind.name())).unwrap();
        assert_eq!(Plaintext::decode(kind, &bytes), Some(Plaintext::sample(kind)), "{kind:?}");
    }
    let sealed = fs::read(data().join("record/envelope")).unwrap();
    assert_eq!(Seals::new().open(&sealed).as_deref(), Some(&b"a value"[..]));
    assert!(fuzz::fuzz_key_file(&fs::read(data().join("key_file/two_slots")).unwrap()));
    for (part, kind) in [("header", "header"), ("frame", "frame"), ("payload", "payload")] {
        let bytes = fs::read(data().join("journal").join(part)).unwrap();
        assert!(fuzz::fuzz_journal(&bytes).contains(&kind), "{part}");
    }
}

fn check_store(which: &str, has_large: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    unpack(which, &path);
    let want = fs::read_to_string(data().join(format!("{which}.txt"))).unwrap();

    let clock = clock_at(100);
    let anchor: Anchor =
        want.lines().last().unwrap().strip_prefix("anchor ").unwrap().parse().unwrap();
    let with_anchor = || builder(&clock).expect(Expect::Anchor(anchor));
    let store = with_anchor().open(&path).unwrap();
    assert_eq!(describe(&store), want);
    let found = store.verify().unwrap();
    let count = |what: &str| want.lines().filter(|line| line.starts_with(what)).count() as u64;
    assert_eq!((found.secrets, found.versions), (count("secret "), count("  v")));
    if has_large {
        let large = store.get(&name("large")).unwrap();
        assert_eq!(large.value().expose(), pattern(100 * 1024));
    }

    // What cannot be listed: tokens are remembered, and numbers are not used again.
    let again = store.put_version(&name("service"), once("token-1", "by token")).unwrap();
    assert_eq!(again.id().number(), 2);
    let other = store.put_version(&name("service"), once("token-1", "something else"));
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(describe(&store), want, "nothing was written");
    let dropped = store.version(&name("many"), &VersionRef::Id(VersionId::FIRST));
    assert_eq!(dropped.unwrap_err().kind(), ErrorKind::NotFound);

    let new = NewVersion::new(SecretValue::from_string("written later"));
    let made = store.put_version(&name("many"), new).unwrap();
    assert_eq!(made.id().number(), 24);
    let rotated = store.rotate(&name("orders-db")).unwrap();
    let after = describe(&store);
    store.close().unwrap();

    let passphrase = Unlock::Passphrase(SecretString::from(PASSPHRASE));
    let store = SecretStore::builder()
        .unlock(passphrase)
        .clock(clock)
        .limits(limits())
        .expect(Expect::Anchor(anchor))
        .open(&path)
        .unwrap();
    assert_eq!(describe(&store), after);
    assert_eq!(store.get(&name("many")).unwrap().value().expose_str(), Some("written later"));
    assert_eq!(store.get(&name("orders-db")).unwrap().id(), rotated.version_id());
    store.verify().unwrap();
}

/// Makes the files of a format for the first time. Fails before it writes if one is there, so to
/// add some, name them anew.
#[test]
#[ignore = "golden files are made once, when a format version is new"]
fn make_golden_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut files: Vec<(String, Vec<u8>)> = vectors();
    for (which, has_large) in [("closed", true), ("open", false)] {
        let path = dir.path().join(which);
        let store = make_store(&path, has_large);
        let text = describe(&store);
        let bytes = if which == "closed" {
            store.close().unwrap();
            pack(&path)
        } else {
            let bytes = pack_at_rest(&path);
            drop(store);
            bytes
        };
        files.push((format!("{which}.packed"), bytes));
        files.push((format!("{which}.txt"), text.into_bytes()));
    }
    for (path, _) in &files {
        assert!(!data().join(path).exists(), "{path} is there: golden files are not made again");
    }
    for (path, bytes) in files {
        let path = data().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path).unwrap();
        file.write_all(&bytes).unwrap();
    }
}

/// A store with something of everything.
fn make_store(path: &Path, has_large: bool) -> SecretStore {
    let clock = clock_at(0);
    let store = builder(&clock).create(path).unwrap();
    let tick = || clock.advance_ms(1_000);
    tick();
    let pieces = NewSecret::new(name("pieces"), SecretValue::from_bytes(pattern(9_000)));
    store.create_secret(pieces).unwrap();
    let account = r#"{"users":[{"name":"app","password":"first"}]}"#;
    for (text, kind) in [
        ("orders-db", SecretType::RdsFg),
        ("ledger", SecretType::GaussDbFg),
        ("cache", SecretType::rotatable("REDIS-ACL").unwrap()),
    ] {
        tick();
        let new = NewSecret::new(name(text), SecretValue::from_string(account)).secret_type(kind);
        store
            .create_secret(new.description(format!("the {text}'s account").parse().unwrap()))
            .unwrap();
        store.rotate(&name(text)).unwrap();
    }
    tick();
    let service = NewSecret::new(name("service"), SecretValue::from_string("f\u{fc}r uns"));
    store.create_secret(service.token(token("token-0"))).unwrap();
    store.put_version(&name("service"), once("token-1", "by token")).unwrap();
    tick();
    let expires = Timestamp::from_millis(1_900_000_000_000);
    let binary = NewVersion::new(SecretValue::from_bytes(vec![0, 0xff, 0x80])).expires(expires);
    let stages = ["blue", "green"].map(|label| label.parse::<Stage>().unwrap());
    let made = store
        .put_version(
            &name("service"),
            binary.stages([Stage::Pending].into_iter().chain(stages.clone())),
        )
        .unwrap();
    store.move_stage(&name("service"), &Stage::Current, made.id()).unwrap();
    store.delete_stage(&name("service"), &stages[1]).unwrap();
    store.create_secret(NewSecret::new(name("many"), SecretValue::from_string("value 1"))).unwrap();
    for number in 2..=23 {
        tick();
        let new = NewVersion::new(SecretValue::from_string(format!("value {number}")));
        store.put_version(&name("many"), new).unwrap();
    }
    store.create_secret(NewSecret::new(name("gone"), SecretValue::from_string("x"))).unwrap();
    store.delete_secret(&name("gone")).unwrap();
    manage(&store);
    let passphrase = Unlock::Passphrase(SecretString::from(PASSPHRASE));
    store.add_key_slot(&Unlock::MasterKey(master_key()), &passphrase, "for people").unwrap();
    store.put_version(&name("pieces"), NewVersion::new(SecretValue::from_string(""))).unwrap();
    if has_large {
        let large = NewSecret::new(name("large"), SecretValue::from_bytes(pattern(100 * 1024)));
        store.create_secret(large).unwrap();
        // So that it stands in the state only, and once: two journal segments are kept.
        store.checkpoint().unwrap();
        store.update_secret(&name("large"), &described("a long value")).unwrap();
        store.checkpoint().unwrap();
    }
    store
}

/// States, tags, a rotation by schedule, an event that is subscribed to, a key of its own.
fn manage(store: &SecretStore) {
    let tags = [("team", "orders"), ("\u{e9}tage", "")];
    let tags = tags.map(|(key, value)| Tag::new(key, value).unwrap());
    store.add_tags(&name("service"), tags).unwrap();
    let weekly = RotationRules::new().automatic(true).period("7d".parse().unwrap());
    store.update_secret(&name("ledger"), &SecretUpdate::new().rotation(weekly)).unwrap();
    let target = NotificationTarget::new("urn:smn:topic", "topic").unwrap();
    let event = NewEvent::new("alarm".parse().unwrap(), [EventType::Deleted], target);
    store.create_event(&event).unwrap();
    let alarmed = SecretUpdate::new().event_subscriptions(["alarm".parse().unwrap()]);
    store.update_secret(&name("cache"), &alarmed).unwrap();
    store.destroy_version(&name("many"), VersionId::from_number(5).unwrap()).unwrap();
    store.disable_version(&name("many"), VersionId::from_number(6).unwrap()).unwrap();
    let key = store.create_key("own-key").unwrap().id;
    let own = NewSecret::new(name("own"), SecretValue::from_string("under its own key"));
    store.create_secret(own.kms_key_id(key)).unwrap();
    let leaving = NewSecret::new(name("leaving"), SecretValue::from_string("x"));
    store.create_secret(leaving).unwrap();
    store.schedule_deletion(&name("leaving"), RecoveryWindow::default()).unwrap();
}

/// Everything that can be seen of a store, as text; its anchor in the last line.
fn describe(store: &SecretStore) -> String {
    let mut out = String::new();
    for slot in store.key_slots() {
        let kind = match slot.kind() {
            SlotKind::Passphrase => "passphrase",
            _ => "raw",
        };
        let at = slot.created().as_millis();
        writeln!(out, "slot {} {kind} {:?} created {at}", slot.id(), slot.label()).unwrap();
    }
    for secret in store.secrets(&ListSecrets::new().limit(100)).unwrap().items() {
        writeln!(
            out,
            "secret {} {} {} {:?} created {} updated {} rotated {:?} revision {}",
            secret.name(),
            secret.id(),
            secret.secret_type(),
            secret.description().as_str(),
            secret.created().as_millis(),
            secret.updated().as_millis(),
            secret.rotated().map(Timestamp::as_millis),
            secret.revision(),
        )
        .unwrap();
        writeln!(
            out,
            "  is {} key {:?} next rotation {:?} events {:?} tags {:?} deletion {:?}",
            secret.state(),
            secret.kms_key_id(),
            secret.next_rotation().map(Timestamp::as_millis),
            secret.event_subscriptions(),
            store.tags(secret.name()).unwrap(),
            secret.scheduled_deletion().map(Timestamp::as_millis),
        )
        .unwrap();
        let versions = store.versions(secret.name(), &ListVersions::new().limit(100)).unwrap();
        for version in versions.items() {
            let value = match store.version(secret.name(), &VersionRef::Id(version.id())) {
                Ok(value) => format!("{:?} {}", value.value().kind(), shown(value.value())),
                Err(err) => err.to_string(),
            };
            // Of a destroyed one there is nothing that a check could count.
            let gone = if version.state() == VersionState::Destroyed { "gone " } else { "" };
            writeln!(
                out,
                "  {gone}{} created {} expires {:?} {value}",
                version.id(),
                version.created().as_millis(),
                version.expires().map(Timestamp::as_millis),
            )
            .unwrap();
            for stage in version.stages() {
                let info = store.stage(secret.name(), stage).unwrap();
                assert_eq!(info.version_id(), version.id());
                writeln!(out, "    {stage} since {}", info.updated().as_millis()).unwrap();
            }
        }
    }
    for event in store.events(&ListEvents::new()).unwrap().items() {
        let types = event.event_types();
        writeln!(out, "event {} {} {types:?}", event.name(), event.target().id()).unwrap();
    }
    for key in store.list_keys(&KeyPage::new()).unwrap().keys {
        writeln!(out, "key {} {:?} {:?}", key.id, key.alias, key.state).unwrap();
    }
    writeln!(out, "anchor {}", store.anchor().unwrap()).unwrap();
    out
}

/// A short text as it is, others by length and a sum (FNV-1a) that tells them apart.
fn shown(value: &SecretValue) -> String {
    match value.expose_str() {
        Some(text) if text.len() <= 100 => format!("{text:?}"),
        _ => {
            let sum = value.expose().iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
            format!("{} bytes {sum:016x}", value.expose().len())
        }
    }
}

/// The golden inputs of single formats, by path.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let mut vectors = vec![
        ("record/envelope".to_owned(), Seals::new().seal_with(b"a value", [7; 24]).unwrap()),
        ("key_file/two_slots".to_owned(), fuzz::key_file().unwrap()),
        ("journal/header".to_owned(), fuzz::segment_header()),
        ("journal/frame".to_owned(), fuzz::frame().unwrap()),
        ("journal/payload".to_owned(), fuzz::payload().unwrap()),
    ];
    for kind in RecordKind::ALL {
        let path = format!("record/{}", kind.name());
        vectors.push((path, Plaintext::sample(kind).encode().unwrap()));
    }
    vectors
}

fn pack(store: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for path in files_of(store) {
        let bytes = fs::read(store.join(&path)).unwrap();
        all.extend_from_slice(&u16::try_from(path.len()).unwrap().to_be_bytes());
        all.extend_from_slice(path.as_bytes());
        all.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        all.extend_from_slice(&bytes);
    }
    let (mut out, mut seen) = (MAGIC.to_vec(), HashMap::new());
    let (mut new_from, mut at) = (0, 0);
    let mut step = |new: &[u8], from: usize, len: usize| {
        for part in [&u32_bytes(new.len())[..], new, &u32_bytes(from), &u32_bytes(len)] {
            out.extend_from_slice(part);
        }
    };
    while let Some(key) = all.get(at..at + COPY_MIN_BYTES) {
        let Some(from) = seen.insert(key, at) else {
            at += 1;
            continue;
        };
        let same = all[from..].iter().zip(&all[at..]).take_while(|(old, new)| old == new).count();
        step(&all[new_from..at], from, same);
        at += same;
        new_from = at;
    }
    step(&all[new_from..], 0, 0);
    out
}

fn u32_bytes(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_be_bytes()
}

/// The files of an open store at one moment: two copies in a row that are the same.
fn pack_at_rest(store: &Path) -> Vec<u8> {
    let mut before = pack(store);
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(200));
        let after = pack(store);
        if before == after {
            return after;
        }
        before = after;
    }
    panic!("the store does not come to rest");
}

/// The files in a directory and its folders, by path from there, sorted.
fn files_of(base: &Path) -> Vec<String> {
    let (mut files, mut waiting) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(base.join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            match base.join(&path).is_dir() {
                true => waiting.push(path),
                false => files.push(path.to_str().unwrap().to_owned()),
            }
        }
    }
    files.sort();
    files
}

fn clock_at(seconds: i64) -> ManualClock {
    ManualClock::at(Timestamp::from_millis(START_MS + seconds * 1_000))
}

fn builder(clock: &ManualClock) -> Builder<HasKey> {
    SecretStore::builder().master_key(master_key()).clock(clock.clone()).limits(limits())
}

fn limits() -> Limits {
    Limits::default().with_value_len_max_bytes(256 * 1024).unwrap()
}

fn master_key() -> MasterKey {
    MasterKey::from_bytes(&master_key_bytes()).unwrap()
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn token(text: &str) -> RequestToken {
    text.parse().unwrap()
}

fn once(text: &str, value: &str) -> NewVersion {
    NewVersion::new(SecretValue::from_string(value)).token(token(text))
}

fn described(text: &str) -> SecretUpdate {
    SecretUpdate::new().description(text.parse().unwrap())
}

/// Bytes that do not repeat soon.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31) ^ (at >> 8)) as u8).collect()
}
