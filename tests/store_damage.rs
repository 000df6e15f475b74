//! Files that were damaged, removed, moved or edited: all acknowledged data is there, or the error has
//! a kind of its own. Never other data, never a silent loss, no panic, no hang.
//!
//! Places are drawn from a fixed seed; `STRONGROOM_SEED=n` sets another one. A failure names seed and
//! damage.
//!
//! One loss cannot be told from a crash: of a store that was not closed, and whose state has not got
//! so far yet, the last frame of the journal broken is a write that was cut off before it was
//! acknowledged. Such cases are counted apart, and may take away the last commit alone; or, where all
//! frames from some on are made zeros, these. That is what anchors are for.
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

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, ListSecrets, ListVersions, MasterKey, NewSecret,
    NewVersion, SecretName, SecretStore, SecretType, SecretValue, VersionRef,
};
use tempfile::TempDir;

/// A case that takes longer hangs.
const CASE_MAX: Duration = Duration::from_secs(30);

const BLOCK: usize = 4096;
const SEGMENT: usize = 4 * 1024 * 1024;

/// What an opened store may say of damage, or an opening.
const HONEST: [ErrorKind; 6] = [
    ErrorKind::Damaged,
    ErrorKind::Tampered,
    ErrorKind::WrongKey,
    ErrorKind::UnsupportedFormat,
    ErrorKind::Storage,
    ErrorKind::NotAStore,
];

/// A store to be damaged, and what it held after each commit.
struct Original {
    dir: TempDir,
    /// The last is the newest.
    history: Vec<String>,
    /// It was copied while it was open.
    open: bool,
}

/// How the cases of a test ended.
#[derive(Default)]
struct Tally {
    whole: usize,
    /// The last commits are gone, which nobody can tell from a crash.
    cut_off: usize,
    errors: BTreeMap<String, usize>,
}

// --- Files ----------------------------------------------------------------------------------

#[test]
fn every_byte_of_both_key_files_may_change() {
    let original = original(false);
    let mut tally = Tally::default();
    for files in [&["keys"][..], &["keys.bak"], &["keys", "keys.bak"]] {
        let len = fs::metadata(original.store().join("keys")).unwrap().len() as usize;
        for at in 0..len {
            tally.case(&original, &format!("{files:?}, byte {at}"), |store| {
                files.iter().for_each(|file| edit(store, file, |bytes| bytes[at] ^= 1 << (at % 8)));
            });
        }
        for len in (0..len).step_by(7) {
            tally.case(&original, &format!("{files:?}, cut to {len}"), |store| {
                files.iter().for_each(|file| edit(store, file, |bytes| bytes.truncate(len)));
            });
        }
    }
    tally.print("key files");
    assert_eq!(tally.cut_off, 0);
    // One copy mends the other.
    assert!(tally.whole >= 2 * 300 && tally.errors.values().sum::<usize>() >= 300);
}

#[test]
fn a_segment_of_a_closed_store_may_be_damaged_anywhere() {
    let tally = segments_damaged(&original(false));
    tally.print("journal, closed");
    assert_eq!(tally.cut_off, 0, "a closed store knows its last commit");
}

#[test]
fn a_segment_of_an_open_store_may_be_damaged_anywhere() {
    let tally = segments_damaged(&original(true));
    tally.print("journal, not closed");
}

fn segments_damaged(original: &Original) -> Tally {
    let mut tally = Tally::default();
    for segment in names(&original.store().join("journal")) {
        let file = format!("journal/{segment}");
        let used = used(&fs::read(original.store().join(&file)).unwrap());
        // Magic to mac are 128 bytes; behind them are zeros.
        let header = (0..130).chain([500, 2000, 4095]);
        let frames = (BLOCK..used.min(BLOCK + 3 * BLOCK)).step_by(61);
        let rest = (BLOCK..used).step_by(BLOCK * 3 + 1001);
        for at in header.chain(frames).chain(rest) {
            tally.case(original, &format!("{file}, byte {at}"), |store| {
                edit(store, &file, |bytes| bytes[at] ^= 1 << (at % 8));
            });
        }
        for at in (0..used).step_by(BLOCK) {
            tally.case(original, &format!("{file}, block at {at} zeroed"), |store| {
                edit(store, &file, |bytes| bytes[at..at + BLOCK].fill(0));
            });
        }
        let ends = [0, 1, 100, BLOCK, used - BLOCK, used - 1, used, SEGMENT - 1];
        for len in ends.into_iter().chain((0..used).step_by(BLOCK * 5)) {
            tally.case(original, &format!("{file}, cut to {len}"), |store| {
                edit(store, &file, |bytes| bytes.truncate(len));
            });
        }
        tally.case(original, &format!("{file}, longer"), |store| {
            edit(store, &file, |bytes| bytes.extend([7; 100]));
        });
    }
    tally
}

#[test]
fn frames_may_be_removed_repeated_and_moved() {
    for open in [false, true] {
        let original = original(open);
        let mut tally = Tally::default();
        let file = format!("journal/{}", last_begun(&original.store()));
        let bytes = fs::read(original.store().join(&file)).unwrap();
        let frames = frames(&bytes);
        assert!(frames.len() > 5, "{} frames", frames.len());
        let (last, end) = (*frames.last().unwrap(), used(&bytes));
        let whole = |n: usize| frames[n]..frames.get(n + 1).copied().unwrap_or(end);
        tally.case(&original, "the last frame removed", |store| {
            edit(store, &file, |bytes| bytes[last..end].fill(0));
        });
        tally.case(&original, "the last frame repeated", |store| {
            edit(store, &file, |bytes| bytes.copy_within(last..end, end));
        });
        tally.case(&original, "the first frame at the end", |store| {
            edit(store, &file, |bytes| bytes.copy_within(whole(0), end));
        });
        for n in 0..frames.len() - 1 {
            tally.case(&original, &format!("frame {n} left out"), |store| {
                edit(store, &file, |bytes| {
                    let gap = whole(n);
                    bytes.copy_within(gap.end..end, gap.start);
                    bytes[end - gap.len()..end].fill(0);
                });
            });
            let what = format!("all frames from {n} on removed");
            tally.case_of_tail(&original, (&what, frames.len() - n), |store| {
                edit(store, &file, |bytes| bytes[frames[n]..end].fill(0));
            });
        }
        tally.print(&format!("frames, open: {open}"));
    }
}

#[test]
fn the_state_may_be_damaged_anywhere() {
    let mut random = Random::seeded();
    for open in [false, true] {
        let original = original(open);
        let mut tally = Tally::default();
        let len = fs::metadata(original.store().join("db/db")).unwrap().len() as usize;
        let written = used(&fs::read(original.store().join("db/db")).unwrap());
        for n in 0..200 {
            let (at, what) = (random.below(written), random.below(4));
            let name = format!("db/db, damage {what} at {at} ({n}, seed {})", random.seed);
            tally.case(&original, &name, |store| {
                edit(store, "db/db", |bytes| match what {
                    0 | 1 => bytes[at] ^= 1 << (at % 8),
                    2 => bytes[at / 512 * 512..(at / 512 * 512 + 512).min(len)].fill(0),
                    _ => bytes[at / BLOCK * BLOCK..(at / BLOCK * BLOCK + BLOCK).min(len)].fill(0),
                });
            });
        }
        for part in 0..16 {
            let cut = written * part / 16;
            tally.case(&original, &format!("db/db, cut to {cut}"), |store| {
                edit(store, "db/db", |bytes| bytes.truncate(cut));
            });
        }
        for name in names(&original.store().join("db")).iter().filter(|name| *name != "blobs") {
            let file = format!("db/{name}");
            let len = fs::metadata(original.store().join(&file)).unwrap().len() as usize;
            for at in (0..len.min(400)).step_by(if name == "db" { 9 } else { 3 }) {
                tally.case(&original, &format!("{file}, byte {at}"), |store| {
                    edit(store, &file, |bytes| bytes[at] ^= 1 << (at % 8));
                });
            }
        }
        tally.print(&format!("state, open: {open}"));
        assert_eq!(tally.cut_off, 0, "the journal was whole");
    }
}

#[test]
fn files_may_be_missing_empty_from_elsewhere_or_in_each_other_s_place() {
    for open in [false, true] {
        let original = original(open);
        let other = template(9, open).0;
        let mut tally = Tally::default();
        let files = files(&original.store());
        for file in &files {
            tally.case(&original, &format!("{file} removed"), |store| {
                fs::remove_file(store.join(file)).unwrap();
            });
            tally.case(&original, &format!("{file} emptied"), |store| {
                fs::write(store.join(file), "").unwrap();
            });
            let foreign = other.path().join("store").join(file);
            if foreign.exists() {
                tally.case(&original, &format!("{file} of another store"), |store| {
                    fs::copy(foreign, store.join(file)).unwrap();
                });
            }
            for from in files.iter().filter(|from| *from != file && *from != "lock") {
                tally.case(&original, &format!("{from} over {file}"), |store| {
                    fs::copy(store.join(from), store.join(file)).unwrap();
                });
            }
        }
        for dir in ["journal", "db", "db/blobs"] {
            tally.case(&original, &format!("{dir}/ removed"), |store| {
                fs::remove_dir_all(store.join(dir)).unwrap();
            });
            tally.case(&original, &format!("{dir}/ emptied"), |store| {
                fs::remove_dir_all(store.join(dir)).unwrap();
                fs::create_dir(store.join(dir)).unwrap();
            });
            tally.case(&original, &format!("{dir}/ of another store"), |store| {
                fs::remove_dir_all(store.join(dir)).unwrap();
                copy_dir(&other.path().join("store").join(dir), &store.join(dir));
            });
        }
        tally.print(&format!("files, open: {open}"));
        assert_eq!(tally.cut_off, 0, "no file holds just one commit");
    }
}

// --- Records, edited in sled itself -----------------------------------------------------------

#[test]
#[expect(clippy::too_many_lines, reason = "a list of attacks")]
fn no_record_may_be_removed_swapped_copied_or_put_back() {
    let original = original(false);
    // An older state of the same store, whose records are authentic.
    let older = copy(&original);
    {
        let store = open(&older.1);
        changes_later(&store);
        store.close().unwrap();
    }
    let original = Original { history: vec![content(&open(&older.1)).unwrap()], ..original };
    let before = state(&original.store());
    let newer = Original { dir: older.0, history: original.history, open: false };
    let now = state(&newer.store());
    let mut tally = Tally::default();
    for (tree, records) in &now {
        let keys: Vec<&Vec<u8>> = records.keys().collect();
        for (n, key) in keys.iter().enumerate() {
            let what = format!("{tree}, record {n} of {}", keys.len());
            tally.must_fail(&newer, &format!("{what} removed"), |db| {
                db.open_tree(tree).unwrap().remove(key).unwrap();
            });
            tally.must_fail(&newer, &format!("{what}, one bit"), |db| {
                let mut record = records[*key].clone();
                let at = record.len() - 1 - n % record.len().min(60);
                record[at] ^= 1;
                db.open_tree(tree).unwrap().insert(key, record).unwrap();
            });
            let next = keys[(n + 1) % keys.len()];
            if next != *key && n % 3 == 0 {
                tally.must_fail(&newer, &format!("{what} over the next"), |db| {
                    db.open_tree(tree).unwrap().insert(next, records[*key].clone()).unwrap();
                });
                tally.must_fail(&newer, &format!("{what} swapped with the next"), |db| {
                    let tree = db.open_tree(tree).unwrap();
                    tree.insert(next, records[*key].clone()).unwrap();
                    tree.insert(key, records[next].clone()).unwrap();
                });
            }
            match before.get(tree).and_then(|records| records.get(*key)) {
                Some(old) if *old != records[*key] => {
                    tally.must_fail(&newer, &format!("{what} put back"), |db| {
                        db.open_tree(tree).unwrap().insert(key, old.clone()).unwrap();
                    });
                }
                _ => {}
            }
        }
        if let Some((key, record)) = records.iter().next() {
            let mut stranger = key.clone();
            *stranger.last_mut().unwrap() ^= 0x55;
            if !records.contains_key(&stranger) {
                tally.must_fail(&newer, &format!("{tree}, a stranger"), |db| {
                    db.open_tree(tree).unwrap().insert(stranger, record.clone()).unwrap();
                });
            }
        }
        // A whole tree put back to the older state.
        if before.get(tree).is_some_and(|old| old != records) {
            tally.must_fail(&newer, &format!("{tree} put back"), |db| {
                let tree_now = db.open_tree(tree).unwrap();
                tree_now.clear().unwrap();
                for (key, record) in &before[tree] {
                    tree_now.insert(key, record.clone()).unwrap();
                }
            });
        }
    }
    // Records that were dropped since, brought back.
    for (tree, records) in &before {
        for (key, record) in records.iter().filter(|(key, _)| !now[*tree].contains_key(*key)) {
            tally.must_fail(&newer, &format!("{tree}, a dropped record is back"), |db| {
                db.open_tree(tree).unwrap().insert(key, record.clone()).unwrap();
            });
        }
    }
    tally.print("records");
    assert!(tally.errors.values().sum::<usize>() > 150);
}

type Trees = BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>;

/// All records of a closed store, as they stand in sled.
fn state(store: &Path) -> Trees {
    let lab = TempDir::new_in(memory()).unwrap();
    let path = lab.path().join("db");
    copy_dir(&store.join("db"), &path);
    let db = sled_open(&path);
    let read = |tree: &&'static str| {
        let records = db.open_tree(tree).unwrap().iter();
        let records = records.map(|entry| entry.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap());
        (*tree, records.collect())
    };
    ["system", "secrets", "stages", "versions", "audit"].iter().map(read).collect()
}

fn sled_open(path: &Path) -> sled::Db {
    let config = || sled::Config::new().path(path).segment_size(2 * 1024 * 1024);
    for _ in 0..500 {
        match config().flush_every_ms(None).open() {
            Ok(db) => return db,
            Err(err) if err.to_string().contains("lock") => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(err) => panic!("{err}"),
        }
    }
    panic!("sled keeps its lock");
}

// --- Cases ----------------------------------------------------------------------------------

/// What a damaged store did.
enum Seen {
    Content(String),
    Error(Error),
}

impl Tally {
    /// Damage that hits the last commit at most so that nobody can tell.
    fn case(&mut self, original: &Original, what: &str, damage: impl FnOnce(&Path)) {
        self.case_of_tail(original, (what, 1), damage);
    }

    /// Damage that takes away the last `tail` commits at most so that nobody can tell.
    fn case_of_tail(
        &mut self,
        original: &Original,
        (what, tail): (&str, usize),
        damage: impl FnOnce(&Path),
    ) {
        let (_dir, path) = copy(original);
        damage(&path);
        match look(what, &path) {
            Seen::Error(err) => {
                assert!(HONEST.contains(&err.kind()), "{what}: {err:?}");
                *self.errors.entry(format!("{:?}", err.kind())).or_default() += 1;
            }
            Seen::Content(found) => {
                let newest = original.history.len() - 1;
                match original.history.iter().rposition(|then| *then == found) {
                    Some(at) if at == newest => self.whole += 1,
                    Some(at) if original.open && at + tail >= newest => self.cut_off += 1,
                    Some(at) => panic!("{what}: silently lost {} commits", newest - at),
                    None => panic!("{what}: other data\n{found}"),
                }
            }
        }
    }

    /// Edits the state of a closed store by sled's own means. Somebody with the key of another store,
    /// or with an older copy of this one, can make nothing of it that passes.
    fn must_fail(&mut self, original: &Original, what: &str, edit: impl FnOnce(&sled::Db)) {
        let (_dir, path) = copy(original);
        {
            let db = sled_open(&path.join("db"));
            edit(&db);
            db.flush().unwrap();
        }
        match look(what, &path) {
            Seen::Error(err) => {
                let honest = matches!(err.kind(), ErrorKind::Tampered | ErrorKind::Damaged);
                assert!(honest, "{what}: {err:?}");
                *self.errors.entry(format!("{:?}", err.kind())).or_default() += 1;
            }
            // The journal still holds what was edited, and puts it right.
            Seen::Content(found) => {
                assert_eq!(Some(&found), original.history.last(), "{what}: other data");
                self.whole += 1;
            }
        }
    }

    fn print(&self, what: &str) {
        println!("{what}: {} whole, {} cut off, {:?}", self.whole, self.cut_off, self.errors);
    }
}

/// Opens, reads and verifies everything, within a time.
fn look(what: &str, path: &Path) -> Seen {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        let seen = catch_unwind(AssertUnwindSafe(|| {
            let store = builder(1).open(&path)?;
            let found = content(&store)?;
            store.verify()?;
            store.close()?;
            Ok(found)
        }));
        drop(sender.send(seen));
    });
    match receiver.recv_timeout(CASE_MAX) {
        Ok(Ok(Ok(found))) => Seen::Content(found),
        Ok(Ok(Err(err))) => Seen::Error(err),
        Ok(Err(_)) => panic!("{what}: a panic"),
        Err(_) => panic!("{what}: a hang"),
    }
}

impl Original {
    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }
}

fn original(open: bool) -> Original {
    let (dir, history) = template(1, open);
    let original = Original { dir, history, open };
    let mut tally = Tally::default();
    tally.case_of_tail(&original, ("no damage", 0), |_| {});
    assert_eq!(tally.whole, 1, "{:?}", tally.errors);
    original
}

/// A store with some history, over two segments of the journal.
fn template(seed: u8, open: bool) -> (TempDir, Vec<String>) {
    let dir = TempDir::new_in(memory()).unwrap();
    let path = dir.path().join("store");
    let store = builder(seed).create(&path).unwrap();
    let mut history = vec![content(&store).unwrap()];
    let mut done = |call: &dyn Fn(&SecretStore) -> Result<(), Error>| {
        call(&store).unwrap();
        history.push(content(&store).unwrap());
    };
    for n in 0..4 {
        done(&|store| {
            let new = NewSecret::new(name(n), value(n, 100 * usize::from(n)));
            store.create_secret(new.secret_type(SecretType::RdsFg)).map(drop)
        });
    }
    done(&|store| store.put_version(&name(0), NewVersion::new(value(5, 20_000))).map(drop));
    done(&|store| store.rotate(&name(1)).map(drop));
    store.checkpoint().unwrap();
    for n in 0..8 {
        done(&|store| match n % 3 {
            0 => store.rotate(&name(2)).map(drop),
            1 => store.put_version(&name(3), NewVersion::new(value(n, 3000))).map(drop),
            _ => store.put_version(&name(0), NewVersion::new(value(n, 10))).map(drop),
        });
    }
    done(&|store| store.delete_secret(&name(1)));
    done(&|store| store.put_version(&name(2), NewVersion::new(value(9, 10))).map(drop));
    if open {
        // All frames are on the disk by now, whatever the state has of them.
        let left = TempDir::new_in(memory()).unwrap();
        copy_dir(&path, &left.path().join("store"));
        store.close().unwrap();
        return (left, history);
    }
    store.close().unwrap();
    (dir, history)
}

/// Changes every tree, and drops versions.
fn changes_later(store: &SecretStore) {
    for n in [2, 3, 0, 2, 3] {
        store.rotate(&name(n)).unwrap();
    }
    store.checkpoint().unwrap();
    store.rotate(&name(2)).unwrap();
    // Two checkpoints later nothing of it is in the journal any more.
    store.checkpoint().unwrap();
    store.create_secret(NewSecret::new(name(8), value(8, 8))).unwrap();
    store.checkpoint().unwrap();
    store.put_version(&name(8), NewVersion::new(value(8, 9))).unwrap();
    store.checkpoint().unwrap();
}

fn content(store: &SecretStore) -> Result<String, Error> {
    let mut text = String::new();
    for secret in store.secrets(&ListSecrets::new())?.items() {
        let (name, kind) = (secret.name(), secret.secret_type());
        writeln!(text, "{name} {kind:?} {} {:?}", secret.revision(), secret.rotated()).unwrap();
        for version in store.versions(name, &ListVersions::new())?.items() {
            let got = store.version(name, &VersionRef::Id(version.id()))?;
            let value = got.value().expose_str().unwrap_or("binary");
            writeln!(text, "  {} {:?} {value}", version.id(), version.stages()).unwrap();
        }
    }
    Ok(text)
}

// --- Instruments ----------------------------------------------------------------------------

fn copy(original: &Original) -> (TempDir, PathBuf) {
    let dir = TempDir::new_in(memory()).unwrap();
    let path = dir.path().join("store");
    copy_dir(&original.store(), &path);
    (dir, path)
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn edit(store: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = store.join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Where the zeros at the end begin, in whole blocks.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(BLOCK, |at| (at / BLOCK + 1) * BLOCK)
}

/// Where the frames of a segment begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), BLOCK);
    while at < bytes.len() && bytes[at..at + 12] != [0; 12] {
        found.push(at);
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        at += (len + 12 + 32).next_multiple_of(BLOCK);
    }
    found
}

fn last_begun(store: &Path) -> String {
    let begun = |name: &String| fs::read(store.join("journal").join(name)).unwrap()[0] != 0;
    names(&store.join("journal")).into_iter().rev().find(begun).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files of a store.
fn files(store: &Path) -> Vec<String> {
    let below = |dir: &'static str| {
        let names = names(&store.join(dir)).into_iter();
        names.map(move |name| format!("{dir}/{name}")).filter(|name| name != "db/blobs")
    };
    let top = ["keys", "keys.bak", "lock"].map(str::to_owned).into_iter();
    top.chain(below("journal")).chain(below("db")).collect()
}

fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { env::temp_dir() }
}

fn open(path: &Path) -> SecretStore {
    builder(1).open(path).unwrap()
}

fn builder(seed: u8) -> Builder<HasKey> {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(73).wrapping_add(seed)).collect();
    let key = MasterKey::from_bytes(bytes.as_slice().try_into().unwrap()).unwrap();
    let limits = Limits::default().with_versions_max(4).unwrap();
    SecretStore::builder().master_key(key).limits(limits).state_cache_bytes(1 << 20)
}

fn name(number: u8) -> SecretName {
    format!("secret-{number}").parse().unwrap()
}

fn value(number: u8, len: usize) -> SecretValue {
    let pad = "0123456789".repeat(len / 10 + 1);
    let users = r#"{"users":[{"name":"app","password":"pw-"#;
    SecretValue::from_string(format!(r#"{users}{number}"}}],"pad":"{pad}"}}"#))
}

/// Numbers from a seed (splitmix64).
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn seeded() -> Self {
        let seed = env::var("STRONGROOM_SEED").map_or(1, |seed| seed.parse().unwrap());
        Self { seed, state: seed }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}
