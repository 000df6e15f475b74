//! The two bounds: everything in hash maps in memory, and the same behind a log on the disk.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    iter,
    ops::Bound,
    os::unix::fs::FileExt as _,
    path::Path,
};

use parking_lot::{Mutex, RwLock};

use super::keyed::{KeyValue, Keyed, Row, Seen, Table, Write};
use crate::{
    Outcome,
    contestant::{Contestant, Entrant, Role, Setting},
};

pub const MAP: Entrant = Entrant {
    key: "map",
    title: "bound: hash map + AEAD",
    done: "64 hash maps in memory and one AEAD opening a get; nothing on disk",
    role: Role::Bound,
    writes: false,
    reopens: false,
    open: |_, _| Ok(Box::new(Keyed::sealed(Memory::new(None)))),
};

pub const LOG: Entrant = Entrant {
    key: "log",
    title: "bound: map + group-commit log",
    done: "the same maps; group commit into one zero-filled file of 64 MiB, in blocks of 4 KiB, one \
           fdatasync a group, written round and never read",
    role: Role::Bound,
    writes: true,
    reopens: false,
    open: open_log,
};

/// The maps are cut in so many, so that threads seldom meet.
const SHARDS: u64 = 64;

const LOG_LEN: usize = 64 << 20;
const BLOCK: usize = 4096;

type Shard = RwLock<HashMap<Vec<u8>, Vec<u8>>>;

struct Memory {
    hasher: RandomState,
    heads: Vec<Shard>,
    versions: Vec<Shard>,
    /// For listings, which want an order.
    order: RwLock<BTreeMap<Vec<u8>, ()>>,
    log: Option<Log>,
}

/// A file that was written once with zeros, so that writing to it again changes no metadata.
struct Log {
    file: File,
    end: Mutex<usize>,
}

fn open_log(dir: &Path, _: Setting) -> Outcome<Box<dyn Contestant>> {
    let path = dir.join("log");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let zeros = vec![0; 1 << 20];
    for at in (0..LOG_LEN).step_by(zeros.len()) {
        file.write_all_at(&zeros, at as u64)?;
    }
    file.sync_all()?;
    Ok(Box::new(Keyed::sealed(Memory::new(Some(Log { file, end: Mutex::new(0) })))))
}

impl Memory {
    fn new(log: Option<Log>) -> Self {
        let shards = || iter::repeat_with(Shard::default).take(SHARDS as usize).collect();
        Self {
            hasher: RandomState::new(),
            heads: shards(),
            versions: shards(),
            order: RwLock::default(),
            log,
        }
    }

    fn shard(&self, table: Table, key: &[u8]) -> Outcome<&Shard> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS)?;
        let shards = match table {
            Table::Heads => &self.heads,
            Table::Versions => &self.versions,
        };
        Ok(shards.get(at).ok_or("no shards")?)
    }
}

impl KeyValue for Memory {
    fn get(&self, table: Table, key: &[u8], seen: Seen<'_>) -> Outcome<bool> {
        match self.shard(table, key)?.read().get(key) {
            Some(value) => seen(value).map(|()| true),
            None => Ok(false),
        }
    }

    fn heads(&self, after: &[u8], limit: usize, row: Row<'_>) -> Outcome<()> {
        let order = self.order.read();
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        for (key, ()) in order.range::<[u8], _>(behind).take(limit) {
            self.get(Table::Heads, key, &mut |head| row(key, head))?;
        }
        Ok(())
    }

    fn apply(&self, writes: Vec<Write>) -> Outcome<()> {
        if let Some(log) = &self.log {
            log.append(&writes)?;
        }
        for Write { table, key, value } in writes {
            let mut shard = self.shard(table, &key)?.write();
            match value {
                Some(value) => {
                    let fresh = table == Table::Heads && !shard.contains_key(&key);
                    if fresh {
                        self.order.write().insert(key.clone(), ());
                    }
                    shard.insert(key, value);
                }
                None => drop(shard.remove(&key)),
            }
        }
        Ok(())
    }

    fn close(self) -> Outcome<()> {
        Ok(())
    }
}

impl Log {
    fn append(&self, writes: &[Write]) -> Outcome<()> {
        let mut frame = Vec::with_capacity(BLOCK);
        for Write { table, key, value } in writes {
            let value = value.as_deref().unwrap_or_default();
            frame.push(u8::from(*table == Table::Heads));
            frame.extend_from_slice(&u32::try_from(key.len())?.to_le_bytes());
            frame.extend_from_slice(&u32::try_from(value.len())?.to_le_bytes());
            frame.extend_from_slice(key);
            frame.extend_from_slice(value);
        }
        frame.resize(frame.len().next_multiple_of(BLOCK), 0);
        let mut end = self.end.lock();
        if *end + frame.len() > LOG_LEN {
            *end = 0;
        }
        self.file.write_all_at(&frame, *end as u64)?;
        self.file.sync_data()?;
        *end += frame.len();
        Ok(())
    }
}
