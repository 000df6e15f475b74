//! Strongroom beside other embedded stores and two bounds, on the same work in one run.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`; what it prints and how to read it
//! is in README.md.

mod arguments;
mod chart;
mod cipher;
mod contestant;
mod host;
mod measure;
mod opening;
mod queue;
mod race;
mod report;
mod results;
mod stores;
mod work;
mod workload;

use std::{env, error::Error, fs, process::ExitCode};

use crate::{arguments::Arguments, results::Results};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("{err}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [mode, key, rest @ ..] = args.as_slice()
        && mode == opening::CHILD
    {
        let entrant =
            stores::ALL.iter().find(|entrant| entrant.key == key).ok_or("no such store")?;
        println!("{}", opening::run_child(entrant, rest)?);
        return Ok(());
    }
    let arguments = Arguments::parse(&args)?;
    let dir = tempfile::Builder::new().prefix("strongroom-peers-").tempdir_in(&arguments.dir)?;
    let (mut results, host) = (Results::default(), host::describe());
    eprintln!("{host}");
    for secrets in &arguments.sizes {
        let dir = dir.path().join(secrets.to_string());
        fs::create_dir(&dir)?;
        race::run(&arguments, *secrets, &dir, &mut results)?;
        fs::remove_dir_all(&dir)?;
    }
    let table = report::markdown(&results, &host, &arguments.describe());
    println!("{table}");
    let chart = chart::svg(&results, &host);
    if let Some(out) = &arguments.out {
        fs::create_dir_all(out)?;
        fs::write(out.join("peers.md"), table)?;
        fs::write(out.join("peers.svg"), chart)?;
    }
    Ok(())
}
