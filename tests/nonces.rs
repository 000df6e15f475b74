//! No nonce and no data key is used twice: not by a million seals, and not by stores that were copied and
//! written on from there.
//!
//! Nonces are random and no key is counted for: XChaCha20's are long enough that no key has to be
//! replaced for the number of its seals.
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

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
};

use strongroom::{
    Builder, HasKey, Limits, MasterKey, NewSecret, NewVersion, SecretStore, SecretType,
    SecretUpdate, SecretValue,
    testing::fuzz::{Seals, data_keys},
};
use support::{cases, copy_dir, name, scratch};

const KEY: [u8; 32] = *b"a master key of the nonces' test";

const THREADS: usize = 2;

#[test]
fn a_million_seals_of_one_value_have_distinct_nonces_and_ciphertexts() {
    let count = cases(1_000_000);
    let seals: Vec<([u8; 24], [u8; 16])> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| (0..count / THREADS).map(|_| sealed()).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(seals.len(), count);
    // Every bit is drawn: a count in some bits of a nonce would be seen here.
    for bit in 0..24 * 8 {
        let set = seals.iter().filter(|seal| seal.0[bit / 8] >> (bit % 8) & 1 == 1).count();
        // Twelve standard deviations.
        let off = set.abs_diff(count / 2);
        assert!(off * off < 36 * count, "bit {bit} of the nonce is set {set} times of {count}");
    }
    let (nonces, texts): (Vec<_>, Vec<_>) = seals.into_iter().unzip();
    assert_eq!(distinct(nonces), count, "a nonce was drawn twice");
    assert_eq!(distinct(texts), count, "one ciphertext came twice");
    println!(
        "nonces: {count} seals of one value under one key, all nonces and ciphertexts distinct"
    );
}

/// The nonce and the ciphertext's first bytes of one more seal of the same value.
fn sealed() -> ([u8; 24], [u8; 16]) {
    let record = Seals::new().seal(b"the same value, again and again").unwrap();
    (record[16..40].try_into().unwrap(), record[40..56].try_into().unwrap())
}

fn distinct<T: Ord>(mut all: Vec<T>) -> usize {
    all.sort_unstable();
    all.dedup();
    all.len()
}

#[test]
fn copies_of_a_store_written_on_by_other_handles_repeat_no_nonce_and_no_data_key() {
    let dir = scratch();
    let first = dir.path().join("first");
    let store = builder().create(&first).unwrap();
    write_on(&store, 10);
    store.close().unwrap();
    // One copy of the closed store, and one of it while it is open and at rest.
    copy_dir(&first, &dir.path().join("second"));
    let store = builder().open(&first).unwrap();
    copy_dir(&first, &dir.path().join("third"));
    let paths = ["first", "second", "third"].map(|name| dir.path().join(name));
    let others = paths[1..].iter().map(|path| builder().open(path).unwrap());
    let handles: Vec<SecretStore> = [store].into_iter().chain(others).collect();
    let rounds = cases(80);
    thread::scope(|scope| {
        for handle in &handles {
            scope.spawn(move || {
                // A segment of its own, with a salt of its own.
                handle.checkpoint().unwrap();
                write_on(handle, rounds);
            });
        }
    });
    for handle in handles {
        handle.verify().unwrap();
        handle.close().unwrap();
    }

    let mut found = Found::default();
    for path in &paths {
        found.add(path);
    }
    let commits: Vec<usize> = found.commits.iter().map(BTreeSet::len).collect();
    assert!(commits.iter().all(|count| *count > 300), "{commits:?}");
    assert!(found.salts.len() > 3, "{} salts", found.salts.len());
    found.check_apart();
    println!(
        "nonces: 3 copies of a store, {commits:?} commits, {} records, all with nonces of their own; \
         {} data keys, each sealing one value; {} salts",
        found.records.len(),
        found.values.len(),
        found.salts.len(),
    );
}

/// Changes of every kind, the same on each handle.
fn write_on(store: &SecretStore, rounds: usize) {
    for round in 0..rounds {
        let secret = name(&format!("secret-{}", round % 3));
        let new = NewSecret::new(secret.clone(), value()).secret_type(SecretType::RdsFg);
        drop(store.create_secret(new));
        store.put_version(&secret, NewVersion::new(value())).unwrap();
        store.rotate(&secret).unwrap();
        let update = SecretUpdate::new().description(format!("{round}").parse().unwrap());
        store.update_secret(&secret, &update).unwrap();
        if round % 7 == 6 {
            store.delete_secret(&secret).unwrap();
        }
        if round % 5 == 4 {
            let (present, new) = (key().into(), support::key(round as u8).into());
            let slot = store.add_key_slot(&present, &new, "another").unwrap();
            store.remove_key_slot(slot.id()).unwrap();
        }
    }
}

fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(4).unwrap();
    SecretStore::builder().master_key(key()).limits(limits).state_cache_bytes(1 << 20)
}

fn key() -> MasterKey {
    MasterKey::from_bytes(&KEY).unwrap()
}

fn value() -> SecretValue {
    SecretValue::from_string(r#"{"users":[{"name":"app","password":"the same in all"}]}"#)
}

// --- What stands in the files ---------------------------------------------------------------

/// What was found in the journals and key files of all stores.
#[derive(Default)]
struct Found {
    /// Every sealed record and sealed part of a key file, by its nonce.
    records: BTreeMap<[u8; 24], Vec<u8>>,
    /// The data keys, and the records that each seals.
    values: BTreeMap<[u8; 32], BTreeSet<Vec<u8>>>,
    salts: BTreeMap<[u8; 16], Vec<u8>>,
    /// Of each store.
    commits: Vec<BTreeSet<u64>>,
}

impl Found {
    fn add(&mut self, store: &Path) {
        let key_file = fs::read(store.join("keys")).unwrap();
        self.add_key_file(&key_file);
        let (mut commits, mut keys) = (BTreeSet::new(), BTreeMap::new());
        let mut sealed_values = Vec::new();
        for entry in fs::read_dir(store.join("journal")).unwrap() {
            let segment = fs::read(entry.unwrap().path()).unwrap();
            if !segment.starts_with(b"SSv1-SEG") {
                continue;
            }
            let old =
                self.salts.insert(segment[40..56].try_into().unwrap(), segment[..128].to_vec());
            assert!(old.is_none_or(|old| old == segment[..128]), "a salt was drawn twice");
            for (seq, payload) in frames(&segment) {
                assert!(commits.insert(seq));
                for (tree, at, record) in entries(payload) {
                    self.add_record(record[16..40].try_into().unwrap(), record);
                    match tree {
                        0x11 => {
                            let id = at.try_into().unwrap();
                            let found = data_keys((&key_file, KEY), &id, record);
                            keys.extend(found.expect("the labels' record opens"));
                        }
                        0x20 => {
                            let number = u64::from_be_bytes(at.try_into().unwrap());
                            sealed_values.push((number, record.to_vec()));
                        }
                        _ => {}
                    }
                }
            }
        }
        for (number, record) in sealed_values {
            self.values.entry(keys[&number]).or_default().insert(record);
        }
        self.commits.push(commits);
    }

    fn add_record(&mut self, nonce: [u8; 24], sealed: &[u8]) {
        let old = self.records.insert(nonce, sealed.to_vec());
        assert!(old.is_none_or(|old| old == sealed), "a nonce was used twice");
    }

    /// The ring's seal and those of the slots, which have the nonce in front.
    fn add_key_file(&mut self, file: &[u8]) {
        let mut at = 35;
        for _ in 0..file[34] {
            let end = at + 2 + usize::from(u16::from_be_bytes([file[at], file[at + 1]]));
            let sealed = &file[end - 72..end];
            self.add_record(sealed[..24].try_into().unwrap(), sealed);
            at = end;
        }
        let sealed = &file[at + 4..];
        self.add_record(sealed[..24].try_into().unwrap(), sealed);
    }

    fn check_apart(&self) {
        for records in self.values.values() {
            assert_eq!(records.len(), 1, "a data key seals {} values", records.len());
        }
        // The copies went apart: most records are in one of them only.
        let common = self.commits[0].len().min(self.commits[1].len());
        assert!(self.records.len() > 2 * 4 * common, "{} records", self.records.len());
    }
}

/// The frames of a segment: commit number and payload.
fn frames(segment: &[u8]) -> Vec<(u64, &[u8])> {
    let (mut frames, mut at) = (Vec::new(), 4096);
    while let Some(head) = segment.get(at..at + 12) {
        let len = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let seq = u64::from_be_bytes(head[4..].try_into().unwrap());
        if len == 0 {
            break;
        }
        frames.push((seq, &segment[at + 12..at + 12 + len]));
        at = (at + 12 + len + 32).next_multiple_of(4096);
    }
    frames
}

/// The records that a payload puts: tree, key, record.
fn entries(mut payload: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
    let mut entries = Vec::new();
    while let [tree, key_len, rest @ ..] = payload {
        let (key, rest) = rest.split_at(usize::from(*key_len));
        let (len, rest) = rest.split_at(4);
        let len = u32::from_be_bytes(len.try_into().unwrap());
        if len == u32::MAX {
            payload = rest;
            continue;
        }
        let (record, rest) = rest.split_at(len as usize);
        entries.push((*tree, key, record));
        payload = rest;
    }
    entries
}
