//! Salvage: what is intact of a store that was damaged, and a new store made of it.
//!
//! Whatever is done to the files: no panic, no hang, nothing written, never other data. What is called
//! intact is exactly what was there, and what was there and is not intact is told of. Damage is drawn
//! from a seed; `STRONGROOM_SEED=n` sets another one.
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

mod harm;
mod objects;
#[path = "../support/mod.rs"]
mod support;
mod truth;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use harm::Harm;
use strongroom::{
    Anchor, Cause, Completeness, ErrorKind, Expect, Limits, Loss, NewSecret, NewVersion, Salvage,
    SalvagedSecret, SecretName, SecretStore, SecretType, SecretValue, Stage, VersionId, VersionRef,
    testing::{Fault, FaultyDisk},
};
use support::{Random, cases, child, in_time, key, name, role, scratch, seed, sled_open};
use truth::{Content, MARK, Original, builder, content, files, salvaged, secret};

/// What an opening of the salvage may say if both copies of the key file are damaged.
const KEYS_LOST: [ErrorKind; 4] =
    [ErrorKind::Damaged, ErrorKind::Tampered, ErrorKind::UnsupportedFormat, ErrorKind::WrongKey];

// --- Without damage ---------------------------------------------------------------------------

#[test]
fn an_undamaged_store_is_salvaged_wholly() {
    let mut random = Random::new(seed());
    let mut secrets = 0;
    for open in [false, true] {
        let original = Original::new(&mut random, open);
        let (commit, then) = original.last();
        let before = files(&original.path());
        let salvage = builder().salvage(original.path()).unwrap();
        assert!(salvage.is_whole(), "open: {open}: {salvage}");
        assert_eq!(salvage.completeness(), Completeness::Proven { commit }, "open: {open}");
        assert!(salvage.damage().is_empty(), "open: {open}: {salvage}");
        assert_eq!(&salvaged(&salvage), then, "open: {open}");
        let new = scratch();
        let store = salvage.write_to(new.path().join("new")).unwrap();
        assert_eq!(&content(&store), then, "open: {open}");
        assert_eq!(store.verify().unwrap().secrets, then.len() as u64);
        assert!(files(&original.path()) == before, "open: {open}: it wrote");
        secrets += then.len();
    }
    println!("undamaged: a closed store and one left open, {secrets} secrets, all whole");
}

#[test]
fn a_salvaged_store_goes_on_with_the_numbers_labels_and_revisions_it_had() {
    let original = Original::new(&mut Random::new(seed()), false);
    let new = scratch();
    let salvage = builder().salvage(original.path()).unwrap();
    let store = salvage.write_to(new.path().join("new")).unwrap();
    let going_on = builder().open(original.path()).unwrap();
    for name in original.last().1.keys() {
        let put = || NewVersion::new(SecretValue::from_string(users("next")));
        let (here, there) = (store.put_version(name, put()), going_on.put_version(name, put()));
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!((here.id(), here.stages()), (there.id(), there.stages()), "{name}");
        let revision = |store: &SecretStore| store.secret(name).unwrap().revision();
        assert_eq!(revision(&store), revision(&going_on), "{name}");
    }
    store.verify().unwrap();
    store.close().unwrap();
    // And may itself be salvaged.
    let again = builder().salvage(new.path().join("new")).unwrap();
    assert!(again.is_whole(), "{again}");
    println!("going on: {} secrets", original.last().1.len());
}

#[test]
fn values_too_large_for_one_commit_are_salvaged() {
    let dir = scratch();
    let limits = Limits::default().with_value_len_max_bytes(1 << 20).unwrap();
    let limits = || builder().limits(limits);
    let store = limits().create(dir.path().join("old")).unwrap();
    let large = |n: usize| SecretValue::from_string("x".repeat((1 << 20) - n));
    store.create_secret(NewSecret::new(name("large"), large(0))).unwrap();
    for n in 1..5 {
        store.put_version(&name("large"), NewVersion::new(large(n))).unwrap();
    }
    for n in 0..300 {
        let value = SecretValue::from_string(format!("{MARK} {n}"));
        store.create_secret(NewSecret::new(name(&format!("small-{n}")), value)).unwrap();
    }
    let then = content(&store);
    store.close().unwrap();
    let salvage = limits().salvage(dir.path().join("old")).unwrap();
    let store = salvage.write_with(limits(), dir.path().join("new")).unwrap();
    assert_eq!(content(&store), then);
    store.verify().unwrap();
    let commits = store.anchor().unwrap().seq();
    assert!(commits < 50, "{commits} commits for 301 secrets");
    println!("large: 5 versions of 1 MiB and 300 small secrets in {commits} commits");
}

// --- What is refused ----------------------------------------------------------------------------

#[test]
fn a_wrong_key_an_open_store_and_no_store_are_refused() {
    let dir = scratch();
    let path = dir.path().join("store");
    let kind = |path: &Path| builder().salvage(path).unwrap_err().kind();
    assert_eq!(kind(&path), ErrorKind::NotAStore, "nothing");
    fs::create_dir(&path).unwrap();
    assert_eq!(kind(&path), ErrorKind::NotAStore, "an empty directory");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "it made something");
    let store = builder().create(&path).unwrap();
    assert_eq!(kind(&path), ErrorKind::Locked, "an open store");
    let anchor = store.anchor().unwrap();
    store.close().unwrap();
    let wrong = SecretStore::builder().master_key(key(2)).salvage(&path).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongKey);
    let salvage = builder().salvage(&path).unwrap();
    assert_eq!(
        builder().open(&path).unwrap_err().kind(),
        ErrorKind::Locked,
        "while it is salvaged"
    );
    let there = salvage.write_with(builder(), &path).unwrap_err();
    assert_eq!(there.kind(), ErrorKind::AlreadyExists);
    drop(salvage);
    builder().open(&path).unwrap().close().unwrap();
    let other = dir.path().join("other");
    builder().create(&other).unwrap().close().unwrap();
    let other = builder().expect(Expect::Anchor(anchor)).salvage(&other).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::WrongStore);
    for file in ["keys", "keys.bak"] {
        fs::remove_file(path.join(file)).unwrap();
    }
    assert_eq!(kind(&path), ErrorKind::Damaged, "no key file");
    println!("refused: 8 kinds of things");
}

#[test]
fn a_store_that_was_put_back_is_told_by_its_anchor() {
    let dir = scratch();
    let (path, copy) = (dir.path().join("store"), dir.path().join("copy"));
    let store = builder().create(&path).unwrap();
    store.create_secret(NewSecret::new(secret(0), SecretValue::from_string("old"))).unwrap();
    let before: Anchor = store.anchor().unwrap();
    store.close().unwrap();
    support::copy_dir(&path, &copy);
    let store = builder().open(&path).unwrap();
    store.put_version(&secret(0), NewVersion::new(SecretValue::from_string("new"))).unwrap();
    let after = store.anchor().unwrap();
    store.close().unwrap();
    let salvage = |anchor| builder().expect(Expect::Anchor(anchor)).salvage(&copy).unwrap();
    assert!(salvage(before).is_whole());
    let older = salvage(after);
    assert!(!older.is_whole(), "{older}");
    assert!(older.to_string().contains("the anchor saw 3"), "{older}");
    drop(older);
    println!("anchors: one that fits, one that is newer");
}

#[test]
fn no_value_is_shown_by_debug_and_display() {
    let original = Original::new(&mut Random::new(seed()), false);
    let salvage = builder().salvage(original.path()).unwrap();
    let name = original.last().1.keys().next().unwrap();
    let shown = format!("{salvage:?} {salvage:#?} {salvage} {:?}", salvage.get(name).unwrap());
    assert!(shown.contains("secret-3") && !shown.contains(MARK), "{shown}");
    println!("quiet: {} bytes of Debug and Display without a value", shown.len());
}

#[test]
fn the_temporary_directory_is_empty_afterwards_and_never_holds_plaintext() {
    if role().is_some() {
        let original = Original::new(&mut Random::new(seed()), false);
        let salvage = builder().salvage(original.path()).unwrap();
        let temporary = files(&std::env::temp_dir());
        assert!(temporary.len() > 3, "the copy is in the directory for temporary files");
        for (path, bytes) in temporary {
            let has = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!has(MARK) && !has("secret-3"), "plaintext in {}", path.display());
        }
        drop(salvage.write_to(original.dir.path().join("new")).unwrap());
        return;
    }
    let dir = scratch();
    let test = "the_temporary_directory_is_empty_afterwards_and_never_holds_plaintext";
    let output = child(test, "salvage").env("TMPDIR", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let left = files(dir.path());
    assert!(left.is_empty(), "{:?}", left.keys());
    println!("temporary files: removed, and all encrypted");
}

// --- One record ---------------------------------------------------------------------------------

/// A closed store whose journal holds nothing that would mend its state.
fn settled() -> Original {
    let original = Original::new(&mut Random::new(seed()), false);
    for _ in 0..3 {
        let store = builder().open(original.path()).unwrap();
        let far = strongroom::Timestamp::from_millis(4_100_000_000_000);
        for n in [0, 1] {
            // Each other one, so that there is something to commit.
            let expires = strongroom::Timestamp::from_millis(far.as_millis() + n * 1000);
            store.update_version(&secret(11), &VersionRef::Latest, expires).unwrap();
            store.checkpoint().unwrap();
        }
        store.close().unwrap();
    }
    let store = builder().open(original.path()).unwrap();
    let (commit, now) = (store.anchor().unwrap().seq(), content(&store));
    store.close().unwrap();
    Original { history: BTreeMap::from([(commit, now)]), ..original }
}

#[test]
fn of_a_store_with_one_damaged_record_just_that_record_is_lost() {
    let original = settled();
    let (commit, then) = original.last();
    let mut lost: BTreeMap<(SecretName, VersionId), usize> = BTreeMap::new();
    let mut tables: BTreeMap<SecretName, usize> = BTreeMap::new();
    let mut metadata: BTreeMap<SecretName, usize> = BTreeMap::new();
    let (mut cases, mut healed) = (0, 0);
    for tree in ["versions", "stages", "secrets"] {
        let keys = keys(&original, tree);
        for (n, key) in keys.iter().enumerate() {
            let what = format!("{tree}, record {n} of {}, removed: {}", keys.len(), n % 2 == 0);
            let cause = if n % 2 == 0 { Cause::Missing } else { Cause::Damaged };
            let (_dir, path) = edited(&original, |db| {
                let tree = db.open_tree(tree).unwrap();
                match n % 2 {
                    0 => drop(tree.remove(key).unwrap()),
                    _ => {
                        let mut record = tree.get(key).unwrap().unwrap().to_vec();
                        *record.last_mut().unwrap() ^= 1;
                        tree.insert(key, record).unwrap();
                    }
                }
            });
            let salvage = in_time(&what, || builder().salvage(&path)).unwrap();
            cases += 1;
            if salvage.is_whole() {
                healed += 1;
                assert_eq!(&salvaged(&salvage), then, "{what}");
                continue;
            }
            let (name, losses) = only_loss(&salvage, &what);
            if tree == "versions" {
                assert_eq!(salvage.completeness(), Completeness::Proven { commit }, "{what}");
                let Loss::Version { id, cause: found } = losses[0] else {
                    panic!("{what}: {losses:?}")
                };
                assert_eq!(found, cause, "{what}");
                check_labels(&salvage, &then[&name].metadata, &losses[1..], id);
                *lost.entry((name, id)).or_default() += 1;
            } else if tree == "stages" {
                let listed = then.len() as u64;
                let told = Completeness::Counted { commit, expected: listed, found: listed };
                assert_eq!(salvage.completeness(), told, "{what}");
                let newest = then[&name].rows.keys().last().copied();
                assert_eq!(losses, [Loss::Table { cause, newest }], "{what}");
                assert_eq!(salvage.get(&name).unwrap_err().kind(), ErrorKind::Damaged, "{what}");
                *tables.entry(name).or_default() += 1;
            } else {
                assert_eq!(losses, [Loss::Metadata(cause)], "{what}");
                let found = salvaged(&salvage);
                assert_eq!(found[&name].rows, then[&name].rows, "{what}");
                assert_eq!(found[&name].metadata.secret_type(), &SecretType::Common, "{what}");
                *metadata.entry(name).or_default() += 1;
            }
        }
    }
    // Each version, table and secret was lost once.
    let all = |counts: &[usize]| counts.iter().all(|count| *count == 1);
    assert!(all(&lost.values().copied().collect::<Vec<_>>()), "{lost:?}");
    assert!(all(&tables.values().copied().collect::<Vec<_>>()), "{tables:?}");
    assert!(all(&metadata.values().copied().collect::<Vec<_>>()), "{metadata:?}");
    let versions: usize = then.values().map(|entry| entry.rows.len()).sum();
    assert_eq!((lost.len(), metadata.len()), (versions, then.len()));
    // One table is in the journal still.
    assert_eq!((tables.len(), healed), (then.len() - 1, 1));
    println!("one record: {cases} cases, {healed} healed, each other one lost just itself");
}

/// The one secret that lost something, and what; all others are whole.
fn only_loss(salvage: &Salvage, what: &str) -> (SecretName, Vec<Loss>) {
    let mut hurt: Vec<&SalvagedSecret> =
        salvage.secrets().iter().filter(|secret| !secret.is_whole()).collect();
    assert_eq!(hurt.len(), 1, "{what}: {salvage}");
    let hurt = hurt.pop().unwrap();
    (hurt.name().unwrap().clone(), hurt.losses().to_vec())
}

/// The labels of a lost version are told of, and SYSCURRENT went to another one.
fn check_labels(salvage: &Salvage, secret: &strongroom::Secret, told: &[Loss], lost: VersionId) {
    let name = secret.name();
    for loss in told {
        match loss {
            Loss::Current { was, now } => {
                assert_eq!((Some(*was), *was), (secret.current_version(), lost));
                assert_eq!(salvage.get(name).unwrap().id(), *now);
            }
            Loss::Label { stage, version } => {
                assert_eq!(*version, lost);
                let asked = VersionRef::Stage(stage.clone());
                assert_eq!(salvage.version(name, &asked).unwrap_err().kind(), ErrorKind::Damaged);
            }
            other => panic!("{name}: {other}"),
        }
    }
    let gone = salvage.version(name, &VersionRef::Id(lost)).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Damaged, "{name}");
    let moved = told.iter().any(|loss| matches!(loss, Loss::Current { .. }));
    let alone = salvage.secret(name).is_err();
    assert_eq!(moved || alone, secret.current_version() == Some(lost), "{name} {lost} {told:?}");
}

#[test]
fn a_pending_version_does_not_become_current_because_the_current_one_is_lost() {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    let put = |text: &str, stages: &[Stage]| {
        let new = NewVersion::new(SecretValue::from_string(text.repeat(700)));
        store.put_version(&secret(0), new.stages(stages.to_vec())).unwrap();
    };
    store.create_secret(NewSecret::new(secret(0), SecretValue::from_string("one"))).unwrap();
    put("two", &[]);
    put("three", &[Stage::Pending]);
    for _ in 0..2 {
        store.checkpoint().unwrap();
        store
            .create_secret(NewSecret::new(
                name(&format!("x{}", content(&store).len())),
                SecretValue::from_string("x"),
            ))
            .unwrap();
    }
    store.checkpoint().unwrap();
    store.close().unwrap();
    {
        // The values were numbered as they were stored.
        let db = sled_open(&path.join("db"));
        db.open_tree("versions").unwrap().remove(2_u64.to_be_bytes()).unwrap();
        db.flush().unwrap();
    }
    let salvage = builder().salvage(&path).unwrap();
    let [one, two] = [1, 2].map(|n| VersionId::from_number(n).unwrap());
    let hurt = salvage.secrets().iter().find(|it| !it.is_whole()).unwrap();
    assert_eq!(
        hurt.losses(),
        [Loss::Version { id: two, cause: Cause::Missing }, Loss::Current { was: two, now: one }],
    );
    let store = salvage.write_to(dir.path().join("new")).unwrap();
    assert_eq!(store.get(&secret(0)).unwrap().id(), one);
    assert_eq!(store.stage(&secret(0), &Stage::Pending).unwrap().version_id().number(), 3);
    println!("SYSCURRENT: to the newest version that was in use");
}

#[test]
fn a_secret_whose_name_is_lost_is_read_by_whoever_knows_it() {
    let original = settled();
    let (_dir, path) = edited(&original, |db| {
        for tree in ["secrets", "audit"] {
            db.open_tree(tree).unwrap().clear().unwrap();
        }
    });
    // The young audit records are in the journal still.
    fs::remove_dir_all(path.join("journal")).unwrap();
    let salvage = builder().salvage(&path).unwrap();
    let then = original.last().1;
    assert_eq!(salvage.secrets().len(), then.len(), "{salvage}");
    for secret in salvage.secrets() {
        assert_eq!(secret.name(), None);
        assert!(secret.losses().contains(&Loss::Name));
    }
    for (name, entry) in then {
        for (id, row) in &entry.rows {
            let got = salvage.version(name, &VersionRef::Id(*id)).unwrap();
            assert_eq!(got.value().expose(), row.value, "{name} {id}");
        }
    }
    assert_eq!(salvage.get(&name("none-such")).unwrap_err().kind(), ErrorKind::NotFound);
    println!("without names: {} secrets read by name", then.len());
}

#[test]
fn a_table_that_was_put_back_is_told_to_be_of_an_earlier_moment() {
    let original = settled();
    let (_dir, path) = original.copy();
    let stages = |path: &Path| {
        let db = sled_open(&path.join("db"));
        let tree = db.open_tree("stages").unwrap();
        tree.iter().map(|entry| entry.unwrap()).collect::<Vec<_>>()
    };
    let before = stages(&path);
    let store = builder().open(&path).unwrap();
    let version = NewVersion::new(SecretValue::from_string(users("newer")));
    let newer = store.put_version(&secret(0), version).unwrap().id();
    for n in 0..2 {
        store.checkpoint().unwrap();
        let new = NewSecret::new(name(&format!("later-{n}")), SecretValue::from_string("x"));
        store.create_secret(new).unwrap();
    }
    store.checkpoint().unwrap();
    store.close().unwrap();
    {
        let db = sled_open(&path.join("db"));
        for (key, record) in before {
            db.open_tree("stages").unwrap().insert(key, record).unwrap();
        }
        db.flush().unwrap();
    }
    let salvage = builder().salvage(&path).unwrap();
    let hurt: Vec<_> = salvage.secrets().iter().filter(|it| !it.is_whole()).collect();
    assert_eq!(hurt.len(), 1, "{salvage}");
    assert_eq!(hurt[0].name(), Some(&secret(0)));
    assert!(hurt[0].has_lost(newer), "{salvage}");
    assert!(matches!(hurt[0].losses(), [Loss::Newer { .. }, Loss::Earlier { .. }]), "{salvage}");
    let store = salvage.write_to(path.with_extension("new")).unwrap();
    let version = NewVersion::new(SecretValue::from_string(users("newest")));
    let next = store.put_version(&secret(0), version).unwrap();
    assert_eq!(Some(next.id()), newer.next(), "a number was used again");
    println!("put back: told, and its numbers are not used again");
}

#[test]
fn what_an_old_segment_brings_back_does_not_count() {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    let text = |text: &str| SecretValue::from_string(text);
    for n in 0..2 {
        store.create_secret(NewSecret::new(secret(n), text("old"))).unwrap();
    }
    let old = fs::read(path.join("journal/1")).unwrap();
    store.delete_secret(&secret(0)).unwrap();
    store.put_version(&secret(1), NewVersion::new(text("new"))).unwrap();
    for n in 2..5 {
        store.checkpoint().unwrap();
        store.create_secret(NewSecret::new(secret(n), text("old"))).unwrap();
    }
    store.close().unwrap();
    assert!(!path.join("journal/1").exists());
    // The removal of a segment need not be durable.
    fs::write(path.join("journal/1"), old).unwrap();
    let salvage = builder().salvage(&path).unwrap();
    assert!(salvage.is_whole(), "{salvage}");
    assert_eq!(salvage.get(&secret(0)).unwrap_err().kind(), ErrorKind::NotFound, "deleted");
    assert_eq!(salvage.get(&secret(1)).unwrap().value().expose_str(), Some("new"));
    assert_eq!(salvage.secrets().len(), 4);
    println!("old segment: a deleted secret stays so, and a changed one too");
}

// --- The journal alone --------------------------------------------------------------------------

/// A store whose state is gone: ten secrets, each in a frame of its own, of one block.
fn journal_alone() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    for n in 0..10 {
        store.create_secret(NewSecret::new(secret(n), SecretValue::from_string("x"))).unwrap();
    }
    store.close().unwrap();
    fs::remove_dir_all(path.join("db")).unwrap();
    (dir, path)
}

#[test]
fn frames_behind_a_damaged_one_are_taken_and_the_gap_is_told() {
    let (_dir, path) = journal_alone();
    for (what, lost) in [("none", 0..0), ("the first", 0..1), ("three", 4..7), ("the last", 9..10)]
    {
        let copy = path.with_extension(what.replace(' ', "-"));
        support::copy_dir(&path, &copy);
        let mut bytes = fs::read(copy.join("journal/1")).unwrap();
        lost.clone().for_each(|n: usize| bytes[4096 * (n + 1) + 100] ^= 1);
        fs::write(copy.join("journal/1"), bytes).unwrap();
        let salvage = builder().salvage(&copy).unwrap();
        let there: Vec<usize> = (0..10).filter(|n| salvage.get(&secret(*n)).is_ok()).collect();
        let want: Vec<usize> = (0..10).filter(|n| !lost.contains(n)).collect();
        assert_eq!(there, want, "{what}: {salvage}");
        let gap = format!("commits {} to {} are neither there", lost.start + 2, lost.end + 1);
        let told = salvage.to_string().contains(&gap);
        // The last may have been a write that was cut off.
        assert_eq!(told, !lost.is_empty() && what != "the last", "{what}: {salvage}");
        let is_cut_off = salvage.to_string().contains("a write that was cut off");
        assert_eq!(is_cut_off, what == "the last", "{what}: {salvage}");
        assert_eq!(salvage.is_whole(), lost.is_empty() || what == "the last", "{what}: {salvage}");
    }
    println!("frames: none, one, three and the last of ten broken");
}

#[test]
fn a_segment_with_a_damaged_header_is_read_as_long_as_its_salt_is_there() {
    let (_dir, path) = journal_alone();
    let file = path.join("journal/1");
    let whole = fs::read(&file).unwrap();
    let mut cases = 0;
    for at in (0..128).chain([3000]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let salvage = builder().salvage(&path).unwrap();
        let count = salvage.secrets().iter().filter(|secret| secret.is_whole()).count();
        let has_salt = !(40..56).contains(&at);
        assert_eq!(count, if has_salt { 10 } else { 0 }, "byte {at}: {salvage}");
        assert!(salvage.to_string().contains("journal/1: its header is damaged"), "byte {at}");
        let unknown = salvage.completeness() == Completeness::Unknown;
        assert_eq!(unknown, !has_salt, "byte {at}");
        cases += 1;
    }
    println!("segment header: {cases} bytes");
}

// --- A failing disk -----------------------------------------------------------------------------

#[test]
fn whatever_read_fails_the_rest_is_salvaged() {
    let original = Original::new(&mut Random::new(seed()), true);
    let disk = FaultyDisk::new(None);
    drop(builder().disk(Arc::new(disk.clone())).salvage(original.path()).unwrap());
    let calls = disk.count();
    let (mut salvaged_well, mut errors) = (0, BTreeMap::<String, usize>::new());
    for at in 0..calls {
        for lasting in [false, true] {
            let what = format!("call {at} of {calls} fails, lasting: {lasting}");
            disk.set(Some(Fault { at, lasting, only: None, error: std::io::ErrorKind::Other }));
            match in_time(&what, || builder().disk(Arc::new(disk.clone())).salvage(original.path()))
            {
                Ok(salvage) => {
                    let found = salvaged(&salvage);
                    check_authentic(&original, &salvage, &found, &what);
                    check_told(&original, &salvage, &found, (&what, false));
                    salvaged_well += 1;
                }
                Err(err) => {
                    assert_eq!(err.kind(), ErrorKind::Storage, "{what}: {err:?}");
                    *errors.entry(format!("{:?}", err.kind())).or_default() += 1;
                }
            }
        }
    }
    println!("failing disk: {calls} calls, {salvaged_well} salvaged, {errors:?}");
    assert!(salvaged_well > 5 && !errors.is_empty());
}

#[test]
fn a_new_store_is_there_wholly_or_not_at_all() {
    let original = Original::new(&mut Random::new(seed()), false);
    let salvage = builder().salvage(original.path()).unwrap();
    let disk = FaultyDisk::new(None);
    let dir = scratch();
    let with = || builder().disk(Arc::new(disk.clone()));
    salvage.write_with(with(), dir.path().join("counted")).unwrap().close().unwrap();
    let calls = disk.count();
    let (mut none, mut whole) = (0, 0);
    for at in (0..calls).step_by(3) {
        let what = format!("call {at} of {calls} fails");
        let dir = scratch();
        let path = dir.path().join("new");
        let error = std::io::ErrorKind::StorageFull;
        disk.set(Some(Fault { at, lasting: true, only: None, error }));
        let written = in_time(&what, || salvage.write_with(with(), &path));
        // The store may be there, and its opening have failed.
        let result = written.map(|store| store.close());
        disk.set(None);
        if path.exists() {
            let store = builder().open(&path).unwrap();
            assert_eq!(&content(&store), original.last().1, "{what}: {result:?}");
            whole += 1;
        } else {
            let kind = result.unwrap_err().kind();
            assert!([ErrorKind::Storage, ErrorKind::Poisoned].contains(&kind), "{what}: {kind:?}");
            none += 1;
        }
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, usize::from(path.exists()), "{what}: something is left beside it");
    }
    println!("writing fails: {none} times nothing, {whole} times a whole store");
    assert!(none > 10 && whole > 0);
}

// --- Files --------------------------------------------------------------------------------------

/// How the cases of damage ended.
#[derive(Debug, Default)]
struct Tally {
    keys_lost: usize,
    whole: usize,
    proven: usize,
    counted: usize,
    unknown: usize,
    versions: usize,
    intact: usize,
    opened: usize,
}

#[test]
fn whatever_is_done_to_the_files_the_rest_is_salvaged_and_nothing_else() {
    let mut random = Random::new(seed());
    let originals = [false, true, false].map(|open| Original::new(&mut random, open));
    let mut tally = Tally::default();
    for case in 0..cases(300) {
        let original = &originals[case % originals.len()];
        let (_dir, path) = original.copy();
        let harms: Vec<Harm> =
            (0..=random.below(3)).map(|_| Harm::draw(&mut random, &path)).collect();
        harms.iter().for_each(|harm| harm.do_to(&path));
        let shown: Vec<String> = harms.iter().map(ToString::to_string).collect();
        let what = format!("seed {}, case {case}: {}", seed(), shown.join("; "));
        in_time(&what, || tally.case(original, &path, &harms, &what));
    }
    let part = 100 * tally.intact / tally.versions.max(1);
    println!("damaged files, seed {}: {part} % of all versions intact, {tally:?}", seed());
    assert!(tally.intact * 2 > tally.versions && tally.intact < tally.versions, "{tally:?}");
    assert!(tally.counted > 0 && tally.proven > tally.whole / 2, "{tally:?}");
}

impl Tally {
    fn case(&mut self, original: &Original, path: &Path, harms: &[Harm], what: &str) {
        let before = files(path);
        let result = builder().salvage(path);
        assert!(files(path) == before, "{what}: it wrote");
        let salvage = match result {
            Ok(salvage) => salvage,
            Err(err) => {
                let keys = harms.iter().filter(|harm| harm.file().starts_with("keys"));
                let other = harms.iter().filter(|harm| harm.file().starts_with("keys.bak"));
                assert!(keys.count() + other.count() >= 2, "{what}: {err}");
                assert!(KEYS_LOST.contains(&err.kind()), "{what}: {err:?}");
                self.keys_lost += 1;
                return;
            }
        };
        let found = salvaged(&salvage);
        check_authentic(original, &salvage, &found, what);
        // With zeros in the place of the last frames, and the state as far back, all is consistent: that
        // there were later commits is known by an anchor alone.
        let harmed = |dir: &str| harms.iter().any(|harm| harm.file().starts_with(dir));
        let may_end_early = harmed("journal") && (original.open || harmed("db"));
        check_told(original, &salvage, &found, (what, may_end_early));
        let last = original.last().1;
        self.versions += last.values().map(|entry| entry.rows.len()).sum::<usize>();
        self.intact += last
            .iter()
            .flat_map(|(name, entry)| entry.rows.iter().map(move |(id, row)| (name, id, row)))
            .filter(|(name, id, row)| {
                found
                    .get(*name)
                    .and_then(|it| it.rows.get(*id))
                    .is_some_and(|it| it.value == row.value)
            })
            .count();
        self.whole += usize::from(salvage.is_whole());
        match salvage.completeness() {
            Completeness::Proven { .. } => self.proven += 1,
            Completeness::Counted { .. } => self.counted += 1,
            _ => self.unknown += 1,
        }
        let new = scratch();
        let store = salvage.write_to(new.path().join("new")).unwrap();
        store.verify().unwrap();
        assert_eq!(content(&store), found, "{what}: the new store");
        store.close().unwrap();
        self.opened += usize::from(builder().open(path).is_ok());
    }
}

/// What is called intact was there, at some time, just so.
fn check_authentic(original: &Original, salvage: &Salvage, found: &Content, what: &str) {
    for (name, entry) in found {
        for (id, row) in &entry.rows {
            let there = original.ever.get(&(entry.metadata.id(), *id));
            let there = there.unwrap_or_else(|| panic!("{what}: {name} {id} never was"));
            assert!(there.value == row.value, "{what}: {name} {id} has another value");
            assert_eq!(there.created, row.created, "{what}: {name} {id}");
        }
    }
    for secret in salvage.secrets() {
        if let Some(name) = secret.name() {
            let known = original.history.values().any(|then| then.contains_key(name));
            assert!(known, "{what}: {name} never was");
        }
    }
}

/// Everything that was there is intact, or told to be lost. The last commits may be lost unseen if the
/// case may end early.
fn check_told(
    original: &Original,
    salvage: &Salvage,
    found: &Content,
    (what, may_end_early): (&str, bool),
) {
    let listed: BTreeMap<&SecretName, &SalvagedSecret> =
        salvage.secrets().iter().filter_map(|secret| Some((secret.name()?, secret))).collect();
    let (commit, complete) = match salvage.completeness() {
        Completeness::Proven { commit } => (commit, true),
        Completeness::Counted { commit, expected, found } => {
            assert_eq!(found, salvage.secrets().len() as u64, "{what}");
            let then = &original.history[&commit];
            assert_eq!(expected, then.len() as u64, "{what}");
            let lost = then.keys().filter(|name| !listed.contains_key(*name)).count();
            let unnamed = salvage.secrets().iter().filter(|secret| secret.name().is_none()).count();
            assert!(lost <= unnamed || found < expected, "{what}: silently missing\n{salvage}");
            (commit, false)
        }
        _ => return,
    };
    let then = &original.history[&commit];
    if complete {
        let names: Vec<&&SecretName> = listed.keys().collect();
        assert!(names.iter().map(|name| **name).eq(then.keys()), "{what}: {names:?}");
        let told = original.last().0 == commit || !salvage.damage().is_empty();
        assert!(told || may_end_early, "{what}: silently lost the last commits\n{salvage}");
    }
    for (name, entry) in then {
        let Some(secret) = listed.get(name) else { continue };
        let earlier = secret.losses().iter().any(|loss| matches!(loss, Loss::Earlier { .. }));
        for (id, row) in &entry.rows {
            let intact = secret.intact().contains(id);
            assert!(intact || secret.has_lost(*id) || !complete, "{what}: {name} {id}\n{salvage}");
            let told = intact || secret.has_lost(*id) || earlier || !secret.is_whole();
            assert!(told || !complete, "{what}: {name} {id}\n{salvage}");
            if complete && intact && secret.is_whole() {
                assert_eq!(&found[name].rows[id], row, "{what}: {name} {id}");
            }
        }
        let log_is_whole =
            !salvage.damage().iter().any(|damage| damage.what().contains("audit log"));
        if (complete || log_is_whole) && secret.is_whole() {
            assert_eq!(found[name].rows, entry.rows, "{what}: {name}");
            assert_eq!(found[name].metadata, entry.metadata, "{what}: {name}");
        }
    }
}

// --- Instruments --------------------------------------------------------------------------------

fn users(password: &str) -> String {
    format!(r#"{{"users":[{{"name":"app","password":"{password}"}}]}}"#)
}

/// The keys of a tree's records, in its state.
fn keys(original: &Original, tree: &str) -> Vec<Vec<u8>> {
    let (_dir, path) = original.copy();
    let db = sled_open(&path.join("db"));
    let len = if tree == "versions" { 8 } else { 16 };
    let keys = db.open_tree(tree).unwrap().iter().keys().map(|key| key.unwrap().to_vec());
    // Longer ones are the further pieces of a record.
    keys.filter(|key| key.len() == len).collect()
}

/// A copy of a store whose state was edited by sled's own means.
fn edited(
    original: &Original,
    edit: impl FnOnce(&sled::Db),
) -> (tempfile::TempDir, std::path::PathBuf) {
    let (dir, path) = original.copy();
    let db = sled_open(&path.join("db"));
    edit(&db);
    db.flush().unwrap();
    drop(db);
    (dir, path)
}
