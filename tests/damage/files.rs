//! The small files: every byte under three masks, every length, removed, emptied, of an older time.

use std::{fs, path::Path};

use strongroom::{ErrorKind, SecretStore};
use tempfile::TempDir;

use crate::{
    original::{
        KEY, Left, Original, REMOVED_KEY, builder, content, edit, name, names, replace, value,
    },
    support::{in_time, scratch},
    tally::{Seen, Tally, look, says},
};

/// All bits, the lowest, the highest.
const MASKS: [u8; 3] = [0xff, 0x01, 0x80];

/// A store with one secret, damaged in place thousands of times.
struct Small {
    dir: TempDir,
    content: String,
}

impl Small {
    fn new() -> Self {
        let dir = scratch();
        let store = builder(KEY).create(dir.path().join("store")).unwrap();
        let new = strongroom::NewSecret::new(name(1), value(1, 100));
        store.create_secret(new).unwrap();
        let content = content(&store).unwrap();
        store.close().unwrap();
        Self { dir, content }
    }

    fn store(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    /// What opening gives: everything that was stored, or an error.
    fn opened(&self, what: &str) -> Result<(), strongroom::Error> {
        in_time(what, || {
            let store: SecretStore = builder(KEY).open(self.store())?;
            assert_eq!(content(&store)?, self.content, "{what}");
            store.close()
        })
    }
}

/// All that may happen to a short file.
fn damages(sound: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut damages = Vec::new();
    for at in 0..sound.len() {
        for mask in MASKS {
            let mut bytes = sound.to_vec();
            bytes[at] ^= mask;
            damages.push((format!("byte {at} with {mask:#x}"), bytes));
        }
    }
    for len in 0..sound.len() {
        damages.push((format!("cut to {len}"), sound[..len].to_vec()));
    }
    let mut longer = sound.to_vec();
    longer.push(0);
    damages.push(("one byte longer".to_owned(), longer));
    damages.push(("4 MiB of zeros".to_owned(), vec![0; 4 << 20]));
    damages
}

#[test]
fn one_damaged_copy_of_the_key_file_is_mended_from_the_other() {
    let small = Small::new();
    let sound = fs::read(small.store().join("keys")).unwrap();
    let mut count = 0;
    for file in ["keys", "keys.bak"] {
        for (what, bytes) in damages(&sound) {
            let what = format!("{file}, {what}");
            fs::write(small.store().join(file), bytes).unwrap();
            small.opened(&what).unwrap_or_else(|err| panic!("{what}: {err:?}"));
            for copy in ["keys", "keys.bak"] {
                let now = fs::read(small.store().join(copy)).unwrap();
                assert!(now == sound, "{what}: {copy} is not mended");
            }
            count += 1;
        }
        fs::remove_file(small.store().join(file)).unwrap();
        small.opened(&format!("{file} removed")).unwrap();
        count += 1;
    }
    assert!(count > 2000, "{count}");
    println!("one copy of the key file: {count} cases, {count} whole and mended");
}

#[test]
fn with_both_copies_of_the_key_file_damaged_the_error_says_so() {
    let small = Small::new();
    let sound = fs::read(small.store().join("keys")).unwrap();
    let mut tally = Tally::default();
    let write = |bytes: &[u8]| {
        ["keys", "keys.bak"].map(|file| fs::write(small.store().join(file), bytes).unwrap())
    };
    for (what, bytes) in damages(&sound) {
        write(&bytes);
        let what = format!("keys and keys.bak, {what}");
        let Err(err) = small.opened(&what) else { panic!("{what}: opened") };
        let kind = tally.count(&what, &err);
        let fits = !matches!(kind, ErrorKind::NotAStore | ErrorKind::Storage);
        let names_it = says(&err, "keys") || kind == ErrorKind::UnsupportedFormat;
        assert!(fits && names_it, "{what}: {err:?}");
        let left = ["keys", "keys.bak"].map(|file| fs::read(small.store().join(file)).unwrap());
        assert!(left.iter().all(|now| *now == bytes), "{what}: a refusal changed the key file");
    }
    // Removed, there is nothing to say but that it is missing.
    for file in ["keys", "keys.bak"] {
        fs::remove_file(small.store().join(file)).unwrap();
    }
    let err = small.opened("no key file").unwrap_err();
    assert_eq!(tally.count("no key file", &err), ErrorKind::Damaged);
    write(&sound);
    small.opened("put back").unwrap();
    assert!(tally.refusals() > 1000);
    tally.print("both copies of the key file");
}

#[test]
fn the_small_files_of_the_state_and_the_lock_may_be_damaged_anywhere() {
    let small = Small::new();
    let undamaged = scratch();
    replace(&small.store().join("db"), &undamaged.path().join("db"));
    let mut tally = Tally::default();
    for file in names(&undamaged.path().join("db")) {
        if file != "conf" && !file.starts_with("snap.") {
            continue;
        }
        let sound = fs::read(undamaged.path().join("db").join(&file)).unwrap();
        for (what, bytes) in damages(&sound) {
            let what = format!("db/{file} of {} bytes, {what}", sound.len());
            fs::write(small.store().join("db").join(&file), bytes).unwrap();
            state_case(&mut tally, &small, &what);
            replace(&undamaged.path().join("db"), &small.store().join("db"));
        }
        fs::remove_file(small.store().join("db").join(&file)).unwrap();
        state_case(&mut tally, &small, &format!("db/{file} removed"));
        replace(&undamaged.path().join("db"), &small.store().join("db"));
    }
    let lock = small.store().join("lock");
    for bytes in [&b""[..], b"no lock at all", &[0; 9000]] {
        fs::write(&lock, bytes).unwrap();
        state_case(&mut tally, &small, "the lock overwritten");
    }
    fs::remove_file(&lock).unwrap();
    state_case(&mut tally, &small, "the lock removed");
    tally.print("conf, snapshot and lock");
    assert!(tally.whole > 0 && tally.refusals() > 0);
}

fn state_case(tally: &mut Tally, small: &Small, what: &str) {
    match small.opened(what) {
        Ok(()) => tally.whole += 1,
        Err(err) => {
            tally.count(what, &err);
            assert!(says(&err, "db"), "{what}: {err:?}");
        }
    }
}

#[test]
fn an_older_key_file_is_no_way_back_for_a_removed_key() {
    let original = Original::new(Left::Closed);
    let mut tally = Tally::default();
    let put_back = |store: &Path, file: &str| {
        fs::copy(original.older().join(file), store.join(file)).unwrap();
    };
    for file in ["keys", "keys.bak"] {
        tally.case(&original, (&format!("{file} of an older time"), file), |store| {
            put_back(store, file);
        });
    }
    assert_eq!(tally.whole, 2, "the newer copy counts");
    let (_dir, path) = original.copy();
    put_back(&path, "keys");
    put_back(&path, "keys.bak");
    for key in [KEY, REMOVED_KEY] {
        let err = builder(key).open(&path).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Tampered, "{err:?}");
        assert!(says(&err, "keys"), "{err:?}");
    }
    original.put_back(&path, "keys keys.bak");
    let err = builder(REMOVED_KEY).open(&path).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::WrongKey);
    assert!(matches!(look("put back", &path), Seen::Content(found) if found == original.newest()));
    tally.print("older key files");
}

/// Whoever keeps several stores under one master key may copy a file of one to another by mistake.
#[test]
fn a_key_file_of_another_store_beside_a_good_one_does_no_harm() {
    let original = Original::new(Left::Closed);
    // Never changed, changed as often, and changed more often.
    let mut tally = Tally::default();
    for changes in 0..5 {
        let dir = scratch();
        let foreign = dir.path().join("store");
        let store = builder(KEY).create(&foreign).unwrap();
        let unlock = |seed| strongroom::Unlock::from(crate::support::key(seed));
        for n in 0..changes {
            store.add_key_slot(&unlock(KEY), &unlock(20 + n), "one more").unwrap();
        }
        store.close().unwrap();
        for file in ["keys", "keys.bak"] {
            let what = format!("{file} of a store whose keys changed {changes} times");
            tally.case(&original, (&what, file), |store| {
                fs::copy(foreign.join("keys"), store.join(file)).unwrap();
            });
        }
        // Then it is the journal that is of another store.
        tally.case(&original, ("both of another store", "journal keys keys.bak"), |store| {
            for file in ["keys", "keys.bak"] {
                edit(store, file, |bytes| *bytes = fs::read(foreign.join("keys")).unwrap());
            }
        });
    }
    tally.print("key files of another store");
    assert_eq!(tally.whole, 10, "one good copy is enough");
}
