//! Damage to the state, sled's own files, which sled alone would often take for the end of its log.

use std::fs;

use crate::{
    journal::{BLOCK, used},
    original::{KEY, Left, Original, edit, files, replace},
    support::{Random, cases, seed},
    tally::Tally,
};

#[test]
fn the_state_behind_an_old_snapshot_may_be_damaged_anywhere() {
    log_damaged(Left::Closed);
}

#[test]
fn the_state_under_a_fresh_snapshot_may_be_damaged_anywhere() {
    log_damaged(Left::Reopened);
}

#[test]
fn the_state_of_an_open_store_may_be_damaged_anywhere() {
    log_damaged(Left::Running);
}

fn log_damaged(left: Left) {
    let seed = seed();
    let mut random = Random::new(seed);
    let original = Original::of_key(KEY, left, 30);
    let file = "db/db";
    let bytes = fs::read(original.store().join(file)).unwrap();
    let older = fs::read(original.older().join(file)).unwrap();
    let written = used(&bytes).min(bytes.len());
    let blocks: Vec<usize> = (0..written / BLOCK).map(|n| n * BLOCK).collect();
    // Blocks whose last write was lost.
    let stale: Vec<usize> = blocks
        .iter()
        .copied()
        .filter(|at| older.get(*at..at + BLOCK).is_some_and(|old| old != &bytes[*at..at + BLOCK]))
        .collect();
    assert!(stale.len() > 10, "{} blocks", stale.len());
    let mut tally = Tally::default();
    for n in 0..cases(if left == Left::Running { 200 } else { 500 }) {
        let (at, sort) = (random.below(written), random.below(7));
        let (old, from) = (stale[random.below(stale.len())], blocks[random.below(blocks.len())]);
        let what = format!("{file}, damage {sort} at {at}, {old}, {from} ({n}, seed {seed})");
        tally.case(&original, (&what, file), |store| {
            let (sector, block) = (at / 512 * 512, at / BLOCK * BLOCK);
            edit(store, file, |bytes| match sort {
                0 | 1 => bytes[at] ^= 1 << (from / BLOCK % 8),
                2 => bytes[sector..sector + 512].fill(0),
                3 => bytes[block..(block + BLOCK).min(written)].fill(0),
                4 => bytes.truncate(at),
                5 => bytes[old..old + BLOCK].copy_from_slice(&older[old..old + BLOCK]),
                // A block that was written to the wrong place.
                _ => bytes.copy_within(from..from + BLOCK, old),
            });
        });
    }
    tally.print(&format!("state, {left:?}, {} blocks of an older time", stale.len()));
    assert_eq!(tally.cut_off, 0, "the journal was whole");
}

#[test]
fn files_may_be_missing_empty_from_elsewhere_or_in_each_other_s_place() {
    for left in [Left::Reopened, Left::Running] {
        let original = Original::new(left);
        let others = [KEY, 9].map(|key| Original::of_key(key, left, 0));
        let mut tally = Tally::default();
        let files = files(&original.store());
        for file in &files {
            tally.case(&original, (&format!("{file} removed"), file), |store| {
                fs::remove_file(store.join(file)).unwrap();
            });
            tally.case(&original, (&format!("{file} emptied"), file), |store| {
                fs::write(store.join(file), "").unwrap();
            });
            let foreign = others.iter().map(Original::store).chain([original.older()]);
            for (n, from) in foreign.enumerate().filter(|(_, from)| from.join(file).exists()) {
                // An older journal ends in zeros where the present one has frames: if the state has
                // not got these either, nobody can tell.
                let tail =
                    if n == 2 && file.starts_with("journal/") { original.history.len() } else { 1 };
                let what = format!("{file} of store {n}");
                tally.case_of_tail(&original, (&what, file, tail), |store| {
                    fs::copy(from.join(file), store.join(file)).unwrap();
                });
            }
            for from in files.iter().filter(|from| *from != file && *from != "lock") {
                tally.case(&original, (&format!("{from} over {file}"), file), |store| {
                    fs::copy(store.join(from), store.join(file)).unwrap();
                });
            }
        }
        for dir in ["journal", "db", "db/blobs"] {
            tally.case(&original, (&format!("{dir}/ removed"), dir), |store| {
                fs::remove_dir_all(store.join(dir)).unwrap();
            });
            tally.case(&original, (&format!("{dir}/ emptied"), dir), |store| {
                fs::remove_dir_all(store.join(dir)).unwrap();
                fs::create_dir(store.join(dir)).unwrap();
            });
            let foreign = others.iter().map(Original::store).chain([original.older()]);
            for (n, from) in foreign.enumerate() {
                let tail = if n == 2 && dir == "journal" { original.history.len() } else { 1 };
                let what = format!("{dir}/ of store {n}");
                tally.case_of_tail(&original, (&what, dir, tail), |store| {
                    replace(&from.join(dir), &store.join(dir));
                });
            }
        }
        tally.print(&format!("files, {left:?}"));
        assert!(tally.cut_off <= 3, "no file holds just one commit, but an older journal");
    }
}
