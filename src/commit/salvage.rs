//! What there is of a store that may be damaged: its keys, the frames of its journal, and its state as
//! far as it can be opened. Nothing in the store's directory is written.
//!
//! The state is opened on a copy: sled repairs what it opens, and drops what it takes for damaged.

use std::{collections::HashMap, env, fmt, io, ops::ControlFlow, path::Path, sync::Arc};

use crate::{
    commit::{
        KeyError, Unlock,
        address::{root_address, tree_specs},
        frames::{Frames, Logged, read_frames},
        keys::{Unlocked, unlock_all},
        open::{JOURNAL, LOCK, OLD_STATE, OpenError, STATE, read_root},
        plan::RingChange,
        root::open_root,
    },
    crypto::{KeyRing, random},
    domain::Expect,
    format::{KEY_FILE_LEN_MAX, RootV1, Tree},
    storage::{
        Address, Backend, DirLock, Disk, Record, ScratchDir, SledFiles, StorageError, YOUNG,
        copy_around,
    },
};

/// Files of the state that it may be opened without: sled makes them anew, from the log and from what
/// the store always asks for. Tried in this order, until the root record can be read.
const LEFT_OUT: [&[&str]; 4] = [&[], &["conf"], &["snap."], &["conf", "snap."]];

/// A place in a store's files that cannot be read, or is not what was written there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    place: String,
    what: String,
}

impl Damage {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }

    /// The file or directory, as seen from the store's directory.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong with it.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What salvaging takes beside the path.
#[derive(Debug)]
pub(crate) struct SalvageOptions<'a> {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) unlock: &'a Unlock,
    pub(crate) expect: &'a Expect,
    pub(crate) cache_bytes: u64,
}

/// A store's remains. Its directory is locked as long as this lives.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) store_id: [u8; 16],
    pub(crate) ring: Arc<KeyRing>,
    /// The newest root record that authenticates, of the journal or the state.
    pub(crate) root: Option<RootV1>,
    pub(crate) damage: Vec<Damage>,
    /// First and last of commits in a row that are in neither journal nor state.
    pub(crate) missing: Vec<(u64, u64)>,
    /// The commit that the state has reached, as it says.
    state_seq: Option<u64>,
    logged: HashMap<Address, Logged>,
    state: Option<State>,
    _lock: Option<DirLock>,
}

/// The copied state, closed before the copy is removed.
#[derive(Debug)]
struct State {
    backend: Box<dyn Backend>,
    root: Option<RootV1>,
    _copy: ScratchDir,
}

/// What stands at an address.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) journal: Option<&'a Logged>,
    pub(crate) state: Result<Option<Record>, StorageError>,
    /// Whether the journal's write came after all that the state has.
    pub(crate) journal_is_newer: bool,
}

impl Remains {
    /// Takes the lock, unlocks the key file, and reads what can be read.
    pub(crate) fn open(path: &Path, options: &SalvageOptions<'_>) -> Result<Self, OpenError> {
        let disk = options.disk.as_ref();
        let names = match disk.list(path) {
            Err(err)
                if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Err(OpenError::NotAStore);
            }
            other => other?,
        };
        let lock = DirLock::acquire_existing(&path.join(LOCK))?;
        let unlocked = match unlock_all(disk, path, options.unlock) {
            Err(KeyError::Missing)
                if !names
                    .iter()
                    .any(|name| [JOURNAL, STATE, OLD_STATE].contains(&name.as_str())) =>
            {
                return Err(OpenError::NotAStore);
            }
            other => other?,
        };
        let newest = unlocked.iter().max_by_key(|it| it.file.ring_seq);
        let newest = newest.ok_or(KeyError::Missing)?;
        let (store_id, ring) = (newest.file.store_id, Arc::clone(&newest.ring));
        if !options.expect.allows_store(&store_id) {
            return Err(OpenError::WrongStore);
        }
        let mut damage = key_file_damage(disk, path, &unlocked);
        if lock.is_none() {
            damage.push(Damage::new(LOCK, "it is missing, so nobody was kept from the store"));
        }
        let frames = read_frames(disk, &path.join(JOURNAL), &ring, &store_id);
        damage.extend(frames.damage.iter().cloned());
        // A compaction that was cut off between its two renamings leaves the state there.
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        let state = path.join(if has(STATE) || !has(OLD_STATE) { STATE } else { OLD_STATE });
        let state = open_state(&options.disk, &state, options, (&ring, &store_id), &mut damage)?;
        let mut remains = Self::assemble((store_id, ring), (frames, state), damage, lock);
        remains.compare(&newest.change(), options.expect);
        Ok(remains)
    }

    fn assemble(
        (store_id, ring): ([u8; 16], Arc<KeyRing>),
        (frames, state): (Frames, Option<State>),
        mut damage: Vec<Damage>,
        lock: Option<DirLock>,
    ) -> Self {
        let in_state = state.as_ref().and_then(|state| state.root.clone());
        let logged = frames.last.get(&root_address()).and_then(|logged| logged.record.as_ref());
        let in_journal = logged.and_then(|record| open_root(&ring, &store_id, record).ok());
        let state_seq = in_state.as_ref().map(|root| root.seq);
        let root = in_journal.into_iter().chain(in_state).max_by_key(|root| root.seq);
        let missing: Vec<(u64, u64)> = frames
            .missing
            .into_iter()
            .map(|(first, last)| {
                (first.max(state_seq.map_or(0, |seq| seq.saturating_add(1))), last)
            })
            .filter(|(first, last)| first <= last)
            .collect();
        for (first, last) in &missing {
            let text = format!("commits {first} to {last} are neither there nor in the state");
            damage.push(Damage::new(JOURNAL, text));
        }
        if let (Some(journal), Some(state)) = (frames.last_seq, state_seq)
            && journal < state
        {
            let text = format!("it ends at commit {journal}, before the state, at {state}");
            damage.push(Damage::new(JOURNAL, text));
        }
        let logged = frames.last;
        Self { store_id, ring, root, damage, missing, state_seq, logged, state, _lock: lock }
    }

    /// Compares the newest root with the key file and the anchor.
    fn compare(&mut self, key_file: &RingChange, expect: &Expect) {
        let Some(root) = &self.root else {
            return self
                .damage
                .push(Damage::new(STATE, "there is no root record, nor in the journal"));
        };
        let bound = RingChange { ring_seq: root.ring_seq, digest: root.ring_digest };
        let ahead = Some(key_file.ring_seq) == root.ring_seq.checked_add(1);
        if *key_file != bound && !ahead {
            self.damage.push(Damage::new("keys", "it is not the one that the last commit names"));
        }
        if let Expect::Anchor(anchor) = expect
            && (root.epoch != anchor.epoch || root.seq < anchor.seq)
        {
            let (found, seen) = (root.seq, anchor.seq);
            let text = format!("the last commit is {found}, and the anchor saw {seen}");
            self.damage.push(Damage::new(STATE, text));
            self.missing.push((found.saturating_add(1), seen));
        }
    }

    /// What stands at `address` in journal and state.
    pub(crate) fn stored(&self, address: &Address) -> Stored<'_> {
        let journal = self.logged.get(address);
        let state = match &self.state {
            Some(state) => state.backend.read(address),
            None => Err(StorageError::Closed),
        };
        let journal_is_newer =
            journal.is_some_and(|it| self.state_seq.is_none_or(|seq| it.seq > seq));
        Stored { journal, state, journal_is_newer }
    }

    /// The addresses in a tree at which the journal writes, with what it wrote last.
    pub(crate) fn logged_in(&self, tree: Tree) -> impl Iterator<Item = (&Address, &Logged)> {
        self.logged.iter().filter(move |(address, _)| address.tree() == tree.id())
    }

    /// Visits the records of a tree of the state, and goes on behind what cannot be read.
    pub(crate) fn each_in_state(&mut self, tree: Tree, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let Some(state) = &self.state else { return };
        let (mut after, mut step, mut failures) = (None::<Vec<u8>>, 1_u64, 0_u64);
        loop {
            let mut last = None;
            let scanned = state.backend.scan(tree.id(), after.as_deref(), &mut |key, record| {
                visit(key, record);
                last = Some(key.to_vec());
                ControlFlow::Continue(())
            });
            if scanned.is_ok() {
                break;
            }
            failures = failures.saturating_add(1);
            // Where the scan got on, the next gap begins; where it did not, it is a wider one.
            step = if last.is_some() { 1 } else { step.saturating_mul(2) };
            let from = last.or(after).unwrap_or_default();
            let Some(next) = beyond(&from, step, tree) else { break };
            after = Some(next);
        }
        if failures > 0 {
            let text = format!("the tree {:?} cannot be read in {failures} places", tree.name());
            self.damage.push(Damage::new(STATE, text));
        }
    }
}

/// A key at least `step` units behind `key`, a unit being what some records take in its tree. `None`
/// behind the last key.
fn beyond(key: &[u8], step: u64, tree: Tree) -> Option<Vec<u8>> {
    // Ids are spread evenly over all numbers, commits follow one another.
    let unit = match tree {
        Tree::Secrets | Tree::Stages => 1 << 44,
        Tree::System | Tree::Versions | Tree::Audit | Tree::Notices => 1,
    };
    let mut front = [0; 8];
    front.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let next = u64::from_be_bytes(front).checked_add(step.checked_mul(unit)?)?;
    let mut bytes = next.to_be_bytes().to_vec();
    bytes.resize(tree.key_len(), 0);
    Some(bytes)
}

/// Says which of the two copies of the key file is not good.
fn key_file_damage(disk: &dyn Disk, path: &Path, unlocked: &[Unlocked]) -> Vec<Damage> {
    let mut damage = Vec::new();
    for name in ["keys", "keys.bak"] {
        match disk.read(&path.join(name), KEY_FILE_LEN_MAX as u64) {
            Ok(bytes) if unlocked.iter().any(|good| good.bytes == bytes) => {}
            Ok(_) => damage.push(Damage::new(name, "it is damaged")),
            Err(err) => damage.push(Damage::new(name, format!("it cannot be read: {err}"))),
        }
    }
    damage
}

/// Opens a copy of the state. `None`, with the reason among `damage`, if it does not open; an error if
/// no copy can be made.
fn open_state(
    disk: &Arc<dyn Disk>,
    path: &Path,
    options: &SalvageOptions<'_>,
    (ring, store_id): (&KeyRing, &[u8; 16]),
    damage: &mut Vec<Damage>,
) -> Result<Option<State>, OpenError> {
    let names = match disk.list(path) {
        Ok(names) if names.iter().any(|name| name == "db") => names,
        Ok(_) => {
            damage.push(Damage::new("db/db", "it is missing"));
            return Ok(None);
        }
        Err(err) => {
            damage.push(Damage::new(STATE, format!("it cannot be read: {err}")));
            return Ok(None);
        }
    };
    let is_ours = |name: &&String| {
        *name == "db"
            || *name == "conf"
            || *name == YOUNG
            || (name.starts_with("snap.") && !name.ends_with(".generating"))
    };
    let names: Vec<&String> = names.iter().filter(is_ours).collect();
    let (mut best, mut unread_known): (Option<State>, bool) = (None, false);
    for without in LEFT_OUT {
        let is_out = |name: &&&String| without.iter().any(|prefix| name.starts_with(prefix));
        if !without.is_empty() && !names.iter().any(|name| is_out(&name)) {
            continue;
        }
        let copy = scratch_in(disk.as_ref(), &env::temp_dir())?;
        let kept = names.iter().filter(|name| !is_out(name));
        for name in kept {
            let unread = copy_around(disk.as_ref(), &path.join(name), &copy.path().join(name))?;
            if unread > 0 && !unread_known {
                let text = format!("{unread} bytes of it cannot be read");
                damage.push(Damage::new(format!("{STATE}/{name}"), text));
            }
        }
        unread_known = true;
        let files = SledFiles::new(Arc::clone(disk), copy.path().to_owned());
        let opened = files
            .put_back_young()
            .map_err(StorageError::from)
            .and_then(|()| files.open(&tree_specs(), options.cache_bytes));
        match opened {
            Ok(backend) => {
                let backend: Box<dyn Backend> = Box::new(backend);
                let root = read_root(backend.as_ref(), ring, store_id).ok();
                let is_whole = root.is_some();
                if best.is_none() || is_whole {
                    best = Some(State { backend, root, _copy: copy });
                }
                if is_whole {
                    break;
                }
            }
            Err(err) if without.is_empty() => {
                damage.push(Damage::new(STATE, format!("it does not open: {err}")));
            }
            Err(_) => {}
        }
    }
    Ok(best)
}

/// A new directory in `parent` for what is needed for a while only.
pub(crate) fn scratch_in(disk: &dyn Disk, parent: &Path) -> Result<ScratchDir, OpenError> {
    let mut tag = [0; 8];
    random::fill(&mut tag).map_err(KeyError::from)?;
    let name = format!(".strongroom-salvage-{:016x}", u64::from_be_bytes(tag));
    Ok(ScratchDir::create(disk, parent.join(name))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_goes_on_behind_what_it_could_not_read_and_comes_to_an_end() {
        for tree in Tree::ALL {
            let (mut key, mut step, mut steps) = (Vec::new(), 1, 0);
            while let Some(next) = beyond(&key, step, tree) {
                assert!(next > key && next.len() == tree.key_len(), "{tree:?}");
                (key, step, steps) = (next, step.saturating_mul(2), steps + 1);
            }
            assert!(steps <= 64, "{tree:?}: {steps}");
        }
    }
}
