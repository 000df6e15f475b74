//! Damage to the journal: bytes, blocks, cuts, and frames in other places.

use std::{fs, path::Path};

use crate::{
    original::{Left, Original, edit, names},
    support::{Random, cases, seed},
    tally::Tally,
};

pub const BLOCK: usize = 4096;
const SEGMENT: usize = 4 * 1024 * 1024;

#[test]
fn a_store_without_damage_has_everything() {
    let mut tally = Tally::default();
    for left in [Left::Closed, Left::Reopened, Left::Running] {
        tally.case_of_tail(&Original::new(left), ("no damage", "lock", 0), |_| {});
    }
    assert_eq!(tally.whole, 3, "{:?}", tally.errors);
    tally.print("no damage");
}

#[test]
fn a_segment_of_a_closed_store_may_be_damaged_anywhere() {
    let tally = segments_damaged(&Original::new(Left::Closed));
    tally.print("journal, closed");
    assert_eq!(tally.cut_off, 0, "a closed store knows its last commit");
}

#[test]
fn a_segment_of_an_open_store_may_be_damaged_anywhere() {
    let tally = segments_damaged(&Original::new(Left::Running));
    tally.print("journal, not closed");
}

fn segments_damaged(original: &Original) -> Tally {
    let mut tally = Tally::default();
    for segment in names(&original.store().join("journal")) {
        let file = &format!("journal/{segment}");
        let used = used(&fs::read(original.store().join(file)).unwrap());
        // Magic to mac are 128 bytes; behind them are zeros.
        let header = (0..130).step_by(3).chain([500, 2000, 4095]);
        let frames = (BLOCK..used.min(BLOCK + 3 * BLOCK)).step_by(211);
        let rest = (BLOCK..used).step_by(BLOCK * 3 + 1001);
        for at in header.chain(frames).chain(rest) {
            tally.case(original, (&format!("{file}, byte {at}"), file), |store| {
                edit(store, file, |bytes| bytes[at] ^= 1 << (at % 8));
            });
        }
        for at in (0..used).step_by(BLOCK) {
            tally.case(original, (&format!("{file}, block at {at} zeroed"), file), |store| {
                edit(store, file, |bytes| bytes[at..at + BLOCK].fill(0));
            });
        }
        let ends = [0, 1, 100, BLOCK, used - BLOCK, used - 1, used, SEGMENT - 1];
        for len in ends.into_iter().chain((0..used).step_by(BLOCK * 5)) {
            tally.case(original, (&format!("{file}, cut to {len}"), file), |store| {
                edit(store, file, |bytes| bytes.truncate(len));
            });
        }
        tally.case(original, (&format!("{file}, longer"), file), |store| {
            edit(store, file, |bytes| bytes.extend([7; 100]));
        });
    }
    tally
}

#[test]
fn any_part_of_the_journal_may_be_overwritten_by_chance() {
    let seed = seed();
    let mut random = Random::new(seed);
    for left in [Left::Closed, Left::Running] {
        let original = Original::new(left);
        let segments = names(&original.store().join("journal"));
        let mut tally = Tally::default();
        for n in 0..cases(100) {
            let file = &format!("journal/{}", segments[random.below(segments.len())]);
            let bytes = fs::read(original.store().join(file)).unwrap();
            let (at, sort) = (random.below(used(&bytes)), random.below(5));
            let from = random.below(used(&bytes)) / BLOCK * BLOCK;
            let what = format!("{file}, damage {sort} at {at} from {from} ({n}, seed {seed})");
            tally.case(&original, (&what, file), |store| {
                let sector = at / 512 * 512;
                let block = at / BLOCK * BLOCK;
                edit(store, file, |bytes| match sort {
                    0 => bytes[at] ^= 1 << (from / BLOCK % 8),
                    1 => bytes[sector..sector + 512].fill(0),
                    2 => bytes[block..block + BLOCK].fill(0),
                    3 => bytes.truncate(at),
                    // A block that was written to the wrong place.
                    _ => bytes.copy_within(from..from + BLOCK, block),
                });
            });
        }
        tally.print(&format!("journal by chance, {left:?}"));
    }
}

#[test]
fn frames_may_be_removed_repeated_and_moved() {
    for left in [Left::Closed, Left::Running] {
        let original = Original::new(left);
        let mut tally = Tally::default();
        let file = &format!("journal/{}", last_begun(&original.store()));
        let bytes = fs::read(original.store().join(file)).unwrap();
        let frames = frames(&bytes);
        assert!(frames.len() > 5, "{} frames", frames.len());
        let (last, end) = (*frames.last().unwrap(), used(&bytes));
        let whole = |n: usize| frames[n]..frames.get(n + 1).copied().unwrap_or(end);
        tally.case(&original, ("the last frame removed", file), |store| {
            edit(store, file, |bytes| bytes[last..end].fill(0));
        });
        tally.case(&original, ("the last frame repeated", file), |store| {
            edit(store, file, |bytes| bytes.copy_within(last..end, end));
        });
        tally.case(&original, ("the first frame at the end", file), |store| {
            edit(store, file, |bytes| bytes.copy_within(whole(0), end));
        });
        for n in 0..frames.len() - 1 {
            tally.case(&original, (&format!("frame {n} left out"), file), |store| {
                edit(store, file, |bytes| {
                    let gap = whole(n);
                    bytes.copy_within(gap.end..end, gap.start);
                    bytes[end - gap.len()..end].fill(0);
                });
            });
            let what = format!("all frames from {n} on removed");
            tally.case_of_tail(&original, (&what, file, frames.len() - n), |store| {
                edit(store, file, |bytes| bytes[frames[n]..end].fill(0));
            });
        }
        tally.print(&format!("frames, {left:?}"));
    }
}

/// Where the zeros at the end begin, in whole blocks.
pub fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(BLOCK, |at| (at / BLOCK + 1) * BLOCK)
}

/// Where the frames of a segment begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), BLOCK);
    while at < bytes.len() && bytes[at..at + 12] != [0; 12] {
        found.push(at);
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        at += (len + 12 + 32).next_multiple_of(BLOCK);
    }
    found
}

fn last_begun(store: &Path) -> String {
    let begun = |name: &String| fs::read(store.join("journal").join(name)).unwrap()[0] != 0;
    names(&store.join("journal")).into_iter().rev().find(begun).unwrap()
}
