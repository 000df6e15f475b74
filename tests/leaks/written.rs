//! Everything that is written: the bytes of every write of the crate, sled's files as they change,
//! names of files, and what is logged and said in a panic meanwhile.

use std::{
    collections::BTreeMap,
    fs, io,
    panic::{self, AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use strongroom::{
    Builder, HasKey, ListSecrets, NewSecret, NewVersion, Preconditions, RequestToken,
    RotateOptions, SecretName, SecretStore, SecretType, SecretUpdate, SecretValue, Stage,
    Timestamp, Unlock, VersionRef,
    testing::{Disk, DiskFile, Moment, RealDisk, StateCall},
};

use crate::{
    needles::Needles,
    support::{self, Random, key, key_bytes},
};

const BLOCK_LEN: usize = 4096;

/// All that was written so far, one after the other.
#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    names: Vec<String>,
    writes: usize,
    /// sled's files as they were last seen.
    state: BTreeMap<PathBuf, Vec<u8>>,
    samples: usize,
}

impl Written {
    fn add(&mut self, bytes: &[u8]) {
        if bytes.iter().any(|byte| *byte != 0) {
            self.bytes.extend_from_slice(bytes);
            // So that nothing is found across two writes.
            self.bytes.extend_from_slice(&[0; 16]);
        }
    }

    /// Adds the blocks of sled's files that are not as they were.
    fn sample(&mut self, dir: &Path) {
        self.samples += 1;
        let mut directories = vec![dir.join("db")];
        while let Some(dir) = directories.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                self.names.push(path.to_string_lossy().into_owned());
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let now = fs::read(&path).unwrap_or_default();
                let before = self.state.remove(&path).unwrap_or_default();
                for (at, block) in now.chunks(BLOCK_LEN).enumerate() {
                    let (start, end) = (at * BLOCK_LEN, at * BLOCK_LEN + block.len());
                    if before.get(start..end) != Some(block) {
                        // With its surroundings: a word can stand across two blocks.
                        self.add(&now[start.saturating_sub(16)..(end + 16).min(now.len())]);
                    }
                }
                self.state.insert(path, now);
            }
        }
    }
}

/// The real disk, and a record of what goes there.
#[derive(Clone, Debug)]
struct Recording {
    store: PathBuf,
    written: Arc<Mutex<Written>>,
}

impl Recording {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrap(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RecordingFile { file: file?, disk: self.clone() }))
    }

    fn named(&self, path: &Path) {
        self.written().names.push(path.to_string_lossy().into_owned());
    }
}

impl Disk for Recording {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.named(path);
        RealDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.named(path);
        self.wrap(RealDisk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.wrap(RealDisk.open(path))
    }

    fn read(&self, path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, len_max)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.named(to);
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn state_call(&self, call: StateCall, moment: Moment) -> io::Result<()> {
        let writes = matches!(
            call,
            StateCall::Apply
                | StateCall::ApplyApart
                | StateCall::ApplyLarge
                | StateCall::Close
                | StateCall::Sync
        );
        if writes && moment == Moment::After {
            self.written().sample(&self.store);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct RecordingFile {
    file: Box<dyn DiskFile>,
    disk: Recording,
}

impl DiskFile for RecordingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut written = self.disk.written();
        written.writes += 1;
        written.add(bytes);
        drop(written);
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// What sled logged, at the most talkative level, and what panics said.
static SAID: Mutex<String> = Mutex::new(String::new());

/// A panic comes here too, so nobody may panic who holds the lock.
fn say(line: &str) {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).push_str(line);
}

fn said() -> String {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[derive(Debug)]
struct Listening;

impl log::Log for Listening {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{}: {}\n", record.target(), record.args());
        say(&line);
    }

    fn flush(&self) {}
}

fn listen() {
    log::set_logger(&Listening).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        say(&format!("{info}\n"));
        before(info);
    }));
}

/// A random word of 20 signs that is looked for from now on.
fn marked(random: &mut Random, needles: &mut Needles) -> String {
    let word = word(random);
    needles.add(&word);
    word
}

pub fn word(random: &mut Random) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..20).map(|_| char::from(SIGNS[random.below(SIGNS.len())])).collect()
}

/// A secret that the work goes on with.
struct Known {
    name: SecretName,
    /// Its one account, if it can be rotated.
    account: Option<String>,
    label: Option<Stage>,
}

/// Calls of every kind, all of whose words are marked.
struct Work<'a> {
    store: &'a SecretStore,
    random: Random,
    needles: &'a mut Needles,
    secrets: Vec<Known>,
    calls: usize,
}

impl Work<'_> {
    fn marked(&mut self) -> String {
        marked(&mut self.random, self.needles)
    }

    fn token(&mut self) -> RequestToken {
        self.marked().parse().unwrap()
    }

    fn value(&mut self, account: Option<&str>) -> SecretValue {
        let word = self.marked();
        match account {
            Some(account) => SecretValue::from_string(format!(
                r#"{{"users":[{{"name":"{account}","password":"{word}"}}]}}"#
            )),
            None if self.random.below(2) == 0 => SecretValue::from_bytes(word),
            None => SecretValue::from_string(word.repeat(1 + self.random.below(40))),
        }
    }

    fn step(&mut self) {
        self.calls += 1;
        let choice = if self.secrets.len() < 5 { 0 } else { self.random.below(20) };
        if choice < 3 {
            return self.create();
        }
        let at = self.random.below(self.secrets.len());
        let secret = self.secrets[at].name.clone();
        let account = self.secrets[at].account.clone();
        match choice {
            3..8 => {
                let (value, token) = (self.value(account.as_deref()), self.token());
                self.store.put_version(&secret, NewVersion::new(value).token(token)).unwrap();
            }
            8..12 if account.is_some() => {
                let token = self.token();
                self.store.rotate_with(&secret, &RotateOptions::new().token(token)).unwrap();
                let value = self.store.get(&secret).unwrap().into_value();
                let made = value.expose_str().unwrap().rsplit('"').nth(1).unwrap();
                assert_eq!(made.len(), 24);
                self.needles.add(made);
            }
            8..14 => {
                let text = self.marked();
                let update = SecretUpdate::new().description(text.parse().unwrap());
                self.store.update_secret(&secret, &update).unwrap();
            }
            14 | 15 => self.label(at),
            16 => {
                let later = Timestamp::from_millis(9_000_000_000_000);
                self.store.update_version(&secret, &VersionRef::Latest, later).unwrap();
            }
            17 => {
                let value = self.value(account.as_deref());
                let stale = Preconditions::none().if_revision(u64::MAX);
                let new = NewVersion::new(value).preconditions(stale);
                self.store.put_version(&secret, new).unwrap_err();
            }
            18 => self.store.checkpoint().unwrap(),
            _ => {
                self.store.delete_secret(&secret).unwrap();
                self.secrets.swap_remove(at);
            }
        }
    }

    fn create(&mut self) {
        let name: SecretName = self.marked().parse().unwrap();
        let account = (self.random.below(2) == 0).then(|| self.marked());
        let kind = match account {
            Some(_) => SecretType::rotatable(&self.marked()).unwrap(),
            None => SecretType::Common,
        };
        let value = self.value(account.as_deref());
        let (text, token) = (self.marked(), self.token());
        let new = NewSecret::new(name.clone(), value).secret_type(kind);
        let new = new.description(text.parse().unwrap()).token(token);
        self.store.create_secret(new).unwrap();
        self.secrets.push(Known { name, account, label: None });
    }

    fn label(&mut self, at: usize) {
        let secret = self.secrets[at].name.clone();
        match self.secrets[at].label.take() {
            Some(label) => self.store.delete_stage(&secret, &label).unwrap(),
            None => {
                let label: Stage = self.marked().parse().unwrap();
                let versions = self.store.versions(&secret, &Default::default()).unwrap();
                let version = versions.items()[0].id();
                self.store.move_stage(&secret, &label, version).unwrap();
                self.secrets[at].label = Some(label);
            }
        }
    }
}

fn builder(disk: &Recording) -> Builder<HasKey> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    SecretStore::builder().master_key(key(1)).state_cache_bytes(4 << 20).disk(disk)
}

/// Panics of the caller and of sled while there is something to tell.
fn panics(disk: &Recording, needles: &mut Needles, random: &mut Random) {
    use strongroom::testing::{FaultyDisk, StateFault};

    let store = builder(disk).open(&disk.store).unwrap();
    let (name, value) = (marked(random, needles), marked(random, needles));
    let name: SecretName = name.parse().unwrap();
    store.create_secret(NewSecret::new(name.clone(), SecretValue::from_string(value))).unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let held = store.get(&name).unwrap();
        store.verify_with(|_| panic!("of the caller, with {:?}", held.value())).unwrap();
    }));
    assert!(outcome.is_err());
    store.close().unwrap();

    let faulty = FaultyDisk::new(None);
    let with = SecretStore::builder().master_key(key(1)).disk(Arc::new(faulty.clone()));
    let store = with.open(&disk.store).unwrap();
    let moment = Moment::Before;
    faulty.fail_state(StateFault { at: 0, lasting: true, only: None, moment, error: None });
    let value = SecretValue::from_string(marked(random, needles));
    let put = store.put_version(&name, NewVersion::new(value));
    let checked = store.checkpoint();
    say(&format!("{put:?} {checked:?}\n"));
    assert!(checked.is_err() && faulty.failed() > 0, "sled panics");
}

#[test]
fn nothing_readable_is_ever_written_or_said() {
    let seed = support::seed();
    let calls = support::cases(1000);
    listen();
    let dir = support::scratch();
    let disk = Recording { store: dir.path().join("store"), written: Arc::default() };
    let mut random = Random::new(seed);
    let mut needles = Needles::default();
    needles.add(key_bytes(1));

    let store = builder(&disk).create(&disk.store).unwrap();
    let (phrase, wrong) = (marked(&mut random, &mut needles), marked(&mut random, &mut needles));
    let slot = store.add_key_slot(&key(1).into(), &Unlock::Passphrase(phrase.into()), "slot");
    let mut work =
        Work { store: &store, random, needles: &mut needles, secrets: Vec::new(), calls: 0 };
    for _ in 0..calls {
        work.step();
    }
    let Work { mut random, secrets, calls, .. } = work;
    store.remove_key_slot(slot.unwrap().id()).unwrap();
    // As a crash would leave it.
    support::copy_dir(&disk.store, &dir.path().join("crashed"));
    store.close().unwrap();
    let failed = SecretStore::builder().passphrase(wrong.into()).open(&disk.store).unwrap_err();
    say(&format!("{failed:?} {failed}\n"));
    let copy = builder(&disk).open(dir.path().join("crashed")).unwrap();
    let listed = copy.secrets(&ListSecrets::new().limit(1000)).unwrap();
    assert_eq!(listed.items().len(), secrets.len(), "seed {seed}");
    drop(copy);
    panics(&disk, &mut needles, &mut random);
    disk.written().sample(&disk.store);

    let written = std::mem::take(&mut *disk.written());
    assert_eq!(needles.found_in(&written.bytes), None, "seed {seed}: written");
    assert_eq!(needles.found_in_text(&written.names.join("\n")), None, "seed {seed}: names");
    let (found, files) = needles.found_below(dir.path());
    assert_eq!(found, None, "seed {seed}: in a file");
    let heard = said();
    assert_eq!(needles.found_in_text(&heard), None, "seed {seed}: logged, or said in a panic");

    // All of this was looked at, and would have been found there.
    let (words, parts) = needles.len();
    let lines = heard.lines().filter(|line| line.starts_with("sled")).count();
    let enough = words > calls && written.writes > calls / 2 && written.samples > calls / 10;
    let counts = (words, written.writes, written.samples, files);
    assert!(enough && files > 1 << 20, "too little was looked at: {counts:?}");
    assert!(lines > 100, "sled says nothing");
    assert!(heard.contains("of the caller, with SecretValue(..)"), "no panic was heard");
    let probe = word(&mut random);
    log::trace!("a line with {probe}");
    let mut probes = Needles::default();
    probes.add(&probe);
    assert!(probes.found_in_text(&said()).is_some(), "a word in the log is not found");
    println!(
        "{calls} calls with {words} words in {parts} parts: none in {} writes and {} samples of \
         sled's files ({} KiB that differ), {} KiB of files, {lines} lines of sled's log",
        written.writes,
        written.samples,
        written.bytes.len() >> 10,
        files >> 10,
    );
}

#[test]
fn a_word_that_is_written_is_found_whatever_its_form() {
    let random = &mut Random::new(support::seed());
    let dir = support::scratch();
    let disk = Recording { store: dir.path().join("store"), written: Arc::default() };
    builder(&disk).create(&disk.store).unwrap().close().unwrap();
    let mut needles = Needles::default();
    needles.add("ZqMk-planted");
    needles.add(word(random));
    assert_eq!(needles.found_below(dir.path()).0, None);
    // Whole and in parts; base64 of it behind nothing, "x" and "xy", made by another program.
    let planted: [&[u8]; 10] = [
        b"ZqMk-planted",
        b"Mk-plant",
        b"detnalp-kMqZ",
        b"Z\0q\0M\0k\0-\0p\0l\0a\0n\0t\0e\0d\0",
        b"5a714d6b2d706c616e746564",
        b"5A714D6B2D706C616E746564",
        b"6b2d706c616e7465",
        b"WnFNay1wbGFudGVk",
        b"eFpxTWstcGxhbnRlZA==",
        b"eHlacU1rLXBsYW50ZWQ=",
    ];
    let mut cases = 0;
    for file in ["keys", "journal/1", "db/db"] {
        let path = disk.store.join(file);
        let good = fs::read(&path).unwrap();
        for planted in planted {
            for at in [0, 1, good.len() / 2, good.len()] {
                let bytes = [&good[..at], planted, &good[at..]].concat();
                assert!(needles.found_in(&bytes).unwrap().starts_with("ZqMk-planted ("));
                cases += 1;
            }
        }
        fs::write(&path, [&good[..], planted[1]].concat()).unwrap();
        assert!(needles.found_below(dir.path()).0.is_some(), "in {file}");
        disk.written().sample(&disk.store);
        fs::write(&path, good).unwrap();
    }
    let sampled = std::mem::take(&mut *disk.written());
    assert!(needles.found_in(&sampled.bytes).is_some(), "in a sample of sled's files");
    let file = disk.create(&dir.path().join("a-ZqMk-planted")).unwrap();
    file.write_at(b"1234Mk-plant5678", 3).unwrap();
    file.write_at(b"overwritten now!", 3).unwrap();
    assert!(needles.found_in(&disk.written().bytes).is_some(), "overwritten");
    assert!(needles.found_in_text(&disk.written().names.join("\n")).is_some(), "in a name");
    assert!(needles.found_below(dir.path()).0.is_some(), "in a name");
    assert!(needles.found_in_text(&format!("{:?}", b"ZqMk-planted")).is_some(), "as numbers");
    assert!(needles.found_in_text(&format!("{:#?}", b"ZqMk-planted")).is_some(), "as numbers");
    assert_eq!(needles.found_in_text("ZqMk-pl anted [90, 113, 77, 107, 45]"), None);
    println!("{cases} planted words found");
}
