//! A process whose files may not grow, or that gets no more memory: real system calls fail, those of
//! sled among them, at whatever point the limit is met. The process may end in an error or die; with
//! the limit gone, the store opens with everything acknowledged, and writing goes on.
//!
//! Nothing is drawn at random: a case is its limit, which stands in the message of a failure.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod support;
#[path = "support/workload.rs"]
mod workload;

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use strongroom::{NewSecret, SecretStore, SecretValue};
use support::{cases, child, copy_dir, name, role, scratch};
use tempfile::TempDir;
use workload::{Found, Model, Workload, builder, master_key};

/// Calls made before a limit is set.
const CALLS_BEFORE: u64 = 15;

/// Calls made under a limit.
const CALLS: u64 = 40;

/// A child that takes longer hangs.
const CHILD_MAX: Duration = Duration::from_secs(60);

/// Without memory a thread of sled can die and leave the closing of the state waiting for it. Then the
/// process has to be killed; that it may hang is a limit of the crate, named in the README.
const STARVED_CHILD_MAX: Duration = Duration::from_secs(10);

/// How many children without memory were killed.
static KILLED: AtomicUsize = AtomicUsize::new(0);

const WORKLOAD: Workload = Workload { seed: 5, large: 30, large_len_max: 150_000, newer: false };

/// How far a child came.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Came {
    /// It did not open the store.
    Nowhere,
    /// It opened the store and made some calls.
    SomeWay,
    /// It made all calls and closed the store.
    Through,
}

#[test]
fn files_that_may_not_grow_cost_nothing_that_was_acknowledged() {
    if let Some(path) = role() {
        return play(Path::new(&path));
    }
    let template = template();
    let test = "files_that_may_not_grow_cost_nothing_that_was_acknowledged";
    let mut outcomes = BTreeMap::new();
    let count = u64::try_from(cases(48)).unwrap();
    // Up to 6 MiB: the journal's segments have 4, the state some more than 2.
    for case in 0..count {
        let blocks = 12 * 1024 * case / count;
        let limits = format!("trap '' XFSZ; ulimit -f {blocks}");
        let came = survives(&template, (test, &limits), true);
        *outcomes.entry(came).or_insert(0) += 1;
    }
    println!("file sizes: {count} limits, {outcomes:?}, everything acknowledged there after each");
    assert_eq!(outcomes.len(), 3, "the limits are not those that matter: {outcomes:?}");
}

#[test]
fn a_process_without_memory_loses_nothing_that_was_acknowledged() {
    if let Some(path) = role() {
        return play(Path::new(&path));
    }
    let template = template();
    let test = "a_process_without_memory_loses_nothing_that_was_acknowledged";
    let under = |kib: u64| {
        let limits = format!("ulimit -v {kib}");
        survives(&template, (test, &limits), false)
    };
    let (lowest, highest) = (8 * 1024, 4 * 1024 * 1024);
    assert_eq!(under(lowest), Came::Nowhere, "with {lowest} KiB");
    assert_eq!(under(highest), Came::Through, "with {highest} KiB");
    // Between the last with which it does not start and the first with which it gets through.
    let starts = boundary(lowest, highest, |kib| under(kib) > Came::Nowhere);
    let through = boundary(starts, highest, |kib| under(kib) == Came::Through);
    let (from, to) = (starts - (through - starts) / 4, through + 64);
    let mut outcomes = BTreeMap::new();
    let count = u64::try_from(cases(50)).unwrap();
    for case in 0..count {
        let came = under(from + (to - from) * case / count);
        *outcomes.entry(came).or_insert(0) += 1;
    }
    println!(
        "memory: {count} limits from {from} to {to} KiB, {outcomes:?}, {} had to be killed; \
         everything acknowledged there after each",
        KILLED.load(Ordering::Relaxed)
    );
    assert!(outcomes.len() >= 2, "the limits are not those that matter: {outcomes:?}");
}

/// The least of the numbers from `low` to `high` for which `holds`, to a 64th of itself.
fn boundary(low: u64, high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (low, high);
    while high - low > high / 64 {
        let middle = low.midpoint(high);
        if holds(middle) { high = middle } else { low = middle }
    }
    high
}

// --- The child ------------------------------------------------------------------------------

/// Opens the store, says so, and makes calls, saying of each that it is acknowledged.
fn play(path: &Path) {
    let store = match builder(master_key()).state_cache_bytes(1 << 20).open(path) {
        Ok(store) => store,
        Err(err) => return say(&format!("ERROR {:?}\n", err.kind())),
    };
    say("OPEN\n");
    let mut model = Model::at(&WORKLOAD, 0, CALLS_BEFORE);
    for n in CALLS_BEFORE..CALLS_BEFORE + CALLS {
        let call = WORKLOAD.call(&model);
        match WORKLOAD.make(&store, &model, &call) {
            Ok(password) => model.apply(&call, password),
            Err(err) => {
                say(&format!("ERROR {err:?}\n"));
                break;
            }
        }
        say(&format!("ACK {n}\n"));
    }
    match store.close() {
        Ok(()) => say("CLOSED\n"),
        Err(err) => say(&format!("ERROR {:?}\n", err.kind())),
    }
}

/// In one write, behind which the parent has it.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

// --- The parent -----------------------------------------------------------------------------

/// Runs a child under `limits`, which a shell sets, and checks what it left. Says how far it came.
fn survives(template: &TempDir, (test, limits): (&str, &str), may_not_die: bool) -> Came {
    let dir = scratch();
    let path = dir.path().join("store");
    copy_dir(&template.path().join("store"), &path);
    let (said, error) = run((test, limits), &path, may_not_die);
    let acknowledged = u64::try_from(said.matches("ACK ").count()).unwrap();
    let all = acknowledged == CALLS && said.contains("CLOSED\n");
    let what = format!("{limits}, {acknowledged} calls acknowledged");
    // An error is told from a death by what the child says last.
    let ended = said.contains("ERROR ") || said.contains("CLOSED\n");
    assert!(ended || !may_not_die, "{what}: died\n{said}\n{error}");
    assert!(!may_not_die || !error.contains("panicked at tests"), "{what}: {error}");

    let store = builder(master_key()).open(&path).unwrap_or_else(|err| panic!("{what}: {err:?}"));
    let found = Found::of(&store).unwrap_or_else(|err| panic!("{what}: {err:?}"));
    is_right(&found, CALLS_BEFORE + acknowledged, &what);
    store.verify().unwrap_or_else(|err| panic!("{what}: {err:?}"));
    let probe = NewSecret::new(name("probe"), SecretValue::from_string("x".repeat(100_000)));
    store.create_secret(probe).unwrap_or_else(|err| panic!("{what}: {err:?}"));
    store.delete_secret(&name("probe")).unwrap();
    store.close().unwrap_or_else(|err| panic!("{what}: {err:?}"));
    let store = builder(master_key()).open(&path).unwrap_or_else(|err| panic!("{what}: {err:?}"));
    assert_eq!(Found::of(&store).unwrap(), found, "{what}: after one more opening");
    store.close().unwrap();
    match (all, said.contains("OPEN\n")) {
        (true, _) => Came::Through,
        (false, true) => Came::SomeWay,
        (false, false) => Came::Nowhere,
    }
}

/// What is there is what `calls` calls made, or one call more.
fn is_right(found: &Found, calls: u64, what: &str) {
    let mut model = Model::at(&WORKLOAD, 0, calls);
    let Some(difference) = WORKLOAD.difference(&model, found) else { return };
    let next = WORKLOAD.call(&model);
    model.apply(&next, None);
    if let Some(other) = WORKLOAD.difference(&model, found) {
        panic!("{what}: {difference}; with the call under way: {other}");
    }
}

/// What a child said on its two outputs.
fn run((test, limits): (&str, &str), path: &Path, may_not_die: bool) -> (String, String) {
    let again = child(test, path.to_str().unwrap());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -c 0; {limits}; exec \"$0\" \"$@\""));
    shell.arg(again.get_program()).args(again.get_args());
    shell.envs(again.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell.env("RUST_BACKTRACE", "0");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut text = Vec::new();
            err.read_to_end(&mut text).unwrap();
            text
        });
        let said = scope.spawn(move || {
            let mut text = Vec::new();
            out.read_to_end(&mut text).unwrap();
            text
        });
        end(&mut child, limits, may_not_die);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(said.join().unwrap()), text(reader.join().unwrap()))
    })
}

fn end(child: &mut Child, limits: &str, may_not_die: bool) {
    let give_up = Instant::now() + if may_not_die { CHILD_MAX } else { STARVED_CHILD_MAX };
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > give_up {
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!may_not_die, "HANG: {limits}");
            KILLED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A closed store on which some calls were made.
fn template() -> TempDir {
    let dir = scratch();
    let store: SecretStore = builder(master_key()).create(dir.path().join("store")).unwrap();
    let mut model = Model::new(0);
    for _ in 0..CALLS_BEFORE {
        let call = WORKLOAD.call(&model);
        let password = WORKLOAD.make(&store, &model, &call).unwrap();
        model.apply(&call, password);
    }
    store.close().unwrap();
    dir
}
