//! The whole store as a backup: made while it is in use, checked, restored.

use std::{
    io::{self, Cursor, Seek as _, SeekFrom, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use strongroom::{
    BackupInfo, Expect, ListSecrets, SecretString, StageMove, VersionRef, testing::FaultyDisk,
};

use super::*;

fn backup(store: &SecretStore) -> (Vec<u8>, BackupInfo) {
    let mut bytes = Vec::new();
    let info = store.backup(&mut bytes, |_| {}).unwrap();
    assert_eq!(info.bytes, bytes.len() as u64);
    (bytes, info)
}

fn restore(bytes: &[u8], path: &Path) -> Result<SecretStore, Error> {
    builder().restore(path, &mut Cursor::new(bytes), |_| {})
}

/// Everything in a store.
fn everything(store: &SecretStore) -> Vec<String> {
    let mut all = Vec::new();
    let mut list = ListSecrets::new().limit(1000);
    loop {
        let page = store.secrets(&list).unwrap();
        for secret in page.items() {
            all.push(format!("{secret:?} {}", picture(store, secret.name())));
            let versions = ListVersions::new().limit(1000);
            for version in store.versions(secret.name(), &versions).unwrap().items() {
                let read = store.version(secret.name(), &VersionRef::Id(version.id())).unwrap();
                all.push(format!("{version:?} {:?}", read.value().expose()));
            }
        }
        match page.items().last().filter(|_| page.has_more()) {
            Some(last) => list = list.marker(last.name().clone()),
            None => return all,
        }
    }
}

/// Some secrets of every kind that this test knows.
fn furnish(store: &SecretStore) {
    let orders = create_rotatable(store, "orders");
    store.rotate(&orders).unwrap();
    let plain = create(store, "plain");
    (0..25).for_each(|_| _ = put(store, &plain, ""));
    put(store, &plain, "blue");
    let long = SecretValue::from_bytes((0..24_000_u32).map(|n| n as u8).collect::<Vec<u8>>());
    store.create_secret(NewSecret::new(name("long"), long)).unwrap();
    let gone = create(store, "gone");
    store.delete_secret(&gone).unwrap();
}

#[test]
fn a_restored_store_has_everything_and_goes_on() {
    let (fresh, clock) = Fresh::at_a_standstill();
    furnish(&fresh);
    let before = seq(&fresh);
    let mut told = Vec::new();
    let mut bytes = Vec::new();
    let info = fresh.backup(&mut bytes, |bytes| told.push(bytes)).unwrap();
    assert_eq!((info.seq, seq(&fresh)), (before + 1, before + 1), "the audit log tells of it");
    assert!(told.is_sorted() && !told.is_empty());
    assert_eq!((info.store_id, info.secrets), (fresh.anchor().unwrap().store_id(), 3));
    let checked = builder().verify_backup(&mut &bytes[..], |_| {}).unwrap();
    assert_eq!(checked, info);

    clock.advance_ms(5000);
    let path = fresh.dir.path().join("copy");
    let copy = restore(&bytes, &path).unwrap();
    assert_eq!(everything(&copy), everything(&fresh));
    assert_eq!(seq(&copy), before + 2);
    let verified = copy.verify().unwrap();
    assert_eq!((verified.secrets, verified.versions), (info.secrets, info.versions));
    assert_eq!(verified.audit_records, info.audit_records + 1);
    // It is a store like any other.
    assert_eq!(copy.rotate(&name("orders")).unwrap().version_id(), v(3));
    create(&copy, "new");
    let after = everything(&copy);
    copy.checkpoint().unwrap();
    copy.close().unwrap();
    let copy = builder().open(&path).unwrap();
    assert_eq!(everything(&copy), after);
    copy.verify().unwrap();
    // And a backup of it restores too.
    let (bytes, _) = backup(&copy);
    let again = restore(&bytes, &fresh.dir.path().join("again")).unwrap();
    assert_eq!(everything(&again), after);
}

#[test]
fn an_anchor_of_the_original_does_not_fit_a_copy_nor_one_of_a_copy_another() {
    let fresh = Fresh::new();
    create(&fresh, "s");
    let anchor = fresh.anchor().unwrap();
    let (bytes, _) = backup(&fresh);
    let paths = ["one", "other"].map(|of| fresh.dir.path().join(of));
    let anchors =
        [&paths[0], &paths[1]].map(|path| restore(&bytes, path).unwrap().anchor().unwrap());
    assert_ne!(anchors[0], anchors[1]);
    let open = |path: &Path, anchor| builder().expect(Expect::Anchor(anchor)).open(path);
    let cases = [
        (&paths[0], anchor, false),
        (&paths[0], anchors[1], false),
        (&paths[1], anchors[0], false),
        (&paths[0], anchors[0], true),
        (&paths[1], anchors[1], true),
    ];
    for (n, (path, anchor, fits)) in cases.into_iter().enumerate() {
        match open(path, anchor) {
            Ok(_) => assert!(fits, "case {n}"),
            Err(err) => assert_eq!((err.kind(), fits), (ErrorKind::Rollback, false), "case {n}"),
        }
    }
    // To be restored at all, it must be the store that is expected.
    let id = anchor.store_id();
    for (expect, fits) in [(Expect::StoreId(id), true), (Expect::StoreId([0; 16]), false)] {
        let path = fresh.dir.path().join(format!("{fits}"));
        let restored = builder().expect(expect).restore(&path, &mut Cursor::new(&bytes), |_| {});
        assert_eq!(restored.is_ok(), fits);
        assert_eq!(path.exists(), fits);
    }
}

#[test]
fn only_the_keys_of_the_store_open_its_backup() {
    let dir = tempfile::tempdir().unwrap();
    let phrase = || SecretString::from("a passphrase of some length");
    let with = || SecretStore::builder().passphrase(phrase());
    let store = with().create(dir.path().join("s")).unwrap();
    create(&store, "s");
    let (bytes, _) = backup(&store);
    assert_eq!(kind_of(restore(&bytes, &dir.path().join("copy"))), ErrorKind::WrongKey);
    assert!(!dir.path().join("copy").exists());
    let copy = with().restore(dir.path().join("copy"), &mut Cursor::new(&bytes), |_| {}).unwrap();
    assert_eq!(current(&copy, &name("s")), "one");
    // A slot that was added is in it.
    store.add_key_slot(&phrase().into(), &key(1).into(), "more").unwrap();
    let (bytes, _) = backup(&store);
    restore(&bytes, &dir.path().join("other")).unwrap().verify().unwrap();
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let fresh = Fresh::new();
    let (bytes, _) = backup(&fresh);
    let before = everything(&fresh);
    assert_eq!(kind_of(restore(&bytes, &fresh.path)), ErrorKind::AlreadyExists);
    let file = fresh.dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert_eq!(kind_of(restore(&bytes, &file)), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(everything(&fresh), before);
}

#[test]
fn a_backup_of_which_a_byte_was_changed_or_cut_off_is_refused_and_nothing_is_made() {
    let fresh = Fresh::new();
    create_rotatable(&fresh, "s");
    let (bytes, _) = backup(&fresh);
    let path = fresh.dir.path().join("copy");
    let kinds = |kind: ErrorKind| {
        use ErrorKind::{Damaged, Tampered, UnsupportedFormat, WrongKey};
        matches!(kind, Damaged | Tampered | UnsupportedFormat | WrongKey)
    };
    let refused = |bad: &[u8], what: &str, restored: bool| {
        let kind = kind_of(builder().verify_backup(&mut &bad[..], |_| {}));
        assert!(kinds(kind), "{what}: {kind:?}");
        if restored {
            assert!(kinds(kind_of(restore(bad, &path))), "{what}");
            assert!(!path.exists(), "{what}");
        }
    };
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        refused(&bad, &format!("byte {at}"), at % 97 == 0);
        refused(&bytes[..at], &format!("cut at {at}"), at % 97 == 0);
    }
    refused(&[&bytes[..], &[0]].concat(), "a byte more", true);
    refused(&[&bytes[..], &bytes[..]].concat(), "twice", true);
    refused(&[], "nothing", true);
    let left = fs::read_dir(fresh.dir.path()).unwrap().count();
    assert_eq!(left, 1, "something was left beside the store");
    restore(&bytes, &path).unwrap();
}

#[test]
fn parts_of_two_backups_do_not_fit_together() {
    let fresh = Fresh::new();
    for n in 0..30 {
        let value = SecretValue::from_bytes(vec![n; 20_000]);
        fresh.create_secret(NewSecret::new(name(&format!("s{n}")), value)).unwrap();
    }
    let (one, _) = backup(&fresh);
    let (other, _) = backup(&fresh);
    assert!(one.len() > 2 * 256 * 1024, "several blocks");
    let same_len = one.len().min(other.len());
    // The second ends of one are put on the first of the other, at the bounds of blocks and elsewhere.
    for at in (0..same_len).step_by(10_007) {
        let mixed = [&one[..at], &other[at..]].concat();
        let verified = builder().verify_backup(&mut &mixed[..], |_| {});
        assert!(at == 0 || verified.is_err(), "put together at {at}");
    }
}

#[test]
fn a_backup_may_stand_in_the_middle_of_a_stream_for_restoring() {
    let fresh = Fresh::new();
    create(&fresh, "s");
    let (bytes, _) = backup(&fresh);
    let mut stream = Cursor::new([b"before".as_slice(), &bytes].concat());
    stream.seek(SeekFrom::Start(6)).unwrap();
    let copy = builder().restore(fresh.dir.path().join("copy"), &mut stream, |_| {}).unwrap();
    assert_eq!(current(&copy, &name("s")), "one");
}

#[test]
fn nothing_of_the_secrets_can_be_read_in_a_backup() {
    let fresh = Fresh::new();
    let words = ["Zq7pXwNaMe", "Zq7pXwVaLuE", "Zq7pXwLaBeL", "Zq7pXwDeScR"];
    let [of, value, label, described] = words;
    let new = NewSecret::new(name(of), text(value)).description(described.parse().unwrap());
    fresh.create_secret(new).unwrap();
    fresh.put_version(&name(of), NewVersion::new(text(value)).stages([stage(label)])).unwrap();
    let (bytes, info) = backup(&fresh);
    for word in words {
        let found = bytes.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(!found && !format!("{info:?}").contains(word), "{word}");
    }
}

/// A sink that is slow, or fails behind some bytes.
struct Sink {
    bytes: Vec<u8>,
    pause: Duration,
    fails_behind: usize,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(self.pause);
        if self.bytes.len() > self.fails_behind {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells a thread to end, also if the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_is_of_one_moment_while_writers_go_on() {
    let fresh = Fresh::new();
    let together = ["a", "b", "c"];
    for of in together {
        fresh.create_secret(NewSecret::new(name(of), text("1"))).unwrap();
        fresh.put_version(&name(of), NewVersion::new(text("2"))).unwrap();
    }
    fresh
        .create_secrets((0..300).map(|n| {
            NewSecret::new(name(&format!("filler-{n}")), SecretValue::from_bytes(vec![7; 4000]))
        }))
        .unwrap();
    let (ended, commits) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let _end = Ends(&ended);
        scope.spawn(|| {
            for n in 0.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let to = v(1 + n % 2);
                let moves: Vec<StageMove> =
                    together.map(|of| StageMove::new(name(of), Stage::Current, to)).to_vec();
                fresh.move_stages(&moves).unwrap();
                commits.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..4 {
            let mut sink = Sink {
                bytes: Vec::new(),
                pause: Duration::from_millis(50),
                fails_behind: usize::MAX,
            };
            let before = commits.load(Ordering::Relaxed);
            let info = fresh.backup(&mut sink, |_| {}).unwrap();
            assert!(commits.load(Ordering::Relaxed) > before, "the writer stood still");
            let path = fresh.dir.path().join(format!("copy-{round}"));
            let copy = restore(&sink.bytes, &path).unwrap();
            assert_eq!(seq(&copy), info.seq + 1);
            let at: Vec<_> = together
                .iter()
                .map(|of| copy.secret(&name(of)).unwrap().current_version())
                .collect();
            assert!(at.iter().all(|it| *it == at[0]), "torn: {at:?}");
            copy.verify().unwrap();
        }
    });
    fresh.verify().unwrap();
    fresh.checkpoint().unwrap();
}

#[test]
fn a_sink_that_fails_does_not_harm_the_store() {
    let fresh = Fresh::new();
    furnish(&fresh);
    for fails_behind in [0, 100, 1000, 30_000] {
        let mut sink = Sink { bytes: Vec::new(), pause: Duration::ZERO, fails_behind };
        assert_eq!(kind_of(fresh.backup(&mut sink, |_| {})), ErrorKind::Storage);
        assert!(builder().verify_backup(&mut &sink.bytes[..], |_| {}).is_err());
        put(&fresh, &name("plain"), "");
        fresh.checkpoint().unwrap();
    }
    fresh.compact().unwrap();
    let (bytes, _) = backup(&fresh);
    builder().verify_backup(&mut &bytes[..], |_| {}).unwrap();
    fresh.verify().unwrap();
}

#[test]
fn a_panic_of_the_caller_does_not_stop_the_store() {
    let fresh = Fresh::new();
    create(&fresh, "s");
    let backup = std::panic::AssertUnwindSafe(|| {
        fresh.backup(&mut io::sink(), |_| std::panic::resume_unwind(Box::new("the caller's")))
    });
    assert!(std::panic::catch_unwind(backup).is_err());
    put(&fresh, &name("s"), "");
    fresh.checkpoint().unwrap();
}

#[test]
fn a_closed_store_makes_no_backup_and_closing_waits_for_one() {
    let fresh = Fresh::new();
    furnish(&fresh);
    let begun = &AtomicBool::new(false);
    thread::scope(|scope| {
        let closer = fresh.store.clone();
        scope.spawn(move || {
            while !begun.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            closer.close().unwrap();
        });
        let mut bytes = Vec::new();
        let made = fresh.backup(&mut bytes, |_| {
            if !begun.swap(true, Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
        });
        made.unwrap();
        builder().verify_backup(&mut &bytes[..], |_| {}).unwrap();
    });
    assert_eq!(kind_of(fresh.backup(&mut io::sink(), |_| {})), ErrorKind::InvalidState);
}

/// The process dies in every call to the disk of a restore, or the disk fails from there on.
#[test]
fn a_restore_that_is_cut_off_leaves_a_whole_store_or_none() {
    let fresh = Fresh::new();
    furnish(&fresh);
    let (bytes, _) = backup(&fresh);
    let (wanted, disk) = (everything(&fresh), FaultyDisk::new(None));
    let (mut whole, mut none) = (0, 0);
    for step in 0.. {
        let path = fresh.dir.path().join("copy");
        disk.crash(step);
        let with = builder().disk(Arc::new(disk.clone()));
        let done = with.restore(&path, &mut Cursor::new(&bytes), |_| {}).is_ok();
        disk.set(None);
        if path.exists() {
            let store = builder().open(&path).unwrap();
            assert_eq!(everything(&store), wanted, "step {step}");
            store.verify().unwrap();
            whole += 1;
        } else {
            assert!(!done, "step {step}");
            none += 1;
            // What is left beside it is in nobody's way.
            drop(restore(&bytes, &path).unwrap());
        }
        fs::remove_dir_all(&path).unwrap();
        if done {
            break;
        }
    }
    assert!(none > 10 && whole > 1, "{none} without, {whole} with");
}

/// Values under keys of the store's own ring, one of which is disabled.
#[test]
fn values_under_named_keys_are_in_a_backup() {
    let fresh = Fresh::new();
    let keys = [0, 1].map(|n| fresh.create_key(&format!("key-{n}")).unwrap());
    for (of, key) in ["a", "b"].iter().zip(&keys) {
        fresh.create_secret(NewSecret::new(name(of), text(of)).kms_key_id(key.id.clone())).unwrap();
    }
    fresh.disable_key(&keys[1].id).unwrap();
    let (bytes, info) = backup(&fresh);
    assert_eq!((info.secrets, info.versions), (2, 2));
    let copy = restore(&bytes, &fresh.dir.path().join("copy")).unwrap();
    assert_eq!(current(&copy, &name("a")), "a");
    assert_eq!(copy.secret(&name("a")).unwrap().kms_key_id(), Some(keys[0].id.as_str()));
    let read = copy.get(&name("a")).unwrap();
    assert_eq!(read.metadata().kms_key_id(), Some(keys[0].id.as_str()), "as it was");
    let next = copy.put_version(&name("a"), NewVersion::new(text("next"))).unwrap();
    assert_eq!(next.kms_key_id(), Some(keys[0].id.as_str()));
    assert_eq!(kind_of(copy.get(&name("b"))), ErrorKind::Key);
    copy.enable_key(&keys[1].id).unwrap();
    assert_eq!(current(&copy, &name("b")), "b");
    copy.verify().unwrap();
}
