//! Key slots, and the key file damaged, put back, or lost.

use std::{fs, path::Path};

use strongroom::{Error, ErrorKind, Missing, SecretString, SlotKind, Timestamp, Unlock};

use super::*;

const PASSPHRASE: &str = "correct horse battery";
const BOTH: [&str; 2] = ["keys", "keys.bak"];

fn passphrase(text: &str) -> SecretString {
    SecretString::from(text)
}

fn with_key(seed: u8) -> Builder<HasKey> {
    SecretStore::builder().master_key(key(seed)).state_cache_bytes(4 << 20)
}

fn with_passphrase(text: &str) -> Builder<HasKey> {
    SecretStore::builder().passphrase(passphrase(text)).state_cache_bytes(4 << 20)
}

/// A closed store with the secret "s", under the key of the tests.
fn closed() -> (PathBuf, TempDir) {
    let Fresh { store, path, dir } = Fresh::new();
    create(&store, "s");
    store.close().unwrap();
    (path, dir)
}

fn flip(file: &Path, at: usize, bits: u8) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= bits;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_store_opens_with_its_passphrase_and_no_other() {
    let fresh = Fresh::with(with_passphrase(PASSPHRASE));
    create(&fresh, "s");
    let slots = fresh.key_slots();
    assert_eq!((slots.len(), slots[0].id(), slots[0].kind()), (1, 1, &SlotKind::Passphrase));
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    let wrong = [
        ("another passphrase", with_passphrase("correct horse batterz")),
        ("a short one", with_passphrase("x")),
        ("none", with_passphrase("")),
        ("a master key", with_key(1)),
    ];
    let before = files(&path);
    for (what, builder) in wrong {
        assert_eq!(kind_of(builder.open(&path)), ErrorKind::WrongKey, "case: {what}");
    }
    assert!(files(&path) == before, "a refused opening changes nothing");
    let store = with_passphrase(PASSPHRASE).open(&path).unwrap();
    assert_eq!(current(&store, &name("s")), "one");
}

#[test]
fn a_wrong_master_key_is_refused_and_changes_nothing() {
    let (path, _dir) = closed();
    let before = files(&path);
    for builder in [with_key(2), with_passphrase(PASSPHRASE)] {
        assert_eq!(kind_of(builder.open(&path)), ErrorKind::WrongKey);
    }
    let again = with_key(2).open_or_create(&path);
    assert_eq!(kind_of(again), ErrorKind::WrongKey);
    assert!(files(&path) == before);
    assert_eq!(current(&with_key(1).open(&path).unwrap(), &name("s")), "one");
}

#[test]
fn a_short_passphrase_makes_no_store_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    for text in ["", "elevenchars", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"] {
        for got in
            [with_passphrase(text).create(&path), with_passphrase(text).open_or_create(&path)]
        {
            let err = got.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{text}");
            assert!(text.is_empty() || !format!("{err:?} {err}").contains(text), "{err}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{text}");
    }
    // Twelve characters count, not bytes.
    with_passphrase(&"\u{e9}".repeat(12)).create(&path).unwrap();
}

#[test]
fn a_second_slot_opens_the_store_too_and_the_first_can_go() {
    let (fresh, clock) = Fresh::at_a_standstill();
    create(&fresh, "s");
    clock.advance_ms(60_000);
    let added =
        fresh.add_key_slot(&key(1).into(), &passphrase(PASSPHRASE).into(), "break glass").unwrap();
    assert_eq!((added.id(), added.label()), (2, "break glass"));
    assert_eq!(*added.kind(), SlotKind::Passphrase);
    assert_eq!(added.created(), Timestamp::from_millis(1_700_000_060_000));
    let Fresh { store, path, dir: _dir } = fresh;
    let slots = store.key_slots();
    assert_eq!((slots.len(), &slots[1]), (2, &added));
    assert_eq!((slots[0].label(), slots[0].kind()), ("", &SlotKind::MasterKey));
    store.close().unwrap();

    for builder in [with_key(1), with_passphrase(PASSPHRASE)] {
        let store = builder.open(&path).unwrap();
        assert_eq!(current(&store, &name("s")), "one");
        assert_eq!(store.key_slots(), slots);
        store.close().unwrap();
    }
    assert_eq!(kind_of(with_key(2).open(&path)), ErrorKind::WrongKey);

    let store = with_passphrase(PASSPHRASE).open(&path).unwrap();
    store.remove_key_slot(1).unwrap();
    assert_eq!(store.key_slots(), [added]);
    store.close().unwrap();
    assert_eq!(kind_of(with_key(1).open(&path)), ErrorKind::WrongKey);
    assert_eq!(current(&with_passphrase(PASSPHRASE).open(&path).unwrap(), &name("s")), "one");
}

#[test]
fn a_slot_is_added_only_for_whoever_has_a_key_already() {
    let fresh = Fresh::new();
    let before = (files(&fresh.path.join("journal")), seq(&fresh), fresh.key_slots());
    let long = "x".repeat(256);
    let cases: [(&str, Unlock, Unlock, &str, ErrorKind); 4] = [
        ("a wrong key", key(2).into(), key(3).into(), "", ErrorKind::WrongKey),
        ("no such slot", passphrase(PASSPHRASE).into(), key(3).into(), "", ErrorKind::WrongKey),
        (
            "a short passphrase",
            key(1).into(),
            passphrase("elevenchars").into(),
            "",
            ErrorKind::InvalidArgument,
        ),
        ("a long label", key(1).into(), key(3).into(), &long, ErrorKind::InvalidArgument),
    ];
    for (what, present, new, label, want) in cases {
        let got = fresh.add_key_slot(&present, &new, label);
        assert_eq!(kind_of(got), want, "case: {what}");
    }
    let after = (files(&fresh.path.join("journal")), seq(&fresh), fresh.key_slots());
    assert!(after == before);
    fresh.add_key_slot(&key(1).into(), &key(3).into(), &long[..255]).unwrap();
}

#[test]
fn a_store_has_one_to_sixteen_slots() {
    let fresh = Fresh::new();
    let err = fresh.remove_key_slot(1).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument, "the last one stays");
    let err = fresh.remove_key_slot(7).unwrap_err();
    assert!(matches!(err, Error::NotFound(Missing::KeySlot(7))), "{err:?}");
    for n in 2..=16 {
        let label = format!("slot {n}");
        let added = fresh.add_key_slot(&key(1).into(), &key(n).into(), &label).unwrap();
        assert_eq!((added.id(), added.label()), (u32::from(n), label.as_str()));
    }
    let before = (seq(&fresh), fresh.key_slots());
    let err = fresh.add_key_slot(&key(1).into(), &key(17).into(), "").unwrap_err();
    assert!(matches!(err, Error::LimitExceeded { asked: 17, max: 16, .. }), "{err:?}");
    assert_eq!((seq(&fresh), fresh.key_slots()), before);
    for id in 1..=15 {
        fresh.remove_key_slot(id).unwrap();
    }
    assert_eq!(kind_of(fresh.remove_key_slot(16)), ErrorKind::InvalidArgument);
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    assert_eq!(kind_of(with_key(15).open(&path)), ErrorKind::WrongKey);
    with_key(16).open(&path).unwrap();
}

#[test]
fn secrets_written_between_slot_changes_are_all_there() {
    let mut fresh = Fresh::new();
    for n in 2..=5_u8 {
        create(&fresh, &format!("s{n}"));
        let slot = fresh.add_key_slot(&key(1).into(), &key(n).into(), "").unwrap();
        put(&fresh, &name(&format!("s{n}")), "");
        fresh.remove_key_slot(slot.id()).unwrap();
        fresh = fresh.reopened();
    }
    assert_eq!(fresh.verify().unwrap().versions, 8);
}

/// The regions of a key file with one slot for a master key and no label.
const REGIONS: [(&str, usize); 9] = [
    ("the magic", 3),
    ("the store's id", 12),
    ("the ring's number", 33),
    ("the count of slots", 34),
    ("the slot's length", 36),
    ("the slot's type", 41),
    ("the salt", 60),
    ("the commitment", 100),
    ("the wrapped key", 160),
];

#[test]
fn one_damaged_key_file_heals_from_the_other() {
    let (path, _dir) = closed();
    let good = fs::read(path.join("keys")).unwrap();
    let last = [("the format", 8), ("the sealed ring", good.len() - 1)];
    for file in BOTH {
        for (what, at) in REGIONS.into_iter().chain(last) {
            flip(&path.join(file), at, 0x10);
            let store = builder().open(&path).unwrap_or_else(|err| panic!("{file}, {what}: {err}"));
            assert_eq!(current(&store, &name("s")), "one");
            store.close().unwrap();
            assert!(fs::read(path.join(file)).unwrap() == good, "case: {file}, {what}");
        }
        for rest in [0, 1, 8, good.len() / 2] {
            fs::write(path.join(file), &good[..rest]).unwrap();
            builder().open(&path).unwrap().close().unwrap();
            assert!(fs::read(path.join(file)).unwrap() == good, "case: {file} cut to {rest}");
        }
        fs::write(path.join(file), vec![7; 1 << 20]).unwrap();
        builder().open(&path).unwrap().close().unwrap();
        fs::remove_file(path.join(file)).unwrap();
        builder().open(&path).unwrap().close().unwrap();
        assert!(fs::read(path.join(file)).unwrap() == good, "case: {file} removed");
    }
    fs::write(path.join("keys.tmp"), "half").unwrap();
    builder().open(&path).unwrap();
}

/// Every byte of both copies. Which kind it is depends on what the byte was for; that it is never
/// any other kind, and never opens, does not.
#[test]
fn a_byte_changed_in_both_key_files_is_noticed() {
    let (path, _dir) = closed();
    let good = fs::read(path.join("keys")).unwrap();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for at in 0..good.len() {
        for bits in [0x01, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= bits;
            BOTH.iter().for_each(|file| fs::write(path.join(file), &bytes).unwrap());
            let kind = kind_of(builder().open(&path));
            let right = match at {
                0..8 => kind == ErrorKind::Damaged,
                8..10 => kind == ErrorKind::UnsupportedFormat,
                _ => matches!(kind, ErrorKind::Damaged | ErrorKind::Tampered | ErrorKind::WrongKey),
            };
            assert!(right, "{kind:?} for byte {at}");
            *kinds.entry(format!("{kind:?}")).or_default() += 1;
        }
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    BOTH.iter().for_each(|file| fs::write(path.join(file), &good).unwrap());
    assert_eq!(current(&builder().open(&path).unwrap(), &name("s")), "one");
}

#[test]
fn a_key_file_of_another_format_is_named_and_left_as_it_is() {
    let (path, _dir) = closed();
    for (at, found) in [(8, 2), (8, 0), (8, 255), (9, 7)] {
        let good = fs::read(path.join("keys")).unwrap();
        let mut other = good.clone();
        other[at] = found;
        BOTH.iter().for_each(|file| fs::write(path.join(file), &other).unwrap());
        let before = files(&path);
        let err = builder().open(&path).unwrap_err();
        let Error::UnsupportedFormat { found: named } = err else { panic!("{err:?}") };
        assert_eq!(named, found);
        assert!(files(&path) == before);
        BOTH.iter().for_each(|file| fs::write(path.join(file), &good).unwrap());
    }
    builder().open(&path).unwrap();
}

#[test]
fn lost_key_files_are_damage() {
    let (path, _dir) = closed();
    let kept = BOTH.map(|file| fs::read(path.join(file)).unwrap());
    BOTH.iter().for_each(|file| fs::remove_file(path.join(file)).unwrap());
    assert_eq!(kind_of(builder().open(&path)), ErrorKind::Damaged);
    assert_eq!(kind_of(builder().open_or_create(&path)), ErrorKind::Damaged);
    BOTH.iter().for_each(|file| fs::write(path.join(file), []).unwrap());
    assert_eq!(kind_of(builder().open(&path)), ErrorKind::Damaged);
    fs::write(path.join("keys"), &kept[0]).unwrap();
    builder().open(&path).unwrap();
}

#[test]
fn key_files_put_back_after_a_change_of_slots_are_noticed() {
    let fresh = Fresh::new();
    let path = fresh.path.clone();
    fresh.add_key_slot(&key(1).into(), &key(2).into(), "").unwrap();
    let old = BOTH.map(|file| fs::read(path.join(file)).unwrap());
    fresh.remove_key_slot(2).unwrap();
    fresh.store.close().unwrap();
    let new = fs::read(path.join("keys")).unwrap();

    // One of them: the other is the right one, and mends it.
    for (file, old) in BOTH.iter().zip(&old) {
        fs::write(path.join(file), old).unwrap();
        builder().open(&path).unwrap().close().unwrap();
        assert!(fs::read(path.join(file)).unwrap() == new);
    }
    // Both: with the removed key as with the one that stayed.
    for seed in [1, 2] {
        for (file, old) in BOTH.iter().zip(&old) {
            fs::write(path.join(file), old).unwrap();
        }
        assert_eq!(kind_of(with_key(seed).open(&path)), ErrorKind::Tampered, "key {seed}");
    }
    BOTH.iter().for_each(|file| fs::write(path.join(file), &new).unwrap());
    builder().open(&path).unwrap();
}

/// Whichever of the two it replaced, and whether its number is lower or higher.
#[test]
fn one_key_file_of_another_store_is_told_or_mended() {
    for changes in 0..2 {
        let (path, _dir) = closed();
        let other = Fresh::new();
        for n in 0..changes {
            other.add_key_slot(&key(1).into(), &key(2 + n).into(), "").unwrap();
        }
        let good = fs::read(path.join("keys")).unwrap();
        for file in BOTH {
            fs::copy(other.path.join(file), path.join(file)).unwrap();
            match builder().open(&path) {
                Ok(store) => assert_eq!(current(&store, &name("s")), "one"),
                Err(err) => {
                    let kind = err.kind();
                    let right = matches!(kind, ErrorKind::Damaged | ErrorKind::Tampered);
                    assert!(right, "{file}, {changes}: {err:?}");
                }
            }
            fs::write(path.join(file), &good).unwrap();
            assert_eq!(current(&builder().open(&path).unwrap(), &name("s")), "one");
        }
    }
}

#[test]
fn the_key_files_of_another_store_do_not_open_this_one() {
    let (path, _dir) = closed();
    let (other, _other_dir) = closed();
    let good = fs::read(path.join("keys")).unwrap();
    for file in BOTH {
        fs::copy(other.join(file), path.join(file)).unwrap();
    }
    let kind = kind_of(builder().open(&path));
    assert!(matches!(kind, ErrorKind::Damaged | ErrorKind::Tampered), "{kind:?}");
    BOTH.iter().for_each(|file| fs::write(path.join(file), &good).unwrap());
    assert_eq!(current(&builder().open(&path).unwrap(), &name("s")), "one");
}
