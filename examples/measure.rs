//! Measures a store on this machine: latencies, opening, memory, disk, and what a rotation writes.
//!
//! `cargo run --release --example measure -- [<largest number of secrets>]`, 100,000 by default. Works in
//! a fresh directory below the current one, so that it measures the disk there, and removes it.
//!
//! `measure load <dir> <number>` makes a store and leaves it there. `measure open eager|deferred|state <dir>
//! [<cache MiB>]` opens it and prints: seconds until it is open, and until the first get; microseconds of a
//! get; MiB of memory before and after. `measure caches <dir> <number> <cache MiB> <secrets kept>` opens
//! it, reads all its secrets in no order, twice, and prints: microseconds of a get in each pass; MiB of memory.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::arithmetic_side_effects, clippy::cast_precision_loss, reason = "small numbers")]

use std::{
    env,
    error::Error as StdError,
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use strongroom::{
    ListSecrets, MasterKey, NewSecret, NewVersion, SecretName, SecretStore, SecretType,
    SecretValue, Verify,
};

type Outcome<T> = Result<T, Box<dyn StdError + Send + Sync>>;

const VALUE: &str = r#"{"users":[{"name":"app","password":"abcdefghijklmnopqrstuvwx"}]}"#;

/// For sled's page cache, in the table of openings.
const CACHE_MIB: u64 = 128;

/// A prime, by whose multiples all secrets are met once and in no order.
const NO_ORDER: usize = 7_368_787;

/// How long each latency is measured.
const SLICE: Duration = Duration::from_secs(2);

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["load", dir, count] => return load_new(Path::new(dir), count.parse()?),
        ["caches", dir, count, mib, kept] => {
            return caches(Path::new(dir), count.parse()?, mib.parse()?, kept.parse()?);
        }
        ["open", how, dir] => return open_and_report(how, Path::new(dir), CACHE_MIB),
        ["open", how, dir, mib] => return open_and_report(how, Path::new(dir), mib.parse()?),
        _ => {}
    }
    let largest: usize = args.first().map_or(Ok(100_000), |arg| arg.parse())?;
    let dir = tempfile::Builder::new().prefix("strongroom-measure-").tempdir_in(".")?;
    latencies(dir.path())?;
    writes_of_a_rotation(dir.path())?;
    println!(
        "\n\
         open: all checked; first get: of a deferred opening; sled: opened by itself. Memory in MiB: of the process, \n\
         with sled opened and all heads read, of the opened store; and what is ours for each secret.\n\
         secrets   load/s   open s first get   sled s   start    sled    open  B/secret  get us  disk B"
    );
    for count in [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|count| *count <= largest) {
        by_size(dir.path(), count)?;
    }
    Ok(())
}

fn key() -> Outcome<MasterKey> {
    let mut bytes = [0; 32];
    for (at, byte) in (0..).zip(&mut bytes) {
        *byte = at;
    }
    Ok(MasterKey::from_bytes(&bytes)?)
}

fn name(number: usize) -> Outcome<SecretName> {
    Ok(format!("measured-service-{number:07}-database-password").parse()?)
}

fn new_secret(number: usize) -> Outcome<NewSecret> {
    let secret = NewSecret::new(name(number)?, SecretValue::from_string(VALUE));
    Ok(secret.secret_type(SecretType::RdsFg))
}

/// Runs `work` on so many threads for a while; gives operations a second and the median in us.
fn timed(threads: usize, work: impl Fn(usize) -> Outcome<()> + Sync) -> Outcome<(f64, f64)> {
    let begin = Instant::now();
    let samples: Vec<Outcome<Vec<Duration>>> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || {
                    let mut samples = Vec::new();
                    for turn in 0.. {
                        if begin.elapsed() > SLICE {
                            break;
                        }
                        let start = Instant::now();
                        work(thread + turn * threads)?;
                        samples.push(start.elapsed());
                    }
                    Ok(samples)
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().map_err(|_| "a panic")?).collect()
    });
    let elapsed = begin.elapsed().as_secs_f64();
    let mut all: Vec<Duration> = Vec::new();
    for part in samples {
        all.extend(part?);
    }
    all.sort_unstable();
    let median = all.get(all.len() / 2).copied().unwrap_or_default();
    Ok((all.len() as f64 / elapsed, median.as_secs_f64() * 1e6))
}

fn latencies(dir: &Path) -> Outcome<()> {
    const SECRETS: usize = 10_000;
    let store = SecretStore::builder().master_key(key()?).create(dir.join("latency"))?;
    load(&store, SECRETS)?;
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(dir.join("bare"))?;
    file.write_all_at(&vec![0; 16 << 20], 0)?;
    file.sync_all()?;

    println!("{SECRETS} secrets            threads     ops/s   p50 us");
    let bare = timed(1, |turn| {
        file.write_all_at(&[7; 4096], (turn as u64 % 4096) * 4096)?;
        Ok(file.sync_data()?)
    })?;
    println!("bare write + fdatasync         1 {:>9.0} {:>8.1}", bare.0, bare.1);
    for threads in [1, 8, 32] {
        let row = |what: &str, (rate, median): (f64, f64)| {
            println!("{what:<28} {threads:>3} {rate:>9.0} {median:>8.1}");
        };
        // A multiplier that shares no factor with the number of secrets: visits all, in no order.
        let pick = |turn: usize| name((turn * 7_919) % SECRETS);
        row("get", timed(threads, |turn| store.get(&pick(turn)?).map(drop).map_err(Into::into))?);
        row(
            "put_version",
            timed(threads, |turn| {
                let version = NewVersion::new(SecretValue::from_string(VALUE));
                store.put_version(&pick(turn)?, version).map(drop).map_err(Into::into)
            })?,
        );
        row(
            "rotate",
            timed(threads, |turn| store.rotate(&pick(turn)?).map(drop).map_err(Into::into))?,
        );
    }
    Ok(store.close()?)
}

/// The numbers and bytes of records in the journal frames of single rotations.
fn writes_of_a_rotation(dir: &Path) -> Outcome<()> {
    const ROTATIONS: u64 = 200;
    let path = dir.join("rotation");
    let store = SecretStore::builder().master_key(key()?).create(&path)?;
    store.create_secret(new_secret(0)?)?;
    for _ in 0..ROTATIONS {
        store.rotate(&name(0)?)?;
    }
    let before = written_bytes()?;
    for _ in 0..ROTATIONS {
        store.rotate(&name(0)?)?;
    }
    let journal = written_bytes()? - before;
    store.close()?;
    println!(
        "\na rotation with 20 versions there: 5 records (value in, oldest value out, stages, audit, root); \
         {} bytes written to files, state included",
        journal / ROTATIONS
    );
    Ok(())
}

/// Bytes this process has passed to write calls.
fn written_bytes() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("no wchar in /proc/self/io")?.parse()?)
}

fn load(store: &SecretStore, count: usize) -> Outcome<()> {
    const THREADS: usize = 32;
    thread::scope(|scope| {
        let handles: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || -> Outcome<()> {
                    for number in (thread..count).step_by(THREADS) {
                        store.create_secret(new_secret(number)?)?;
                    }
                    Ok(())
                })
            })
            .collect();
        handles.into_iter().try_for_each(|handle| handle.join().map_err(|_| "a panic")?)
    })
}

fn by_size(dir: &Path, count: usize) -> Outcome<()> {
    let path = dir.join(format!("size-{count}"));
    let begin = Instant::now();
    load_new(&path, count)?;
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    // Once for nothing: the first opening writes sled's snapshot, the later ones are what counts.
    opened("eager", &path)?;
    let state = opened("state", &path)?;
    let deferred = opened("deferred", &path)?;
    let eager = opened("eager", &path)?;
    let disk = disk_bytes(&path)? / count as u64;
    let ours = (eager.open_mib - state.open_mib) * 1024.0 * 1024.0 / count as f64;
    println!(
        "{count:>7} {rate:>8.0} {:>8.3} {:>9.3} {:>8.3} {:>7.1} {:>7.1} {:>7.1} {ours:>8.0} {:>7.1} {disk:>8}",
        eager.open_s,
        deferred.first_get_s,
        state.open_s,
        state.start_mib,
        state.open_mib,
        eager.open_mib,
        eager.get_us,
    );
    Ok(())
}

fn load_new(path: &Path, count: usize) -> Outcome<()> {
    let store = SecretStore::builder().master_key(key()?).create(path)?;
    load(&store, count)?;
    Ok(store.close()?)
}

/// What an opening took.
struct Opened {
    /// Until the store could be used.
    open_s: f64,
    /// Until the first secret was read.
    first_get_s: f64,
    /// A later reading.
    get_us: f64,
    /// Memory in use before and after.
    start_mib: f64,
    open_mib: f64,
}

/// Opens the store in a process of its own, so that its memory is that of an opened store alone.
fn opened(how: &str, path: &Path) -> Outcome<Opened> {
    let output = Command::new(env::current_exe()?).args(["open", how]).arg(path).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse);
    let mut next = || numbers.next().ok_or("too few numbers");
    Ok(Opened {
        open_s: next()??,
        first_get_s: next()??,
        get_us: next()??,
        start_mib: next()??,
        open_mib: next()??,
    })
}

/// Opens the store in one of three ways and prints what [`Opened`] holds.
fn open_and_report(how: &str, path: &Path, cache_mib: u64) -> Outcome<()> {
    let start_mib = resident_mib()?;
    let begin = Instant::now();
    if how == "state" {
        return open_state_and_report(path, cache_mib, start_mib);
    }
    let verify = if how == "deferred" { Verify::Deferred } else { Verify::Eager };
    let builder = SecretStore::builder().master_key(key()?).verify(verify);
    let store = builder.state_cache_bytes(cache_mib << 20).open(path)?;
    let open_s = begin.elapsed().as_secs_f64();
    store.get(&name(0)?)?;
    let first_get_s = begin.elapsed().as_secs_f64();
    // Waits for the index.
    let names = store.names(&ListSecrets::new().limit(1000))?.into_items();
    let open_mib = resident_mib()?;
    let begin = Instant::now();
    for name in &names {
        store.get(name)?;
    }
    let get_us = begin.elapsed().as_secs_f64() * 1e6 / names.len() as f64;
    println!("{open_s:.4} {first_get_s:.4} {get_us:.2} {start_mib:.1} {open_mib:.1}");
    Ok(store.close()?)
}

/// What larger caches are worth where not everything fits the usual ones.
fn caches(path: &Path, count: usize, pages_mib: u64, kept: usize) -> Outcome<()> {
    let builder = SecretStore::builder().master_key(key()?).cached_secrets_max(kept);
    let store = builder.state_cache_bytes(pages_mib << 20).open(path)?;
    let mut passes = [0.0; 2];
    for get_us in &mut passes {
        let begin = Instant::now();
        for n in 0..count {
            store.get(&name(n * NO_ORDER % count)?)?;
        }
        *get_us = begin.elapsed().as_secs_f64() * 1e6 / count as f64;
    }
    let [first, second] = passes;
    println!("{first:.2} {second:.2} {:.1}", resident_mib()?);
    Ok(store.close()?)
}

/// What sled takes by itself, with the heads of all secrets read once.
fn open_state_and_report(path: &Path, cache_mib: u64, start_mib: f64) -> Outcome<()> {
    let begin = Instant::now();
    let db = sled::Config::new()
        .path(path.join("db"))
        .cache_capacity(cache_mib << 20)
        .segment_size(2 << 20)
        .flush_every_ms(None)
        .open()?;
    let (secrets, stages) = (db.open_tree("secrets")?, db.open_tree("stages")?);
    let open_s = begin.elapsed().as_secs_f64();
    for tree in [secrets, stages] {
        tree.iter().try_for_each(|entry| entry.map(drop))?;
    }
    println!("{open_s:.4} 0 0 {start_mib:.1} {:.1}", resident_mib()?);
    Ok(())
}

fn resident_mib() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

fn disk_bytes(path: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            entry.metadata()?.blocks() * 512
        };
    }
    Ok(sum)
}
