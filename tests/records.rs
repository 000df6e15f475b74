//! Sealed records and key files, one at a time: every bit of them changed, cut, lengthened, put in each
//! other's place, replayed, brought from other stores, sealed under other keys.
//!
//! All of this is done to bytes. That a whole store notices is for other tests.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod support;

use std::{collections::BTreeMap, fmt::Debug, fs, ops::Range, path::PathBuf};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, SecretStore, SecretString, Unlock,
    testing::fuzz::{Layer, Sealed, Specimens},
};
use support::{key, scratch};
use tempfile::TempDir;

/// How many records of each kind are put in each other's place.
const EACH: u8 = 4;

const HEADER: usize = 16;
const OVERHEAD: usize = 56;

/// How often each thing was the outcome.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count(&mut self, outcome: impl Debug) {
        *self.0.entry(format!("{outcome:?}")).or_default() += 1;
    }

    fn sum(&self) -> usize {
        self.0.values().sum()
    }

    fn print(&self, what: &str) {
        let outcomes: Vec<String> =
            self.0.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        println!("{what}: {} cases, {}", self.sum(), outcomes.join(", "));
    }
}

fn specimens() -> Specimens {
    Specimens::new(1, 1)
}

#[test]
fn every_record_is_read_where_it_was_written() {
    let specimens = specimens();
    let mut seen = Vec::new();
    for (kind, which) in all() {
        let text = specimens.check(kind, which, &specimens.record(kind, which)).unwrap();
        assert!(!seen.contains(&text), "{kind:?} {which}: {text}");
        seen.push(text);
    }
    println!("records: {} read", seen.len());
}

#[test]
fn a_record_with_any_bit_changed_is_refused() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for kind in Sealed::ALL {
        let record = specimens.record(kind, 0);
        for bit in 0..record.len() * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let wanted = match bit / 8 {
                0 | 1 | 3 => Layer::Shape,
                2 | 4..8 => Layer::Header,
                _ => Layer::Seal,
            };
            let found = specimens.check(kind, 0, &bad);
            assert_eq!(found, Err(wanted), "{kind:?}, bit {bit}");
            tally.count(wanted);
        }
    }
    tally.print("records, bits flipped");
    assert!(tally.sum() > 8_000);
}

#[test]
fn a_record_cut_lengthened_or_shifted_is_refused() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for kind in Sealed::ALL {
        let record = specimens.record(kind, 0);
        let mut refused = |what: String, bad: &[u8]| {
            let layer = specimens.check(kind, 0, bad).expect_err(&what);
            tally.count(layer);
            layer
        };
        for len in 0..record.len() {
            let layer = refused(format!("{kind:?} cut to {len}"), &record[..len]);
            let wanted = if len < OVERHEAD { Layer::Shape } else { Layer::Seal };
            assert_eq!(layer, wanted, "{kind:?} cut to {len}");
            refused(format!("{kind:?} without byte {len}"), &without(&record, len..len + 1));
            refused(format!("{kind:?} from {} on", len + 1), &record[len + 1..]);
            for filler in [0, record[len], 0xff] {
                let mut bad = record.clone();
                bad.insert(len, filler);
                refused(format!("{kind:?}, {filler:#x} inserted at {len}"), &bad);
            }
        }
        for more in 1..=256 {
            let zeros = [&record[..], &vec![0; more]].concat();
            refused(format!("{kind:?} and {more} zeros"), &zeros);
            let again = [&record[..], &record[record.len().saturating_sub(more)..]].concat();
            refused(format!("{kind:?} and its last {more} bytes again"), &again);
        }
    }
    tally.print("records, other lengths");
    assert!(tally.sum() > 8_000);
}

#[test]
fn records_put_in_each_others_place_are_refused() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for (kind, which) in all() {
        for (other, number) in all().filter(|other| *other != (kind, which)) {
            let wanted = match (kind == other, kind) {
                // Neither has its place in its seal: the chain and the commit number tell.
                (true, Sealed::Audit | Sealed::Root) => Layer::Order,
                (true, Sealed::Secret | Sealed::Stages | Sealed::Value) => Layer::Seal,
                (false, _) => Layer::Header,
            };
            let record = specimens.record(other, number);
            let found = specimens.check(kind, which, &record);
            let what = format!("{other:?} {number} in the place of {kind:?} {which}");
            assert_eq!(found, Err(wanted), "{what}");
            tally.count(wanted);
            // With its header made the expected one, the seal still knows.
            if kind != other {
                let mut relabelled = record;
                relabelled[..HEADER].copy_from_slice(&specimens.record(kind, which)[..HEADER]);
                assert_eq!(specimens.check(kind, which, &relabelled), Err(Layer::Seal), "{what}");
                tally.count(Layer::Seal);
            }
        }
    }
    tally.print("records, all pairs exchanged");
    assert_eq!(tally.sum(), 20 * 19 + 20 * 16);
}

#[test]
fn parts_of_two_records_make_no_third() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for kind in Sealed::ALL {
        for (one, two) in [(0, 1), (1, 0), (2, 3), (0, 3)] {
            let (record, other) = (specimens.record(kind, one), specimens.record(kind, two));
            assert_eq!(record.len(), other.len());
            let tag = record.len() - 16;
            for part in [0..HEADER, HEADER..40, 40..tag, tag..record.len(), 0..40, HEADER..tag] {
                let mut bad = record.clone();
                bad[part.clone()].copy_from_slice(&other[part.clone()]);
                if bad == record {
                    continue;
                }
                let found = specimens.check(kind, one, &bad);
                assert_eq!(found, Err(Layer::Seal), "{kind:?} {one}, {part:?} of {two}");
                tally.count(Layer::Seal);
            }
        }
    }
    tally.print("records, spliced");
    assert!(tally.sum() > 100);
}

#[test]
fn an_older_record_of_the_same_place_is_refused() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for (kind, which) in all() {
        let mut older = specimens.blueprint(kind, which);
        older.nonce = [0x0f; 24];
        let record = match kind {
            Sealed::Root => {
                let newer = older.revision;
                older.revision = newer - 1;
                let data = older.data().to_vec();
                let seq = &(newer - 1).to_be_bytes();
                older.set_data(kind, &[&data[..16], seq, &data[24..]].concat());
                specimens.seal((kind, which), &older)
            }
            Sealed::Audit => {
                let mut data = older.data().to_vec();
                data[2] ^= 1; // The time.
                older.set_data(kind, &data);
                specimens.seal((kind, which), &older)
            }
            Sealed::Secret | Sealed::Stages => {
                older.revision -= 1;
                specimens.seal((kind, which), &older)
            }
            // A place is never used again, and if it were, a data key is not.
            Sealed::Value => specimens.seal((kind, which + EACH), &older),
        };
        let wanted = if kind == Sealed::Value { Layer::Seal } else { Layer::Order };
        assert_eq!(specimens.check(kind, which, &record), Err(wanted), "{kind:?} {which}");
        tally.count(wanted);
    }
    tally.print("records, older ones put back");
}

#[test]
fn a_record_of_another_store_is_refused() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for (store, keys) in [(2, 1), (1, 9), (2, 9)] {
        let other = Specimens::new(store, keys);
        for (kind, which) in all() {
            // Its name stands under another key there, so it is brought to where it would be here.
            let mut moved = other.blueprint(kind, which);
            moved.key = specimens.blueprint(kind, which).key;
            for record in [other.record(kind, which), other.seal((kind, which), &moved)] {
                let found = specimens.check(kind, which, &record);
                let what = format!("{kind:?} {which} of store {store} with keys {keys}");
                // A data key is made for one value, whatever the store's keys are.
                let same_key = kind == Sealed::Value && store == 1;
                assert_eq!(found.is_ok(), same_key, "{what}: {found:?}");
                tally.count(found.map(|_| "read, being the same in both"));
            }
        }
    }
    tally.print("records of other stores");
}

#[test]
fn a_record_sealed_under_another_key_is_refused() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for (kind, which) in all() {
        let blueprint = specimens.blueprint(kind, which);
        for (other, number) in all() {
            let is_its_key = match (kind, other) {
                (Sealed::Secret | Sealed::Stages, Sealed::Secret | Sealed::Stages)
                | (Sealed::Audit, Sealed::Audit)
                | (Sealed::Root, Sealed::Root) => true,
                (Sealed::Value, Sealed::Value) => which == number,
                _ => false,
            };
            let found = specimens.check(kind, which, &specimens.seal((other, number), &blueprint));
            let what = format!("{kind:?} {which} under the key of {other:?} {number}: {found:?}");
            assert_eq!(found.is_ok(), is_its_key, "{what}");
            assert!(is_its_key || found == Err(Layer::Seal), "{what}");
            tally.count(found.map(|_| "read under its own key"));
        }
    }
    tally.print("records under all keys");
}

#[test]
fn a_record_of_another_generation_is_refused_or_is_another_record() {
    let (specimens, mut tally) = (specimens(), Tally::default());
    for kind in Sealed::ALL {
        for generation in [0, 1, 2, 3, 255, u32::MAX] {
            let mut other = specimens.blueprint(kind, 0);
            if other.generation == generation {
                continue;
            }
            other.generation = generation;
            let found = specimens.check(kind, 0, &specimens.seal((kind, 0), &other));
            let wanted = match (kind, generation) {
                // The ring has it, so it opens; the set hash knows that it is not the one written.
                (Sealed::Secret | Sealed::Stages, 2) => Layer::Order,
                _ => Layer::Header,
            };
            assert_eq!(found, Err(wanted), "{kind:?}, generation {generation}");
            tally.count(wanted);
        }
    }
    tally.print("records of other generations");
}

#[cfg(feature = "planted-faults")]
#[test]
fn records_bound_to_nothing_are_noticed() {
    for test in [
        "a_record_with_any_bit_changed_is_refused",
        "records_put_in_each_others_place_are_refused",
        "a_record_of_another_store_is_refused",
    ] {
        support::catches("Aad", test);
    }
}

// --- The key file ---------------------------------------------------------------------------

/// A closed store whose key file has a slot for a master key and one for a passphrase.
struct Locked {
    path: PathBuf,
    /// The key file before the second slot was added.
    older: Vec<u8>,
    bytes: Vec<u8>,
    _dir: TempDir,
}

impl Locked {
    fn new() -> Self {
        let dir = scratch();
        let path = dir.path().join("store");
        let store = builder().create(&path).unwrap();
        let older = fs::read(path.join("keys")).unwrap();
        let passphrase = Unlock::Passphrase(SecretString::from("correct horse battery"));
        store.add_key_slot(&key(1).into(), &passphrase, "people").unwrap();
        store.close().unwrap();
        let bytes = fs::read(path.join("keys")).unwrap();
        Self { path, older, bytes, _dir: dir }
    }

    /// Opens the store with these bytes as both copies of its key file.
    fn open(&self, keys: &[u8], with: Builder<HasKey>) -> Result<SecretStore, Error> {
        for name in ["keys", "keys.bak"] {
            fs::write(self.path.join(name), keys).unwrap();
        }
        with.open(&self.path)
    }

    fn refused(&self, what: &str, keys: &[u8]) -> ErrorKind {
        match self.open(keys, builder()) {
            Ok(_) => panic!("{what}: the store opens"),
            Err(err) => err.kind(),
        }
    }

    /// The fields of the key file with the error that a change in each of them gives.
    fn fields(&self) -> Vec<(&'static str, Range<usize>, ErrorKind)> {
        let mut fields = Vec::new();
        let mut at = 0;
        let mut field = |name, len: usize, kind| {
            fields.push((name, at..at + len, kind));
            at += len;
        };
        field("magic", 8, ErrorKind::Damaged);
        field("format and suite", 2, ErrorKind::UnsupportedFormat);
        field("store id", 16, ErrorKind::WrongKey);
        field("sequence number", 8, ErrorKind::Tampered);
        field("number of slots", 1, ErrorKind::Damaged);
        for (label, parameters, own) in [(0, 0, true), (6, 29, false)] {
            // Of the slot that is opened its own check speaks first; of others the ring's seal.
            let key = if own { ErrorKind::WrongKey } else { ErrorKind::Tampered };
            field("slot: length", 2, ErrorKind::Damaged);
            field("slot: id", 4, key);
            field("slot: type", 1, key);
            field("slot: length of the label", 1, ErrorKind::Damaged);
            field("slot: label", label, ErrorKind::Tampered);
            field("slot: created", 8, ErrorKind::Tampered);
            field("slot: length of the parameters", 2, ErrorKind::Damaged);
            field("slot: parameters", parameters, ErrorKind::Tampered);
            field("slot: salt", 32, key);
            field("slot: commitment", 32, key);
            field("slot: nonce", 24, ErrorKind::Tampered);
            field("slot: wrapped key", 48, ErrorKind::Tampered);
        }
        field("length of the ring", 4, ErrorKind::Damaged);
        field("ring: nonce", 24, ErrorKind::Tampered);
        field("ring: sealed", 126, ErrorKind::Tampered);
        assert_eq!(at, self.bytes.len());
        fields
    }
}

fn builder() -> Builder<HasKey> {
    SecretStore::builder().master_key(key(1)).state_cache_bytes(1 << 20)
}

#[test]
fn a_key_file_with_any_bit_changed_is_refused() {
    let (locked, mut tally) = (Locked::new(), Tally::default());
    for (field, range, wanted) in locked.fields() {
        for bit in range.start * 8..range.end * 8 {
            let mut bad = locked.bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = locked.refused(&format!("{field}, bit {bit}"), &bad);
            let no_text = field == "slot: label" && bit % 8 == 7;
            let wanted = if no_text { ErrorKind::Damaged } else { wanted };
            assert_eq!(found, wanted, "{field}, bit {bit}");
            tally.count(found);
        }
    }
    locked.open(&locked.bytes, builder()).unwrap();
    tally.print("key file, bits flipped");
    assert!(tally.sum() > 4_000);
}

#[test]
fn a_key_file_cut_lengthened_or_of_another_time_or_store_is_refused() {
    let (locked, mut tally) = (Locked::new(), Tally::default());
    let bytes = &locked.bytes;
    for len in 0..bytes.len() {
        let found = locked.refused(&format!("cut to {len}"), &bytes[..len]);
        assert_eq!(found, ErrorKind::Damaged, "cut to {len}");
        tally.count(found);
        for filler in [0, bytes[len], 0xff] {
            let mut bad = bytes.clone();
            bad.insert(len, filler);
            if &bad[..bytes.len()] != bytes {
                tally.count(locked.refused(&format!("{filler} inserted at {len}"), &bad));
            }
        }
    }
    for more in [1, 2, 16, 4096, 256 * 1024] {
        let found = locked.refused("longer", &[&bytes[..], &vec![0; more]].concat());
        assert_eq!(found, ErrorKind::Damaged, "{more} bytes more");
        tally.count(found);
    }

    let slots: Vec<Range<usize>> = {
        let starts = locked.fields().into_iter().filter(|field| field.0 == "slot: length");
        let len = |at: usize| 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        starts.map(|field| field.1.start..field.1.start + len(field.1.start)).collect()
    };
    let [raw, passphrase] = &slots[..] else { panic!("{slots:?}") };
    let head = |count: u8| [&bytes[..34], &[count]].concat();
    let (one, two, ring) =
        (&bytes[raw.clone()], &bytes[passphrase.clone()], &bytes[passphrase.end..]);
    let other_dir = scratch();
    let other = other_dir.path().join("store");
    builder().create(&other).unwrap().close().unwrap();
    let other = fs::read(other.join("keys")).unwrap();
    let cases = [
        ("slots exchanged", [&head(2), two, one, ring].concat(), ErrorKind::Tampered),
        ("the passphrase's slot left out", [&head(1), one, ring].concat(), ErrorKind::Tampered),
        ("the key's slot left out", [&head(1), two, ring].concat(), ErrorKind::WrongKey),
        ("a slot twice", [&head(3), one, two, two, ring].concat(), ErrorKind::Tampered),
        ("no slot", [&head(0), ring].concat(), ErrorKind::Damaged),
        ("the file before the change", locked.older.clone(), ErrorKind::Tampered),
        ("the file of another store", other, ErrorKind::Damaged),
        ("a copy of a journal's header", b"SSv1-SEG".repeat(40), ErrorKind::Damaged),
        ("an empty file", Vec::new(), ErrorKind::Damaged),
    ];
    for (what, bad, wanted) in cases {
        let found = locked.refused(what, &bad);
        assert_eq!(found, wanted, "{what}");
        tally.count(found);
    }
    for seed in 2..=255 {
        let with = SecretStore::builder().master_key(key(seed));
        let found = locked.open(bytes, with).unwrap_err().kind();
        assert_eq!(found, ErrorKind::WrongKey, "key {seed}");
        tally.count(found);
    }
    locked.open(bytes, builder()).unwrap();
    tally.print("key file, other lengths, other files, other keys");
}

// --- Instruments ----------------------------------------------------------------------------

/// Twenty records: four of each kind.
fn all() -> impl Iterator<Item = (Sealed, u8)> {
    Sealed::ALL.into_iter().flat_map(|kind| (0..EACH).map(move |which| (kind, which)))
}

fn without(bytes: &[u8], range: Range<usize>) -> Vec<u8> {
    [&bytes[..range.start], &bytes[range.end..]].concat()
}
