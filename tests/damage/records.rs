//! Records of a closed store, edited by sled's own means: whoever has no key of this store, but other
//! stores, older copies and all the time in the world, can make nothing of them that passes.

use std::{collections::BTreeMap, path::Path};

use strongroom::{ErrorKind, NewSecret, NewVersion};

use crate::{
    original::{KEY, Left, Original, builder, content, name, value},
    support::{copy_dir, scratch, sled_open},
    tally::{Seen, Tally, look, says},
};

/// The records of a state, by the names of their trees.
pub type Trees = BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>;

#[test]
fn no_record_may_be_removed_changed_or_put_back() {
    let newer = Original::gone_on();
    let (before, now) = (state(&newer.older()), state(&newer.store()));
    let mut tally = Tally::default();
    for (tree, records) in &now {
        for (n, (key, record)) in records.iter().enumerate() {
            let what = format!("{tree}, record {n} of {}", records.len());
            must_fail(&mut tally, &newer, &format!("{what} removed"), |db| {
                db.open_tree(tree).unwrap().remove(key).unwrap();
            });
            must_fail(&mut tally, &newer, &format!("{what}, one bit"), |db| {
                let mut record = record.clone();
                let at = record.len() - 1 - n % record.len().min(60);
                record[at] ^= 1;
                db.open_tree(tree).unwrap().insert(key, record).unwrap();
            });
            match before.get(tree).and_then(|records| records.get(key)) {
                Some(old) if old != record => {
                    must_fail(&mut tally, &newer, &format!("{what} put back"), |db| {
                        db.open_tree(tree).unwrap().insert(key, old.clone()).unwrap();
                    });
                }
                _ => {}
            }
        }
        let (key, record) = records.iter().next().unwrap();
        let mut stranger = key.clone();
        *stranger.last_mut().unwrap() ^= 0x55;
        if !records.contains_key(&stranger) {
            must_fail(&mut tally, &newer, &format!("{tree}, a stranger"), |db| {
                db.open_tree(tree).unwrap().insert(stranger, record.clone()).unwrap();
            });
        }
        if before[tree] != *records {
            must_fail(&mut tally, &newer, &format!("{tree}, all put back"), |db| {
                overwrite(db, tree, &before[tree]);
            });
        }
    }
    // Records that were dropped since, brought back.
    for (tree, records) in &before {
        for (key, record) in records.iter().filter(|(key, _)| !now[*tree].contains_key(*key)) {
            must_fail(&mut tally, &newer, &format!("{tree}, a dropped record is back"), |db| {
                db.open_tree(tree).unwrap().insert(key, record.clone()).unwrap();
            });
        }
    }
    // The end of the audit log cut off.
    for cut in 1..4 {
        must_fail(&mut tally, &newer, &format!("the last {cut} audit records removed"), |db| {
            let audit = db.open_tree("audit").unwrap();
            for key in now["audit"].keys().rev().take(cut) {
                audit.remove(key).unwrap();
            }
        });
    }
    tally.print("records");
    assert!(tally.refusals() > 100);
}

#[test]
fn no_record_passes_in_the_place_of_another() {
    let newer = Original::gone_on();
    let now = state(&newer.store());
    // Some of each tree, so that most pairs are of one tree and some of two.
    let some = [("secrets", 4), ("stages", 4), ("versions", 7), ("audit", 4), ("system", 1)];
    let chosen: Vec<(&str, &Vec<u8>, &Vec<u8>)> = some
        .iter()
        .flat_map(|(tree, most)| now[tree].iter().take(*most).map(|(k, v)| (*tree, k, v)))
        .collect();
    assert_eq!(chosen.len(), 20);
    let mut tally = Tally::default();
    for (from, (_, _, record)) in chosen.iter().enumerate() {
        for (to, (tree, key, there)) in chosen.iter().enumerate() {
            if from == to || record == there {
                continue;
            }
            let what = format!("{:?} over {:?}", &chosen[from].0, (tree, to));
            must_fail(&mut tally, &newer, &what, |db| {
                db.open_tree(tree).unwrap().insert(key, (*record).clone()).unwrap();
                // Every other time the two change places.
                if (from + to) % 2 == 0 {
                    let (tree, key, _) = chosen[from];
                    db.open_tree(tree).unwrap().insert(key, (*there).clone()).unwrap();
                }
            });
        }
    }
    tally.print("records in each other's place");
    assert_eq!(tally.whole + tally.refusals(), 380);
    assert!(tally.refusals() > 300);
}

/// A key of a tree of the state, and the record there.
type Entry = (Vec<u8>, Vec<u8>);

/// A closed store with two versions of a secret, whose values are not in the journal any more: its
/// directory, what it tells, and the two records.
fn two_values() -> (tempfile::TempDir, String, Vec<Entry>) {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder(KEY).create(&path).unwrap();
    store.create_secret(NewSecret::new(name(1), value(1, 10))).unwrap();
    store.put_version(&name(1), NewVersion::new(value(2, 10))).unwrap();
    for n in 2..6 {
        store.checkpoint().unwrap();
        store.create_secret(NewSecret::new(name(n), value(n, 10))).unwrap();
    }
    store.checkpoint().unwrap();
    let truth = content(&store).unwrap();
    store.close().unwrap();
    let values = state(&path).remove("versions").unwrap().into_iter().take(2).collect();
    (dir, truth, values)
}

fn must_be_refused(what: &str, store: &Path, truth: &str) {
    match look(what, store) {
        Seen::Error(err) => assert_eq!(err.kind(), ErrorKind::Tampered, "{what}"),
        Seen::Content(found) => {
            assert_eq!(found, truth, "{what}: other data");
            panic!("{what}: not noticed");
        }
    }
}

#[test]
fn two_values_of_a_secret_may_not_change_places() {
    let (dir, truth, values) = two_values();
    let path = dir.path().join("store");
    change_state(&path, |db| {
        let tree = db.open_tree("versions").unwrap();
        tree.insert(&values[0].0, values[1].1.clone()).unwrap();
        tree.insert(&values[1].0, values[0].1.clone()).unwrap();
    });
    must_be_refused("two values", &path, &truth);
    println!("two values of a secret in each other's place: refused");
}

/// What stands in clear in front of the nonce: a revision that reading a value has no use for.
#[test]
fn a_value_with_an_edited_header_is_refused() {
    let (dir, truth, values) = two_values();
    let path = dir.path().join("store");
    let (key, record) = &values[0];
    // Behind sled's count of pieces, which the header has nothing to do with.
    for at in 2..18 {
        let mut edited = record.clone();
        edited[at] ^= 1;
        change_state(&path, |db| {
            drop(db.open_tree("versions").unwrap().insert(key, edited).unwrap());
        });
        must_be_refused(&format!("byte {at} of a value"), &path, &truth);
    }
    println!("headers of values: 16 cases, 16 refused");
}

#[test]
fn records_of_another_store_under_the_same_key_do_not_pass() {
    let newer = Original::gone_on();
    let (now, other) = (state(&newer.store()), state(&Original::new(Left::Closed).store()));
    let mut tally = Tally::default();
    for (tree, records) in &now {
        let foreign = &other[tree];
        for (n, (key, record)) in records.iter().enumerate() {
            let (_, theirs) = foreign.iter().nth(n % foreign.len()).unwrap();
            assert_ne!(theirs, record);
            must_fail(&mut tally, &newer, &format!("{tree} {n} of another store"), |db| {
                db.open_tree(tree).unwrap().insert(key, theirs.clone()).unwrap();
            });
        }
        must_fail(&mut tally, &newer, &format!("all {tree} of another store"), |db| {
            overwrite(db, tree, foreign);
        });
    }
    tally.print("records of another store");
    assert!(tally.refusals() > 30);
}

fn overwrite(db: &sled::Db, tree: &str, records: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let tree = db.open_tree(tree).unwrap();
    tree.clear().unwrap();
    for (key, record) in records {
        tree.insert(key, record.clone()).unwrap();
    }
}

/// Edits the state of a closed store. It may open only as it was: the journal put the edit right.
fn must_fail(tally: &mut Tally, original: &Original, what: &str, edit: impl FnOnce(&sled::Db)) {
    let (_dir, path) = original.copy();
    change_state(&path, edit);
    match look(what, &path) {
        Seen::Error(err) => {
            let honest = matches!(err.kind(), ErrorKind::Tampered | ErrorKind::Damaged);
            assert!(honest && says(&err, "db"), "{what}: {err:?}");
            tally.count(what, &err);
        }
        Seen::Content(found) => {
            assert_eq!(found, original.newest(), "{what}: other data");
            tally.whole += 1;
        }
    }
}

/// Changes the state of a closed store by sled's own means.
pub fn change_state(store: &Path, change: impl FnOnce(&sled::Db)) {
    let db = sled_open(&store.join("db"));
    change(&db);
    db.flush().unwrap();
}

/// All records of a closed store, as they stand in sled.
pub fn state(store: &Path) -> Trees {
    let lab = scratch();
    let path = lab.path().join("db");
    copy_dir(&store.join("db"), &path);
    let db = sled_open(&path);
    let read = |tree: &&'static str| {
        let records = db.open_tree(tree).unwrap().iter();
        let records = records.map(|entry| entry.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap());
        (*tree, records.collect())
    };
    ["system", "secrets", "stages", "versions", "audit"].iter().map(read).collect()
}
