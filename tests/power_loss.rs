//! Power fails at any moment: what was acknowledged is there, the call under way is there wholly or not
//! at all, and one more write works. A part of the images lose power again while they recover.
//!
//! A failure names workload, moment, style and seed; `STRONGROOM_SEED=n` draws other cases, and
//! `STRONGROOM_SOAK=n` n times as many, and `STRONGROOM_KEEP=dir` keeps the images of failures. Threads of the store run freely, so a case is nearly but not
//! quite the same when it is repeated.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

#[path = "support/newer.rs"]
mod newer;
#[path = "power_loss/newer.rs"]
mod newer_calls;
mod support;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, NewSecret, NewVersion, SecretStore, SecretType,
    SecretUpdate, SecretValue, Unlock, VersionId,
    testing::power::{Entries, PowerDisk, Style},
};
use support::{Random, cases, copy_dir, in_time, key, name, scratch, seed};
use tempfile::TempDir;

/// Images of one workload and one model of directory entries.
const IMAGES: usize = 76;

/// Images taken in one run of a workload.
const IMAGES_A_RUN: usize = 4;

/// One image of so many loses power again while it recovers, or the next one with a store in it.
const NESTED_EVERY: usize = 4;

/// What a run does.
struct Workload {
    name: &'static str,
    /// Begins without a store, and makes one as its first call.
    creates: bool,
    threads: usize,
    before: fn() -> Vec<Act>,
    acts: fn(thread: usize) -> Vec<Act>,
}

type Call = dyn Fn(&SecretStore) -> Result<(), Error> + Send;

enum Act {
    Call(Box<Call>),
    Reopen,
}

// --- What must hold -------------------------------------------------------------------------

#[test]
fn a_creation_and_the_first_calls_survive() {
    survives(&CREATION);
}

#[test]
fn mixed_calls_survive() {
    let mixed = |_| (0..24).map(|n| mixed(0, n)).collect();
    let name = "mixed calls";
    survives(&Workload {
        name,
        creates: false,
        threads: 1,
        before: || mixed_before(1),
        acts: mixed,
    });
}

#[test]
fn large_values_survive() {
    survives(&Workload {
        name: "large values",
        creates: false,
        threads: 1,
        before: || vec![create(0, 0, 90_000), create(0, 1, 20)],
        acts: |_| {
            vec![
                put(0, 0, 40_000),
                create(0, 2, 180_000),
                put(0, 1, 17_000),
                rotate(0, 2),
                delete(0, 2),
                put(0, 0, 900_000),
                create(0, 3, 120_000),
                put(0, 0, 10),
                delete(0, 0),
            ]
        },
    });
}

#[test]
fn dropped_versions_and_deletions_survive() {
    survives(&Workload {
        name: "dropped versions",
        creates: false,
        threads: 1,
        before: || (0..6).map(|n| create(0, n, 200)).collect(),
        acts: |_| {
            let puts = (0..20).map(|n| put(0, n % 3, 100 * (n % 5)));
            puts.chain([delete(0, 0), delete(0, 5), rotate(0, 1), delete(0, 1)]).collect()
        },
    });
}

/// Four values of 900 KB fill a segment of 4 MiB but for half a megabyte.
#[test]
fn a_change_of_segments_survives() {
    survives(&Workload {
        name: "change of segments",
        creates: false,
        threads: 1,
        before: || (0..4).flat_map(|n| [create(0, n, 900_000), delete(0, n)]).collect(),
        acts: |_| {
            vec![
                create(0, 5, 100),
                create(0, 6, 500_000),
                put(0, 5, 100),
                checkpoint(),
                put(0, 5, 100),
                delete(0, 6),
                checkpoint(),
                checkpoint(),
                put(0, 5, 50),
            ]
        },
    });
}

/// The state is written over and over, so that sled uses its own segments again.
#[test]
fn much_writing_into_a_small_state_survives() {
    survives(&Workload {
        name: "much writing",
        creates: false,
        threads: 1,
        before: || {
            let puts = (0..200).map(|n| put(0, n % 10, 14_000));
            (0..10).map(|n| create(0, n, 3_000)).chain(puts).chain([checkpoint()]).collect()
        },
        acts: |_| (0..190).map(|n| put(0, n % 10, 14_000)).collect(),
    });
}

/// The state moves into fresh files, and is written to behind that.
#[test]
fn a_compaction_survives() {
    survives(&COMPACTION);
}

/// The renamings and what comes before and after them are a small part of the moments.
#[test]
fn a_compaction_survives_a_loss_of_power_at_every_moment() {
    const STYLES: [Style; 4] = [Style::Drop, Style::Keep, Style::Random, Style::Reorder];
    let once = Workload { acts: |_| vec![compact(), put(0, 1, 5_000)], ..COMPACTION };
    let tally = survives_everywhere(&once, &STYLES, [(Entries::File, 3), (Entries::Dir, 1)]);
    tally.print("every moment of a compaction");
    assert!(tally.images >= 300, "only {} images", tally.images);
}

#[test]
fn changes_of_key_slots_survive() {
    survives(&Workload {
        name: "key slots",
        creates: false,
        threads: 1,
        before: || vec![create(0, 0, 10)],
        acts: |_| {
            let slots = (0..4).flat_map(|n| [add_slot(n), put(0, 0, 10), remove_slot()]);
            slots.chain([add_slot(9), checkpoint(), remove_slot()]).collect()
        },
    });
}

#[test]
fn four_threads_at_once_survive() {
    survives(&Workload {
        name: "four threads",
        creates: false,
        threads: 4,
        before: || mixed_before(4),
        acts: |thread| (0..12).map(|n| mixed(thread, n)).collect(),
    });
}

#[test]
fn closing_and_opening_survive() {
    survives(&Workload {
        name: "reopening",
        creates: false,
        threads: 1,
        before: || mixed_before(1),
        acts: |_| {
            let rounds = (0..4).flat_map(|n| [mixed(0, 3 * n), mixed(0, 3 * n + 1), Act::Reopen]);
            rounds.collect()
        },
    });
}

/// Every moment of a short life, four images each.
#[test]
fn twelve_calls_survive_a_loss_of_power_at_every_moment() {
    const STYLES: [Style; 4] = [Style::Drop, Style::Keep, Style::Tear, Style::Reorder];
    let tally = survives_everywhere(&CREATION, &STYLES, [(Entries::File, 1), (Entries::Dir, 3)]);
    tally.print("every moment of twelve calls");
    assert!(tally.images >= 600, "only {} images", tally.images);
}

/// sled writes a snapshot when it is opened and clears what is free by it. A loss of power that took
/// the snapshot's name and not the clearing left a store that could never be opened again.
#[test]
fn an_opening_survives_a_loss_of_power_at_every_moment() {
    let opening = Workload {
        name: "opening",
        creates: false,
        threads: 1,
        // Nearly all of it is free again, some of it in the young part of the log.
        before: || {
            let large = (0..4).flat_map(|n| [create(0, n, 900_000), delete(0, n)]);
            large.chain([create(0, 9, 100)]).collect()
        },
        acts: |_| vec![put(0, 9, 10)],
    };
    let styles = [&Style::ALL[..], &[Style::Files, Style::Files]].concat();
    let tally = survives_everywhere(&opening, &styles, [(Entries::File, 4), (Entries::Dir, 1)]);
    tally.print("every moment of an opening");
    assert!(tally.images >= 200, "only {} images", tally.images);
}

#[cfg(feature = "planted-faults")]
#[test]
fn a_sync_that_is_left_out_is_noticed() {
    support::catches("JournalSync", "mixed_calls_survive");
    support::catches("DirSync", "a_change_of_segments_survives");
    support::catches("StateSync", "much_writing_into_a_small_state_survives");
}

const COMPACTION: Workload = Workload {
    name: "compaction",
    creates: false,
    threads: 1,
    before: || {
        let large = [create(0, 8, 300_000), delete(0, 8)];
        (0..6).map(|n| create(0, n, 2_000)).chain(large).collect()
    },
    acts: |_| vec![put(0, 0, 100), compact(), put(0, 1, 5_000), compact(), delete(0, 2)],
};

const CREATION: Workload = Workload {
    name: "creation",
    creates: true,
    threads: 1,
    before: Vec::new,
    acts: |_| {
        vec![
            create(0, 0, 30),
            put(0, 0, 200),
            put(0, 0, 5_000),
            rotate(0, 0),
            create(0, 1, 30_000),
            update(0, 0),
            move_label(0, 0, 2),
            delete(0, 1),
            checkpoint(),
            rotate(0, 0),
            delete(0, 0),
        ]
    },
};

// --- Calls ----------------------------------------------------------------------------------

fn call(call: impl Fn(&SecretStore) -> Result<(), Error> + Send + 'static) -> Act {
    Act::Call(Box::new(call))
}

fn of(thread: usize, n: usize) -> strongroom::SecretName {
    name(&format!("t{thread}-{n}"))
}

fn value(len: usize) -> SecretValue {
    let pad = "0123456789".repeat(len / 10 + 1);
    let users = r#"{"users":[{"name":"app","password":"the-first"}],"pad":""#;
    SecretValue::from_string(format!(r#"{users}{}"}}"#, &pad[..len]))
}

fn create(thread: usize, n: usize, len: usize) -> Act {
    call(move |store| {
        let new = NewSecret::new(of(thread, n), value(len)).secret_type(SecretType::RdsFg);
        store.create_secret(new).map(drop)
    })
}

fn put(thread: usize, n: usize, len: usize) -> Act {
    call(move |store| store.put_version(&of(thread, n), NewVersion::new(value(len))).map(drop))
}

fn rotate(thread: usize, n: usize) -> Act {
    call(move |store| store.rotate(&of(thread, n)).map(drop))
}

fn delete(thread: usize, n: usize) -> Act {
    call(move |store| store.delete_secret(&of(thread, n)))
}

fn update(thread: usize, n: usize) -> Act {
    call(move |store| {
        let update = SecretUpdate::new().description("another".parse()?);
        store.update_secret(&of(thread, n), &update).map(drop)
    })
}

fn move_label(thread: usize, n: usize, version: u64) -> Act {
    call(move |store| {
        let (blue, to) = ("blue".parse()?, VersionId::from_number(version).unwrap());
        store.move_stage(&of(thread, n), &blue, to).map(drop)
    })
}

fn checkpoint() -> Act {
    call(SecretStore::checkpoint)
}

fn compact() -> Act {
    call(|store| store.compact().map(drop))
}

fn add_slot(n: u8) -> Act {
    call(move |store| {
        let label = format!("slot {n}");
        store.add_key_slot(&key(1).into(), &Unlock::from(key(100 + n)), &label).map(drop)
    })
}

fn remove_slot() -> Act {
    call(|store| store.remove_key_slot(store.key_slots().last().unwrap().id()))
}

fn mixed_before(threads: usize) -> Vec<Act> {
    (0..threads).flat_map(|thread| (0..3).map(move |n| create(thread, n, 300))).collect()
}

/// A call on one of three secrets that are always there, or on one that comes and goes.
fn mixed(thread: usize, n: usize) -> Act {
    match n % 8 {
        0 => put(thread, n % 3, 100 + n * 70),
        1 => create(thread, 10 + n, 9_000),
        2 => rotate(thread, n % 3),
        3 => put(thread, n % 3, 13_000),
        4 => update(thread, n % 3),
        5 => delete(thread, 10 + n - 4),
        6 => rotate(thread, 0),
        _ => checkpoint(),
    }
}

// --- Runs -----------------------------------------------------------------------------------

/// At which moments images are taken, and how.
type Picks = BTreeMap<u64, Vec<(Style, u64)>>;

/// What a run left: images, and what each thread's secrets were after each of its calls.
struct Run {
    images: Vec<Image>,
    /// `None`: there is no store.
    history: Vec<Vec<Option<String>>>,
    moments: u64,
}

struct Image {
    dir: TempDir,
    what: String,
    seed: u64,
    /// How many calls of each thread had returned.
    acknowledged: Vec<usize>,
}

#[derive(Default)]
struct Tally {
    images: usize,
    nested: usize,
    /// Images since one lost power again.
    since_nested: usize,
    /// The call under way was there.
    ahead: usize,
}

impl Tally {
    fn print(&self, what: &str) {
        let Self { images, nested, ahead, .. } = self;
        println!(
            "{what}: {images} images, {nested} of them cut twice, all right; in {ahead} the call \
             under way was there (seed {})",
            seed()
        );
    }

    /// Counts an image, and copies one of so many, to lose power again. An image without a store has
    /// nothing to recover: then it is the next one's turn.
    fn one_more(&mut self, image: &TempDir, nested_every: usize) -> Option<TempDir> {
        self.images += 1;
        self.since_nested += 1;
        (self.since_nested >= nested_every).then(|| {
            let left = scratch();
            copy_dir(image.path(), &left.path().join("image"));
            left
        })
    }

    fn cut_again(&mut self) {
        self.nested += 1;
        self.since_nested = 0;
    }

    /// That enough was tried.
    fn check(&self) {
        let Self { images, nested, .. } = self;
        assert!(*images >= cases(IMAGES), "only {images} images");
        assert!(nested * 6 >= *images, "only {nested} of {images} were cut twice");
    }
}

fn survives(workload: &Workload) {
    let mut tally = Tally::default();
    for (n, entries) in [Entries::File, Entries::Dir].into_iter().enumerate() {
        let mut random = Random::new(seed().wrapping_mul(2) + n as u64);
        let moments = Run::new(workload, entries, Picks::new()).moments;
        assert!(moments > 40, "only {moments} moments");
        for _ in 0..cases(IMAGES).div_ceil(IMAGES_A_RUN) {
            let mut picks = Picks::new();
            for _ in 0..IMAGES_A_RUN {
                let style = Style::ALL[random.below(Style::ALL.len())];
                let at = random.below(usize::try_from(moments).unwrap()) as u64;
                picks.entry(at).or_default().push((style, random.next()));
            }
            Run::new(workload, entries, picks).check(workload, &mut tally, NESTED_EVERY);
        }
    }
    tally.print(workload.name);
    tally.check();
}

/// Takes an image of each style at every moment, or every so many, of a run under each model.
fn survives_everywhere(
    workload: &Workload,
    styles: &[Style],
    models: [(Entries, u64); 2],
) -> Tally {
    let mut tally = Tally::default();
    for (entries, step) in models {
        let mut at = 0_u64;
        loop {
            let styles = styles.iter().enumerate();
            let picks = styles.map(|(n, style)| (*style, seed() ^ at << 8 ^ n as u64)).collect();
            let run = Run::new(workload, entries, Picks::from([(at, picks)]));
            if run.images.is_empty() {
                break;
            }
            run.check(workload, &mut tally, usize::MAX);
            at += step;
        }
    }
    tally
}

impl Run {
    fn new(workload: &Workload, entries: Entries, picks: Picks) -> Self {
        let what = format!("{}, {entries:?}", workload.name);
        in_time(&what.clone(), || Self::take(workload, entries, picks, &what))
    }

    fn take(workload: &Workload, entries: Entries, picks: Picks, what: &str) -> Self {
        let dir = scratch();
        let path = dir.path().join("store");
        if !workload.creates {
            let store = builder().create(&path).unwrap();
            run_all(&(workload.before)(), &store);
            store.close().unwrap();
        }
        let disk = PowerDisk::new(dir.path(), entries).unwrap();
        let acknowledged: Arc<Vec<AtomicUsize>> =
            Arc::new((0..workload.threads).map(|_| AtomicUsize::new(0)).collect());
        let images = Arc::new(Mutex::new(Vec::new()));
        let (counts, taken, what) =
            (Arc::clone(&acknowledged), Arc::clone(&images), what.to_owned());
        disk.watch(move |moment| {
            for (style, seed) in picks.get(&moment.number()).into_iter().flatten() {
                // Before anything is looked at: what returns from now on may or may not be there.
                let acknowledged =
                    counts.iter().map(|count| count.load(Ordering::SeqCst)).collect();
                let dir = scratch();
                moment.image(*style, *seed, dir.path()).unwrap();
                let what = format!("{what}, moment {}, {style:?}, {seed}", moment.number());
                taken.lock().unwrap().push(Image { dir, what, seed: *seed, acknowledged });
            }
        });
        let history = history(workload, &disk, &path, &acknowledged);
        disk.stop();
        let images = std::mem::take(&mut *images.lock().unwrap());
        Self { images, history, moments: disk.moments() }
    }

    fn check(self, workload: &Workload, tally: &mut Tally, nested_every: usize) {
        for image in &self.images {
            let nested = tally.one_more(&image.dir, nested_every);
            let path = image.dir.path().join("store");
            tally.ahead += usize::from(self.check_one(workload, image, &image.what, &path));
            let Some(nested) = nested else { continue };
            let what = format!("{}, cut again", image.what);
            if let Some(second) = in_time(&what, || recover_and_cut(&nested, image.seed, builder)) {
                tally.cut_again();
                self.check_one(workload, image, &what, &second.path().join("store"));
            }
        }
    }

    /// Whether the store has a call that was not acknowledged.
    fn check_one(&self, workload: &Workload, image: &Image, what: &str, path: &Path) -> bool {
        let kept = keep(path);
        let found = in_time(what, || sound(path, workload.threads));
        let found = found.unwrap_or_else(|err| panic!("{what}: {err:?}"));
        let mut ahead = false;
        for (thread, history) in self.history.iter().enumerate() {
            let acknowledged = image.acknowledged[thread];
            let found = found.as_ref().map(|found| &found[thread]);
            let at = |n: usize| history.get(n).is_some_and(|then| then.as_ref() == found);
            if at(acknowledged) {
                continue;
            }
            assert!(
                at(acknowledged + 1),
                "{what}, thread {thread}, seed {}: not as after {acknowledged} calls or the one under \
                 way, but as after {:?}\n{found:?}\nwanted\n{:?}",
                seed(),
                history.iter().position(|then| then.as_ref() == found),
                history.get(acknowledged),
            );
            ahead = true;
        }
        if let Some(kept) = kept {
            fs::remove_dir_all(kept).unwrap();
        }
        ahead
    }
}

/// Keeps a copy of an image in the directory `STRONGROOM_KEEP`, if there is one, until it has passed.
fn keep(path: &Path) -> Option<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let keep = PathBuf::from(env::var_os("STRONGROOM_KEEP")?);
    let kept = keep.join(format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::SeqCst)));
    fs::create_dir_all(&keep).unwrap();
    copy_dir(path.parent().unwrap(), &kept);
    Some(kept)
}

/// Makes the calls, and says what each thread's secrets were after each.
fn history(
    workload: &Workload,
    disk: &PowerDisk,
    path: &Path,
    acknowledged: &[AtomicUsize],
) -> Vec<Vec<Option<String>>> {
    let builder = || builder().disk(Arc::new(disk.clone()));
    let (mut history, store) = if workload.creates {
        let store = builder().create(path).unwrap();
        acknowledged[0].fetch_add(1, Ordering::SeqCst);
        (vec![None], store)
    } else {
        (Vec::new(), builder().open(path).unwrap())
    };
    if workload.threads == 1 {
        history.push(Some(content(&store, 0).unwrap()));
        let mut store = Some(store);
        for act in (workload.acts)(0) {
            match act {
                Act::Call(call) => {
                    call(store.as_ref().unwrap()).unwrap();
                    acknowledged[0].fetch_add(1, Ordering::SeqCst);
                    history.push(Some(content(store.as_ref().unwrap(), 0).unwrap()));
                }
                Act::Reopen => {
                    store.take().unwrap().close().unwrap();
                    store = Some(builder().open(path).unwrap());
                }
            }
        }
        store.unwrap().close().unwrap();
        return vec![history];
    }
    let histories = thread::scope(|scope| {
        let threads: Vec<_> = (0..workload.threads)
            .map(|thread| {
                let (store, acknowledged) = (&store, &acknowledged[thread]);
                scope.spawn(move || {
                    let mut history = vec![Some(content(store, thread).unwrap())];
                    for act in (workload.acts)(thread) {
                        run_all(&[act], store);
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                        history.push(Some(content(store, thread).unwrap()));
                    }
                    history
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    store.close().unwrap();
    histories
}

fn run_all(acts: &[Act], store: &SecretStore) {
    for act in acts {
        match act {
            Act::Call(call) => call(store).unwrap(),
            Act::Reopen => panic!("only a single thread may reopen"),
        }
    }
}

/// Lets the store in `dir/image` recover, and power fail at a moment drawn by `seed`. `None` if it was
/// through before.
fn recover_and_cut(
    dir: &TempDir,
    seed: u64,
    builder: impl FnOnce() -> Builder<HasKey>,
) -> Option<TempDir> {
    let root = dir.path().join("image");
    let disk = PowerDisk::new(&root, Entries::Dir).unwrap();
    let mut random = Random::new(seed);
    let (at, style) = (random.below(30) as u64, Style::ALL[random.below(Style::ALL.len())]);
    let cut = Arc::new(Mutex::new(None));
    let taken = Arc::clone(&cut);
    disk.watch(move |moment| {
        if moment.number() == at {
            let dir = scratch();
            moment.image(style, random.next(), dir.path()).unwrap();
            *taken.lock().unwrap() = Some(dir);
        }
    });
    let opened = builder().disk(Arc::new(disk.clone())).open(root.join("store"));
    match opened {
        Ok(store) => {
            store.create_secret(NewSecret::new(name("probe"), value(10))).unwrap();
            store.close().unwrap();
        }
        Err(err) => assert_eq!(err.kind(), ErrorKind::NotAStore, "{err:?}"),
    }
    disk.stop();
    cut.lock().unwrap().take()
}

/// Opens the store, checks all of it, writes, opens again. Gives each thread's secrets; `None` if there
/// is no store, in whose place one can be made.
fn sound(path: &Path, threads: usize) -> Result<Option<Vec<String>>, Error> {
    let store = match builder().open(path) {
        Err(err) if err.kind() == ErrorKind::NotAStore => {
            builder().create(path)?.close()?;
            return Ok(None);
        }
        other => other?,
    };
    let all = |store: &SecretStore| -> Result<Vec<String>, Error> {
        (0..threads).map(|thread| content(store, thread)).collect()
    };
    let found = all(&store)?;
    store.verify()?;
    store.create_secret(NewSecret::new(name("one-more"), value(10)))?;
    store.close()?;
    let store = builder().open(path)?;
    store.verify()?;
    store.delete_secret(&name("one-more"))?;
    assert_eq!(all(&store)?, found, "after one more opening");
    Ok(Some(found))
}

/// Everything that the store answers about the secrets of one thread, times apart.
fn content(store: &SecretStore, thread: usize) -> Result<String, Error> {
    let own = format!("t{thread}-");
    support::content(store, |name| name.starts_with(&own))
}

fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(4).unwrap();
    let limits = limits.with_value_len_max_bytes(1 << 20).unwrap();
    SecretStore::builder()
        .master_key(key(1))
        .limits(limits)
        .state_cache_bytes(1 << 20)
        .write_buffer_bytes(0)
}
