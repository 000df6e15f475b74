//! The store's calls beside what bounds them, so that ratios can be read within one run.
//!
//! * `read/bound`: a hash map and one AEAD open, nothing else. The other rows of `read` cannot be
//!   faster.
//! * `write/bound`: 4 KiB overwritten in a zero-filled file, and `fdatasync`. The other rows of
//!   `write` by one thread cannot be faster.
//!
//! Absolute figures depend on the machine and the hour: compare rows of one run. Measure with
//! `RUSTFLAGS="-C target-cpu=x86-64-v3" cargo bench --all-features --bench store` (a library cannot
//! ask for AVX2 itself), and on a real disk: `TMPDIR` says where the stores are made.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "bench code"
)]

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    hint::black_box,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use strongroom::{
    ListSecrets, MasterKey, NewSecret, NewVersion, SecretName, SecretStore, SecretType,
    SecretValue, Stage, Verify, VersionRef, testing::fuzz::Seals,
};
use tempfile::TempDir;

const ACCOUNT: &str = r#"{"users":[{"name":"app","password":"correct-horse-battery"}]}"#;
const SIZES: [usize; 2] = [1_000, 10_000];
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
const BLOCK_BYTES: u64 = 4096;

/// A store in a directory that goes when this does.
struct Bench {
    store: SecretStore,
    names: Vec<SecretName>,
    path: PathBuf,
    _dir: TempDir,
}

impl Bench {
    fn with(secrets: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store");
        let store = SecretStore::builder().master_key(key()).create(&path).expect("a store");
        let names: Vec<SecretName> = (0..secrets).map(name).collect();
        // Eight writers, so that commits share their syncs.
        std::thread::scope(|scope| {
            for part in names.chunks(secrets.div_ceil(8).max(1)) {
                let store = &store;
                scope.spawn(move || {
                    for name in part {
                        create(store, name);
                        store.rotate(name).expect("a rotation");
                    }
                });
            }
        });
        Self { store, names, path, _dir: dir }
    }
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    for size in SIZES {
        let Bench { store, names, .. } = &Bench::with(size);
        let seals = Seals::new();
        let sealed: HashMap<&str, Vec<u8>> = names
            .iter()
            .map(|name| (name.as_str(), seals.seal(ACCOUNT.as_bytes()).expect("it fits")))
            .collect();
        let mut random = Random::new();
        let mut random_name = || &names[random.below(names.len())];
        group.bench_function(BenchmarkId::new("bound", size), |b| {
            b.iter(|| seals.open(&sealed[random_name().as_str()]));
        });
        group.bench_function(BenchmarkId::new("get_random", size), |b| {
            b.iter(|| store.get(random_name()));
        });
        group.bench_function(BenchmarkId::new("get_hot", size), |b| {
            b.iter(|| store.get(black_box(&names[0])));
        });
        let previous = VersionRef::Stage(Stage::Previous);
        group.bench_function(BenchmarkId::new("get_by_stage", size), |b| {
            b.iter(|| store.version(random_name(), &previous));
        });
    }
    group.finish();
}

fn list(c: &mut Criterion) {
    let mut group = c.benchmark_group("list");
    for size in SIZES {
        let Bench { store, names, .. } = &Bench::with(size);
        let mut random = Random::new();
        let page = ListSecrets::new().limit(100);
        group.throughput(Throughput::Elements(100));
        group.bench_function(BenchmarkId::new("page_of_100", size), |b| {
            b.iter(|| {
                let marker = names[random.below(names.len() - 100)].clone();
                store.secrets(&page.clone().marker(marker))
            });
        });
        group.bench_function(BenchmarkId::new("names_of_100", size), |b| {
            b.iter(|| store.names(black_box(&page)));
        });
    }
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    let bench = Bench::with(1_000);
    let Bench { store, names, path, .. } = &bench;
    let mut random = Random::new();
    let bound = zeroed(&path.with_file_name("bound"));
    let mut block = 0;
    group.bench_function("bound", |b| {
        b.iter(|| {
            block = (block + BLOCK_BYTES) % SEGMENT_BYTES;
            bound.write_all_at(&[0x5a; BLOCK_BYTES as usize], block).expect("a write");
            bound.sync_data().expect("a sync");
        });
    });
    group.bench_function("rotate_1_thread", |b| {
        b.iter(|| store.rotate(&names[random.below(names.len())]).expect("a rotation"));
    });
    group.throughput(Throughput::Elements(8));
    group.bench_function("rotate_8_threads", |b| {
        b.iter_custom(|rounds| rotate_by_8(store, names, rounds));
    });
    group.throughput(Throughput::Elements(1));
    let mut random = Random::new();
    group.bench_function("put", |b| {
        b.iter(|| {
            let new = NewVersion::new(SecretValue::from_string(ACCOUNT));
            store.put_version(&names[random.below(names.len())], new).expect("a version")
        });
    });
    let mut next = names.len();
    group.bench_function("create", |b| {
        b.iter(|| {
            next += 1;
            create(store, &name(next));
        });
    });
    group.finish();
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    group.sample_size(10);
    let bench = Bench::with(10_000);
    let Bench { store, path, .. } = &bench;
    store.clone().close().expect("a clean end");
    for (row, verify) in [("eager", Verify::Eager), ("deferred", Verify::Deferred)] {
        group.bench_function(BenchmarkId::new(row, 10_000), |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| open_and_close(path, verify)).sum());
        });
    }
    group.finish();
}

/// Time until the store is open; closing is left out.
fn open_and_close(path: &Path, verify: Verify) -> Duration {
    let builder = SecretStore::builder().master_key(key()).verify(verify);
    let start = Instant::now();
    let store = builder.open(path).expect("the store opens");
    let time = start.elapsed();
    store.close().expect("a clean end");
    time
}

/// Time of `rounds` rotations by each of eight threads.
fn rotate_by_8(store: &SecretStore, names: &[SecretName], rounds: u64) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for part in names.chunks(names.len().div_ceil(8)) {
            scope.spawn(move || {
                for (_, name) in (0..rounds).zip(part.iter().cycle()) {
                    store.rotate(name).expect("a rotation");
                }
            });
        }
    });
    start.elapsed()
}

fn create(store: &SecretStore, name: &SecretName) {
    let new = NewSecret::new(name.clone(), SecretValue::from_string(ACCOUNT));
    store.create_secret(new.secret_type(SecretType::RdsFg)).expect("a new name");
}

fn name(number: usize) -> SecretName {
    format!("service-{number:08}-database-credentials").parse().expect("a name")
}

fn key() -> MasterKey {
    MasterKey::from_bytes(&std::array::from_fn(|at| at as u8)).expect("the bytes differ")
}

/// A file as a journal segment is: real zeros, durable.
fn zeroed(path: &Path) -> File {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).open(path).expect("a new file");
    file.write_all(&vec![0; SEGMENT_BYTES as usize]).expect("room");
    file.sync_all().expect("a sync");
    file
}

/// A small generator (xorshift), so that choosing a name costs next to nothing.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x5eed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = read, list, write, open
}
criterion_main!(benches);
