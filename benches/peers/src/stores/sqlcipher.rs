//! SQLCipher through rusqlite: SQLite with encrypted pages.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::{
    Outcome,
    cipher::KEY,
    contestant::{Contestant, Entrant, Role, Setting},
    queue::GroupCommit,
    work::{Fresh, Name, VERSIONS_MAX},
};

pub const ENTRANT: Entrant = Entrant {
    key: "sqlcipher",
    title: "SQLCipher",
    done: "pages encrypted by it, raw key; WAL, `synchronous=FULL`; cached statements; commit queue, one \
           transaction a group; a connection for each of four readers",
    role: Role::Peer,
    writes: true,
    reopens: true,
    open,
};

const READERS: usize = 4;
const BATCH: usize = 500;

/// As with the other peers: the current value stands beside the metadata, older ones apart.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS heads (
        name TEXT PRIMARY KEY, current INTEGER NOT NULL, previous INTEGER NOT NULL,
        first INTEGER NOT NULL, metadata TEXT NOT NULL, value BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS versions (
        name TEXT NOT NULL, number INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (name, number)
    ) WITHOUT ROWID;";
const CREATE: &str = "INSERT INTO heads VALUES (?1, 1, 0, 1, ?2, ?3)";
const HEAD: &str = "SELECT current, first, value FROM heads WHERE name = ?1";
const MOVE: &str =
    "UPDATE heads SET current = ?2, previous = ?3, first = ?4, value = ?5 WHERE name = ?1";
const KEEP: &str = "INSERT INTO versions VALUES (?1, ?2, ?3)";
const DROP: &str = "DELETE FROM versions WHERE name = ?1 AND number < ?2";
const GET: &str = "SELECT value FROM heads WHERE name = ?1";
const VERSION: &str = "SELECT value FROM versions WHERE name = ?1 AND number = ?2";
const CURRENT: &str = "SELECT value FROM heads WHERE name = ?1 AND current = ?2";
const LABELS: &str = "SELECT current, previous FROM heads WHERE name = ?1";
const LIST: &str = "SELECT name, metadata FROM heads WHERE name > ?1 ORDER BY name LIMIT ?2";
const NAMES: &str = "SELECT name FROM heads WHERE name > ?1 ORDER BY name LIMIT ?2";

/// What the queue carries. The answer is a version's number.
enum Change {
    Create(String, String, String),
    Rotate(String, String),
}

struct SqlCipher {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    next: AtomicUsize,
    queue: GroupCommit<Change, u64>,
}

fn open(dir: &Path, setting: Setting) -> Outcome<Box<dyn Contestant>> {
    let path = dir.join("sqlcipher");
    let writer = connect(&path, setting)?;
    writer.execute_batch(TABLES)?;
    let readers: Vec<_> =
        (0..READERS).map(|_| connect(&path, setting).map(Mutex::new)).collect::<Outcome<_>>()?;
    Ok(Box::new(SqlCipher {
        writer: Mutex::new(writer),
        readers,
        next: AtomicUsize::new(0),
        queue: GroupCommit::new(),
    }))
}

fn connect(path: &Path, setting: Setting) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    connection.execute_batch(&format!(
        "PRAGMA key = \"x'{key}'\"; PRAGMA cipher_memory_security = OFF; PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{};",
        setting.cache_bytes >> 10
    ))?;
    let version: String = connection.query_row("PRAGMA cipher_version", [], |row| row.get(0))?;
    if version.is_empty() {
        return Err("this SQLite does not encrypt".into());
    }
    Ok(connection)
}

impl SqlCipher {
    fn reader(&self) -> Outcome<MutexGuard<'_, Connection>> {
        if let Some(free) = self.readers.iter().find_map(Mutex::try_lock) {
            return Ok(free);
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed) % READERS;
        Ok(self.readers.get(at).ok_or("no readers")?.lock())
    }

    fn commit(&self, changes: Vec<Change>) -> Outcome<Vec<u64>> {
        let mut writer = self.writer.lock();
        // Reading first and writing then would have SQLite refuse the second step now and then.
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answers = changes
            .into_iter()
            .map(|change| match change {
                Change::Create(name, metadata, value) => {
                    let mut create = transaction.prepare_cached(CREATE)?;
                    create.execute(params![name, metadata, value.as_bytes()])?;
                    Ok(1)
                }
                Change::Rotate(name, value) => rotate(&transaction, &name, &value),
            })
            .collect::<Outcome<_>>()?;
        transaction.commit()?;
        Ok(answers)
    }
}

fn rotate(connection: &Connection, name: &str, value: &str) -> Outcome<u64> {
    let mut head = connection.prepare_cached(HEAD)?;
    let (old, first, stored) = head.query_row([name], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let current = old + 1;
    let kept = first.max((current + 1).saturating_sub(VERSIONS_MAX));
    let mut step = connection.prepare_cached(MOVE)?;
    step.execute(params![name, current, old, kept, value.as_bytes()])?;
    connection.prepare_cached(KEEP)?.execute(params![name, old, stored])?;
    if kept > first {
        connection.prepare_cached(DROP)?.execute(params![name, kept])?;
    }
    Ok(current)
}

fn owned(secret: &Fresh) -> Change {
    Change::Create(secret.name.text.clone(), secret.metadata.clone(), secret.value.clone())
}

impl Contestant for SqlCipher {
    fn load(&self, secrets: &mut dyn Iterator<Item = Outcome<Fresh>>) -> Outcome<()> {
        loop {
            let batch = Iterator::take(&mut *secrets, BATCH).map(|secret| Ok(owned(&secret?)));
            let batch: Vec<Change> = batch.collect::<Outcome<_>>()?;
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(batch)?;
        }
    }

    fn create(&self, secret: &Fresh) -> Outcome<()> {
        self.queue.submit(owned(secret), |group| self.commit(group))?;
        Ok(())
    }

    fn rotate(&self, name: &Name, value: &str) -> Outcome<u64> {
        let change = Change::Rotate(name.text.clone(), value.to_owned());
        self.queue.submit(change, |group| self.commit(group))
    }

    fn get(&self, name: &Name, seen: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        let reader = self.reader()?;
        let mut get = reader.prepare_cached(GET)?;
        Ok(get.query_row([name.text.as_str()], |row| {
            seen(row.get_ref(0)?.as_blob()?);
            Ok(())
        })?)
    }

    fn version(&self, name: &Name, number: u64, seen: &mut dyn FnMut(&[u8])) -> Outcome<bool> {
        let reader = self.reader()?;
        for sql in [VERSION, CURRENT] {
            let mut get = reader.prepare_cached(sql)?;
            let found = get.query_row(params![name.text, number], |row| {
                seen(row.get_ref(0)?.as_blob()?);
                Ok(())
            });
            if found.optional()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn labels(&self, name: &Name) -> Outcome<(u64, u64)> {
        let reader = self.reader()?;
        let mut labels = reader.prepare_cached(LABELS)?;
        Ok(labels.query_row([name.text.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    fn list(
        &self,
        after: Option<&Name>,
        limit: usize,
        row: &mut dyn FnMut(&str, &str),
    ) -> Outcome<()> {
        let reader = self.reader()?;
        let mut list = reader.prepare_cached(LIST)?;
        let after = after.map_or("", |name| name.text.as_str());
        let mut rows = list.query(params![after, limit])?;
        while let Some(found) = rows.next()? {
            row(found.get_ref(0)?.as_str()?, found.get_ref(1)?.as_str()?);
        }
        Ok(())
    }

    fn names(&self, after: Option<&Name>, limit: usize, row: &mut dyn FnMut(&str)) -> Outcome<()> {
        let reader = self.reader()?;
        let mut list = reader.prepare_cached(NAMES)?;
        let after = after.map_or("", |name| name.text.as_str());
        let mut rows = list.query(params![after, limit])?;
        while let Some(found) = rows.next()? {
            row(found.get_ref(0)?.as_str()?);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        Ok(())
    }
}
