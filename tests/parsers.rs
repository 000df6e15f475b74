//! A million wrong inputs for the parsers: valid ones with bits flipped, parts cut, inserted, exchanged,
//! repeated, and lengths made huge.
//!
//! Each target runs in a process of its own that may take 16 MiB of memory more than it had at the
//! beginning, whatever an input says of its length. No input may panic or take a second; and what is
//! still read must be what was written, or be written the same again (`testing::fuzz`). A failure
//! names seed and input; `STRONGROOM_SEED` and `STRONGROOM_INPUT` repeat that one alone.
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

#[path = "support/golden.rs"]
mod golden;
mod support;

use std::{
    env, fs,
    fs::File,
    hint::black_box,
    os::unix::fs::FileExt as _,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strongroom::testing::fuzz::{self, Layer, Sealed, Specimens};
use support::{Random, cases, child, role, seed};

/// How many inputs a target gets at least.
const INPUTS: usize = 250_000;

/// By how much the memory of a process may grow.
const MEMORY_BYTES: u64 = 16 << 20;

/// No mutation makes an input longer than this.
const INPUT_BYTES_MAX: usize = 16 << 10;

/// An input that takes longer, twice, is too slow.
const SLOW: Duration = Duration::from_secs(1);

/// An input that takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

/// Where the child writes the number of its input, so that it is known however the child ends.
const PROGRESS: &str = "STRONGROOM_PROGRESS";

#[test]
fn wrong_records_are_refused_or_read_as_they_are_written() {
    let test = "wrong_records_are_refused_or_read_as_they_are_written";
    bounded(test, INPUTS, || {
        let specimens = Specimens::new(1, 1);
        let records = Sealed::ALL.map(|kind| specimens.record(kind, 0));
        let mut seeds = record_seeds();
        seeds.extend(records.iter().cloned());
        let target = move |number: usize, bytes: &[u8]| {
            let kind = Sealed::ALL[number % 5];
            let found = specimens.check(kind, 0, bytes);
            assert_eq!(found.is_ok(), bytes == records[number % 5], "{kind:?}: {found:?}");
            assert_ne!(found, Err(Layer::Order), "another record was made of one");
            !fuzz::fuzz_record(bytes).is_empty()
        };
        (seeds, Box::new(target))
    });
}

#[test]
fn wrong_key_files_are_refused_or_read_as_they_are_written() {
    let test = "wrong_key_files_are_refused_or_read_as_they_are_written";
    bounded(test, INPUTS, || {
        let dir = tempfile::tempdir().unwrap();
        golden::unpack("closed", &dir.path().join("store"));
        let good = fs::read(dir.path().join("store/keys")).unwrap();
        let ring = [&[0, 1, 0, 0, 0, 7, 0, 2][..], &generation(3), &generation(7), &[9; 64], &[0]];
        let seeds = vec![fuzz::key_file().unwrap(), good.clone(), ring.concat()];
        let target = move |_: usize, bytes: &[u8]| {
            let found = fuzz::check_key_file(bytes, golden::master_key_bytes());
            assert_eq!(found.is_ok(), bytes == good, "{found:?}");
            fuzz::fuzz_key_file(bytes)
        };
        (seeds, Box::new(target))
    });
}

#[test]
fn wrong_journals_are_refused_or_read_as_they_are_written() {
    let test = "wrong_journals_are_refused_or_read_as_they_are_written";
    bounded(test, INPUTS, || {
        let specimens = Specimens::new(1, 1);
        let (header, frame) = (specimens.segment(), specimens.frame().unwrap());
        let seeds = vec![
            fuzz::segment_header(),
            fuzz::frame().unwrap(),
            [fuzz::segment_header(), fuzz::frame().unwrap()].concat(),
            fuzz::payload().unwrap(),
            header.clone(),
            frame.clone(),
        ];
        let target = move |_: usize, bytes: &[u8]| {
            let found = specimens.check_segment(bytes);
            assert_eq!(found.is_ok(), bytes == header, "{found:?}");
            // What stands behind a frame is the next one's.
            let found = specimens.check_frame(bytes);
            assert_eq!(found.is_ok(), bytes.starts_with(&frame), "{found:?}");
            !fuzz::fuzz_journal(bytes).is_empty()
        };
        (seeds, Box::new(target))
    });
}

#[test]
fn wrong_names_are_refused_or_written_as_they_are_read() {
    bounded("wrong_names_are_refused_or_written_as_they_are_read", INPUTS, || {
        (name_seeds(), Box::new(|_, bytes| !fuzz::fuzz_secret_name(bytes).is_empty()))
    });
}

#[test]
fn valid_inputs_are_taken_for_what_they_are() {
    let kinds =
        ["envelope", "audit", "audit", "root", "root", "secret", "secret", "stages", "stages"];
    for (bytes, kind) in record_seeds().iter().zip(kinds) {
        assert!(fuzz::fuzz_record(bytes).contains(&kind), "{kind}");
    }
    assert!(fuzz::fuzz_key_file(&fuzz::key_file().unwrap()));
    for (bytes, kind) in [
        (fuzz::segment_header(), "header"),
        (fuzz::frame().unwrap(), "frame"),
        ([fuzz::segment_header(), fuzz::frame().unwrap()].concat(), "frame"),
        (fuzz::payload().unwrap(), "payload"),
    ] {
        assert!(fuzz::fuzz_journal(&bytes).contains(&kind), "{kind}");
    }
    for (bytes, (_, kind)) in name_seeds().iter().zip(NAMES) {
        assert!(fuzz::fuzz_secret_name(bytes).contains(&kind), "{kind}");
    }
}

// --- What is looked for is found ------------------------------------------------------------

#[test]
fn a_panic_is_reported_with_seed_and_input() {
    let test = "a_panic_is_reported_with_seed_and_input";
    caught(test, "input 777 ", "panicked", |number| assert_ne!(number, 777));
}

#[test]
fn an_input_that_takes_a_second_is_reported() {
    let test = "an_input_that_takes_a_second_is_reported";
    caught(test, "input 5 ", "too slow", |number| {
        if number == 5 {
            thread::sleep(SLOW + Duration::from_millis(50));
        }
    });
}

#[test]
fn an_allocation_over_16_mib_is_reported_and_a_smaller_one_is_not() {
    let test = "an_allocation_over_16_mib_is_reported_and_a_smaller_one_is_not";
    caught(test, "input 40 ", "memory allocation of 16777217 bytes failed", |number| {
        let len = match number {
            40 => (16 << 20) + 1,
            20..30 => 15 << 20,
            _ => 100,
        };
        drop(black_box(Vec::<u8>::with_capacity(len)));
    });
}

/// Runs a target with a fault in it, and looks for what must be said of it.
fn caught(test: &str, input: &str, what: &str, fault: fn(usize)) {
    let make = || -> (Vec<Vec<u8>>, Target) {
        let target = move |number: usize, _: &[u8]| {
            fault(number);
            true
        };
        (vec![vec![1, 2, 3]], Box::new(target))
    };
    let Some(outcome) = supervised(test, 1000, make) else { return };
    let said = outcome.expect_err("nothing was reported");
    assert!(said.contains(input) && said.contains(what), "{said}");
}

// --- Parent and child -----------------------------------------------------------------------

/// Takes an input's number and its bytes, and says whether they were taken for something.
type Target = Box<dyn Fn(usize, &[u8]) -> bool>;

fn bounded(test: &str, least: usize, make: impl FnOnce() -> (Vec<Vec<u8>>, Target)) {
    match supervised(test, least, make) {
        None => {}
        Some(Ok(said)) => println!("{said}"),
        Some(Err(said)) => panic!("{said}"),
    }
}

/// In the child, runs the target and gives `None`. In the parent, starts the child and gives what came
/// of it.
fn supervised(
    test: &str,
    least: usize,
    make: impl FnOnce() -> (Vec<Vec<u8>>, Target),
) -> Option<Result<String, String>> {
    if role().is_some() {
        let (seeds, target) = make();
        run(test, cases(least), &seeds, &target);
        return None;
    }
    let dir = support::scratch();
    let (progress, said) = (dir.path().join("progress"), dir.path().join("said"));
    fs::write(&progress, [0; 8]).unwrap();
    let out = File::create(&said).unwrap();
    let mut command = child(test, "bounded");
    command.env(PROGRESS, &progress).stdout(out.try_clone().unwrap()).stderr(Stdio::from(out));
    // One heap that grows by the system's leave only, so that the limit sees every large block.
    let mut child = command.env("MALLOC_ARENA_MAX", "1").spawn().unwrap();
    let number = || u64::from_be_bytes(fs::read(&progress).unwrap().try_into().unwrap());
    let (mut last, mut since) = (number(), Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.to_string();
        }
        if number() != last {
            (last, since) = (number(), Instant::now());
        } else if since.elapsed() > HANGS {
            child.kill().unwrap();
            child.wait().unwrap();
            break "HANG".to_owned();
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = fs::read_to_string(&said).unwrap();
    if let Some(summary) = said.lines().find_map(|line| line.split_once("PARSED ")) {
        return Some(Ok(summary.1.to_owned()));
    }
    let (seed, number) = (seed(), number());
    Some(Err(format!(
        "{test}: seed {seed}, input {number} ({status})\n\
         STRONGROOM_SEED={seed} STRONGROOM_INPUT={number} \
         cargo test --locked --all-features --test parsers {test}\n{said}"
    )))
}

fn run(test: &str, count: usize, seeds: &[Vec<u8>], target: &Target) {
    let progress = File::options().write(true).open(env::var(PROGRESS).unwrap()).unwrap();
    let only = env::var("STRONGROOM_INPUT").ok().map(|number| number.parse::<usize>().unwrap());
    for bytes in seeds {
        target(usize::MAX - 4, bytes);
    }
    limit_memory();
    let (mut taken, mut slowest) = (0_usize, Duration::ZERO);
    for number in only.map_or(0..count, |only| only..only + 1) {
        progress.write_at(&(number as u64).to_be_bytes(), 0).unwrap();
        let bytes = input(seeds, number);
        if only.is_some() {
            println!("{bytes:02x?}");
        }
        let timed = || {
            let begin = Instant::now();
            (target(number, &bytes), begin.elapsed())
        };
        let (known, mut took) = timed();
        if took > SLOW {
            // The machine may be busy with something else; not twice.
            took = timed().1;
        }
        assert!(took <= SLOW, "too slow: {took:?}");
        taken += usize::from(known);
        slowest = slowest.max(took);
    }
    println!(
        "PARSED parsers, {test}: {count} inputs, {taken} still taken for something, the slowest \
         {} ms",
        slowest.as_millis()
    );
}

/// From now on this process may grow by [`MEMORY_BYTES`] only.
fn limit_memory() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kib: u64 = size.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    let maximum = getrlimit(Resource::As).maximum;
    let current = Some(kib * 1024 + MEMORY_BYTES);
    setrlimit(Resource::As, Rlimit { current, maximum }).unwrap();
}

// --- Inputs ---------------------------------------------------------------------------------

/// Input number `number` of this seed: a valid one, changed one to four times.
fn input(seeds: &[Vec<u8>], number: usize) -> Vec<u8> {
    let mut random = Random::new(seed().wrapping_mul(0x0100_0000_01b3) ^ number as u64);
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let other = &seeds[random.below(seeds.len())];
        change(&mut bytes, other, &mut random);
        bytes.truncate(INPUT_BYTES_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    // What tells how to read the rest stands in front: change that more often.
    let near = if random.below(2) == 0 { 128 } else { usize::MAX };
    let at = random.below(bytes.len().min(near) + 1);
    match random.below(10) {
        0..3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(..at)),
        5 => {
            let filler = mark(random);
            let block: Vec<u8> = match random.below(3) {
                0 => vec![filler; random.below(512)],
                1 => (0..random.below(512)).map(|_| random.next() as u8).collect(),
                _ => other[random.below(other.len() + 1)..].iter().copied().take(512).collect(),
            };
            bytes.splice(at..at, block).for_each(drop);
        }
        6 if at < bytes.len() => {
            let len = random.below(64).min(bytes.len() - at);
            bytes.drain(at..at + len).for_each(drop);
        }
        7 if bytes.len() >= 2 => {
            // Two fields of one length exchanged.
            let (one, two) = (random.below(bytes.len()), random.below(bytes.len()));
            let (front, back) = (one.min(two), one.max(two));
            let len = random.below(33).min(back - front).min(bytes.len() - back);
            let (left, right) = bytes.split_at_mut(back);
            left[front..front + len].swap_with_slice(&mut right[..len]);
        }
        8 => {
            let len = random.below(256).min(bytes.len() - at);
            bytes.extend_from_within(at..at + len);
        }
        _ => {
            let number = length(bytes.len(), random);
            let (big, little) = (number.to_be_bytes(), number.to_le_bytes());
            let width = [1, 2, 4, 8][random.below(4)];
            let field = if random.below(2) == 0 { &big[8 - width..] } else { &little[..width] };
            for (to, from) in bytes.iter_mut().skip(at).zip(field) {
                *to = *from;
            }
        }
    }
}

/// A length at the edge of something.
fn length(len: usize, random: &mut Random) -> u64 {
    let edges = [0, 1, len as u64, 0x7f, 0xff, 0xffff, 1 << 24, (1 << 31) - 1, 1 << 31, 1 << 32];
    let far = [u64::from(u32::MAX), i64::MAX as u64, 1 << 63, u64::MAX];
    let edge = match random.below(14) {
        at if at < 10 => edges[at],
        at => far[at - 10],
    };
    edge.wrapping_add(random.below(3) as u64).wrapping_sub(1)
}

/// A byte that means something in one of the formats.
fn mark(random: &mut Random) -> u8 {
    [0, 1, b'0', b'.', 0x7f, 0x80, 0xff][random.below(7)]
}

fn record_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![fuzz::Seals::new().seal_with(b"a value", [7; 24]).unwrap()];
    for kind in fuzz::RecordKind::ALL {
        let bytes = fuzz::Plaintext::sample(kind).encode().unwrap();
        let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(&bytes);
        frame.resize(frame.len().next_multiple_of(64), 0);
        seeds.extend([bytes, frame]);
    }
    seeds
}

fn generation(number: u8) -> [u8; 37] {
    let mut bytes = [0x6b; 37];
    bytes[..5].copy_from_slice(&[0, 0, 0, number, 1]);
    bytes
}

/// Texts, and what they are.
const NAMES: [(&str, &str); 11] = [
    ("billing-db_password", "name"),
    ("billing.db", "name"),
    ("SYSCURRENT", "stage"),
    ("blue", "stage"),
    ("v7", "version"),
    ("v9999999999", "version"),
    ("latest", "reference"),
    ("RDS-FG", "type"),
    ("REDIS-ACL", "custom type"),
    ("9b2d0e1c-token", "token"),
    ("f\u{fc}r die Abrechnung", "description"),
];

fn name_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = NAMES.iter().map(|(text, _)| text.as_bytes().to_vec()).collect();
    seeds.push(format!("ssa1:{}", "A".repeat(86)).into_bytes());
    seeds
}
