//! The process dies in every file operation of a change of keys, and again while the store is opened after
//! that: the store opens with the old key or with the new one, as the key file says that was found, no
//! key that was taken away comes back, and all data is there.
//!
//! Nothing is drawn at random here: a case is a change and the number of the operation.
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

use std::{
    cell::Cell,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, ListSecrets, NewSecret, NewVersion, SecretStore,
    SecretString, SecretValue, Unlock, testing::FaultyDisk,
};
use support::{cases, copy_dir, key, name, scratch};
use tempfile::TempDir;

/// Operations after which a change must have got through.
const OPERATIONS_MAX: u64 = 200;

/// The keys there are; each slot has the name of its key as its label.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Held {
    Old,
    New,
    /// Of no slot at any time.
    Foreign,
}

/// Whether keys are master keys or passphrases.
#[derive(Clone, Copy, Debug)]
enum Sort {
    Raw,
    Passphrase,
}

impl Sort {
    fn unlock(self, held: Held) -> Unlock {
        let number = held as u8 + 1;
        match self {
            Self::Raw => key(number).into(),
            Self::Passphrase => SecretString::from(format!("passphrase number {number}")).into(),
        }
    }
}

/// One call of a change.
type Call = fn(&SecretStore, Sort) -> Result<(), Error>;

/// Which keys have a slot.
type Slots = &'static [Held];

/// A change: the calls, and the slots before the first and after each of them.
struct Change {
    name: &'static str,
    opened_with: Held,
    slots: &'static [Slots],
    calls: &'static [Call],
}

const CHANGES: [Change; 3] = [
    Change {
        name: "a key is added",
        opened_with: Held::Old,
        slots: &[&[Held::Old], &[Held::Old, Held::New]],
        calls: &[add],
    },
    Change {
        name: "a key is removed",
        opened_with: Held::New,
        slots: &[&[Held::Old, Held::New], &[Held::New]],
        calls: &[remove],
    },
    Change {
        name: "a key is replaced, with a write behind each step",
        opened_with: Held::Old,
        slots: &[
            &[Held::Old],
            &[Held::Old, Held::New],
            &[Held::Old, Held::New],
            &[Held::New],
            &[Held::New],
        ],
        calls: &[add, write, remove, write],
    },
];

fn add(store: &SecretStore, sort: Sort) -> Result<(), Error> {
    store.add_key_slot(&sort.unlock(Held::Old), &sort.unlock(Held::New), "New").map(drop)
}

fn remove(store: &SecretStore, _: Sort) -> Result<(), Error> {
    // The label of the first slot of a store is empty.
    let slots = store.key_slots();
    store.remove_key_slot(slots.iter().find(|slot| slot.label().is_empty()).unwrap().id())
}

fn write(store: &SecretStore, _: Sort) -> Result<(), Error> {
    store.put_version(&name("written"), NewVersion::new(value("more"))).map(drop)
}

#[test]
fn a_change_of_keys_cut_off_anywhere_leaves_the_old_keys_or_the_new_ones() {
    for change in &CHANGES {
        let (_dir, template) = template(change, Sort::Raw);
        let counts = Counts::default();
        let positions = each_position(change, 1, |at| {
            let crashed = Crashed::new(&template, (change, Sort::Raw), at);
            crashed.check(&crashed.path, &counts);
            crashed.failed
        });
        assert!(positions >= 14 * (change.slots.len() as u64).min(3) - 14, "{positions} positions");
        counts.print(change, positions);
    }
}

#[test]
fn a_second_crash_while_the_store_is_opened_changes_nothing_of_that() {
    for change in &CHANGES[..2] {
        let (_dir, template) = template(change, Sort::Raw);
        let (counts, nested) = (Counts::default(), Cell::new(0_u64));
        let positions = each_position(change, 1, |at| {
            let crashed = Crashed::new(&template, (change, Sort::Raw), at);
            for opened_with in [Held::Old, Held::New] {
                // Other operations at other positions; all of them where there is time.
                let stride = if cases(1) > 1 { 1 } else { 4 };
                for second in (at % stride as u64..OPERATIONS_MAX).step_by(stride) {
                    let (_dir, path) = copy(&crashed.path);
                    let disk = FaultyDisk::new(None);
                    disk.crash(second);
                    let unlock = Sort::Raw.unlock(opened_with);
                    let opened = builder(unlock).disk(Arc::new(disk.clone())).open(&path);
                    let refused =
                        opened.as_ref().is_err_and(|err| err.kind() == ErrorKind::WrongKey);
                    drop(opened);
                    if disk.failed() == 0 {
                        break;
                    }
                    let has_slot = crashed.may_be.iter().all(|slots| slots.contains(&opened_with));
                    assert!(!(refused && has_slot), "a key is refused because of a failing disk");
                    nested.set(nested.get() + 1);
                    // Each key is the first to be tried half of the time.
                    crashed.check_first(
                        &path,
                        [Held::Old, Held::New][(second % 2) as usize],
                        &counts,
                    );
                }
            }
            crashed.failed
        });
        assert!(nested.get() > positions, "{} second crashes", nested.get());
        println!("key changes, {} second crashes", nested.get());
        counts.print(change, positions);
    }
}

#[test]
fn a_change_of_passphrases_cut_off_leaves_the_old_ones_or_the_new_ones() {
    let change = &CHANGES[2];
    let (_dir, template) = template(change, Sort::Passphrase);
    let counts = Counts::default();
    let positions = each_position(change, 9, |at| {
        let crashed = Crashed::new(&template, (change, Sort::Passphrase), at);
        crashed.check_first(&crashed.path, [Held::Old, Held::New][(at % 2) as usize], &counts);
        crashed.failed
    });
    counts.print(change, positions);
}

// --- The cases ------------------------------------------------------------------------------

/// A store after a crash in the middle of a change.
struct Crashed {
    change: &'static str,
    sort: Sort,
    path: PathBuf,
    /// What the slots may be: those before and those after the call that was cut off.
    may_be: Vec<Slots>,
    /// What the secrets hold, before and after a write that was cut off.
    contents: Vec<String>,
    failed: u64,
    _dir: TempDir,
}

impl Crashed {
    fn new(template: &Path, (change, sort): (&'static Change, Sort), at: u64) -> Self {
        let (dir, path) = copy(template);
        let disk = FaultyDisk::new(None);
        let with = builder(sort.unlock(change.opened_with)).disk(Arc::new(disk.clone()));
        let store = with.open(&path).unwrap();
        disk.crash(at);
        let (mut may_be, mut written, mut may_be_written) = (vec![change.slots[0]], 0, 0);
        for (number, call) in change.calls.iter().enumerate() {
            let writes = usize::from(change.slots[number] == change.slots[number + 1]);
            may_be_written = written + writes;
            let Err(err) = call(&store, sort) else {
                (may_be, written) = (vec![change.slots[number + 1]], may_be_written);
                continue;
            };
            let kind = err.kind();
            assert!(matches!(kind, ErrorKind::Storage | ErrorKind::Poisoned), "{err:?}");
            may_be.push(change.slots[number + 1]);
            break;
        }
        let contents = vec![wanted(written), wanted(may_be_written)];
        drop(store);
        let failed = disk.failed();
        Self { change: change.name, sort, path, may_be, contents, failed, _dir: dir }
    }

    /// Tries both keys, each as the first one.
    fn check(&self, path: &Path, counts: &Counts) {
        for first in [Held::Old, Held::New] {
            self.check_first(path, first, counts);
        }
    }

    /// Tries `first` and then the other key on a copy of the store.
    fn check_first(&self, path: &Path, first: Held, counts: &Counts) {
        let (_dir, path) = copy(path);
        let what = format!("{}, {:?} first, may be {:?}", self.change, first, self.may_be);
        let second = if first == Held::Old { Held::New } else { Held::Old };
        assert!(self.open(&path, Held::Foreign).is_none(), "{what}: a foreign key opens the store");
        let (opener, slots) = match self.open(&path, first) {
            Some(slots) => (first, slots),
            None => {
                // Then this key need not have a slot, and the other one must open the store.
                assert!(
                    !self.may_be.iter().all(|slots| slots.contains(&first)),
                    "{what}: locked out"
                );
                (second, self.open(&path, second).unwrap_or_else(|| panic!("{what}: no key opens")))
            }
        };
        assert!(self.may_be.iter().any(|it| **it == slots[..]), "{what}: {slots:?}");
        assert!(slots.contains(&opener), "{what}: {opener:?} opens with the slots {slots:?}");
        // From now on it is settled.
        for held in [second, first] {
            let found = self.open(&path, held);
            let wanted = slots.contains(&held).then(|| slots.clone());
            assert_eq!(found, wanted, "{what}: {held:?}, slots {slots:?}");
        }
        counts.add(slots == self.may_be[0]);
    }

    /// Opens the store with a key, checks that all data is there, and gives the slots. `None` if the key
    /// does not open it.
    fn open(&self, path: &Path, held: Held) -> Option<Vec<Held>> {
        let store = match builder(self.sort.unlock(held)).open(path) {
            Ok(store) => store,
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::WrongKey, "{held:?}: {err:?}");
                return None;
            }
        };
        let found = content(&store);
        assert!(self.contents.contains(&found), "{found} is none of {:?}", self.contents);
        store.verify().unwrap();
        let slots = store.key_slots();
        let held =
            slots.iter().map(|slot| if slot.label().is_empty() { Held::Old } else { Held::New });
        let held = held.collect();
        store.close().unwrap();
        Some(held)
    }
}

/// How the cases ended.
#[derive(Default)]
struct Counts {
    old: Cell<u64>,
    new: Cell<u64>,
}

impl Counts {
    fn add(&self, old: bool) {
        let count = if old { &self.old } else { &self.new };
        count.set(count.get() + 1);
    }

    fn print(&self, change: &Change, positions: u64) {
        let (old, new) = (self.old.get(), self.new.get());
        println!(
            "key changes, {}: {positions} positions, {old} times the keys before, {new} times those \
             after",
            change.name
        );
        assert!(old > 0 && new > 0, "only one of the outcomes came up");
    }
}

/// Runs `case` with a crash at operation 0, `step`, ... until none fails any more.
fn each_position(change: &Change, step: u64, case: impl Fn(u64) -> u64) -> u64 {
    for at in (0..OPERATIONS_MAX).step_by(usize::try_from(step).unwrap()) {
        println!("{}, crash at operation {at}", change.name);
        if case(at) == 0 {
            return at;
        }
    }
    panic!("{}: still failing after {OPERATIONS_MAX} operations", change.name);
}

// --- Instruments ----------------------------------------------------------------------------

/// A closed store with the slots that the change begins with.
fn template(change: &Change, sort: Sort) -> (TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join("store");
    let store = builder(sort.unlock(Held::Old)).create(&path).unwrap();
    for text in ["one", "two", "written"] {
        store.create_secret(NewSecret::new(name(text), value(text))).unwrap();
    }
    if change.slots[0].contains(&Held::New) {
        add(&store, sort).unwrap();
    }
    store.close().unwrap();
    (dir, path)
}

fn copy(store: &Path) -> (TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join("store");
    copy_dir(store, &path);
    (dir, path)
}

fn builder(unlock: Unlock) -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(4).unwrap();
    SecretStore::builder()
        .unlock(unlock)
        .limits(limits)
        .state_cache_bytes(1 << 20)
        .write_buffer_bytes(0)
}

fn value(text: &str) -> SecretValue {
    SecretValue::from_string(text)
}

/// What there is after so many writes.
fn wanted(writes: usize) -> String {
    let last = match writes {
        0 => r#"written v1 Some("written"); "#.to_owned(),
        _ => format!(r#"written v{} Some("more"); "#, writes + 1),
    };
    format!(r#"one v1 Some("one"); two v1 Some("two"); {last}"#)
}

/// Every secret with its current value.
fn content(store: &SecretStore) -> String {
    let mut text = String::new();
    for secret in store.secrets(&ListSecrets::new()).unwrap().items() {
        let got = store.get(secret.name()).unwrap();
        write!(text, "{} {} {:?}; ", secret.name(), got.id(), got.value().expose_str()).unwrap();
    }
    text
}
