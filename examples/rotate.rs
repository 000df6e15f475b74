//! Rotates a secret: the main job, on real files.
//!
//! `cargo run --release --example rotate -- <store dir> <secret name>`; both may be left out: a fresh
//! directory, and `Test`. The master key is in a file beside the store, `<store dir>.key`, made on
//! first use with mode 0600. Prints what the REST operation answers on standard output, and on
//! standard error which version each label was on before and after. Values are never printed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::{
    env,
    error::Error as StdError,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use strongroom::{
    Error, ErrorKind, MasterKey, NewSecret, SecretName, SecretStore, SecretType, SecretValue, Stage,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err}");
            let mut cause = err.source();
            while let Some(err) = cause {
                eprintln!("  because: {err}");
                cause = err.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn StdError>> {
    let mut args = env::args_os().skip(1);
    let dir = args.next().map_or_else(fresh_dir, |dir| Ok(PathBuf::from(dir)))?;
    let name: SecretName = match args.next() {
        Some(name) => name.to_string_lossy().parse()?,
        None => "Test".parse()?,
    };
    if args.next().is_some() {
        return Err("usage: rotate [<store dir> [<secret name>]]".into());
    }
    let store = SecretStore::builder().master_key(master_key(&dir)?).open_or_create(&dir)?;
    eprintln!("store: {}", dir.display());

    let first = SecretValue::from_string(r#"{"users":[{"name":"app","password":"change-me"}]}"#);
    create_if_missing(&store, NewSecret::new(name.clone(), first).secret_type(SecretType::RdsFg))?;
    let before = labels(&store, &name)?;
    let rotation = store.rotate(&name)?;
    println!("{}", rotation.to_json());
    for (label, (was, is)) in
        ["SYSCURRENT", "SYSPREVIOUS"].iter().zip(before.iter().zip(labels(&store, &name)?))
    {
        eprintln!("{label}: {was} -> {is}");
    }

    // A secret of type COMMON may hold anything, so nothing can be rotated in it.
    let common: SecretName = "Test-common".parse()?;
    create_if_missing(
        &store,
        NewSecret::new(common.clone(), SecretValue::from_string("anything")),
    )?;
    match store.rotate(&common) {
        Err(err) if err.kind() == ErrorKind::Constraint => eprintln!("refused: {err}"),
        other => return Err(format!("a COMMON secret was not refused: {other:?}").into()),
    }
    Ok(store.close()?)
}

/// A new directory that stays, so that its path can be given to the next run.
fn fresh_dir() -> Result<PathBuf, Box<dyn StdError>> {
    Ok(tempfile::Builder::new().prefix("strongroom-").tempdir()?.keep().join("store"))
}

/// The master key from the file beside the store. It is made with the store and never again: without
/// its key an existing store cannot be opened, and a new key would only hide that.
fn master_key(store: &Path) -> Result<MasterKey, Box<dyn StdError>> {
    let mut path = OsString::from(store);
    path.push(".key");
    let no_store = store.read_dir().map_or(true, |mut entries| entries.next().is_none());
    if no_store && !Path::new(&path).exists() {
        MasterKey::generate()?.write_new_file(&path)?;
    }
    Ok(MasterKey::from_file(&path)?)
}

fn create_if_missing(store: &SecretStore, secret: NewSecret) -> Result<(), Error> {
    match store.create_secret(secret) {
        Err(err) if err.kind() != ErrorKind::AlreadyExists => Err(err),
        _ => Ok(()),
    }
}

/// The versions behind SYSCURRENT and SYSPREVIOUS, as text.
fn labels(store: &SecretStore, name: &SecretName) -> Result<[String; 2], Error> {
    let version = |stage| match store.stage(name, &stage) {
        Ok(info) => Ok(info.version_id().to_string()),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok("none".to_owned()),
        Err(err) => Err(err),
    };
    Ok([version(Stage::Current)?, version(Stage::Previous)?])
}
