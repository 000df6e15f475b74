//! The fuzz targets without a fuzzer: each over its valid inputs and seeded mutations of them.
//!
//! A finding of a fuzz target becomes a named case here, with the bytes that the fuzzer printed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code"
)]

use strongroom::testing::fuzz;

/// A valid input of a target, and what the target must take it for.
type Seed = (Vec<u8>, &'static str);

#[test]
fn records_and_mutations_of_them_have_one_text() {
    let seeds = record_seeds();
    for (bytes, kind) in &seeds {
        assert!(fuzz::fuzz_record(bytes).contains(kind), "{kind}");
    }
    mutate(&seeds, 8_000, |bytes| drop(fuzz::fuzz_record(bytes)));
}

#[test]
fn key_files_and_mutations_of_them_have_one_text() {
    let seeds = [(fuzz::key_file().unwrap(), "key file")];
    assert!(fuzz::fuzz_key_file(&seeds[0].0));
    mutate(&seeds, 4_000, |bytes| {
        fuzz::fuzz_key_file(bytes);
    });
}

#[test]
fn journals_and_mutations_of_them_have_one_text() {
    let seeds = [
        (fuzz::segment_header(), "header"),
        (fuzz::frame().unwrap(), "frame"),
        ([fuzz::segment_header(), fuzz::frame().unwrap()].concat(), "frame"),
        (fuzz::payload().unwrap(), "payload"),
    ];
    for (bytes, kind) in &seeds {
        assert!(fuzz::fuzz_journal(bytes).contains(kind), "{kind}");
    }
    mutate(&seeds, 3_000, |bytes| drop(fuzz::fuzz_journal(bytes)));
}

#[test]
fn names_and_mutations_of_them_have_one_text() {
    let seeds = name_seeds();
    for (bytes, kind) in &seeds {
        assert!(fuzz::fuzz_secret_name(bytes).contains(kind), "{kind}");
    }
    mutate(&seeds, 5_000, |bytes| drop(fuzz::fuzz_secret_name(bytes)));
}

#[test]
fn calls_closings_and_crashes_agree_with_the_model() {
    let mut random = Random(0x5eed);
    for _ in 0..40 {
        let steps: Vec<u8> = (0..240).map(|_| random.next()).collect();
        let dir = tempfile::tempdir_in(quick_dir()).unwrap();
        fuzz::fuzz_store_ops(&steps, dir.path());
    }
}

fn record_seeds() -> Vec<Seed> {
    let mut seeds = vec![(fuzz::Seals::new().seal_with(b"a value", [7; 24]).unwrap(), "envelope")];
    for kind in fuzz::RecordKind::ALL {
        let bytes = fuzz::Plaintext::sample(kind).encode().unwrap();
        let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(&bytes);
        frame.resize(frame.len().next_multiple_of(64), 0);
        seeds.extend([(bytes, kind.name()), (frame, kind.name())]);
    }
    seeds
}

fn name_seeds() -> Vec<Seed> {
    let cases = [
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
    let mut seeds: Vec<Seed> =
        cases.iter().map(|(text, kind)| (text.as_bytes().to_vec(), *kind)).collect();
    seeds.push((format!("ssa1:{}", "A".repeat(86)).into_bytes(), "anchor"));
    seeds
}

/// Runs `target` on `count` mutations of the seeds, the same ones every time.
fn mutate(seeds: &[Seed], count: usize, target: impl Fn(&[u8])) {
    let mut random = Random(count as u64);
    for at in 0..count {
        let mut bytes = seeds[at % seeds.len()].0.clone();
        for _ in 0..=random.next() % 3 {
            change(&mut bytes, &mut random);
        }
        target(&bytes);
    }
}

/// One change, as a fuzzer makes them.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.next() % 6 {
        0 => bytes.truncate(at),
        1 if random.next().is_multiple_of(2) => bytes.insert(at, random.mark()),
        1 => bytes.insert(at, random.next()),
        2 => bytes.extend_from_within(at..),
        // Lengths and marks stand in front: change those more often.
        3 if at < bytes.len() => bytes[at % 64 % (at + 1)] = random.mark(),
        4 if at < bytes.len() => drop(bytes.remove(at)),
        _ if at < bytes.len() => bytes[at] ^= 1 << (random.next() % 8),
        _ => {}
    }
}

/// A directory in memory if there is one.
fn quick_dir() -> std::path::PathBuf {
    let memory = std::path::PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// A small generator (xorshift), the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[0]
    }

    /// A byte that means something in one of the formats.
    fn mark(&mut self) -> u8 {
        [0, 1, b'0', b'.', 0x7f, 0x80, 0xff][self.below(7)]
    }

    fn below(&mut self, bound: usize) -> usize {
        (usize::from(self.next()) << 8 | usize::from(self.next())) % bound
    }
}
