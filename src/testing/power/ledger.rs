//! What is durable below a directory, and which changes of names are not yet.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// An inode number: a file or directory whatever its name.
pub(super) type Inode = u64;

/// What makes the name of a new file durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entries {
    /// A sync of its directory alone, as POSIX promises.
    Dir,
    /// A sync of the file too, as ext4 does.
    File,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) inode: Inode,
    pub(super) is_dir: bool,
}

/// A name in a directory.
pub(super) type Place = (Inode, String);

/// The names in all directories.
pub(super) type Names = BTreeMap<Place, Entry>;

/// Names that change in one step: one that comes or goes, or two for a renaming.
#[derive(Clone, Debug)]
pub(super) struct Change(pub(super) Vec<(Place, Option<Entry>)>);

impl Change {
    fn touches(&self, place: &Place) -> bool {
        self.0.iter().any(|(at, _)| at == place)
    }

    pub(super) fn apply(&self, names: &mut Names) {
        for (place, entry) in &self.0 {
            match entry {
                Some(entry) => names.insert(place.clone(), *entry),
                None => names.remove(place),
            };
        }
    }
}

/// The books of a [`PowerDisk`](super::PowerDisk).
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) root: PathBuf,
    pub(super) root_inode: Inode,
    entries: Entries,
    /// The names that a loss of power cannot take back.
    pub(super) durable: Names,
    /// The changes of names since, oldest first.
    pub(super) pending: Vec<Change>,
    /// The names as they were last seen.
    pub(super) now: Names,
    /// The durable bytes of files; none for a file that was never synced.
    pub(super) bytes: BTreeMap<Inode, Vec<u8>>,
}

impl Ledger {
    /// Takes everything below `root` for durable.
    pub(super) fn new(root: &Path, entries: Entries) -> io::Result<Self> {
        let root_inode = fs::metadata(root)?.ino();
        let now = names_below(root, root_inode)?;
        let mut ledger = Self {
            root: root.to_owned(),
            root_inode,
            entries,
            durable: now.clone(),
            pending: Vec::new(),
            now,
            bytes: BTreeMap::new(),
        };
        for entry in ledger.now.clone().values().filter(|entry| !entry.is_dir) {
            ledger.sync_bytes(entry.inode)?;
        }
        Ok(ledger)
    }

    /// Sees which names have changed since the last look, and notes the changes.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let found = names_below(&self.root, self.root_inode)?;
        let mut gone: Vec<(Place, Entry)> = self
            .now
            .iter()
            .filter(|(place, entry)| found.get(*place) != Some(entry))
            .map(|(place, entry)| (place.clone(), *entry))
            .collect();
        let mut fresh: Vec<(Place, Entry)> = found
            .iter()
            .filter(|(place, entry)| self.now.get(*place) != Some(entry))
            .map(|(place, entry)| (place.clone(), *entry))
            .collect();
        // A directory comes before what is in it, whose inodes are younger.
        fresh.sort_by_key(|(_, entry)| (!entry.is_dir, entry.inode));
        for (place, entry) in fresh {
            let moved = gone.iter().position(|(_, old)| old.inode == entry.inode);
            let mut change = vec![(place.clone(), Some(entry))];
            match moved {
                Some(at) => change.push((gone.swap_remove(at).0, None)),
                None if is_snapshot(&place.1) => self.sled_synced(&place, entry)?,
                // Another file may have had this inode.
                None => drop(self.bytes.remove(&entry.inode)),
            }
            gone.retain(|(at, _)| *at != place);
            self.pending.push(Change(change));
        }
        self.pending.extend(gone.into_iter().map(|(place, _)| Change(vec![(place, None)])));
        self.now = found;
        Ok(())
    }

    /// A new snapshot of sled: it has synced its log and the snapshot, in calls that we do not see.
    fn sled_synced(&mut self, place: &Place, snapshot: Entry) -> io::Result<()> {
        self.now.insert(place.clone(), snapshot);
        let log = self.now.get(&(place.0, "db".to_owned())).copied();
        for entry in [Some(snapshot), log].into_iter().flatten() {
            self.sync_bytes(entry.inode)?;
        }
        Ok(())
    }

    /// Where a file or directory is now.
    pub(super) fn path(&self, inode: Inode) -> Option<PathBuf> {
        if inode == self.root_inode {
            return Some(self.root.clone());
        }
        let ((dir, name), _) = self.now.iter().find(|(_, entry)| entry.inode == inode)?;
        Some(self.path(*dir)?.join(name))
    }

    /// The bytes of the file as they are now count as durable.
    pub(super) fn sync_bytes(&mut self, inode: Inode) -> io::Result<()> {
        if let Some(path) = self.path(inode) {
            self.bytes.insert(inode, fs::read(path)?);
        }
        Ok(())
    }

    /// A sync of a file makes its name durable, and those of the directories above it, if this is
    /// how the file system does it.
    pub(super) fn sync_name(&mut self, inode: Inode) {
        if self.entries == Entries::Dir {
            return;
        }
        let mut at = Some(inode);
        while let Some(inode) = at {
            self.settle(|change| {
                change.0.iter().any(|(_, entry)| entry.is_some_and(|entry| entry.inode == inode))
            });
            at = self.now.iter().find(|(_, entry)| entry.inode == inode).map(|((dir, _), _)| *dir);
        }
    }

    /// A sync of a directory makes all names in it durable.
    pub(super) fn sync_dir(&mut self, dir: Inode) {
        self.settle(|change| change.0.iter().any(|((at, _), _)| *at == dir));
    }

    /// Makes the chosen changes durable, with the earlier ones of the same names.
    fn settle(&mut self, chosen: impl Fn(&Change) -> bool) {
        let mut takes: Vec<bool> = self.pending.iter().map(&chosen).collect();
        for later in (0..self.pending.len()).rev() {
            for earlier in 0..later {
                let (Some(one), Some(other)) = (self.pending.get(earlier), self.pending.get(later))
                else {
                    continue;
                };
                let shares = other.0.iter().any(|(place, _)| one.touches(place));
                if takes.get(later) == Some(&true)
                    && shares
                    && let Some(take) = takes.get_mut(earlier)
                {
                    *take = true;
                }
            }
        }
        let mut kept = Vec::new();
        for (change, take) in std::mem::take(&mut self.pending).into_iter().zip(takes) {
            if take {
                change.apply(&mut self.durable);
            } else {
                kept.push(change);
            }
        }
        self.pending = kept;
    }
}

/// Whether this is the name of a finished snapshot of sled.
fn is_snapshot(name: &str) -> bool {
    name.starts_with("snap.") && !name.ends_with(".generating")
}

/// All names below a directory. What goes away while we look is not there.
fn names_below(root: &Path, root_inode: Inode) -> io::Result<Names> {
    let mut names = Names::new();
    let mut directories = vec![(root.to_owned(), root_inode)];
    while let Some((path, inode)) = directories.pop() {
        let entries = match fs::read_dir(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            let found = Entry { inode: metadata.ino(), is_dir: metadata.is_dir() };
            if found.is_dir {
                directories.push((entry.path(), found.inode));
            }
            names.insert((inode, entry.file_name().to_string_lossy().into_owned()), found);
        }
    }
    Ok(names)
}
