//! Opening a closed store, in a process of its own, so that time and memory are that store's alone.

use std::{env, hint, path::Path, process::Command, time::Instant};

use crate::{
    Outcome,
    contestant::{Entrant, Role, Setting},
    host,
    measure::median,
    work::{Random, Work, plausible},
    workload::Figures,
};

/// The first argument of such a process.
pub const CHILD: &str = "--open-one";

/// How a store is opened, and the figures that come of it.
const WAYS: &[(&str, Setting)] = &[
    ("usual", Setting::USUAL),
    ("deferred", Setting { deferred: true, ..Setting::USUAL }),
    ("frugal", Setting::FRUGAL),
];

/// Opens the store of `secrets` secrets in `dir` several times in each way.
pub fn figures(entrant: &Entrant, dir: &Path, secrets: usize) -> Outcome<Figures> {
    let times = if secrets > 200_000 { 1 } else { 3 };
    let mut figures = Vec::new();
    // What a first opening tidies up for the next is not counted.
    child(entrant, dir, secrets, "usual")?;
    for (way, _) in WAYS {
        if *way == "deferred" && entrant.role != Role::Ours {
            continue;
        }
        let mut columns = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..times {
            for (column, figure) in columns.iter_mut().zip(child(entrant, dir, secrets, way)?) {
                column.push(figure);
            }
        }
        let [open, first, memory] = columns.map(|column| median(&column).unwrap_or(f64::NAN));
        match *way {
            "usual" => figures.extend([("open", open), ("first get", first)]),
            "deferred" => figures.push(("first get, deferred", first)),
            _ => figures.push(("memory", memory / secrets as f64)),
        }
    }
    Ok(figures)
}

/// Seconds to the open store, seconds to the first value, bytes of memory.
fn child(entrant: &Entrant, dir: &Path, secrets: usize, way: &str) -> Outcome<[f64; 3]> {
    let mut command = Command::new(env::current_exe()?);
    command.args([CHILD, entrant.key, way, &secrets.to_string()]).arg(dir);
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    figures.try_into().map_err(|_| "three figures were expected".into())
}

/// What such a process does: the three figures, on standard output.
pub fn run_child(entrant: &Entrant, args: &[String]) -> Outcome<String> {
    let [way, secrets, dir] = args else { return Err("a way, a number and a directory".into()) };
    let (_, setting) = WAYS.iter().find(|(name, _)| name == way).ok_or("no such way")?;
    let number = Random::new(u64::from(std::process::id())).below(secrets.parse()?);
    let name = Work::new_name(number)?;
    let before = host::anonymous_bytes()?;
    let begin = Instant::now();
    let store = (entrant.open)(Path::new(dir), *setting)?;
    let open = begin.elapsed().as_secs_f64();
    let mut right = false;
    store.get(&name, &mut |value| right = plausible(hint::black_box(value)))?;
    let first = begin.elapsed().as_secs_f64();
    if !right {
        return Err("the first value is not right".into());
    }
    let memory = host::anonymous_bytes()?.saturating_sub(before);
    store.close()?;
    Ok(format!("{open} {first} {memory}"))
}
