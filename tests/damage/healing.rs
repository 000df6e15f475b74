//! What is damaged in the state and still stands in the journal is put right by it.

use std::fs;

use crate::{
    journal::{BLOCK, used},
    original::{Original, content, edit, names, open},
    records::{Trees, change_state, state},
    support::{Random, cases, in_time, seed},
    tally::{Seen, Tally, look, says},
};

#[test]
fn what_the_journal_still_holds_heals_the_state_for_good() {
    let seed = seed();
    let mut random = Random::new(seed);
    let original = Original::young();
    let records: Trees = state(&original.store());
    let mut tally = Tally::default();
    for n in 0..cases(100) {
        let bytes = fs::read(original.store().join("db/db")).unwrap();
        let (at, sort) = (random.below(used(&bytes)), random.below(4));
        let what = format!("young store, db/db, damage {sort} at {at} ({n}, seed {seed})");
        heals(&mut tally, &original, &what, |store| {
            let (sector, block) = (at / 512 * 512, at / BLOCK * BLOCK);
            edit(store, "db/db", |bytes| match sort {
                0 => bytes[at] ^= 1 << (at % 8),
                1 => bytes[sector..sector + 512].fill(0),
                2 => bytes[block..block + BLOCK].fill(0),
                _ => bytes.truncate(at),
            });
        });
    }
    let files = tally.whole;
    for (tree, records) in &records {
        for (n, (key, record)) in records.iter().enumerate() {
            let what = format!("young store, {tree}, record {n}");
            heals(&mut tally, &original, &format!("{what} removed"), |store| {
                change_state(store, |db| drop(db.open_tree(tree).unwrap().remove(key).unwrap()));
            });
            heals(&mut tally, &original, &format!("{what} changed"), |store| {
                let mut record = record.clone();
                *record.last_mut().unwrap() ^= 1;
                change_state(store, |db| drop(db.open_tree(tree).unwrap().insert(key, record)));
            });
        }
    }
    heals(&mut tally, &original, "young store, the state of an older time", |store| {
        crate::original::replace(&original.older().join("db"), &store.join("db"));
    });
    let (healed, refused) = (tally.whole, tally.refusals());
    println!(
        "healing: {healed} healed ({files} of damaged files), {refused} refused {:?}",
        tally.errors
    );
    assert!(files * 10 >= cases(100), "{files} of {} healed", cases(100));
    assert!(healed - files > 40, "{} of edited records healed", healed - files);
}

/// A store that opens after damage is as if nothing had been, also when the journal that healed it
/// has been dropped.
fn heals(
    tally: &mut Tally,
    original: &Original,
    what: &str,
    damage: impl FnOnce(&std::path::Path),
) {
    let (_dir, path) = original.copy();
    damage(&path);
    match look(what, &path) {
        Seen::Error(err) => {
            tally.count(what, &err);
            assert!(says(&err, "db"), "{what}: {err:?}");
            return;
        }
        Seen::Content(found) => assert_eq!(found, original.newest(), "{what}"),
    }
    let before = names(&path.join("journal"));
    in_time(what, || {
        for _ in 0..2 {
            let store = open(&path);
            // A checkpoint moves on only if something was written.
            store.rotate(&crate::original::name(1)).unwrap();
            store.checkpoint().unwrap();
            store.close().unwrap();
        }
        let store = open(&path);
        store.checkpoint().unwrap();
        let expected = content(&store).unwrap();
        store.verify().unwrap();
        store.close().unwrap();
        assert!(!names(&path.join("journal")).contains(&before[0]), "{what}: the journal is kept");
        let store = open(&path);
        assert_eq!(content(&store).unwrap(), expected, "{what}");
        let rest = |text: &str| {
            let lines = text.lines().skip_while(|line| !line.starts_with("secret-2"));
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(rest(&expected), rest(original.newest()), "{what}");
        store.verify().unwrap();
        store.close().unwrap();
    });
    tally.whole += 1;
}
