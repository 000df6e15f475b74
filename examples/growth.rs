//! What calls cost as a store grows: over the number of secrets, over versions, over the size of values.
//!
//! `cargo run --release --example growth -- [<largest number of secrets>]`, 100,000 by default. Works in a fresh
//! directory below the current one, so that it measures the disk there, and removes it. Prints two tables in
//! Markdown; times are medians of single calls by one thread.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::{
    env,
    error::Error as StdError,
    path::Path,
    time::{Duration, Instant},
};

use strongroom::{
    Builder, HasKey, ListSecrets, MasterKey, NewSecret, NewVersion, SecretName, SecretStore,
    SecretType, SecretValue,
};

type Outcome<T> = Result<T, Box<dyn StdError>>;

/// How long each call is repeated.
const SLICE: Duration = Duration::from_secs(1);

fn main() -> Outcome<()> {
    let largest: usize = env::args().nth(1).map_or(Ok(100_000), |arg| arg.parse())?;
    let dir = tempfile::Builder::new().prefix("strongroom-growth-").tempdir_in(".")?;
    println!(
        "| secrets | load, a second | get, us | rotate, us | page of 100, us | open, s | verify, s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for secrets in [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|n| *n <= largest) {
        by_secrets(&dir.path().join(secrets.to_string()), secrets)?;
    }
    println!();
    println!(
        "| value, bytes | versions | get, us | rotate, us | put, us | disk, bytes a version |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for len in [32, 1024, 32 * 1024 - 128] {
        for versions in [1, 5, 20] {
            by_versions(&dir.path().join(format!("{len}-{versions}")), len, versions)?;
        }
    }
    Ok(())
}

fn builder() -> Outcome<Builder<HasKey>> {
    let key = MasterKey::from_bytes(&std::array::from_fn(|n| u8::try_from(n).unwrap_or_default()))?;
    Ok(SecretStore::builder().master_key(key))
}

fn name(number: usize) -> Outcome<SecretName> {
    Ok(format!("measured-service-{number:07}-database-password").parse()?)
}

/// An account, with so many bytes beside it that will not be rotated.
fn value(padding: usize) -> SecretValue {
    let users = r#"[{"name":"app","password":"abcdefghijklmnopqrstuvwx"}]"#;
    SecretValue::from_string(format!(r#"{{"users":{users},"note":"{}"}}"#, "x".repeat(padding)))
}

fn new_secret(number: usize, padding: usize) -> Outcome<NewSecret> {
    Ok(NewSecret::new(name(number)?, value(padding)).secret_type(SecretType::RdsFg))
}

/// The median of single calls with numbers that visit all secrets in no order, in microseconds.
fn median<T>(secrets: usize, mut call: impl FnMut(usize) -> Outcome<T>) -> Outcome<f64> {
    let begin = Instant::now();
    let mut times = Vec::new();
    for turn in 0.. {
        if begin.elapsed() > SLICE {
            break;
        }
        let number = (turn * 7_919) % secrets;
        let start = Instant::now();
        let _ = call(number)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e6)
}

fn by_secrets(dir: &Path, secrets: usize) -> Outcome<()> {
    let store = builder()?.create(dir)?;
    let begin = Instant::now();
    let loaded =
        store.create_secrets((0..secrets).filter_map(|number| new_secret(number, 0).ok()))?;
    let load = f64::from(u32::try_from(loaded.created())?) / begin.elapsed().as_secs_f64();
    store.close()?;
    // Twice, so that the first opening writes sled's snapshot and the second one is what counts.
    builder()?.open(dir)?.close()?;
    let begin = Instant::now();
    let store = builder()?.open(dir)?;
    let open = begin.elapsed().as_secs_f64();
    let names = (0..secrets).map(name).collect::<Outcome<Vec<SecretName>>>()?;
    let named = |number: usize| names.get(number).ok_or("no such secret");
    let get = median(secrets, |number| Ok(store.get(named(number)?)?))?;
    let rotate = median(secrets, |number| Ok(store.rotate(named(number)?)?))?;
    let page = median(secrets, |number| {
        let list = ListSecrets::new().limit(100).marker(named(number)?.clone());
        Ok(store.secrets(&list)?)
    })?;
    let begin = Instant::now();
    store.verify()?;
    let verify = begin.elapsed().as_secs_f64();
    println!(
        "| {secrets} | {load:.0} | {get:.1} | {rotate:.0} | {page:.0} | {open:.2} | {verify:.2} |"
    );
    Ok(store.close()?)
}

fn by_versions(dir: &Path, len: usize, versions: usize) -> Outcome<()> {
    const SECRETS: usize = 200;
    let store = builder()?.create(dir)?;
    let padding = len.saturating_sub(76);
    for number in 0..SECRETS {
        store.create_secret(new_secret(number, padding)?)?;
        for _ in 1..versions {
            store.put_version(&name(number)?, NewVersion::new(value(padding)))?;
        }
    }
    store.compact()?;
    let disk = disk_bytes(&dir.join("db"))? / u64::try_from(SECRETS * versions)?;
    let get = median(SECRETS, |number| Ok(store.get(&name(number)?)?))?;
    // Few calls, so that there are about as many versions as at the beginning.
    let rotate = few(SECRETS, |number| Ok(store.rotate(&name(number)?)?))?;
    let put = few(SECRETS, |number| {
        Ok(store.put_version(&name(number)?, NewVersion::new(value(padding)))?)
    })?;
    println!("| {len} | {versions} | {get:.1} | {rotate:.0} | {put:.0} | {disk} |");
    Ok(store.close()?)
}

/// The median of one call for each secret.
fn few<T>(secrets: usize, mut call: impl FnMut(usize) -> Outcome<T>) -> Outcome<f64> {
    let mut times = Vec::new();
    for number in 0..secrets {
        let start = Instant::now();
        let _ = call(number)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e6)
}

fn disk_bytes(dir: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += match entry.file_type()?.is_dir() {
            true => disk_bytes(&entry.path())?,
            false => entry.metadata()?.blocks() * 512,
        };
    }
    Ok(sum)
}
